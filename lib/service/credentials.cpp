#include "service/credentials.hpp"

namespace mdmd::service {
namespace {

using enroll::refusal;

refusal refusal_for(errc code) {
    switch (code) {
        case errc::malformed: return refusal::invalid_security;
        case errc::forbidden: return refusal::authorization;
        case errc::unavailable: return refusal::internal;
        default: return refusal::authentication;
    }
}

template <class... F> struct overloaded : F... { using F::operator()...; };
template <class... F> overloaded(F...) -> overloaded<F...>;

}  // namespace

outcome<enrollee> credentials::identify(enroll::credential const& credential, attempt& who) {
    using proven = outcome<enrollee>;
    return std::visit(
        overloaded{
            [&](enroll::entra_token const& t) -> proven {
                auto const got = keys_.verify(t.jwt.reveal());
                if (!got) return failure{refusal_for(got.error().code), got.error().detail};
                who.user_id = got->user_id;
                who.upn = got->upn;
                who.entra_device_id = got->device_id;
                return enrollee{.what = enrollee::kind::user,
                    .user_id = got->user_id,
                    .upn = got->upn,
                    .entra_device_id = got->device_id};
            },
            [](enroll::username_token const&) -> proven {
                return failure{refusal::not_supported, "a user name and a password were sent",
                    "enrollment with user name and password is not enabled"};
            },
            [](enroll::user_token const&) -> proven {
                return failure{refusal::not_supported, "a DeviceEnrollmentUserToken that is no Entra token was sent",
                    "enrollment with this kind of token is not enabled"};
            },
            [](enroll::certificate_token const&) -> proven {
                return failure{refusal::not_supported, "a certificate was sent as credential",
                    "enrollment with a certificate is not enabled"};
            },
            [](enroll::unreadable_credential const& u) -> proven {
                return failure{refusal::invalid_security, u.why};
            },
            [](enroll::no_credential) -> proven {
                return failure{refusal::invalid_security, "there is no credential in the security header"};
            },
        },
        credential);
}

}  // namespace mdmd::service
