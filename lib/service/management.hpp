// The use case of a management session: one message in, one message out, one write.
#pragma once
#include <array>
#include <mutex>

#include "core/http_message.hpp"
#include "omadm/session.hpp"
#include "service/context.hpp"
#include "store/certificates.hpp"
#include "store/enrollment.hpp"
#include "store/management.hpp"

namespace mdmd::service {

class management {
public:
    explicit management(context& c) : context_(c) {}

    http::response session(http::request const&);  // POST /ManagementServer/MDM.svc

private:
    struct work;  // what one message changes, gathered before it is written
    struct admitted {
        store::device device;
        store::certificate certificate;
    };
    // The device whose certificate this is, if it may be managed. Errors: forbidden.
    result<admitted> admit(http::request const&);
    http::response converse(admitted const&, http::request const&);
    static void take_outcomes(work&, omadm::intake const&, time_point now);
    // False: the certificate was revoked in the meantime, and nothing is kept.
    bool keep(work const&, store::session const&, time_point now);

    context& context_;
    std::array<std::mutex, 64> turns_;  // by device: its messages are taken one after the other
};

}  // namespace mdmd::service
