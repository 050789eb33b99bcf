// What a client that looks for its management server is told: how it shows who its user is, and where it goes on.
#pragma once
#include "config/settings.hpp"
#include "enroll/messages.hpp"
#include "service/attempt.hpp"

namespace mdmd::service {

// The authentication is one that the client offers: Federated, by Entra's token or our sign-in page, or OnPremise, by
// name and password. Where only passwords are asked for on this side, OnPremise goes before Federated: a device without
// a token of Entra's would find no sign-in page, and one with a token shows that whatever it is told. [MS-MDE2] 3.1
//
// The addresses carry what the client says of itself as query parameters: OSVersion, ApplicationVersion, OSEdition and
// DeviceType, those that it says, at most 64 bytes each.
//
// Errors: not_supported (nothing in common).
[[nodiscard]] outcome<enroll::discover_answer> discover(config::settings const&, enroll::discover_request const&);

}  // namespace mdmd::service
