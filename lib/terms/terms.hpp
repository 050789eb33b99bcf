// The Terms of Use, between Windows' web view and the decision: request to page or redirect. Pure.
// Source: Microsoft Entra integration with MDM, "Terms of Use endpoint"; docs/protocol-coverage.md
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/http_message.hpp"
#include "core/time.hpp"
#include "terms/theme.hpp"

namespace mdmd::terms {

class library;
struct text;
struct words;

enum class ownership { corporate, personal };

// GET /TermsOfUse?redirect_uri=…&client-request-id=…&api-version=1.0[&mode=azureadjoin]
struct query {
    std::string redirect_uri;       // allowed scheme, checked
    std::string client_request_id;  // as sent if it is a GUID or like one, else one of ours
    std::string api_version;
    ownership owner = ownership::personal;  // corporate with mode=azureadjoin
    std::string unknown_mode;               // another mode, which means a personal device; for the log
};
// Errors: malformed (not one redirect_uri, or one that is over 2048 bytes, has control characters or a fragment, or
// whose scheme is not among `schemes`: there is nowhere to redirect to).
[[nodiscard]] result<query> parse_query(std::string_view query_text, std::vector<std::string> const& schemes);
bool version_supported(query const&);  // exactly "1.0"

// What the page carries from the first request, which alone has the token, to the post of the decision.
struct form_state {
    std::string id;  // single use: the consent's id, 128 bits of base64url
    std::string user_id, upn, tenant_id;
    query from;
    std::string text_version, language;  // of the text that is shown
    theme look = theme::automatic;
    time_point expires;
};
// "payload.signature", base64url both, HMAC-SHA-256. Both functions throw std::logic_error for an empty key.
std::string seal(form_state const&, std::string_view key);
// Errors: malformed, unauthenticated (signature), conflict (expired).
[[nodiscard]] result<form_state> open(std::string_view sealed, std::string_view key, time_point now);

// What a page looks like and what language it speaks, where it does not show a text, whose language goes before.
struct appearance {
    theme look = theme::automatic;
    words const* speak = nullptr;    // words.hpp; nullptr: English
    library const* texts = nullptr;  // whose style sheets stand for ours; nullptr: ours
    std::string organization;
};

// The page, as a complete response with its security headers. Decline only on personal devices.
enum class pin_field { none, asked, missing, wrong };
http::response page(
    appearance const&, form_state const&, std::string_view sealed, text const&, pin_field = pin_field::none);

// A page that tells what went wrong where there is nowhere to redirect to (HTTP 400).
enum class refused_because { incomplete, foreign, expired, answered, no_such_answer, text_changed };
http::response refusal_page(appearance const&, refused_because);

// A page that says why a user whose token is good is turned away; its one link, Continue, leads where
// failed(unauthorized_user_or_tenant) would (HTTP 200).
enum class turned_away_because { enrollment_off, personal_blocked, not_in_group, maintenance, pin_locked };
http::response turned_away_page(appearance const&, query const&, turned_away_because);

// What a user typed for a PIN: without blanks and hyphens, full-width and Arabic digits as ASCII's. At most 64 bytes.
std::string typed_pin(std::string_view);

enum class failure { unsupported_version, unauthorized_user_or_tenant, token_refused, internal };
http::response accepted(query const&, std::string_view opaque_blob);  // 302 …?IsAccepted=true&OpaqueBlob=…
http::response declined(query const&);                                // 302 …?IsAccepted=false
http::response failed(query const&, failure);                         // 302 …?error=…&error_description=…

}  // namespace mdmd::terms
