// Signing a user in on Entra's own pages: where the browser is sent, what it brings back, what that is exchanged for.
// Values only.
// Source: RFC 6749 section 4.1, RFC 7636 (PKCE), OpenID Connect Core 1.0 section 3.1; Microsoft identity platform
// "OAuth 2.0 authorization code flow"
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "entra/graph.hpp"

namespace mdmd::entra {

struct authorization {
    std::string redirect_uri;  // as it is registered with the application
    std::string state, nonce;
    std::string verifier;    // PKCE's: 43 to 128 unreserved characters; its SHA-256 alone is sent here
    std::string login_hint;  // whom to sign in; empty: the user is asked
};
// {login_url}/{tenant_id}/oauth2/v2.0/authorize?… for the code flow with `openid profile`, answered by a redirect's
// query.
std::string authorization_url(application const&, authorization const&);

// What Entra's redirect to us says: a code, or why there is none.
struct authorization_answer {
    std::string state;
    secret code;
    std::string error;    // "access_denied", "login_required"…; one line for a log, as the next
    std::string subcode;  // "cancel": the user left
    int aadsts = 0;       // 65004 of "AADSTS65004: …" in the description; 0 where there is none
};
// Errors: malformed (no state, neither code nor error, one of them twice, or out of bounds).
[[nodiscard]] result<authorization_answer> parse_authorization_answer(std::string_view query);

// The exchange at the token endpoint, with the application's credential. The body holds secrets: wipe it after use.
// Errors: as token_request()'s.
[[nodiscard]] result<http::call> code_request(application const&, credential const&, assertion_form, secret const& code,
    std::string_view redirect_uri, std::string_view verifier, time_point now);

struct code_answer {
    std::optional<secret> id_token;  // not checked
    token_refusal refusal;           // where there is none
};
code_answer parse_code_answer(http::response const&, time_point now);

}  // namespace mdmd::entra
