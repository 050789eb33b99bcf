#include "service/management.hpp"

#include <boost/json.hpp>

#include "compliance/compliance.hpp"
#include "core/log.hpp"
#include "policy/policy.hpp"
#include "service/evaluation.hpp"
#include "service/troubleshooting.hpp"
#include "store/management.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto session_lifetime = 10min;          // silence after which a session is over
constexpr std::size_t fact_limit = 16 * 1024;     // bytes of a node's value that are kept
constexpr std::size_t result_limit = 256 * 1024;  // bytes of a command's result that are kept
constexpr std::size_t name_limit = 256;           // bytes of a name that a device gives itself
constexpr std::string_view content_type = "application/vnd.syncml.dm+xml";

// Read once of every device, to show who it is.
constexpr std::array inventory_uris{"./DevDetail/Ext/Microsoft/DeviceName", "./DevDetail/Ext/Microsoft/OSPlatform",
    "./DevDetail/Ext/Microsoft/SMBIOSSerialNumber", "./DevDetail/Ext/Microsoft/TotalRAM",
    "./DevDetail/Ext/Microsoft/TotalStorage"};
constexpr std::string_view device_name_uri = inventory_uris[0];
// What a device says of itself at the beginning of each session.
constexpr std::array device_info_uris{
    "./DevInfo/DevId", "./DevInfo/Man", "./DevInfo/Mod", "./DevInfo/DmV", "./DevInfo/Lang"};
constexpr std::string_view entra_id_uri = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/AADDeviceID";

// Keys of what is sent: who gets the outcome.
constexpr std::string_view setting_prefix = "setting:";
constexpr std::string_view command_prefix = "command:";
constexpr std::string_view fact_prefix = "fact:";

std::optional<std::string_view> after(std::string_view prefix, std::string_view key) {
    return key.starts_with(prefix) ? std::optional(key.substr(prefix.size())) : std::nullopt;
}

http::response plain(int status, std::string text) {
    return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(text) + "\n"};
}

omadm::wanted read_fact(std::string_view node) {
    return {std::string(fact_prefix) + std::string(node), {.what = omadm::verb::get, .uri = std::string(node)}};
}

policy::record_map to_records(std::vector<store::setting> const& stored) {
    policy::record_map all;
    for (auto const& s : stored)
        all[s.node] = policy::setting_record{.wanted = {.uri = s.uri,
                                                 .format = s.format,
                                                 .value = s.value,
                                                 .policy = s.policy,
                                                 .order = static_cast<int>(s.position)},
            .state = policy::parse_setting_state(s.state).value_or(policy::setting_state::pending),
            .status = static_cast<int>(s.status),
            .original_error = s.original_error,
            .reported = s.reported,
            .attempts = static_cast<int>(s.attempts),
            .delivered = s.delivered};
    return all;
}

store::setting to_stored(std::string const& node, policy::setting_record const& r) {
    return {.node = node,
        .uri = r.wanted.uri,
        .format = r.wanted.format,
        .value = r.wanted.value,
        .policy = r.wanted.policy,
        .position = r.wanted.order,
        .state = std::string(policy::name(r.state)),
        .status = r.status,
        .original_error = r.original_error,
        .reported = r.reported ? std::optional(cut_utf8(*r.reported, fact_limit)) : std::nullopt,
        .attempts = r.attempts,
        .delivered = r.delivered};
}

omadm::wanted to_wanted(store::command const& c) {
    return {std::string(command_prefix) + c.id,
        {.what = omadm::parse_verb(c.verb).value_or(omadm::verb::get),
            .uri = c.uri,
            .format = c.format,
            .type = c.format.empty() || c.format == "node" || c.format == "null" ? "" : "text/plain",
            .data = c.value}};
}

// What is left to be sent of a session's own work is kept beside the protocol's state, so that a restart between
// two messages loses nothing.
struct kept_state {
    omadm::session dm;
    std::vector<omadm::wanted> todo;
};

std::string save(kept_state const& s) {
    boost::json::array todo;
    for (auto const& w : s.todo) {
        boost::json::object o{{"key", w.key}, {"verb", omadm::name(w.what.what)}, {"uri", w.what.uri},
            {"format", w.what.format}, {"type", w.what.type}};
        if (w.what.data) o["data"] = *w.what.data;
        todo.push_back(std::move(o));
    }
    return boost::json::serialize(boost::json::object{{"dm", omadm::save(s.dm)}, {"todo", std::move(todo)}});
}

kept_state load(std::string const& text) {
    auto const v = boost::json::parse(text).as_object();
    auto const string = [](boost::json::object const& o, char const* key) {
        return std::string(o.at(key).as_string());
    };
    kept_state s{.dm = omadm::load(string(v, "dm")).value(), .todo = {}};
    for (auto const& e : v.at("todo").as_array()) {
        auto const& o = e.as_object();
        omadm::wanted w{string(o, "key"), {.what = omadm::parse_verb(string(o, "verb")).value_or(omadm::verb::get),
                                              .uri = string(o, "uri"),
                                              .format = string(o, "format"),
                                              .type = string(o, "type")}};
        if (o.contains("data")) w.what.data = string(o, "data");
        s.todo.push_back(std::move(w));
    }
    return s;
}

// 215 (not executed) and 216 (rolled back with its Atomic) are in the range of success and are none.
bool failed(int status) { return status < 200 || status > 299 || status == 215 || status == 216; }

}  // namespace

struct management::work {
    std::shared_ptr<configuration const> config;
    store::device device;
    store::certificate certificate;  // that the device shows
    bool new_session = false;
    bool unenrolled = false;

    policy::record_map settings_before, settings;
    std::map<std::string, store::fact> facts_before, facts;
    std::vector<store::command> queue;  // commands of the operator that are to be sent

    struct finished {
        std::string id, state;
        int status;
        std::string original_error;
        std::optional<std::string> result;
    };
    std::vector<finished> finished_commands;
    std::vector<std::string> sent_commands;
    std::vector<omadm::wanted> todo;

    void learn(std::string const& node, int status, std::optional<std::string> value, time_point now) {
        if (value && value->size() > fact_limit) {  // nothing that a rule compares is so long
            status = 416;
            value.reset();
        }
        if (auto const known = facts.find(node);
            known != facts.end() && known->second.status == status && known->second.value == value)
            return;
        facts[node] = {node, status, std::move(value), now};
    }
    std::optional<std::string> value_of(std::string_view node) const {
        auto const f = facts.find(std::string(node));
        return f == facts.end() || f->second.status != 200 ? std::nullopt : f->second.value;
    }

    // What this session has to do, in order: settings written and removed, then everything read, so that rules see
    // what the policies have just done.
    void plan() {
        settings = policy::reconcile(policy::desired(config->policies, traits_of(device)), std::move(settings));
        todo = policy::first_round(settings);
        std::set<std::string> asked;
        for (auto const& w : todo)
            if (w.what.what == omadm::verb::get) asked.insert(policy::canonical_uri(w.what.uri));
        auto const ask = [&](std::string const& node) {
            if (asked.insert(node).second) todo.push_back(read_fact(node));
        };
        ask(std::string(compliance::os_version_uri));
        for (auto const& node : compliance::needed_facts(config->policies, traits_of(device))) ask(node);
        for (auto const* uri : inventory_uris)
            if (!facts.contains(policy::canonical_uri(uri))) ask(policy::canonical_uri(uri));
        if (device.entra_device_id.empty()) ask(policy::canonical_uri(entra_id_uri));
    }
};

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
        if (!device || device->state != "enrolled") return fail(errc::forbidden, "the device is not enrolled");
        return admitted{std::move(*device), std::move(*certificate)};
    });
}

http::response management::session(http::request const& r) {
    auto const who_asks = admit(r);
    if (!who_asks) {
        log::warning("management session refused", {{"reason", who_asks.error().detail}, {"address", r.peer_address}});
        return plain(403, "This device is not managed here.");
    }
    auto const& id = who_asks->device.id;
    log::scope const who("device_id", id);
    log::scope const flow("client_request_id", printable(r.headers.get("client-request-id").value_or(""), 64));
    auto const type = r.headers.get("Content-Type").value_or("");
    if (!iequals(trim(type.substr(0, type.find(';'))), content_type))
        return plain(415, "SyncML is sent as application/vnd.syncml.dm+xml.");

    std::scoped_lock const turn(turns_[std::hash<std::string>()(id) % turns_.size()]);
    return converse(*who_asks, r);
}

http::response management::converse(admitted const& who, http::request const& r) {
    auto const& device = who.device;
    auto const message = omadm::parse(r.body);
    if (!message) {
        log::warning("SyncML refused", {{"reason", message.error().detail}});
        return plain(
            message.error().code == errc::too_large ? 413 : 400, "This is not a SyncML message that can be answered.");
    }
    if (!iequals(message->hdr.source, device.mdm_device_id)) {
        log::warning("SyncML refused",
            {{"reason", "its Source is not the device of the certificate"}, {"source", message->hdr.source}});
        return plain(403, "The message speaks for another device than its certificate.");
    }

    auto const now = context_.time.now();
    auto const digest = hex(crypto::sha256(r.body));
    work w{.config = context_.config(), .device = device, .certificate = who.certificate};
    std::optional<store::session> last;
    context_.db.read([&](store::connection& db) {
        last = store::find_session(db, device.id);
        w.settings_before = to_records(store::list_settings(db, device.id));
        for (auto& f : store::list_facts(db, device.id)) w.facts_before[f.node] = std::move(f);
        w.queue = store::open_commands(db, device.id);
    });
    w.settings = w.settings_before;
    w.facts = w.facts_before;

    kept_state before;
    if (last && now - last->seen < session_lifetime) before = load(last->state);
    // A reply that was lost is asked for again: the same bytes, and nothing happens twice. The first message of
    // a session whose number came round again is not that, unless it is the same to the byte.
    bool const same_ids = before.dm.id == message->hdr.session_id && before.dm.device_msg_id == message->hdr.msg_id &&
                          before.dm.device_msg_id != 0;
    if (same_ids && (message->hdr.msg_id != 1 || last->request_digest == digest)) {
        log::debug("the last reply is sent again", {{"session", message->hdr.session_id}});
        return {200, {{"Content-Type", std::string(content_type)}}, last->reply};
    }
    if (message->hdr.msg_id == 1) before = {};  // a session begins, whatever its number was used for before

    auto const intake = omadm::receive(before.dm, *message);
    if (!intake) {
        log::warning("SyncML refused", {{"reason", intake.error().detail}});
        return plain(400, "This message does not follow the last one of its session.");
    }
    w.new_session = before.dm.ended || before.dm.id != intake->next.id || before.dm.device_msg_id == 0;
    w.unenrolled = intake->unenrolled;
    if (!w.new_session) w.todo = before.todo;
    // What an earlier session sent and got no answer to is sent again, unless doing it twice could do harm.
    std::erase_if(w.queue, [&](store::command const& c) {
        return c.state == "sent" && (!w.new_session || c.verb == "exec" || c.deliveries >= store::most_deliveries);
    });
    for (auto const* uri : device_info_uris)
        if (auto const told = intake->device_info.find(uri); told != intake->device_info.end())
            w.learn(uri, 200, told->second, now);
    take_outcomes(w, *intake, now);
    if (w.new_session && !intake->unenrolled && !intake->aborted) w.plan();
    if (w.new_session)
        log::info("management session",
            {{"session", intake->next.id}, {"login_status", intake->next.login_status}, {"address", r.peer_address}});

    // Settings first, then what the operator asked for, then what is read.
    std::vector<omadm::wanted> queue;
    if (!intake->unenrolled && !intake->aborted) {
        auto const reads = std::stable_partition(
            w.todo.begin(), w.todo.end(), [](auto const& t) { return t.what.what != omadm::verb::get; });
        queue.assign(w.todo.begin(), reads);
        for (auto const& c : w.queue) queue.push_back(to_wanted(c));
        queue.insert(queue.end(), reads, w.todo.end());
    }
    auto const management_url = w.config->settings.server.management_url.text + "/ManagementServer/MDM.svc";
    auto const answer = omadm::reply_to(*intake, {message->hdr.source, management_url}, queue);
    w.todo.clear();
    for (std::size_t i = 0; i < queue.size(); ++i) {
        auto const command = after(command_prefix, queue[i].key);
        auto const unsendable = std::find_if(answer.unsendable.begin(), answer.unsendable.end(),
            [&](omadm::unsendable const& u) { return u.index == i; });
        bool const failed_here = unsendable != answer.unsendable.end();
        if (i >= answer.taken) {
            if (!command) w.todo.push_back(queue[i]);
        } else if (failed_here && command) {
            w.finished_commands.push_back({std::string(*command), "failed", 0, "not sent: " + unsendable->reason, {}});
        } else if (failed_here) {
            if (auto const node = after(setting_prefix, queue[i].key)) {
                auto& record = w.settings[std::string(*node)];
                record.state = policy::setting_state::failed;
                record.original_error = "not sent: " + unsendable->reason;
            }
        } else if (command) {
            w.sent_commands.emplace_back(*command);
        }
    }
    if (answer.ended || intake->unenrolled || intake->aborted) w.todo.clear();
    store::session const next{.device_id = device.id,
        .state = save({answer.next, w.todo}),
        .request_digest = digest,
        .reply = answer.text,
        .seen = now};
    if (!keep(w, next, now)) {
        log::warning("management session refused", {{"reason", "the certificate is revoked"}});
        return plain(403, "This device is not managed here.");
    }
    if (answer.ended) log::debug("management session ended", {{"session", intake->next.id}});
    return {200, {{"Content-Type", std::string(content_type)}}, answer.text};
}

void management::take_outcomes(work& w, omadm::intake const& intake, time_point now) {
    for (auto const& o : intake.outcomes) {
        auto const node = policy::canonical_uri(o.sent.uri);
        if (o.sent.what == omadm::verb::get && !after(command_prefix, o.key)) w.learn(node, o.status, o.value, now);
        if (auto const id = after(command_prefix, o.key)) {
            w.finished_commands.push_back({std::string(*id), failed(o.status) ? "failed" : "done", o.status,
                o.original_error, o.value ? std::optional(cut_utf8(*o.value, result_limit)) : std::nullopt});
        } else if (after(setting_prefix, o.key)) {
            if (auto follow_up = policy::take(w.settings, o)) {
                // What a rule reads of this node is read again, after it was put right.
                if (o.sent.what == omadm::verb::get) w.todo.push_back(read_fact(node));
                w.todo.push_back(std::move(*follow_up));
            }
        }
        if (failed(o.status) && o.sent.what != omadm::verb::get)
            log::warning("the device refused a command",
                {{"uri", o.sent.uri}, {"verb", std::string(omadm::name(o.sent.what))},
                    {"status", std::to_string(o.status)}, {"original_error", o.original_error}});
    }
}

bool management::keep(work const& w, store::session const& next, time_point now) {
    auto const& id = w.device.id;
    bool const kept = context_.db.write([&](store::connection& db) {
        // The first session with a renewed certificate ends the one before.
        if (!store::use_certificate(db, w.certificate.fingerprint, now)) return false;
        if (w.new_session) store::return_unanswered(db, id, now);
        for (auto const& c : w.finished_commands)
            store::finish_command(db, c.id, c.state, c.status, c.original_error, c.result, now);
        for (auto const& c : w.sent_commands) store::deliver_command(db, c, now);
        for (auto const& [node, record] : w.settings)
            if (auto const old = w.settings_before.find(node);
                old == w.settings_before.end() || !(old->second == record))
                store::put_setting(db, id, to_stored(node, record));
        for (auto const& [node, record] : w.settings_before)
            if (!w.settings.contains(node)) store::remove_setting(db, id, node);
        bool learned = false;
        for (auto const& [node, fact] : w.facts)
            if (auto const old = w.facts_before.find(node);
                old == w.facts_before.end() || old->second.status != fact.status || old->second.value != fact.value) {
                store::put_fact(db, id, fact);
                learned = true;
            }
        store::put_session(db, next);
        if (w.new_session) troubleshooting::has_come(db, id);
        if (w.unenrolled) {
            store::set_device_state(db, id, "unenrolled");
            store::revoke_certificates(db, id, now);
            store::cancel_commands(db, id, now);
            report_unmanaged(db, w.device, now);
            log::info("device unenrolled by its user");
            return true;
        }
        if (learned) {
            auto const name =
                cut_utf8(w.value_of(policy::canonical_uri(device_name_uri)).value_or(w.device.name), name_limit);
            auto const version =
                cut_utf8(w.value_of(compliance::os_version_uri).value_or(w.device.os_version), name_limit);
            if (name != w.device.name || version != w.device.os_version)
                store::set_device_details(db, id, name, version);
            // A device may name its own Entra ID only where its token did not, and not one that another device has.
            auto const claimed = lower(w.value_of(policy::canonical_uri(entra_id_uri)).value_or(""));
            if (w.device.entra_device_id.empty() && is_guid(claimed) &&
                store::find_enrolled_entra(db, claimed).empty()) {
                store::remove_reports_of(db, claimed);
                store::set_entra_device_id(db, id, claimed);
                log::warning("the Entra device ID is the device's own word: its token had none",
                    {{"entra_device_id", claimed}, {"user_id", w.device.user_id}});
            }
        }
        evaluate_device(db, *w.config, id, now);
        return true;
    });
    if (kept && !w.certificate.first_used && !w.certificate.renewed_from.empty())
        log::info("the renewed certificate is in use, the one before is revoked", {{"serial", w.certificate.serial}});
    return kept;
}

}  // namespace mdmd::service
