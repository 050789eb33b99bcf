// Who is signed in on a device during a management session, and what may be done for them.
#pragma once
#include "core/http_message.hpp"
#include "omadm/session.hpp"
#include "service/signing_keys.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {

struct presence {
    std::string user_id, upn;  // whose policies hold beside the device's; empty: nobody's
    bool active = false;       // ./User nodes are that user's now, and can be written and read
    bool device_scope = true;  // ./Device nodes may be written
    bool by_token = false;     // a token of Entra's said so, in this session
    bool operator==(presence const&) const = default;
};

// Of an Entra join (enrollment type "Device") the user is whom a valid token of Entra's names, by the Authorization
// header or in package 1, and nobody without one: a token that is not valid, or speaks of another device than the
// session's, reduces the session to the device's policies and is logged. Of a work account ("Full") it is who enrolled,
// whatever tokens there are. LoginStatus "others" or "none", and `mode=Machine` where it says nothing, mean that the
// user's part of the registry is not loaded: ./User nodes wait. A multi-session host's synctype alert narrows it
// further. Source: Microsoft Entra integration with MDM, "Two Windows MDM enrollment scenarios"; [MS-MDM] 2.2.7;
// OMA DM protocol support, "User targeted vs. Device targeted configuration".
presence who_is_there(signing_keys&, store::device const&, http::request const&, omadm::intake const&);

}  // namespace mdmd::service
