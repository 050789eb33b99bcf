#include "service/management.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "crypto/crypto.hpp"
#include "crypto/message_signature.hpp"
#include "service/session_work.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto session_lifetime = 10min;  // silence after which a session is over
constexpr std::string_view content_type = "application/vnd.syncml.dm+xml";
constexpr auto signature_age = 24h;  // more, and somebody may be playing back what was said
constexpr std::size_t nonce_size = 16;
constexpr std::string_view server_name = "mdmd";  // as the provisioning document has it
constexpr int most_guesses = 10;                  // wrong credentials for one device in a minute
constexpr int most_tries = 5;                     // to answer a message while its device's commands are changed
constexpr int most_guesses_of_address = 100;      // and from one address, behind which a whole site may be
constexpr std::string_view not_managed = "This device is not managed here.";

http::response plain(int status, std::string_view text) {
    return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::string(text) + "\n"};
}

http::response syncml(std::string text) {
    return {200, {{"Content-Type", std::string(content_type)}}, std::move(text)};
}

http::response not_known(error const& e, http::request const& r) {
    log::warning("management session refused", {{"reason", e.detail}, {"address", r.peer_address}});
    return plain(403, not_managed);
}

// A device that has taken the order to end comes once more: to say goodbye, or because nothing came of it.
bool may_come(store::device const& d) { return d.state == "enrolled" || d.state == "retired" || d.state == "wiped"; }

// Nothing is kept for one who has proven nothing: how often a session was challenged shows in its numbers.
omadm::session after_challenges(omadm::header const& h) {
    omadm::session s;
    if (h.msg_id <= 1) return s;
    s.id = h.session_id;
    s.device_msg_id = h.msg_id - 1;
    s.server_msg_id = h.msg_id - 1;
    return s;
}

}  // namespace

result<management::admitted> management::admit(http::request const& r) {
    if (r.peer_certificate.empty()) return fail(errc::forbidden, "no client certificate");
    auto const fingerprint = hex(crypto::sha256(r.peer_certificate));
    auto const now = context_.time.now();
    return context_.db.read([&](store::connection& db) -> result<admitted> {
        auto certificate = store::find_certificate(db, fingerprint);
        if (!certificate) return fail(errc::forbidden, "the certificate is not one of this appliance's");
        if (certificate->revoked) return fail(errc::forbidden, "the certificate is revoked");
        if (now < certificate->not_before || now >= certificate->not_after)
            return fail(errc::forbidden, "the certificate is not valid now");
        auto device = store::find_device(db, certificate->device_id);
        if (!device || !may_come(*device)) return fail(errc::forbidden, "the device is not enrolled");
        return admitted{std::move(*device), std::move(*certificate)};
    });
}

result<management::admitted> management::named(omadm::message const& m) {
    return context_.db.read([&](store::connection& db) -> result<admitted> {
        auto device = store::find_device_by_source(db, m.hdr.source);
        if (!device)
            return fail(errc::forbidden, "no client certificate, and no enrolled device of the message's Source");
        return admitted{std::move(*device), std::nullopt};
    });
}

result<void> management::check_signature(http::request const& r, admitted const& who) const {
    auto signature = r.headers.get("MDM-Signature");
    if (!signature) signature = r.headers.get("MS-Signature");
    if (!signature) return {};
    auto const now = context_.time.now();
    auto const certificates =
        context_.db.read([&](store::connection& db) { return store::list_certificates(db, who.device.id); });
    for (auto const& c : certificates) {
        if (!c.valid_at(now) || (who.certificate && c.fingerprint != who.certificate->fingerprint)) continue;
        auto const checked =
            crypto::check_message_signature(*signature, r.body, crypto::certificate::from_pem(c.pem).value());
        if (!checked) continue;
        if (auto const at = checked->signing_time; at && (now - *at > signature_age || *at - now > signature_age))
            return fail(errc::forbidden, "the message's signature is of another day: see to the device's clock");
        return {};
    }
    return fail(errc::forbidden, "the message's signature is not the device's");
}

http::response management::session(http::request const& r) {
    bool const digest = context_.config()->settings.management.digest && r.peer_certificate.empty();
    auto who_asks = digest ? result<admitted>(admitted{}) : admit(r);
    if (!who_asks) return not_known(who_asks.error(), r);
    log::scope const flow("client_request_id", printable(r.headers.get("client-request-id").value_or(""), 64));
    auto const type = r.headers.get("Content-Type").value_or("");
    if (!iequals(trim(type.substr(0, type.find(';'))), content_type))
        return plain(415, "SyncML is sent as application/vnd.syncml.dm+xml.");
    auto const message = omadm::parse(r.body);
    if (digest && message) {
        who_asks = named(*message);
        if (!who_asks) return not_known(who_asks.error(), r);
    }
    auto const id = who_asks->device.id;
    log::scope const who("device_id", id);
    if (!message) {
        log::warning("SyncML refused", {{"reason", message.error().detail}});
        return plain(
            message.error().code == errc::too_large ? 413 : 400, "This is not a SyncML message that can be answered.");
    }
    if (!iequals(message->hdr.source, who_asks->device.mdm_device_id)) {
        log::warning("SyncML refused",
            {{"reason", "its Source is not the device of the certificate"}, {"source", message->hdr.source}});
        return plain(403, "The message speaks for another device than its certificate.");
    }
    if (auto const ok = check_signature(r, *who_asks); !ok) return not_known(ok.error(), r);

    std::scoped_lock const turn(turns_[std::hash<std::string>()(id) % turns_.size()]);
    auto done = [&] {
        for (int tries = 1;; ++tries) try {
                return converse(*who_asks, r, *message);
            } catch (session_work::outdated const&) {
                if (tries == most_tries)
                    throw std::runtime_error("the device's commands change faster than they are sent");
            }
    }();
    if (done.begins) ++sessions_;
    if (done.answer.status == 200) ++messages_;
    trace_.note({.device_id = id,
        .session_id = std::move(done.session_id),
        .begins = done.begins,
        .ends = done.ends,
        .eventful = done.eventful || done.answer.status != 200,
        .address = r.peer_address,
        .status = done.answer.status,
        .request = r.body,
        .reply = done.answer.body,
        .at = context_.time.now()});
    return std::move(done.answer);
}

management::proof management::prove(admitted const& who, omadm::message const& message, session_state const& before,
    omadm::addresses const& to, std::string const& address) {
    if (who.certificate) return {};
    auto const& device = who.device;
    if (before.dm.authenticated && before.dm.id == message.hdr.session_id && !before.dm.ended) return {.needed = true};
    auto const now = context_.time.now();
    auto const nonce = unbase64(device.device_nonce).value_or("");
    auto const& cred = message.hdr.cred;
    bool const md5 = cred && iequals(cred->type, omadm::md5_scheme);
    // Right ones are taken however many were wrong: others could lock a device out, and, as all of a proxy's devices
    // come from one address, all of them. Who guesses learns nothing by that: the secret has 192 random bits.
    if (md5 && message.hdr.source_name == device.id &&
        crypto::equal_in_constant_time(
            trim(cred->data.reveal()), crypto::md5_credential(device.id, device.device_secret, nonce)))
        return {.needed = true, .next_nonce = random_bytes(nonce_size)};
    if (cred) {
        std::scoped_lock const lock(guessing_);
        if (guesses_.counted(device.id, now) >= most_guesses ||
            guesses_.counted(place_of(address), now) >= most_guesses_of_address)
            return {
                .refused = http::response{429, {{"Content-Type", "text/plain; charset=utf-8"}, {"Retry-After", "60"}},
                    "Too many wrong credentials.\n"}};
    }

    auto const why = !cred ? omadm::refusal::missing : md5 ? omadm::refusal::wrong : omadm::refusal::unsupported;
    if (cred) {
        log::warning("SyncML credentials refused",
            {{"reason", md5 ? "wrong name, secret or nonce" : "not md5"}, {"address", address}});
        std::scoped_lock const lock(guessing_);
        guesses_.count(device.id, now);
        guesses_.count(place_of(address), now);
    }
    auto fresh = after_challenges(message.hdr);
    if (message.hdr.msg_id > 1) fresh.challenged = message.hdr.msg_id == 2 ? 407 : 401;
    auto const told = omadm::challenge(fresh, message, to, why, nonce);
    if (!told) return {.refused = plain(400, "This message cannot be answered.")};
    return {.refused = syncml(told->text)};
}

omadm::authentication management::credentials_of(proof const& p, store::device const& device, omadm::intake const& in) {
    omadm::authentication a;
    if (!p.needed) return a;
    if (!p.next_nonce.empty()) a.next_nonce = p.next_nonce;
    if (p.next_nonce.empty() && !in.server_nonce) return a;
    auto const nonce = in.server_nonce.value_or(unbase64(device.server_nonce).value_or(""));
    a.name = server_name;
    a.cred = omadm::credential{.type = std::string(omadm::md5_scheme),
        .format = "b64",
        .data = secret(crypto::md5_credential(server_name, device.server_secret, nonce))};
    return a;
}

management::conversation management::converse(admitted who, http::request const& r, omadm::message const& message) {
    auto const now = context_.time.now();
    auto const digest = hex(crypto::sha256(r.body));
    // Who it is was found out before its turn came: another message may have changed the device, and its nonces, since.
    std::optional<store::device> again;
    auto const last = context_.db.read([&](store::connection& db) {
        again = store::find_device(db, who.device.id);
        return store::find_session(db, who.device.id);
    });
    if (!again || !may_come(*again))
        return {.answer = not_known(fail(errc::forbidden, "the device is not enrolled"), r),
            .session_id = message.hdr.session_id};
    who.device = std::move(*again);
    auto const& device = who.device;
    session_state before;
    if (last && now - last->seen < session_lifetime) before = load_session_state(last->state);
    conversation out{.answer = {}, .session_id = message.hdr.session_id};

    // A reply that was lost is asked for again: the same bytes, and nothing happens twice. The first message of
    // a session whose number came round again is not that, unless it is the same to the byte; nor is one that nobody's
    // certificate vouches for.
    bool const same_ids = before.dm.id == message.hdr.session_id && before.dm.device_msg_id == message.hdr.msg_id &&
                          before.dm.device_msg_id != 0;
    bool const by_ids = message.hdr.msg_id != 1 && who.certificate;
    if (same_ids && (by_ids || last->request_digest == digest)) {
        log::debug("the last reply is sent again", {{"session", message.hdr.session_id}});
        out.answer = syncml(last->reply);
        return out;
    }
    if (message.hdr.msg_id == 1) before = {};  // a session begins, whatever its number was used for before
    auto const config = context_.config();
    omadm::addresses const to{
        message.hdr.source, config->settings.server.management_url.text + "/ManagementServer/MDM.svc"};
    auto const proven = prove(who, message, before, to, r.peer_address);
    if (proven.refused) {
        out.answer = *proven.refused;
        return out;
    }

    // The session begins with this message, and its answers count on from the challenges. [OMA-TS-DM_Protocol 9]
    if (!proven.next_nonce.empty() && message.hdr.msg_id > 1) {
        before = {.dm = after_challenges(message.hdr)};
        before.dm.ended = true;
    }

    auto const intake = omadm::receive(before.dm, message);
    if (!intake) {
        log::warning("SyncML refused", {{"reason", intake.error().detail}});
        out.answer = plain(400, "This message does not follow the last one of its session.");
        return out;
    }
    bool const begins = before.dm.ended || before.dm.id != intake->next.id || before.dm.device_msg_id == 0;
    if (begins) before = {};
    auto const there = begins ? who_is_there(keys_, device, r, *intake) : before.there;
    session_work work(config, push_, device, who.certificate, now);
    context_.db.read([&](store::connection& db) { work.load(db, there); });
    work.resume(before);
    work.take(*intake);
    if (begins && !intake->unenrolled && !intake->aborted) work.begin(last);
    work.hear(*intake);
    if (begins)
        log::info("management session", {{"session", intake->next.id}, {"login_status", intake->next.login_status},
                                            {"user_id", there.user_id}, {"address", r.peer_address}});

    auto const queue = work.queue(*intake);
    auto const answer = omadm::reply_to(*intake, to, queue, credentials_of(proven, device, *intake));
    work.sent(queue, answer);
    bool const over = answer.ended || intake->unenrolled || intake->aborted;
    store::session const next{.device_id = device.id,
        .state = save(work.state(answer.next)),
        .request_digest = digest,
        .reply = answer.text,
        .seen = now,
        .refreshed = over && work.refreshed() ? now
                     : last                   ? last->refreshed
                                              : time_point{}};
    bool const kept = context_.db.write([&](store::connection& db) {
        if (!work.keep(db, next, *intake)) return false;
        auto const& ours = intake->server_nonce ? intake->server_nonce : intake->later_nonce;
        if (!proven.next_nonce.empty() || ours)
            store::set_nonces(db, device.id, ours ? base64(*ours) : device.server_nonce,
                proven.next_nonce.empty() ? device.device_nonce : base64(proven.next_nonce));
        return true;
    });
    if (!kept) {
        out.answer = not_known(fail(errc::forbidden, "the certificate is revoked"), r);
        return out;
    }
    if (who.certificate && !who.certificate->first_used && !who.certificate->renewed_from.empty())
        log::info(
            "the renewed certificate is in use, the one before is revoked", {{"serial", who.certificate->serial}});
    if (over) log::debug("management session ended", {{"session", intake->next.id}});
    out.answer = syncml(answer.text);
    out.begins = begins;
    out.ends = over;
    out.eventful = work.eventful() || intake->unenrolled;
    return out;
}

}  // namespace mdmd::service
