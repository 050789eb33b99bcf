#include <charconv>
#include <set>

#include "core/log.hpp"
#include "core/random.hpp"
#include "enroll/provisioning.hpp"
#include "omadm/syncml.hpp"
#include "policy/order.hpp"
#include "service/operate.hpp"
#include "service/selection.hpp"
#include "service/session_work.hpp"
#include "service/user_node.hpp"

namespace mdmd::service {
namespace {

constexpr std::size_t value_limit = 256 * 1024;
constexpr auto longest_ttl = std::chrono::days(3650);

result<void> check_command(new_command const& c) {
    auto const verb = omadm::parse_verb(c.verb);
    if (!verb)
        return fail(errc::malformed,
            fmt::format("expected get, add, replace, delete or exec, got '{}'", printable(c.verb, 32)));
    if (!c.uri.starts_with("./") || c.uri.size() > 1024 || c.uri.find_first_of(" \t\r\n") != std::string::npos ||
        c.uri.back() == '/')
        return fail(errc::malformed, "expected a URI such as ./Device/Vendor/MSFT/Policy/Config/Area/Policy");
    static std::set<std::string, std::less<>> const formats{
        "", "int", "chr", "bool", "b64", "bin", "xml", "node", "null", "float", "date", "time"};
    if (!formats.contains(c.format))
        return fail(errc::malformed, fmt::format("expected a format of SyncML, got '{}'", printable(c.format, 32)));
    bool const reads = *verb == omadm::verb::get || *verb == omadm::verb::remove;
    bool const writes = *verb == omadm::verb::add || *verb == omadm::verb::replace;
    bool const empty_format = c.format == "node" || c.format == "null";
    if (reads && (c.value || !c.format.empty()))
        return fail(errc::malformed, fmt::format("{} takes no value and no format", c.verb));
    if (writes && !c.value && !empty_format)
        return fail(errc::malformed, fmt::format("{} needs a value, unless its format is node or null", c.verb));
    if (c.value && empty_format) return fail(errc::malformed, fmt::format("format {} has no value", c.format));
    if (c.value && c.value->size() > value_limit)
        return fail(errc::too_large, fmt::format("expected a value of at most {} bytes", value_limit));
    if (c.value && !is_utf8(*c.value)) return fail(errc::malformed, "expected a value in UTF-8");
    if (c.value && c.format == "int") {
        std::int64_t n = 0;
        auto const [end, ec] = std::from_chars(c.value->data(), c.value->data() + c.value->size(), n);
        if (ec != std::errc{} || end != c.value->data() + c.value->size())
            return fail(errc::malformed, "format int: expected a whole number");
    }
    if (c.value && c.format == "bool" && *c.value != "true" && *c.value != "false")
        return fail(errc::malformed, "format bool: expected true or false");
    if (c.value && c.format == "b64" && !unbase64(*c.value))
        return fail(errc::malformed, "format b64: expected base64");
    return {};
}

// The command as it is stored, but for the device. Errors: malformed.
result<store::command> prepared(new_command c, time_point now) {
    auto const kind = policy::parse_order_kind(c.kind);
    if (!kind) return fail(errc::malformed, fmt::format("there is no order '{}'", printable(c.kind, 32)));
    if (c.ttl && (*c.ttl < std::chrono::seconds(1) || *c.ttl > longest_ttl))
        return fail(errc::malformed, "expected a time to live from 1s to 3650d");
    store::command out{.id = new_guid(), .kind = c.kind, .queued = now, .updated = now};
    if (c.ttl) out.expires = now + *c.ttl;
    if (*kind == policy::order_kind::send) {
        if (auto const ok = check_command(c); !ok) return ok.error();
        out.verb = lower(omadm::name(*omadm::parse_verb(c.verb)));
        out.uri = std::move(c.uri);
        out.format = std::move(c.format);
        out.value = std::move(c.value);
        return out;
    }
    if (!c.verb.empty() || !c.uri.empty() || !c.format.empty() || c.value || !c.user.empty())
        return fail(errc::malformed, fmt::format("{} takes no command of its own", c.kind));
    auto command = policy::command_of(*kind, c.variant, enroll::provider_id, new_guid());
    if (!command) return command.error();
    if (command->uri.empty()) return out;  // it is a session alone that is asked for
    out.verb = lower(omadm::name(command->what));
    out.uri = std::move(command->uri);
    out.format = std::move(command->format);
    out.value = std::move(command->data);
    return out;
}

struct known_user {
    std::string id, upn;
};

// Whose ./User nodes are meant: one of those seen on the device, or who enrolled it.
result<known_user> user_of(store::connection& db, store::device const& device, std::string const& asked) {
    auto const wanted = lower(asked);
    if (wanted.empty()) {
        if (!device.user_id.empty()) return known_user{device.user_id, device.upn};
        return fail(errc::malformed,
            fmt::format("device '{}' was enrolled by no user: name the one whose node is meant", device.name));
    }
    if (wanted == device.user_id || wanted == lower(device.upn)) return known_user{device.user_id, device.upn};
    for (auto const& u : store::list_device_users(db, device.id))
        if (wanted == u.user_id || wanted == lower(u.upn)) return known_user{u.user_id, u.upn};
    return fail(
        errc::malformed, fmt::format("'{}' has not been seen on device '{}'", printable(asked, 100), device.name));
}

// Queues a copy for one device. Errors: conflict, malformed.
result<store::command> queue_for(
    store::connection& db, std::string const& device_id, store::command command, std::string const& user) {
    auto const device = store::find_device(db, device_id);
    if (!device || device->state != "enrolled")
        return fail(
            errc::conflict, fmt::format("device '{}' is not enrolled any more", device ? device->name : device_id));
    command.device_id = device_id;
    if (is_user_node(command.uri)) {
        auto who = user_of(db, *device, user);
        if (!who) return who.error();
        command.user_id = std::move(who->id);
    } else if (!user.empty()) {
        return fail(errc::malformed, "a user is of nodes below ./User alone");
    }
    store::add_command(db, command);
    return command;
}

void tell(appliance& a, store::command const& c) {
    log::info("command queued",
        {{"device_id", c.device_id}, {"command_id", c.id}, {"kind", c.kind}, {"verb", c.verb}, {"uri", c.uri}});
    a.push.wake(c.device_id);
}

std::string_view kind_of_key(std::string_view key) { return key.substr(0, key.find(':')); }

}  // namespace

result<store::command> send(appliance& a, std::string_view id_or_name, new_command c) {
    auto const user = c.user;
    auto const command = prepared(std::move(c), a.ctx.time.now());
    if (!command) return command.error();
    auto const device = find(a, id_or_name);
    if (!device) return device.error();
    auto queued = a.ctx.db.write([&](store::connection& db) { return queue_for(db, device->id, *command, user); });
    if (queued) tell(a, *queued);
    return queued;
}

result<std::vector<store::command>> commands(appliance& a, std::string_view id_or_name) {
    auto const device = find(a, id_or_name);
    if (!device) return device.error();
    return a.ctx.db.read([&](store::connection& db) { return store::list_commands(db, device->id); });
}

result<std::vector<store::device>> select(appliance& a, std::string_view where) {
    auto const condition = selection::parse(where);
    if (!condition) return condition.error();
    auto const now = a.ctx.time.now();
    std::vector<store::device> chosen;
    for (auto& v : devices(a)) {
        auto const& d = v.device;
        if (d.state == "enrolled" &&
            condition->holds({d.id, d.name, d.upn, d.ownership, d.os_version, v.compliance, v.last_seen}, now))
            chosen.push_back(std::move(v.device));
    }
    return chosen;
}

result<std::vector<store::command>> send_to_all(
    appliance& a, std::string_view where, new_command c, std::optional<std::int64_t> expected) {
    auto const kind = policy::parse_order_kind(c.kind);
    bool const final = kind && policy::is_final(*kind);
    auto const user = c.user;
    auto const command = prepared(std::move(c), a.ctx.time.now());
    if (!command) return command.error();
    auto const chosen = select(a, where);
    if (!chosen) return chosen.error();
    auto const count = static_cast<std::int64_t>(chosen->size());
    if (final && !expected)
        return fail(
            errc::conflict, fmt::format("{} devices would be lost to their management: say how many you mean", count));
    if (expected && *expected != count)
        return fail(errc::conflict, fmt::format("expected {} devices, the condition holds for {}", *expected, count));
    struct refused {
        error why;
    };
    try {
        auto queued = a.ctx.db.write([&](store::connection& db) {
            std::vector<store::command> all;
            for (auto const& d : *chosen) {
                auto one = *command;
                one.id = new_guid();
                auto done = queue_for(db, d.id, std::move(one), user);
                // One that left meanwhile is no reason to leave the others untold.
                if (!done && done.error().code == errc::conflict) continue;
                if (!done) throw refused{done.error()};
                all.push_back(std::move(*done));
            }
            return all;
        });
        for (auto const& one : queued) tell(a, one);
        return queued;
    } catch (refused const& r) {  // so that the whole write is undone
        return r.why;
    }
}

result<store::command> cancel(appliance& a, std::string_view command_id) {
    auto const now = a.ctx.time.now();
    return a.ctx.db.write([&](store::connection& db) -> result<store::command> {
        auto const known = store::find_command(db, command_id);
        if (!known) return fail(errc::not_found, fmt::format("there is no command '{}'", printable(command_id, 64)));
        if (!store::cancel_command(db, command_id, "cancelled by an administrator", now))
            return fail(errc::conflict, fmt::format("the command is {}: it cannot be taken back", known->state));
        return *store::find_command(db, command_id);
    });
}

result<session_plan> plan(appliance& a, std::string_view id_or_name, std::string_view user) {
    auto const device = find(a, id_or_name);
    if (!device) return device.error();
    presence there;
    if (!user.empty() || device->enrollment_type != "Device") {
        auto const who = a.ctx.db.read([&](store::connection& db) { return user_of(db, *device, std::string(user)); });
        if (!who) return who.error();
        there = {.user_id = who->id, .upn = who->upn, .active = true};
    }
    session_work work(a.ctx.config(), a.push, *device, std::nullopt, a.ctx.time.now());
    auto const last = a.ctx.db.read([&](store::connection& db) {
        work.load(db, there);
        return store::find_session(db, device->id);
    });
    work.begin(last);
    session_plan all{.user_id = there.user_id, .upn = there.upn, .commands = {}};
    for (auto const& w : work.queue({}))
        all.commands.push_back({std::string(omadm::name(w.what.what)), w.what.uri, w.what.format, w.what.data,
            std::string(kind_of_key(w.key))});
    return all;
}

result<std::vector<store::trace>> traces(appliance& a, std::string_view id_or_name) {
    auto const device = find(a, id_or_name);
    if (!device) return device.error();
    return a.sessions.of(device->id);
}

}  // namespace mdmd::service
