// Signing in on our page, for devices that enroll without a token of Entra's: Windows' sign-in window opens it, the
// user signs in at Entra, and Windows takes a token of ours home, which opens one enrollment within ten minutes.
// Source: [MS-MDE2] section 3.2; docs/ways-in.md
#pragma once
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "core/http_message.hpp"
#include "service/application_token.hpp"
#include "service/context.hpp"
#include "service/signing_keys.hpp"
#include "service/tries.hpp"
#include "service/troubleshooting.hpp"

namespace mdmd::service {

struct sign_in_state;

class sign_in {
public:
    sign_in(context&, signing_keys&, application_token&, troubleshooting&);

    // GET /EnrollmentServer/Auth?appru=ms-app://…[&login_hint=…]: on to Entra.
    http::response begin(http::request const&);
    // GET /EnrollmentServer/Auth/Response: back from there. Codes that Entra does not take are counted by the address
    // they come from: after 20 in 15 minutes no more are tried.
    http::response finish(http::request const&);

    // What a token is called in the store.
    static std::string id_of(std::string_view token);

private:
    http::response exchange(http::request const&, sign_in_state const&, secret const& code);
    bool used_before(std::string const& id, time_point until);

    context& context_;
    signing_keys& keys_;
    application_token& token_;
    troubleshooting& trouble_;
    std::mutex mutex_;
    int exchanging_ = 0;
    tries wrong_codes_;
    std::map<std::string, time_point> answered_;  // pages, until they would expire anyway
};

}  // namespace mdmd::service
