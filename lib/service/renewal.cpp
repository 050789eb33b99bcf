#include "service/renewal.hpp"

#include "core/log.hpp"
#include "crypto/renewal.hpp"
#include "enroll/provisioning.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;
using enroll::refusal;

constexpr std::int64_t revoked_kept = 10;  // certificates of a device that are kept for the record

failure not_eligible(std::string detail) { return {refusal::not_eligible_to_renew, std::move(detail)}; }

// The device's clock may be ahead of ours when it finds that the time has come.
std::chrono::seconds slack(std::chrono::seconds window) { return std::min<std::chrono::seconds>(1h, window / 24); }

// Why a certificate and its device may not be renewed at all, whatever the request is.
std::optional<failure> refused(store::certificate const& c, store::device const& d, time_point now) {
    if (c.revoked) return not_eligible("the certificate is revoked");
    if (now >= c.not_after) return not_eligible("the certificate has expired: the device must be enrolled again");
    if (now < c.not_before) return not_eligible("the certificate is not valid yet");
    if (d.state != "enrolled") return not_eligible("the device is not enrolled: its record is " + d.state);
    return std::nullopt;
}

// Graph's deviceEnrollmentType of a device that was enrolled long ago.
std::string enrollment_type_of(store::device const& d) {
    if (d.entra_device_id.empty()) return "userEnrollment";
    return d.enrollment_type == "Device" ? "windowsAzureADJoin" : "windowsAutoEnrollment";
}

}  // namespace

std::optional<renewal::holder> renewal::holder_of(std::string_view fingerprint) const {
    return context_.db.read([&](store::connection& db) -> std::optional<holder> {
        auto certificate = store::find_certificate(db, fingerprint);
        if (!certificate) return std::nullopt;
        auto device = store::find_device(db, certificate->device_id);
        if (!device) return std::nullopt;
        return holder{std::move(*certificate), std::move(*device)};
    });
}

bool renewal::renewing(http::request const& r, enroll::credential const& credential) const {
    if (auto const* const name = std::get_if<enroll::username_token>(&credential)) return name->password.empty();
    if (!std::holds_alternative<enroll::no_credential>(credential) || r.peer_certificate.empty()) return false;
    // Good or not: why it cannot be renewed is told where it asks for that.
    return holder_of(hex(crypto::sha256(r.peer_certificate))).has_value();
}

outcome<std::string> renewal::renew(enroll::token_request const& request, http::request const& r, attempt& who) {
    auto const config = context_.config();
    auto const& enrollment = config->settings.enrollment;
    auto const now = context_.time.now();

    auto const signed_request = crypto::read_renewal_request(request.binary);
    if (!signed_request) {
        auto const& e = signed_request.error();
        if (e.code == errc::malformed) return failure{refusal::message_format, e.detail};
        return not_eligible(e.detail);
    }
    auto const& signer = signed_request->signer;
    auto const whose = holder_of(signer.fingerprint());
    if (!whose) return not_eligible("the signer's certificate is not one of this appliance's");
    auto const& device = whose->device;
    who.device_id = device.id;
    who.device_name = device.name;
    who.user_id = device.user_id;
    who.upn = device.upn;
    who.entra_device_id = device.entra_device_id;
    who.enrollment_type = enrollment_type_of(device);
    if (who.os_version.empty()) who.os_version = device.os_version;

    if (auto why = refused(whose->certificate, device, now)) return *std::move(why);
    if (auto const good = context_.authorities().check(signer, now); !good) return not_eligible(good.error().detail);
    if (!r.peer_certificate.empty() && r.peer_certificate != signer.der())
        return not_eligible("the TLS connection's certificate is another than the signer's");
    if (auto const opens = signer.not_after() - enrollment.renewal_window;
        now < opens - slack(enrollment.renewal_window))
        return not_eligible(
            fmt::format("the certificate ends at {} and can be renewed from {} on (enrollment.renewal_window)",
                rfc3339(signer.not_after()), rfc3339(opens)));

    auto const csr = crypto::parse_signing_request(signed_request->request);
    if (!csr && csr.error().code == errc::malformed) return failure{refusal::certificate_request, csr.error().detail};
    if (!csr) return not_eligible(csr.error().detail);

    auto const digest = hex(crypto::sha256(
        fmt::format("renew\n{}\n{}", signer.fingerprint(), hex(crypto::sha256(signed_request->request)))));
    auto certificate = context_.authorities()
                           .issue(*csr,
                               {.common_name = device.id,
                                   .upn = crypto::principal_name(signer),
                                   .validity = enrollment.certificate_validity},
                               now)
                           .device;
    bool repeated = false;
    auto const late = context_.db.write([&](store::connection& db) -> std::optional<failure> {
        // What was judged above may have changed since.
        auto const old = store::find_certificate(db, signer.fingerprint());
        auto const current = store::find_device(db, device.id);
        if (!old || !current) return not_eligible("the device's record is gone");
        if (auto why = refused(*old, *current, now)) return why;
        if (auto const same = store::find_certificate_by_request(db, digest); same && same->valid_at(now)) {
            certificate = crypto::certificate::from_pem(same->pem).value();
            repeated = true;
            return std::nullopt;
        }
        for (auto const& known : store::list_certificates(db, device.id))
            if (crypto::certificate::from_pem(known.pem).value().public_key_digest() == csr->public_key_digest)
                return not_eligible("the key is not a new one");
        // Who signs with a certificate has it: the one before it ends, as does one that was asked for and not used.
        store::use_certificate(db, old->fingerprint, now);
        store::revoke_other_certificates(db, device.id, old->fingerprint, now);
        store::add_certificate(db, {.fingerprint = certificate.fingerprint(),
                                       .device_id = device.id,
                                       .serial = certificate.serial(),
                                       .pem = certificate.pem(),
                                       .not_before = certificate.not_before(),
                                       .not_after = certificate.not_after(),
                                       .request_digest = digest,
                                       .revoked = {},
                                       .renewed_from = old->fingerprint});
        store::trim_certificates(db, device.id, revoked_kept);
        return std::nullopt;
    });
    if (late) return *late;

    log::info(repeated ? "the same renewal is answered again" : "certificate renewed",
        {{"device_id", device.id}, {"name", device.name}, {"user_id", device.user_id}, {"serial", certificate.serial()},
            {"ends", rfc3339(certificate.not_after())}, {"renewed_serial", signer.serial()},
            {"renewed_ends", rfc3339(signer.not_after())}});

    enroll::renewed out{.device = certificate,
        .device_store = device.enrollment_type == "Device",
        .root = std::nullopt,
        .issuing = std::nullopt,
        .renewal_window = enrollment.renewal_window};
    auto const chain = context_.authorities().issuer_of(certificate);
    auto const had = context_.authorities().issuer_of(signer);
    if (!chain) throw crypto::crypto_error("the issuer of a certificate of ours is not known");
    // What came since the device got its certificate, which began an hour before, may have the name and the key of what
    // it has.
    bool const newer = chain->created > signer.not_before() + 1h;
    if (!had || newer || had->issuing.fingerprint() != chain->issuing.fingerprint()) out.issuing = chain->issuing;
    if (!had || (newer && !chain->own) || had->root.fingerprint() != chain->root.fingerprint()) out.root = chain->root;
    return enroll::renewal_document(out);
}

}  // namespace mdmd::service
