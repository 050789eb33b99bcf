// Windows' sign-in window (the Web Authentication Broker) at the management server's page: follows redirects, and takes
// what the last page's form holds.
#pragma once
#include <string>

#include "core/http_message.hpp"
#include "soap.hpp"

namespace mdmd::sim {

struct sign_in_visit {
    std::string url;   // AuthenticationServiceUrl
    std::string user;  // for login_hint; may be empty
    std::string app_uri = "ms-app://windows.immersivecontrolpanel";
};
struct sign_in_outcome {
    std::string token;       // wresult
    std::string page;        // the last one
    std::string address;     // of it
    enroll_failure failure;  // text empty: none
};
sign_in_outcome visit_sign_in(sign_in_visit const&, http::transport const&);

}  // namespace mdmd::sim
