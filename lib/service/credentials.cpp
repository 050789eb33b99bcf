#include "service/credentials.hpp"

#include "core/text.hpp"
#include "service/sign_in.hpp"
#include "store/sign_ins.hpp"

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

// Whom a package stands for that joins many computers: a user that Windows Configuration Designer made for it, under
// the name package_{GUID}@{domain}. A preferred name, which its owner may choose, is none.
bool is_package(entra::identity const& who) {
    constexpr std::string_view prefix = "package_";
    auto const name = std::string_view(who.upn).substr(0, who.upn.find('@'));
    return who.upn_is_certain && name.size() > prefix.size() && iequals(name.substr(0, prefix.size()), prefix) &&
           is_guid(name.substr(prefix.size()));
}

template <class... F> struct overloaded : F... { using F::operator()...; };
template <class... F> overloaded(F...) -> overloaded<F...>;

}  // namespace

outcome<enrollee> credentials::identify(enroll::credential const& credential, attempt& who) {
    using proven = outcome<enrollee>;
    return std::visit(
        overloaded{
            [&](enroll::entra_token const& t) -> proven { return of_entra(t.jwt.reveal(), who); },
            [&](enroll::username_token const& t) -> proven { return of_password(t, who); },
            [&](enroll::user_token const& t) -> proven { return of_sign_in(t.text.reveal(), who); },
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

outcome<enrollee> credentials::of_entra(std::string_view jwt, attempt& who) {
    auto const got = keys_.verify(jwt, entra::bearer::user_or_device);
    if (!got) {
        if (auto const whose = keys_.user_of_refused(jwt)) {
            who.user_id = whose->user_id;
            who.upn = whose->upn;
            who.entra_device_id = whose->device_id;
        }
        return failure{refusal_for(got.error().code), got.error().detail};
    }
    who.user_id = got->user_id;
    who.upn = got->upn;
    who.entra_device_id = got->device_id;
    return enrollee{.what = got->user_id.empty() ? enrollee::kind::device
                            : is_package(*got)   ? enrollee::kind::bulk
                                                 : enrollee::kind::user,
        .user_id = got->user_id,
        .upn = got->upn,
        .entra_device_id = got->device_id,
        .sign_in = {}};
}

outcome<enrollee> credentials::of_password(enroll::username_token const& t, attempt& who) {
    if (!context_.config()->settings.enrollment.on_premise)
        return failure{refusal::not_supported, "a user name and a password were sent",
            "enrollment with user name and password is not enabled"};
    auto const name = passwords_.check(t.username, t.password, who.address);
    if (!name) {
        who.upn = printable(trim(t.username), 256);  // as typed; nobody has shown to be that user
        return failure{
            name.error().code == errc::unavailable ? refusal::internal : refusal::authentication, name.error().detail};
    }
    who.user_id = *name;
    who.upn = *name;
    return enrollee{
        .what = enrollee::kind::on_premise, .user_id = *name, .upn = *name, .entra_device_id = {}, .sign_in = {}};
}

outcome<enrollee> credentials::of_sign_in(std::string_view token, attempt& who) {
    if (!context_.config()->settings.enrollment.federated)
        return failure{refusal::not_supported, "a DeviceEnrollmentUserToken that is no Entra token was sent",
            "enrollment with this kind of token is not enabled"};
    auto const id = sign_in::id_of(token);
    auto const found = context_.db.read([&](store::connection& db) { return store::find_sign_in(db, id); });
    if (!found) return failure{refusal::authentication, "the DeviceEnrollmentUserToken is not one of ours"};
    who.user_id = found->user_id;
    who.upn = found->upn;
    if (found->expires <= context_.time.now()) return failure{refusal::authentication, "the sign-in is too long ago"};
    return enrollee{.what = enrollee::kind::federated,
        .user_id = found->user_id,
        .upn = found->upn,
        .entra_device_id = {},
        .sign_in = id};
}

std::string credentials::flow_of(enroll::credential const& credential) {
    auto const* const token = std::get_if<enroll::user_token>(&credential);
    if (!token) return {};
    auto const id = sign_in::id_of(token->text.reveal());
    auto const found = context_.db.read([&](store::connection& db) { return store::find_sign_in(db, id); });
    return found ? found->correlation_id : std::string();
}

}  // namespace mdmd::service
