// The use case of renewal (ROBO): a device's certificate makes way for a new one. [MS-MDE2] section 3.5
//
// The certificate that signs the request says which device asks; nothing else in the request is believed. Old and new
// certificate are both good until the device has a management session with the new one, or renews by it: that ends the
// old one. Until then the same request gets the same certificate again, and another request gets another one, in place
// of the one that was not used: at most two certificates of a device are good at a time.
#pragma once
#include "core/http_message.hpp"
#include "service/attempt.hpp"
#include "service/context.hpp"
#include "store/certificates.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {

class renewal {
public:
    explicit renewal(context& c) : context_(c) {}

    // The provisioning document with the new certificate. The attempt tells of the device as soon as it is known.
    [[nodiscard]] outcome<std::string> renew(enroll::token_request const&, http::request const&, attempt&);

    // Does a device ask that has no credential but its certificate: the header has a user name with an empty password,
    // as Windows writes it to renew, or it has nothing and the certificate in TLS is good? The first proves nothing: it
    // leads to renew(), which says to a device with a bad certificate what is wrong with that.
    bool renewing(http::request const&, enroll::credential const&) const;

private:
    struct holder {
        store::certificate certificate;
        store::device device;
    };
    // Whose certificate this is, good or not.
    std::optional<holder> holder_of(std::string_view fingerprint) const;

    context& context_;
};

}  // namespace mdmd::service
