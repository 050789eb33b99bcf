// The end of signing in on our page: what is shown to Windows' sign-in window, and what it takes with it. Pure.
// Source: [MS-MDE2] section 3.2; docs/ways-in.md
#pragma once
#include <string>
#include <string_view>

#include "core/http_message.hpp"
#include "terms/terms.hpp"

namespace mdmd::terms {

// Where Windows wants the token posted to: an ms-app URI of at most 512 bytes that holds nothing but URI characters.
bool is_app_uri(std::string_view);

// A form that posts `token` as `wresult` to `app_uri` by itself, by a script of this nonce; a button does it where that
// does not run.
struct handover {
    std::string app_uri;
    std::string token;  // URL-safe
    std::string upn;    // who has signed in
    std::string nonce;
};
http::response signed_in_page(appearance const&, handover const&);

// Why there is no token; what the user can do stands below. With status 200, since Windows' sign-in window shows no
// page of another; `reference` is for the IT department ("AADSTS50105", a trace id), as it is, and may be empty.
enum class not_signed_in_because {
    off,             // there is no such sign-in here
    enrollment_off,  //
    maintenance,
    cancelled,     // the user left Entra's page, or did not consent
    not_assigned,  // to the application
    refused,       // Entra's answer is none that is of use
    unavailable,   // Entra cannot be asked, or too many sign in at once
};
http::response not_signed_in_page(appearance const&, not_signed_in_because, std::string_view reference);

}  // namespace mdmd::terms
