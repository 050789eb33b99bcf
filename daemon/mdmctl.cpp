// mdmctl: the administrator's command line. It asks the daemon over its admin socket and prints what it says, as a
// table or, with --json, as it came.
#include "daemon/mdmctl.hpp"

#include <cstdio>

#include "config/admin_socket.hpp"
#include "core/text.hpp"
#include "version.hpp"

namespace mdmd::ctl {

daemon_connection::daemon_connection(std::filesystem::path socket)
    : socket_(std::move(socket)), client_({.unix_socket = socket_, .answer_bytes = std::size_t{256} << 20}) {}

json::value daemon_connection::ask(std::string const& method, std::string const& path, std::string body) {
    http::call call{.method = method,
        .url = "http://localhost" + path,
        .headers = {},
        .body = std::move(body),
        .timeout = std::chrono::minutes(5)};
    if (method == "POST") call.headers.add("Content-Type", "application/json");
    auto const got = client_.send(call);
    if (!got)
        throw refused(fmt::format("mdmd does not answer at {}: {} (is it running, and are you root or in group mdmd?)",
            socket_.string(), got.error().detail));
    boost::system::error_code bad;
    auto value = json::parse(got->body, bad);
    if (got->status >= 300) {
        auto const* error = !bad && value.is_object() ? value.as_object().if_contains("error") : nullptr;
        throw refused(
            error ? std::string(error->at("message").as_string()) : fmt::format("mdmd answers HTTP {}", got->status));
    }
    if (bad) throw refused("mdmd's answer is not JSON");
    return value;
}

daemon_connection command_line::daemon() const {
    if (!socket.empty()) return daemon_connection(socket);
    auto const loaded = config::admin_socket(config_file);
    if (!loaded) throw refused(loaded.error().detail);
    return daemon_connection(*loaded);
}

std::string show(json::value const& v) {
    if (v.is_null()) return "-";
    if (v.is_string()) return printable(v.as_string(), 4096);
    return json::serialize(v);
}

std::string show(json::object const& o, std::string_view key) {
    auto const* v = o.if_contains(key);
    return v ? show(*v) : "-";
}

void table(json::array const& rows, std::initializer_list<std::pair<char const*, char const*>> columns) {
    std::vector<std::vector<std::string>> cells{{}};
    for (auto const& [title, key] : columns) cells[0].emplace_back(title);
    for (auto const& row : rows) {
        auto& line = cells.emplace_back();
        for (auto const& [title, key] : columns) line.push_back(show(row.as_object(), key));
    }
    std::vector<std::size_t> widths(columns.size());
    for (auto const& line : cells)
        for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
    for (auto const& line : cells) {
        std::string text;
        for (std::size_t i = 0; i < line.size(); ++i)
            text += i + 1 == line.size() ? line[i] : fmt::format("{:<{}}  ", line[i], widths[i]);
        fmt::print("{}\n", text);
    }
}

json::array const& rows_of(json::value const& v) { return v.at("value").as_array(); }

void asks(command_line& line, CLI::App* command, std::function<json::value(daemon_connection&)> what,
    std::function<void(json::value const&)> how) {
    command->callback([&line, what = std::move(what), how = std::move(how)] {
        line.run = [&line, what, how] {
            auto daemon = line.daemon();
            json::value const got = what(daemon);
            if (line.as_json)
                fmt::print("{}\n", json::serialize(got));
            else
                how(got);
            // A report that Graph did not take is a failure, though it was asked for and made.
            auto const* not_taken = got.is_object() ? got.as_object().if_contains("failed") : nullptr;
            if (!not_taken || *not_taken == 0) return 0;
            throw refused(
                fmt::format("Graph did not take {} of the reports: see mdmctl compliance list", show(*not_taken)));
        };
    });
}

CLI::Validator not_empty() {
    return CLI::Validator(
        [](std::string& s) { return s.empty() ? std::string("expected an ID, got nothing") : std::string(); }, "");
}

std::string show_end(json::object const& o) {
    return o.at("ends").is_null() ? std::string("end not known")
                                  : fmt::format("ends {} ({} days left)", show(o, "ends"), show(o, "days_left"));
}

}  // namespace mdmd::ctl

namespace {

using namespace mdmd;
using namespace mdmd::ctl;

void print_status(json::value const& v) {
    auto const& o = v.as_object();
    auto const& d = o.at("devices").as_object();
    auto const& r = o.at("report").as_object();
    auto const end = [&](char const* what) { return show_end(o.at(what).as_object()); };
    fmt::print("mdmd {}, up {} s, store {}\n", show(o, "version"), show(o, "uptime_s"), show(o, "store"));
    fmt::print(
        "devices      {} enrolled: {} compliant, {} noncompliant, {} in grace period, {} unknown, {} in "
        "conflict, {} in error\n",
        show(d, "total"), show(d, "compliant"), show(d, "noncompliant"), show(d, "in_grace_period"), show(d, "unknown"),
        show(d, "conflict"), show(d, "error"));
    fmt::print("reports      {} queued, {} of them refused, last success {}, last error {}\n", show(r, "queued"),
        show(r, "parked"), show(r, "last_success"), show(r, "last_error"));
    if (!r.at("held_up").is_null()) fmt::print("             {}\n", show(r, "held_up"));
    if (o.at("maintenance") == true) fmt::print("maintenance  on: no device enrolls\n");
    if (auto const& push = o.at("push").as_object(); push.at("configured") == true)
        fmt::print("push         {}\n", push.at("problem").is_null() ? "ok" : show(push, "problem"));
    auto const& key = o.at("key").as_object();
    fmt::print("Entra key    {} (from {}), {}\n", show(key, "state"), show(key, "source"), end("key"));
    fmt::print("TLS          {}\n", end("tls_certificate"));
    fmt::print("authority    {}\n", end("authority"));
    if (!key.at("error").is_null()) {
        auto const& e = key.at("error").as_object();
        fmt::print("\nEntra refuses the key: {} {}\n", show(e, "meaning"), show(e, "remedy"));
    }
    for (auto const& one : o.at("reminders").as_array()) {
        auto const& m = one.as_object();
        fmt::print("\n{}\n    {}\n    {}\n", show(m, "message"), show(m, "renew"), show(m, "docs"));
        if (m.at("delivered") == false) fmt::print("    not delivered yet: {}\n", show(m, "error"));
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Looks into mdmd and tells it what to do.", "mdmctl"};
    app.set_version_flag("--version", MDMD_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    command_line line;
    app.add_option("--config", line.config_file, "The daemon's configuration, which names its admin socket")
        ->capture_default_str();
    app.add_option("--socket", line.socket, "The admin socket itself, instead of what the configuration names");
    app.add_flag("--json", line.as_json, "Print JSON");

    auto const on = [&line](CLI::App* command, auto what, auto how) { asks(line, command, what, how); };
    using connection = daemon_connection;
    auto const path = [](std::string const& a, std::string const& id) { return a + percent_encode(id); };

    on(
        app.add_subcommand("status", "Versions, devices, reports, what ends when"),
        [](connection& c) { return c.get("/status"); }, print_status);

    std::string id;
    add_compliance(app, line);

    auto* policies = app.add_subcommand("policies", "What devices are to look like");
    policies->require_subcommand(1);
    add_policies_check(*policies, line);
    add_plan(*policies, line);

    auto* events = app.add_subcommand("events", "Enrollments that failed, and why");
    events->require_subcommand(1);
    on(
        events->add_subcommand("list", "All kept events, newest first"), [](connection& c) { return c.get("/events"); },
        [](json::value const& v) {
            table(rows_of(v), {{"TIME", "eventDateTime"}, {"CATEGORY", "failureCategory"}, {"TYPE", "enrollmentType"},
                                  {"USER", "userId"}, {"REASON", "failureReason"}, {"ID", "id"}});
        });
    auto* event_show = events->add_subcommand("show", "One event");
    event_show->add_option("ID", id, "The event's ID")->required()->check(not_empty());
    on(
        event_show, [&](connection& c) { return c.get(path("/events/", id)); },
        [](json::value const& v) {
            for (auto const& [key, field] : v.as_object())
                fmt::print("{:<28} {}\n", std::string_view(key), show(field));
        });

    add_devices(app, line);
    add_key(app, line);
    add_doctor(app, line);
    add_explain(app, line);
    add_init(app, line);
    add_terms(app, line);
    add_pins(app, line);
    add_tokens(app, line);
    add_ca(app, line);
    add_backup(app, line);

    try {
        app.parse(argc, argv);
    } catch (CLI::Success const& e) {
        return app.exit(e);
    } catch (CLI::ParseError const& e) {
        app.exit(e);
        return 2;
    }
    try {
        return line.run();
    } catch (wrong_usage const& e) {
        fmt::print(stderr, "mdmctl: {}\n", e.what());
        return 2;
    } catch (std::exception const& e) {
        fmt::print(stderr, "mdmctl: {}\n", e.what());
        return 1;
    }
}
