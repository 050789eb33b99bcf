// What the services of an enrollment have in common: who asks, as far as that is known, and why it is refused.
#pragma once
#include <string>

#include "core/http_message.hpp"
#include "enroll/messages.hpp"

namespace mdmd::service {

// Why a request is refused: one value that becomes SOAP fault, troubleshooting event and log line.
struct failure {
    enroll::refusal what;
    std::string detail;              // for the log and the event
    std::string text = {};           // for the fault; empty: the table's
    char const* category = nullptr;  // Graph's deviceEnrollmentFailureReason where it is not the table's
};
template <class T = void> using outcome = boost::system::result<T, failure>;

// One enrollment, or an attempt at it, as far as the requests so far tell.
struct attempt {
    std::string correlation_id;  // client-request-id of the Terms of Use, or ours: TraceId of faults too
    std::string message_id;
    std::string address;  // of the client
    std::string device_id, os_version, os_edition, device_name;
    std::string user_id, upn, entra_device_id;
    std::string enrollment_type = "unknown";  // Graph's deviceEnrollmentType
};

// Whoever enrolls, proven by a credential.
struct enrollee {
    enum class kind {
        user,        // Entra's token of a user
        bulk,        // Entra's token of a package that joins many computers
        device,      // Entra's token of the device itself: no user
        on_premise,  // a name and a password of enrollment.users_file
        federated,   // our own token, after signing in at Entra on our page
    } what = kind::user;
    std::string user_id;          // Entra object ID; on_premise: the name, lower case; device: empty
    std::string upn;              // empty where there is none
    std::string entra_device_id;  // of the token; empty where it says none
    std::string sign_in;          // federated: what the token is called in the store; used up by an enrollment
};

}  // namespace mdmd::service
