// Windows' web view at the Terms of Use: opens the page with the user's token, presses a button, reads the redirect.
#pragma once
#include <functional>
#include <string>

#include "core/http_message.hpp"
#include "soap.hpp"

namespace mdmd::sim {

struct terms_visit {
    std::string url;  // as Entra gives it; may have a query of its own
    std::string jwt;  // the user's token, sent with the first request only
    bool corporate = true;
    bool accept = true;
    bool first_run = true;  // CXH-HOST: FRX (out of the box) or MOSET (Settings)
    std::string redirect_uri = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS";
    std::string client_request_id;
    std::string locale = "en-US";
    std::string os_version;
    std::string pin;  // typed where the page asks for one
};

struct terms_outcome {
    bool accepted = false;
    std::string blob;        // OpaqueBlob
    std::string page;        // the HTML that was shown
    enroll_failure failure;  // text empty: none
};
terms_outcome visit_terms(terms_visit const&, http::transport const&);

// Forms of an HTML page, as far as a person would use them.
struct html_field {
    std::string type, name, value;  // type: "hidden", "text", "submit" …, lower case
    std::string text;               // of a button
};
struct html_form {
    std::string method, action;
    std::vector<html_field> fields;
};
std::vector<html_form> read_forms(std::string_view html);

}  // namespace mdmd::sim
