// The use case of a management session: one message in, one message out, one write.
#pragma once
#include <array>
#include <atomic>
#include <mutex>

#include "core/http_message.hpp"
#include "omadm/session.hpp"
#include "service/context.hpp"
#include "service/push.hpp"
#include "service/session_state.hpp"
#include "service/signing_keys.hpp"
#include "service/trace.hpp"
#include "service/tries.hpp"
#include "store/certificates.hpp"
#include "store/enrollment.hpp"
#include "store/management.hpp"

namespace mdmd::service {

class management {
public:
    management(context& c, signing_keys& k, push const& p, trace& t) : context_(c), keys_(k), push_(p), trace_(t) {}

    http::response session(http::request const&);  // POST /ManagementServer/MDM.svc

    // Since this process began.
    struct done_so_far {
        std::uint64_t sessions, messages;  // that began, that were answered
    };
    done_so_far done() const { return {sessions_, messages_}; }

private:
    struct admitted {
        store::device device;
        std::optional<store::certificate> certificate;  // absent where the device proves itself by its credentials
    };
    // What a message is answered with, and what the trace is told of it.
    struct conversation {
        http::response answer;
        std::string session_id;
        bool begins = false, ends = false, eventful = false;
    };
    // The device whose certificate this is, if it may be managed. Errors: forbidden.
    result<admitted> admit(http::request const&);
    // Where certificates do not arrive: the device that the message speaks of. Errors: forbidden.
    result<admitted> named(omadm::message const&);
    // Whether the header's signature, where there is one, is the device's over this very message. Errors: forbidden.
    result<void> check_signature(http::request const&, admitted const&) const;
    // Throws session_work::outdated, with nothing changed.
    conversation converse(admitted, http::request const&, omadm::message const&);
    // What credentials at DM level came to, where there is no certificate.
    struct proof {
        std::optional<http::response> refused;  // nothing of the message is taken
        bool needed = false;
        std::string next_nonce;  // octets, for the device's next session; empty: none is due
    };
    proof prove(admitted const&, omadm::message const&, session_state const& before, omadm::addresses const&,
        std::string const& address);
    // What the answer says of credentials: the device's next nonce, and ours by the nonce it gave us.
    static omadm::authentication credentials_of(proof const&, store::device const&, omadm::intake const&);

    context& context_;
    signing_keys& keys_;
    push const& push_;
    trace& trace_;
    std::array<std::mutex, 64> turns_;  // by device: its messages are taken one after the other
    std::atomic<std::uint64_t> sessions_ = 0, messages_ = 0;
    std::mutex guessing_;
    tries guesses_{std::chrono::minutes(1)};  // wrong credentials, by device and by address
};

}  // namespace mdmd::service
