#include "service/enrollment.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "enroll/provisioning.hpp"
#include "service/consent.hpp"
#include "service/discovery.hpp"
#include "service/evaluation.hpp"
#include "service/own_settings.hpp"
#include "service/setting_rows.hpp"
#include "store/certificates.hpp"
#include "store/commands.hpp"
#include "store/sign_ins.hpp"

namespace mdmd::service {
namespace {

using enroll::refusal;

constexpr std::size_t field_limit = 256;  // bytes of a name or an id that a device gives itself

http::response soap(int status, std::string body) {
    return {status, {{"Content-Type", "application/soap+xml; charset=utf-8"}}, std::move(body)};
}

// Graph's deviceEnrollmentType by the shape of the enrollment.
std::string enrollment_type_of(enroll::token_request const& r) {
    if (r.item_is_true("BulkAADJ")) return "windowsBulkAzureDomainJoin";
    if (r.item_is_true("WhiteGlove") || r.item_is_true("PlugandForget")) return "windowsAzureADJoinUsingDeviceAuth";
    if (!r.item("ExternalMgmtAgentHint").empty()) return "windowsCoManagement";
    if (std::holds_alternative<enroll::entra_token>(r.who))
        return iequals(r.item("EnrollmentType"), "Device") ? "windowsAzureADJoin" : "windowsAutoEnrollment";
    if (std::holds_alternative<enroll::certificate_token>(r.who)) return "windowsBulkUserless";
    if (std::holds_alternative<enroll::no_credential>(r.who)) return "unknown";
    return "userEnrollment";
}

// What the token itself proves; nullptr where it leaves that to the request.
char const* enrollment_type_of(enrollee const& who) {
    switch (who.what) {
        case enrollee::kind::bulk: return "windowsBulkAzureDomainJoin";
        case enrollee::kind::device: return "windowsAzureADJoinUsingDeviceAuth";
        default: return nullptr;
    }
}

std::string limited(std::string_view s) { return cut_utf8(s, field_limit); }

// A user of Entra's accepts the Terms of Use on the way here. A package, a device without a user, a password and our
// own sign-in page have no such page on their way.
bool saw_terms(enrollee const& who) { return who.what == enrollee::kind::user; }

// Records that this enrollment takes the place of, or why it may not: those of the same computer (HWDevID) or of the
// same device of Entra's, which must be the same user's. The token of a device itself proves which one it is, whoever
// enrolled it before.
outcome<std::vector<store::device>> replaced_by(
    store::connection& db, store::device const& device, enrollee const& who) {
    std::vector<store::device> old;
    if (!device.hardware_id.empty()) old = store::find_enrolled_hardware(db, device.hardware_id);
    if (!device.entra_device_id.empty())
        for (auto& known : store::find_enrolled_entra(db, device.entra_device_id))
            if (std::none_of(old.begin(), old.end(), [&](auto const& o) { return o.id == known.id; }))
                old.push_back(std::move(known));
    for (auto const& known : old) {
        bool const same_user = !device.user_id.empty() && known.user_id == device.user_id;
        bool const itself = who.what == enrollee::kind::device && known.entra_device_id == device.entra_device_id;
        // A package stands for all the computers it joins.
        bool const other_of_package =
            who.what == enrollee::kind::bulk && known.entra_device_id != device.entra_device_id;
        if (itself || (same_user && !other_of_package)) continue;
        return failure{refusal::authorization,
            fmt::format("the computer is enrolled as device {} by another user", known.id),
            "this computer is enrolled by another user: an administrator must delete that record first",
            "enrollmentRestrictionsEnforced"};
    }
    return old;
}

// Why the Terms of Use that this enrollment brings do not open it.
std::optional<failure> consent_refused(
    store::connection& db, std::string_view blob, store::device const& device, time_point now) {
    auto const invalid = [](char const* why, char const* category = nullptr) {
        return failure{refusal::invalid_enrollment_data, why, {}, category};
    };
    if (blob.empty())
        return invalid(
            "the Terms of Use were not accepted: there is no EnrollmentData", "enrollmentRestrictionsEnforced");
    auto const consent = store::find_consent(db, consent_id(blob));
    if (!consent) return invalid("EnrollmentData is not one of ours");
    if (consent->used) return invalid("EnrollmentData has been used by another enrollment");
    if (consent->expires <= now) return invalid("EnrollmentData has expired");
    if (consent->user_id != device.user_id) return invalid("the Terms of Use were accepted by another user");
    if (consent->ownership != device.ownership)
        return invalid("the Terms of Use were accepted for another kind of ownership");
    return std::nullopt;
}

}  // namespace

http::response enrollment::discover(http::request const& r) {
    attempt who{.correlation_id = correlation_of(r), .address = r.peer_address};
    log::scope const flow("client_request_id", who.correlation_id);
    constexpr auto op = enroll::operation::discover;
    auto const request = enroll::parse_discover(r.body);
    if (!request) return trouble_.refuse_unreadable(op, request.error(), who, r);
    who.message_id = request->message_id;
    who.os_edition = limited(request->os_edition);
    auto const answer = service::discover(context_.config()->settings, *request);
    if (!answer) return trouble_.refuse(op, answer.error(), who);
    log::info("discovery", {{"request_version", request->request_version}, {"os_edition", request->os_edition},
                               {"application_version", request->application_version}});
    return soap(200, enroll::discover_response(*answer, request->message_id, who.correlation_id));
}

http::response enrollment::policies(http::request const& r) {
    attempt who{.correlation_id = correlation_of(r), .address = r.peer_address};
    log::scope const flow("client_request_id", who.correlation_id);
    constexpr auto op = enroll::operation::get_policies;
    auto const request = enroll::parse_policies_request(r.body);
    if (!request) return trouble_.refuse_unreadable(op, request.error(), who, r);
    who.message_id = request->message_id;
    // The address is the one that the discovery gave, with what the client said of itself.
    auto const query = parse_query(r.query);
    who.os_version = limited(find_parameter(query, "OSVersion").value_or(""));
    who.os_edition = limited(find_parameter(query, "OSEdition").value_or(""));
    if (std::holds_alternative<enroll::username_token>(request->who) ||
        std::holds_alternative<enroll::user_token>(request->who))
        who.enrollment_type = "userEnrollment";
    return trouble_.guarded(op, who, [&] {
        if (auto flow_of_sign_in = credentials_.flow_of(request->who); !flow_of_sign_in.empty())
            who.correlation_id = std::move(flow_of_sign_in);
        // A device that renews has no credential but its certificate. What it gets is no secret.
        if (!renewal_.renewing(r, request->who)) {
            auto const user = credentials_.identify(request->who, who);
            if (std::holds_alternative<enroll::entra_token>(request->who)) trouble_.follow_terms(who);
            if (!user) return trouble_.refuse(op, user.error(), who);
            // What no user stands behind gets no further than it may.
            if (auto const* const proven = enrollment_type_of(*user)) {
                who.enrollment_type = proven;
                if (auto const why = admission_.closed(user->what, true)) return trouble_.refuse(op, *why, who);
            }
        }
        auto const config = context_.config();
        auto const& e = config->settings.enrollment;
        log::info("certificate policy handed out", {{"user_id", who.user_id}});
        return soap(200, enroll::policies_response({e.certificate_validity, e.renewal_window}, request->message_id));
    });
}

http::response enrollment::enroll(http::request const& r) {
    attempt who{.correlation_id = correlation_of(r), .address = r.peer_address};
    constexpr auto op = enroll::operation::request_token;
    auto const request = enroll::parse_token_request(r.body);
    if (!request) {
        log::scope const flow("client_request_id", who.correlation_id);
        return trouble_.refuse_unreadable(op, request.error(), who, r);
    }
    who.message_id = request->message_id;
    who.device_id = limited(request->item("DeviceID"));
    who.device_name = limited(request->item("DeviceName"));
    who.os_version = limited(request->item("OSVersion"));
    who.os_edition = limited(request->item("OSEdition"));
    who.enrollment_type = enrollment_type_of(*request);
    return trouble_.guarded(op, who, [&] {
        // The flow began at the Terms of Use, or on our sign-in page: its id is found by what Windows carried from
        // there.
        bool flow_is_known = false;
        if (auto const blob = request->item("EnrollmentData"); !blob.empty())
            if (auto const c = context_.db.read(
                    [&](store::connection& db) { return store::find_consent(db, consent_id(blob)); })) {
                who.correlation_id = c->client_request_id;
                flow_is_known = true;
            }
        if (auto flow_of_sign_in = credentials_.flow_of(request->who); !flow_of_sign_in.empty())
            who.correlation_id = std::move(flow_of_sign_in);
        log::scope const flow("client_request_id", who.correlation_id);
        auto const document = [&]() -> outcome<std::string> {
            if (request->request_type == "Renew") return renewal_.renew(*request, r, who);
            if (request->request_type == "Issue") return issue(*request, who);
            return failure{refusal::not_supported, "RequestType " + limited(request->request_type),
                "only Issue and Renew requests are enabled"};
        }();
        if (!document) {
            if (!flow_is_known && std::holds_alternative<enroll::entra_token>(request->who)) trouble_.follow_terms(who);
            return trouble_.refuse(op, document.error(), who);
        }
        return soap(200, enroll::token_response(*document, request->message_id, context_.time.now()));
    });
}

// The provisioning document of a device that is enrolled now, or was by this very request.
outcome<std::string> enrollment::issue(enroll::token_request const& request, attempt& who) {
    auto const config = context_.config();
    auto const& settings = config->settings;
    auto const now = context_.time.now();

    auto const user = credentials_.identify(request.who, who);
    if (!user) return user.error();
    if (auto const* const proven = enrollment_type_of(*user)) who.enrollment_type = proven;
    auto const type = request.item("EnrollmentType");
    bool const corporate = iequals(type, "Device");
    if (!corporate && !iequals(type, "Full"))
        return failure{refusal::message_format, "EnrollmentType is neither Device nor Full"};
    if (auto why = admission_.refused(request, *user)) return *std::move(why);

    auto const csr = crypto::parse_signing_request(request.binary);
    if (!csr) return failure{refusal::certificate_request, csr.error().detail};

    auto const blob = request.item("EnrollmentData");
    auto const digest = hex(crypto::sha256(fmt::format(
        "{}\n{}\n{}\n{}", hex(crypto::sha256(request.binary)), user->user_id, corporate ? "Device" : "Full", blob)));

    // A fresh identity for the device, to be used unless this very request has been answered before.
    store::device device{.id = new_guid(),
        .mdm_device_id = limited(request.item("DeviceID")),
        .hardware_id = limited(request.item("HWDevID")),
        .entra_device_id = user->entra_device_id,
        .user_id = user->user_id,
        .upn = user->upn,
        .ownership = corporate ? "corporate" : "personal",
        .enrollment_type = corporate ? "Device" : "Full",
        .name = limited(request.item("DeviceName")),
        .os_version = limited(request.item("OSVersion")),
        .os_edition = limited(request.item("OSEdition")),
        .correlation_id = who.correlation_id,
        .enrolled = now,
        .server_secret = secret(base64url(random_bytes(24))),
        .device_secret = secret(base64url(random_bytes(24))),
        .server_nonce = base64(random_bytes(16)),
        .device_nonce = base64(random_bytes(16))};
    auto certificate = context_.authorities()
                           .issue(*csr,
                               {.common_name = device.id,
                                   .upn = corporate || user->upn.empty() ? std::nullopt : std::optional(user->upn),
                                   .validity = settings.enrollment.certificate_validity},
                               now)
                           .device;

    bool repeated = false;
    auto const refused = context_.db.write([&](store::connection& db) -> std::optional<failure> {
        if (auto const same = store::find_certificate_by_request(db, digest)) {
            auto known = store::find_device(db, same->device_id);
            if (!known || known->state != "enrolled" || same->revoked)
                return failure{
                    refusal::invalid_enrollment_data, "this request enrolled a device that is no longer enrolled"};
            device = std::move(*known);
            certificate = crypto::certificate::from_pem(same->pem).value();
            repeated = true;
            return std::nullopt;
        }
        if (settings.terms.required && saw_terms(*user))
            if (auto why = consent_refused(db, blob, device, now)) return why;
        auto const replaced = replaced_by(db, device, *user);
        if (!replaced) return replaced.error();
        // A package stands for no user, and so does a device itself.
        if (user->what != enrollee::kind::bulk && user->what != enrollee::kind::device) {
            auto const others = store::count_enrolled(db, device.user_id) -
                                std::count_if(replaced->begin(), replaced->end(),
                                    [&](store::device const& old) { return old.user_id == device.user_id; });
            if (others >= settings.enrollment.max_devices_per_user)
                return failure{refusal::device_cap_reached,
                    fmt::format("the user has {} other devices, enrollment.max_devices_per_user allows {}", others,
                        settings.enrollment.max_devices_per_user)};
        }
        if (!user->sign_in.empty() && !store::use_sign_in(db, user->sign_in, device.id, now))
            return failure{refusal::authentication, "the sign-in was used by another enrollment"};

        // Nothing was changed so far: a refused enrollment leaves the consent usable and other devices as they are.
        if (settings.terms.required && saw_terms(*user)) store::use_consent(db, consent_id(blob), device.id, now);
        for (auto const& old : *replaced) {
            store::set_device_state(db, old.id, "replaced");
            store::revoke_certificates(db, old.id, now);
            store::cancel_commands(db, old.id, now);
            store::end_attempts_of(db, old.id);
            if (old.entra_device_id != device.entra_device_id) report_unmanaged(db, old, now);
        }
        // One that was wiped or retired and is enrolled anew does not come back as its old self.
        for (auto const& old : store::find_leaving(db, device.hardware_id, device.entra_device_id)) {
            bool const itself = user->what == enrollee::kind::device && old.entra_device_id == device.entra_device_id;
            if (!itself && (device.user_id.empty() || old.user_id != device.user_id)) continue;
            store::set_device_state(db, old.id, "replaced");
            store::revoke_certificates(db, old.id, now);
        }
        // What was still to be told of this device of Entra's under an older record is overtaken.
        if (!device.entra_device_id.empty()) store::remove_reports_of(db, device.entra_device_id);
        store::add_device(db, device);
        store::add_certificate(db, {.fingerprint = certificate.fingerprint(),
                                       .device_id = device.id,
                                       .serial = certificate.serial(),
                                       .pem = certificate.pem(),
                                       .not_before = certificate.not_before(),
                                       .not_after = certificate.not_after(),
                                       .request_digest = digest,
                                       .revoked = {}});
        // What the provisioning document sets is known to be there.
        for (auto const& [node, record] : provisioned_settings(settings))
            store::put_setting(db, device.id, row_of("", node, record));
        evaluate_device(db, *config, device.id, now);
        who.device_id = device.id;
        trouble_.begin(db, "issued", who, now);
        return std::nullopt;
    });
    if (refused) return *refused;

    log::info(repeated ? "the same enrollment is answered again" : "device enrolled",
        {{"device_id", device.id}, {"name", device.name}, {"ownership", device.ownership}, {"user_id", device.user_id},
            {"entra_device_id", device.entra_device_id}, {"os_version", device.os_version},
            {"serial", certificate.serial()}});
    // Of the certificate there is, which another authority may have issued than the one of now.
    auto const chain = context_.authorities().issuer_of(certificate);
    if (!chain) throw crypto::crypto_error("the issuer of a certificate of ours is not known");
    auto const document = enroll::provisioning_document({.root = chain->root,
        .issuing = chain->issuing,
        .device = certificate,
        .device_store = corporate,
        .device_id = device.id,
        .device_name = fmt::format(
            "{}_Windows_{}", device.name.empty() ? device.id : device.name, rfc3339(device.enrolled).substr(0, 10)),
        .upn = device.upn,
        .management_url = settings.server.management_url.text + "/ManagementServer/MDM.svc",
        .app_id = settings.entra.app_id,
        .name = settings.server.public_url.host,
        .server_account = {.name = "mdmd",
            .password = device.server_secret,
            .nonce = unbase64(device.server_nonce).value()},
        .device_account = {.name = device.id,
            .password = device.device_secret,
            .nonce = unbase64(device.device_nonce).value()},
        .renewal_window = settings.enrollment.renewal_window,
        .poll = settings.management.poll});
    return document;
}

}  // namespace mdmd::service
