// The use case of renewal (ROBO): a device's certificate makes way for a new one.
#pragma once
#include "core/http_message.hpp"
#include "service/attempt.hpp"
#include "service/context.hpp"

namespace mdmd::service {

class renewal {
public:
    explicit renewal(context& c) : context_(c) {}

    // The provisioning document with the new certificate.
    [[nodiscard]] outcome<std::string> renew(enroll::token_request const&, http::request const&, attempt&);
    // Does a device ask that has no credential but its certificate?
    bool renewing(http::request const&, enroll::credential const&) const;

private:
    context& context_;
};

}  // namespace mdmd::service
