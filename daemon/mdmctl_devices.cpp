// mdmctl devices, commands, trace and policies plan: the devices, what they are told, and what they said.
#include <filesystem>
#include <memory>

#include "core/text.hpp"
#include "core/time.hpp"
#include "daemon/mdmctl.hpp"
#include "daemon/mdmctl_files.hpp"

namespace mdmd::ctl {
namespace {

struct arguments {
    std::string id, command_id;
    std::string verb, uri, format, value, user, variant, ttl, where, output;
    bool all = false, yes = false;
    std::int64_t count = -1;
};
using shared_arguments = std::shared_ptr<arguments>;

std::string path_of(std::string const& a, std::string const& id, std::string const& b = "") {
    return a + percent_encode(id) + b;
}

void print_device(json::value const& v) {
    auto const& o = v.as_object();
    for (auto const* key : {"id", "name", "user", "ownership", "os_version", "state", "compliance", "entra_device_id",
             "enrolled", "last_seen", "inventory_read"})
        fmt::print("{:<16} {}\n", key, show(o, key));
    if (auto const* claim = o.at("entra_claim").if_object())
        fmt::print("{:<16} {} (its own word, not confirmed by Entra: {})\n", "entra_claim",
            show(*claim, "entra_device_id"),
            claim->at("problem").is_null() ? "not asked yet" : show(*claim, "problem"));
    auto const& report = o.at("report").as_object();
    fmt::print("{:<16} {} (last success {}, error {})\n", "report", show(report, "state"), show(report, "last_success"),
        show(report, "error"));
    if (auto const& users = o.at("users").as_array(); !users.empty()) {
        fmt::print("\nusers\n");
        table(users, {{"USER", "user"}, {"FIRST SEEN", "first_seen"}, {"ID", "user_id"}});
    }
    if (auto const& settings = o.at("settings").as_array(); !settings.empty()) {
        fmt::print("\nsettings\n");
        table(settings, {{"STATE", "state"}, {"STATUS", "status"}, {"ERROR", "original_error"}, {"USER", "user"},
                            {"POLICY", "policy"}, {"WANTED", "wanted"}, {"REPORTED", "reported"}, {"NOTE", "note"},
                            {"URI", "uri"}});
    }
    if (auto const* apps = o.if_contains("apps"); apps && !apps->as_array().empty()) {
        fmt::print("\napps\n");
        table(apps->as_array(),
            {{"STATE", "state"}, {"POLICY", "policy"}, {"WANTED", "version"}, {"INSTALLED", "installed_version"},
                {"ERROR", "last_error"}, {"DETAIL", "detail"}, {"PRODUCT", "product_code"}});
    }
    if (auto const& inventory = o.at("inventory").as_object(); !inventory.empty()) {
        auto const& since = o.at("inventory_since").as_object();
        fmt::print("\ninventory\n");
        for (auto const& [uri, value] : inventory)
            fmt::print("{}  {}  (since {})\n", std::string_view(uri), show(value), show(since, uri));
    }
}

void print_queued(json::value const& v) {
    auto const* all = v.as_object().if_contains("value");
    if (!all || !all->is_array()) {
        fmt::print("{} queued\n", show(v.at("id")));
        return;
    }
    for (auto const& one : all->as_array())
        fmt::print("{} queued for {}\n", show(one.at("id")), show(one.at("device_id")));
    fmt::print("{} devices\n", all->as_array().size());
}

std::string check_ttl(std::string& s) {
    auto const d = parse_duration(s);
    return d && d->count() >= 1 ? "" : "expected a time such as 12h, got " + s;
}

// One device, or all that a condition holds for.
void add_target(CLI::App* verb, shared_arguments const& a) {
    verb->add_option("ID", a->id, "Device ID, Entra device ID or unique name")->check(not_empty());
    verb->add_option("--where", a->where,
        "Instead of ID: every device that this holds for, such as \"ownership=corporate and os_version<10.0.22631\"; "
        "fields: name, user, ownership, compliance, os_version, last_seen");
    verb->add_flag("--all", a->all, "Instead of ID: every enrolled device");
    verb->add_option("--count", a->count, "With --where or --all: only if it is exactly so many devices")
        ->check(CLI::NonNegativeNumber);
    verb->add_option("--expires", a->ttl, "Take it back where it has not begun within this time, such as 7d")
        ->check(CLI::Validator(check_ttl, ""));
}

json::value order(daemon_connection& c, arguments const& a, json::object body) {
    if (!a.ttl.empty()) body["ttl_s"] = parse_duration(a.ttl).value().count();
    int const ways = (a.id.empty() ? 0 : 1) + (a.where.empty() ? 0 : 1) + (a.all ? 1 : 0);
    if (ways != 1) throw wrong_usage("expected one of ID, --where and --all");
    if (!a.id.empty()) return c.post(path_of("/devices/", a.id, "/commands"), body);
    body["where"] = a.where;
    if (a.count >= 0) body["count"] = a.count;
    return c.post("/commands", body);
}

void add_order(CLI::App* devices, command_line& line, shared_arguments const& a, std::string const& name,
    std::string const& help, std::string const& kind, std::string const& warning = "") {
    auto* verb = devices->add_subcommand(name, help);
    add_target(verb, a);
    if (kind == "wipe")
        verb->add_option("--keep", a->variant,
            "What stays, or how: protected, keep-user-data, keep-provisioning, cloud, cloud-keep-user-data, "
            "cloud-keep-provisioning, redeploy; without it everything goes");
    if (kind == "scan")
        verb->add_option("--kind", a->variant, "quick or full")->check(CLI::IsMember({"quick", "full"}));
    if (!warning.empty()) verb->add_flag("--yes", a->yes, "Do it: " + warning);
    asks(
        line, verb,
        [a, kind, warning](daemon_connection& c) {
            if (!warning.empty() && !a->yes) throw refused(warning + " Say --yes to do it.");
            json::object body{{"kind", kind}};
            if (!a->variant.empty()) body["variant"] = a->variant;
            return order(c, *a, std::move(body));
        },
        print_queued);
}

void add_orders(CLI::App* devices, command_line& line, shared_arguments const& a) {
    add_order(devices, line, a, "sync", "Read the device whole in its next session, and wake it where push is set up",
        "sync");
    add_order(devices, line, a, "lock", "Lock the screen, where Windows lets itself be locked from afar", "lock");
    add_order(devices, line, a, "reboot", "Restart Windows within 5 minutes", "reboot");
    add_order(devices, line, a, "retire", "End the device's management; its user keeps the computer", "retire",
        "what was enrolled with it goes (policies, certificates, mail and apps that came by it), and a computer that "
        "joined Entra is un-joined: make sure that a local administrator can sign in.");
    add_order(devices, line, a, "wipe", "Reset the computer; the data on it is lost", "wipe",
        "the data on the computer is lost for good.");
    add_order(
        devices, line, a, "rotate-recovery-key", "Make BitLocker's recovery passwords anew", "rotate-recovery-key");
    add_order(devices, line, a, "scan", "Have Defender scan the computer", "scan");
    add_order(devices, line, a, "update-signatures", "Have Defender fetch its signatures", "update-signatures");
}

void add_send(CLI::App* devices, command_line& line, shared_arguments const& a) {
    auto* send = devices->add_subcommand("send", "Queue one command for a device's next session");
    send->add_option("ID", a->id, "Device ID, Entra device ID or unique name; - with --where or --all")
        ->required()
        ->check(not_empty());
    send->add_option("VERB", a->verb, "get, add, replace, delete or exec")
        ->required()
        ->check(CLI::IsMember({"get", "add", "replace", "delete", "exec"}));
    send->add_option("URI", a->uri, "The node: ./Device/Vendor/MSFT/… or ./User/…")->required();
    send->add_option("--format", a->format, "int, chr, bool, b64, xml, node, null…");
    auto* value = send->add_option("--value", a->value, "The value");
    send->add_option("--user", a->user, "Whose node below ./User: UPN or object ID; else who enrolled the device");
    send->add_option("--where", a->where, "With ID -: every device that this holds for");
    send->add_flag("--all", a->all, "With ID -: every enrolled device");
    send->add_option("--count", a->count, "With --where or --all: only if it is exactly so many devices");
    send->add_option("--expires", a->ttl, "Take it back where it has not begun within this time, such as 7d")
        ->check(CLI::Validator(check_ttl, ""));
    asks(
        line, send,
        [a, value](daemon_connection& c) {
            json::object body{{"verb", a->verb}, {"uri", a->uri}};
            if (!a->format.empty()) body["format"] = a->format;
            if (value->count()) body["value"] = a->value;
            if (!a->user.empty()) body["user"] = a->user;
            auto target = *a;
            if (target.id == "-") target.id.clear();
            return order(c, target, std::move(body));
        },
        print_queued);
}

void add_commands(CLI::App& app, command_line& line, shared_arguments const& a) {
    auto* commands = app.add_subcommand("commands", "Commands with their status and results");
    commands->require_subcommand(1);
    auto* list = commands->add_subcommand("list", "The commands of one device");
    list->add_option("ID", a->id, "Device ID, Entra device ID or unique name")->required()->check(not_empty());
    asks(
        line, list, [a](daemon_connection& c) { return c.get(path_of("/devices/", a->id, "/commands")); },
        [](json::value const& v) {
            table(rows_of(v), {{"QUEUED", "queued"}, {"STATE", "state"}, {"STATUS", "status"},
                                  {"ERROR", "original_error"}, {"KIND", "kind"}, {"VERB", "verb"}, {"URI", "uri"},
                                  {"RESULT", "result"}, {"DETAIL", "detail"}, {"ID", "id"}});
        });
    auto* cancel = commands->add_subcommand("cancel", "Take back a command that the device has not got yet");
    cancel->add_option("COMMAND", a->command_id, "The command's ID")->required()->check(not_empty());
    asks(
        line, cancel, [a](daemon_connection& c) { return c.remove(path_of("/commands/", a->command_id)); },
        [](json::value const& v) { fmt::print("{} {}\n", show(v.at("id")), show(v.at("state"))); });
}

void print_trace(json::value const& v) {
    for (auto const& row : rows_of(v)) {
        auto const& s = row.as_object();
        fmt::print(
            "=== session {} began {}{}\n", show(s, "session"), show(s, "began"), s.at("idle") == true ? " (idle)" : "");
        int number = 0;
        for (auto const& m : s.at("messages").as_array())
            fmt::print("--- {} {} from {}\n{}\n--- answered {}\n{}\n", ++number, show(m.at("at")),
                show(m.at("address")), std::string_view(m.at("request").as_string()), show(m.at("status")),
                std::string_view(m.at("reply").as_string()));
    }
}

// One file a body: 01-<session>-01.request.xml, .response.xml.
void write_trace(json::value const& v, std::filesystem::path const& folder) {
    std::filesystem::create_directories(folder);
    int session = 0, files = 0;
    for (auto const& row : rows_of(v)) {
        ++session;
        int number = 0;
        for (auto const& m : row.at("messages").as_array()) {
            ++number;
            for (auto const& [key, end] : {std::pair("request", "request"), {"reply", "response"}}) {
                auto const name = fmt::format("{:02}-session-{:02}.{}.xml", session, number, end);
                auto const& body = m.at(key).as_string();
                new_file(folder / name, 0600, {body.data(), body.size()}, {}).move_to_place(true);
                ++files;
            }
        }
    }
    fmt::print("{} files in {}\n", files, folder.string());
}

}  // namespace

void add_devices(CLI::App& app, command_line& line) {
    auto const a = std::make_shared<arguments>();
    auto* devices = app.add_subcommand("devices", "The devices, and commands for them");
    devices->require_subcommand(1);
    asks(
        line, devices->add_subcommand("list", "All devices"), [](daemon_connection& c) { return c.get("/devices"); },
        [](json::value const& v) {
            table(rows_of(v),
                {{"NAME", "name"}, {"USER", "user"}, {"OWNERSHIP", "ownership"}, {"OS", "os_version"},
                    {"STATE", "state"}, {"COMPLIANCE", "compliance"}, {"LAST SEEN", "last_seen"}, {"ID", "id"}});
        });
    auto* one = devices->add_subcommand("show", "One device with its settings, apps, inventory and report");
    one->add_option("ID", a->id, "Device ID, Entra device ID or unique name")->required()->check(not_empty());
    asks(
        line, one, [a](daemon_connection& c) { return c.get(path_of("/devices/", a->id)); }, print_device);
    add_send(devices, line, a);
    add_orders(devices, line, a);
    auto* remove = devices->add_subcommand("delete",
        "Forget a device: its certificates end, Entra is told that it is not managed; the computer itself is not told");
    remove->add_option("ID", a->id, "Device ID, Entra device ID or unique name")->required()->check(not_empty());
    asks(
        line, remove, [a](daemon_connection& c) { return c.remove(path_of("/devices/", a->id)); },
        [](json::value const& v) { fmt::print("{} ({}) deleted\n", show(v.at("name")), show(v.at("id"))); });
    add_commands(app, line, a);

    auto* trace = app.add_subcommand("trace", "The last management sessions of a device, message by message");
    trace->add_option("ID", a->id, "Device ID, Entra device ID or unique name")->required()->check(not_empty());
    trace->add_option("--output", a->output, "Write the messages as files into this folder");
    asks(
        line, trace, [a](daemon_connection& c) { return c.get(path_of("/devices/", a->id, "/trace")); },
        [a](json::value const& v) {
            if (a->output.empty())
                print_trace(v);
            else
                write_trace(v, a->output);
        });
}

void add_plan(CLI::App& policies, command_line& line) {
    auto const a = std::make_shared<arguments>();
    auto* plan = policies.add_subcommand("plan", "What the next session of a device would send, command by command");
    plan->add_option("ID", a->id, "Device ID, Entra device ID or unique name")->required()->check(not_empty());
    plan->add_option("--user", a->user, "As if this user were signed in: UPN or object ID");
    asks(
        line, plan,
        [a](daemon_connection& c) {
            return c.get(
                path_of("/devices/", a->id, "/plan") + (a->user.empty() ? "" : "?user=" + percent_encode(a->user)));
        },
        [](json::value const& v) {
            auto const* const user = v.at("user").if_object();
            if (user && user->at("upn").is_null())
                fmt::print(stderr, "The UPN of user {} is not known yet: settings that hold it are not sent.\n",
                    show(*user, "id"));
            table(rows_of(v),
                {{"WHAT", "what"}, {"VERB", "verb"}, {"FORMAT", "format"}, {"VALUE", "value"}, {"URI", "uri"}});
        });
}

}  // namespace mdmd::ctl
