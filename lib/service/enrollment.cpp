#include "service/enrollment.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "enroll/provisioning.hpp"
#include "service/consent.hpp"
#include "service/evaluation.hpp"
#include "store/events.hpp"
#include "xml/document.hpp"

namespace mdmd::service {
namespace {

using enroll::refusal;

constexpr std::int64_t events_kept = 10'000;  // of users, and as many of strangers
constexpr std::size_t field_limit = 256;      // bytes of a name or an id that a device gives itself

http::response soap(int status, std::string body) {
    return {status, {{"Content-Type", "application/soap+xml; charset=utf-8"}}, std::move(body)};
}

// The id that the client gives this flow, as header or query parameter; ours where it gives none.
std::string correlation_of(http::request const& r) {
    if (auto const h = r.headers.get("client-request-id"); h && is_guid(trim(*h))) return lower(trim(*h));
    auto const query = parse_query(r.query);
    if (auto const q = find_parameter(query, "client-request-id"); q && is_guid(*q)) return lower(*q);
    return r.id;
}

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

// Graph's deviceEnrollmentType by the shape of the enrollment. [enrollment F.3]
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

std::string limited(std::string_view s) { return cut_utf8(s, field_limit); }

}  // namespace

http::response enrollment::discover(http::request const& r) {
    attempt who{.correlation_id = correlation_of(r)};
    log::scope const flow("client_request_id", who.correlation_id);
    auto const config = context_.config();
    auto const request = enroll::parse_discover(r.body);
    if (!request) return refuse_unreadable(enroll::operation::discover, request.error(), who, r);
    who.message_id = request->message_id;
    auto const& offered = request->auth_policies;
    if (std::find(offered.begin(), offered.end(), "Federated") == offered.end())
        return refuse(enroll::operation::discover,
            {refusal::not_supported, "the client does not offer Federated authentication",
                "only enrollment with a work or school account of Entra ID is enabled here"},
            who);
    auto const& base = config->settings.server.public_url.text;
    log::info("discovery", {{"request_version", request->request_version}, {"os_edition", request->os_edition},
                               {"application_version", request->application_version}});
    return soap(200, enroll::discover_response({.auth_policy = "Federated",
                                                   .enrollment_version = enroll::version_for(request->request_version),
                                                   .policy_url = base + "/EnrollmentServer/Policy.svc",
                                                   .enrollment_url = base + "/EnrollmentServer/Enrollment.svc"},
                         request->message_id, who.correlation_id));
}

enrollment::outcome<entra::identity> enrollment::identify(enroll::credential const& credential, attempt& who) {
    using identity = outcome<entra::identity>;
    return std::visit(
        overloaded{
            [&](enroll::entra_token const& t) -> identity {
                auto got = keys_.verify(t.jwt.reveal());
                if (!got) return failure{refusal_for(got.error().code), got.error().detail};
                who.user_id = got->user_id;
                who.entra_device_id = got->device_id;
                return std::move(*got);
            },
            [](enroll::username_token const&) -> identity {
                return failure{refusal::not_supported, "a user name and a password were sent",
                    "enrollment with user name and password is not enabled"};
            },
            [](enroll::user_token const&) -> identity {
                return failure{refusal::not_supported, "a DeviceEnrollmentUserToken that is no Entra token was sent",
                    "enrollment with this kind of token is not enabled"};
            },
            [](enroll::certificate_token const&) -> identity {
                return failure{refusal::not_supported, "a certificate was sent as credential",
                    "enrollment with a certificate is not enabled"};
            },
            [](enroll::unreadable_credential const& u) -> identity {
                return failure{refusal::invalid_security, u.why};
            },
            [](enroll::no_credential) -> identity {
                return failure{refusal::invalid_security, "there is no credential in the security header"};
            },
        },
        credential);
}

http::response enrollment::policies(http::request const& r) {
    attempt who{.correlation_id = correlation_of(r)};
    log::scope const flow("client_request_id", who.correlation_id);
    auto const config = context_.config();
    auto const request = enroll::parse_policies_request(r.body);
    if (!request) return refuse_unreadable(enroll::operation::get_policies, request.error(), who, r);
    who.message_id = request->message_id;
    return guarded(enroll::operation::get_policies, who, [&] {
        if (auto const user = identify(request->who, who); !user)
            return refuse(enroll::operation::get_policies, user.error(), who);
        auto const& e = config->settings.enrollment;
        log::info("certificate policy handed out", {{"user_id", who.user_id}});
        return soap(200, enroll::policies_response({e.certificate_validity, e.renewal_window}, request->message_id));
    });
}

http::response enrollment::enroll(http::request const& r) {
    attempt who{.correlation_id = correlation_of(r)};
    auto const request = enroll::parse_token_request(r.body);
    if (!request) {
        log::scope const flow("client_request_id", who.correlation_id);
        return refuse_unreadable(enroll::operation::request_token, request.error(), who, r);
    }
    who.message_id = request->message_id;
    who.device_id = limited(request->item("DeviceID"));
    who.os_version = limited(request->item("OSVersion"));
    who.enrollment_type = enrollment_type_of(*request);
    return guarded(enroll::operation::request_token, who, [&] {
        // The flow began at the Terms of Use: its id is found by what Windows carried from there.
        if (auto const blob = request->item("EnrollmentData"); !blob.empty())
            if (auto const c =
                    context_.db.read([&](store::connection& db) { return store::find_consent(db, consent_id(blob)); }))
                who.correlation_id = c->client_request_id;
        log::scope const flow("client_request_id", who.correlation_id);
        auto const answer = issue(*request, who);
        if (!answer) return refuse(enroll::operation::request_token, answer.error(), who);
        return soap(200, *answer);
    });
}

// What fails on our side is a fault that Windows understands, too.
http::response enrollment::guarded(
    enroll::operation op, attempt const& who, std::function<http::response()> const& work) {
    try {
        return work();
    } catch (store::store_error const& e) {
        return refuse(op, {refusal::enrollment_server, e.what()}, who);
    } catch (crypto::crypto_error const& e) {
        return refuse(op, {refusal::certificate_request, e.what()}, who);
    } catch (std::exception const& e) {
        return refuse(op, {refusal::internal, e.what()}, who);
    }
}

enrollment::outcome<std::string> enrollment::issue(enroll::token_request const& request, attempt& who) {
    auto const config = context_.config();
    auto const& settings = config->settings;
    auto const now = context_.time.now();

    if (request.request_type == "Renew")
        return failure{
            refusal::not_supported, "certificate renewal was asked for", "certificate renewal is not enabled"};
    if (request.request_type != "Issue")
        return failure{
            refusal::not_supported, "RequestType " + limited(request.request_type), "only Issue requests are enabled"};
    auto const user = identify(request.who, who);
    if (!user) return user.error();

    // May this kind of device be enrolled at all?
    auto const type = request.item("EnrollmentType");
    bool const corporate = iequals(type, "Device");
    if (!corporate && !iequals(type, "Full"))
        return failure{refusal::message_format, "EnrollmentType is neither Device nor Full"};
    if (!settings.enrollment.enabled)
        return failure{refusal::not_supported, "enrollment is off", "enrollment is switched off"};
    if (context_.maintenance()) return failure{refusal::in_maintenance, "maintenance is on"};
    if (!corporate && !settings.enrollment.personal_devices)
        return failure{refusal::not_supported, "personal devices are blocked", "personal devices are not accepted"};
    if (auto const& least = settings.enrollment.min_os_version) {
        auto const version = parse_os_version(request.item("OSVersion"));
        if (!version || *version < *least)
            return failure{
                refusal::device_not_supported, fmt::format("OS version {} is below enrollment.min_os_version",
                                                   printable(request.item("OSVersion"), 64))};
    }

    // Nobody is let in for want of an answer; Windows shows the fault as one that passes.
    auto const allowed = groups_.may_enroll(user->user_id);
    if (!allowed && allowed.error().code != errc::not_found)
        return failure{refusal::internal, "the user's groups are not known: " + allowed.error().detail};
    if (!allowed || !*allowed)
        return failure{refusal::authorization,
            allowed ? "the user is in none of enrollment.allowed_groups" : allowed.error().detail,
            "the user is in none of the groups whose members may enroll devices"};

    auto const csr = crypto::parse_signing_request(request.binary);
    if (!csr) return failure{refusal::certificate_request, csr.error().detail};

    auto const blob = request.item("EnrollmentData");
    auto const digest = hex(crypto::sha256(fmt::format(
        "{}\n{}\n{}\n{}", hex(crypto::sha256(request.binary)), user->user_id, corporate ? "Device" : "Full", blob)));

    // A fresh identity for the device, to be used unless this very request has been answered before.
    store::device device{.id = new_guid(),
        .mdm_device_id = limited(request.item("DeviceID")),
        .hardware_id = limited(request.item("HWDevID")),
        .entra_device_id = user->device_id,
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
    auto certificate = crypto::issue_device_certificate(context_.authority(), *csr,
        {.common_name = device.id,
            .upn = corporate || user->upn.empty() ? std::nullopt : std::optional(user->upn),
            .validity = settings.enrollment.certificate_validity},
        now);

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
        if (settings.terms.required) {
            auto const consent = blob.empty() ? std::nullopt : store::find_consent(db, consent_id(blob));
            auto const invalid = [](char const* why) { return failure{refusal::invalid_enrollment_data, why}; };
            if (blob.empty()) return invalid("the Terms of Use were not accepted: there is no EnrollmentData");
            if (!consent) return invalid("EnrollmentData is not one of ours");
            if (consent->used) return invalid("EnrollmentData has been used by another enrollment");
            if (consent->expires <= now) return invalid("EnrollmentData has expired");
            if (consent->user_id != user->user_id) return invalid("the Terms of Use were accepted by another user");
            if (consent->ownership != device.ownership)
                return invalid("the Terms of Use were accepted for another kind of ownership");
        }
        // The same computer of the same user, or the same device of Entra's, enrolled anew: the old record ends.
        std::vector<store::device> replaced;
        if (!device.hardware_id.empty())
            if (auto old = store::find_enrolled_hardware(db, device.hardware_id, device.user_id))
                replaced.push_back(std::move(*old));
        if (!device.entra_device_id.empty())
            for (auto& old : store::find_enrolled_entra(db, device.entra_device_id))
                if (replaced.empty() || replaced.front().id != old.id) replaced.push_back(std::move(old));
        auto const others = store::count_enrolled(db, device.user_id) -
                            std::count_if(replaced.begin(), replaced.end(),
                                [&](store::device const& old) { return old.user_id == device.user_id; });
        if (others >= settings.enrollment.max_devices_per_user)
            return failure{refusal::device_cap_reached,
                fmt::format("the user has {} other devices, enrollment.max_devices_per_user allows {}", others,
                    settings.enrollment.max_devices_per_user)};

        // Nothing was changed so far: a refused enrollment leaves the consent usable and other devices as they are.
        if (settings.terms.required) store::use_consent(db, consent_id(blob), device.id, now);
        for (auto const& old : replaced) {
            store::set_device_state(db, old.id, "replaced");
            store::revoke_certificates(db, old.id, now);
            store::cancel_commands(db, old.id, now);
            if (old.entra_device_id != device.entra_device_id) report_unmanaged(db, old, now);
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
        evaluate_device(db, *config, device.id, now);
        return std::nullopt;
    });
    if (refused) return *refused;

    log::info(repeated ? "the same enrollment is answered again" : "device enrolled",
        {{"device_id", device.id}, {"name", device.name}, {"ownership", device.ownership}, {"user_id", device.user_id},
            {"entra_device_id", device.entra_device_id}, {"os_version", device.os_version},
            {"serial", certificate.serial()}});
    auto const document = enroll::provisioning_document({.root = context_.authority().root,
        .issuing = context_.authority().issuing,
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
    return enroll::token_response(document, request.message_id, now);
}

bool enrollment::may_keep_event(bool anonymous) {
    constexpr auto window = std::chrono::seconds(10);
    constexpr int most_of_users = 100;
    constexpr int most_of_strangers = 20;
    std::scoped_lock const lock(mutex_);
    auto const now = context_.time.now();
    if (now - window_ >= window || now < window_) {
        window_ = now;
        of_users_ = of_strangers_ = 0;
    }
    return anonymous ? ++of_strangers_ <= most_of_strangers : ++of_users_ <= most_of_users;
}

// A body that is no XML, or over the limits of what is read, is no enrollment: it gets a 4xx and leaves no event. The
// fault's text is for whoever reads the device's log.
http::response enrollment::refuse_unreadable(
    enroll::operation op, error const& why, attempt who, http::request const& r) {
    auto const document = xml::parse(r.body);
    if (document) {
        who.message_id = enroll::message_id_of(r.body);
        return refuse(op, {refusal::message_format, why.detail}, who);
    }
    log::warning("unreadable request", {{"reason", document.error().detail}, {"address", r.peer_address}});
    return soap(document.error().code == errc::too_large ? 413 : 400,
        enroll::fault(op, refusal::message_format, {}, {}, who.correlation_id));
}

http::response enrollment::refuse(enroll::operation op, failure const& why, attempt const& who) {
    auto const& f = enroll::facts(why.what);
    log::warning("enrollment refused", {{"constant", f.constant}, {"reason", why.detail}, {"category", f.category},
                                           {"user_id", who.user_id}, {"managed_device_id", who.device_id}});
    try {
        if (may_keep_event(who.user_id.empty()))
            context_.db.write([&](store::connection& db) {
                auto const known = [](std::string const& s) { return s.empty() ? std::nullopt : std::optional(s); };
                store::add_event(db,
                    {.id = new_guid(),
                        .at = context_.time.now(),
                        .correlation_id = who.correlation_id,
                        .managed_device_id = known(who.device_id),
                        .operating_system = "Windows",
                        .os_version = known(who.os_version),
                        .user_id = known(who.user_id),
                        .entra_device_id = known(who.entra_device_id),
                        .enrollment_type = who.enrollment_type,
                        .category = f.category,
                        .reason = fmt::format("{} (0x{:08x}): {}", f.constant, f.hresult, printable(why.detail, 512))});
                store::trim_events(db, time_point{}, events_kept);
            });
    } catch (store::store_error const& e) {
        log::error("a troubleshooting event could not be kept", {{"reason", e.what()}});
    }
    return soap(500, enroll::fault(op, why.what, why.text, who.message_id, who.correlation_id));
}

}  // namespace mdmd::service
