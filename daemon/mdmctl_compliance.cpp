// mdmctl compliance: what devices are, why, since when, and what Entra was told of it.
#include <algorithm>

#include "core/text.hpp"
#include "core/time.hpp"
#include "daemon/mdmctl.hpp"

namespace mdmd::ctl {
namespace {

// "baseline: encryption: wanted required, found 0 (not encrypted), since …"
void print_reason(json::object const& r, std::string_view indent) {
    auto const policy = r.at("policy").is_null() ? std::string() : show(r, "policy") + ": ";
    auto const rule = show(r, "rule") == "uri" ? show(r, "uri") : show(r, "rule");
    fmt::print("{}{}{}: wanted {}, found {}", indent, policy, rule, show(r, "wanted"), show(r, "found"));
    if (show(r, "result") != "failed") fmt::print(" [{}]", show(r, "result"));
    if (!r.at("since").is_null()) fmt::print(", since {}", show(r, "since"));
    fmt::print("\n");
}

void print_summary(json::object const& o) {
    fmt::print("{}  {} since {}{}  report: {}\n", show(o, "device"), show(o, "state"), show(o, "since"),
        o.at("grace_until").is_null() ? "" : ", grace until " + show(o, "grace_until"),
        show(o.at("reported").as_object(), "state"));
}

void print_not_reported(json::object const& o) {
    if (auto const& reported = o.at("reported").as_object(); !reported.at("error").is_null())
        fmt::print("    not reported: {}\n", show(reported, "error"));
}

void print_list(json::value const& v) {
    for (auto const& row : rows_of(v)) {
        auto const& o = row.as_object();
        print_summary(o);
        for (auto const& r : o.at("reasons").as_array()) print_reason(r.as_object(), "    ");
        print_not_reported(o);
    }
}

void print_details(json::value const& v) {
    auto const& o = v.as_object();
    print_summary(o);
    print_not_reported(o);
    fmt::print("last seen {}, judged again at the latest {}\n", show(o, "last_seen"), show(o, "next_check"));
    for (auto const& f : o.at("failing").as_array())
        fmt::print("policy {} is not kept since {}\n", show(f.at("policy")), show(f.at("since")));
    for (auto const& a : o.at("actions").as_array())
        fmt::print("policy {} has led to: {}\n", show(a.at("policy")), show(a.at("action")));
    for (auto const& r : o.at("reasons").as_array())
        if (r.at("policy").is_null()) print_reason(r.as_object(), "");
    if (o.at("rules").as_array().empty()) fmt::print("no policy with rules is for this device\n");
    for (auto const& r : o.at("rules").as_array())
        print_reason(r.as_object(), fmt::format("{:<15}", show(r.as_object(), "result")));
}

void print_history(json::value const& v) {
    for (auto const& row : rows_of(v)) {
        auto const& o = row.as_object();
        if (show(o, "what") == "report") {
            fmt::print("{}  Entra was told of {}: managed {}, compliant {}: {}\n", show(o, "at"), show(o, "decided"),
                show(o, "is_managed"), show(o, "is_compliant"), show(o, "result"));
            continue;
        }
        fmt::print("{}  {}\n", show(o, "at"), show(o, "state"));
        for (auto const& r : o.at("reasons").as_array()) print_reason(r.as_object(), "    ");
    }
}

void print_report(json::value const& v) {
    auto const& o = v.as_object();
    fmt::print("{} sent, {} failed, {} queued\n", show(o, "sent"), show(o, "failed"), show(o, "queued"));
    for (auto const& row : o.at("waiting").as_array()) {
        auto const& w = row.as_object();
        fmt::print("    {} {}\n", show(w, "reports"), show(w, "why"));
    }
    if (!o.at("held_up").is_null()) fmt::print("{}\n", show(o, "held_up"));
}

constexpr std::array states{"compliant", "inGracePeriod", "noncompliant", "unknown", "conflict", "error"};

void add_link(CLI::App& compliance, command_line& line) {
    struct options {
        std::string id;
        std::string ttl = "7d";
    };
    auto const given = std::make_shared<options>();
    auto* link = compliance.add_subcommand("link", "Print a link that shows a device's user what is wrong with it");
    link->add_option("ID", given->id, "Device ID, Entra device ID or unique name")
        ->required()
        ->check([](std::string const& s) { return s.empty() ? "expected an ID, got nothing" : std::string(); });
    link->add_option("--ttl", given->ttl, "How long the link is good: 1s to 90d")
        ->capture_default_str()
        ->check([](std::string const& s) {
            return parse_duration(s) ? std::string() : "expected a duration such as 7d, got '" + s + "'";
        });
    link->callback([&line, given] {
        line.run = [&line, given] {
            auto const seconds = parse_duration(given->ttl).value().count();
            auto const got = line.daemon().post("/compliance/links", {{"device", given->id}, {"ttl_s", seconds}});
            if (line.as_json)
                fmt::print("{}\n", json::serialize(got));
            else
                fmt::print(
                    "{}\nshows {} until {}\n", show(got.at("url")), show(got.at("device")), show(got.at("expires")));
            return 0;
        };
    });
}

}  // namespace

void add_compliance(CLI::App& app, command_line& line) {
    auto* compliance = app.add_subcommand("compliance", "Compliance states and their reports to Entra");
    compliance->require_subcommand(1);
    struct options {
        std::string id;
        std::vector<std::string> states;
    };
    auto const given = std::make_shared<options>();

    auto* list = compliance->add_subcommand("list", "Each device's state with its reasons");
    list->add_option("--state", given->states, "Only devices in this state; may be given more than once")
        ->check(CLI::IsMember(std::vector<std::string>(states.begin(), states.end())));
    asks(
        line, list,
        [given](daemon_connection& c) {
            auto got = c.get("/compliance");
            if (given->states.empty()) return got;
            auto& rows = got.at("value").as_array();
            rows.erase(std::remove_if(rows.begin(), rows.end(),
                           [&](json::value const& row) {
                               return std::find(given->states.begin(), given->states.end(), show(row.at("state"))) ==
                                      given->states.end();
                           }),
                rows.end());
            return got;
        },
        print_list);

    auto const of_one = [&](char const* name, char const* what, char const* address, auto print) {
        auto* verb = compliance->add_subcommand(name, what);
        verb->add_option("ID", given->id, "Device ID, Entra device ID or unique name")->required()->check(not_empty());
        asks(
            line, verb,
            [given, address](daemon_connection& c) {
                return c.get(fmt::format("/devices/{}/{}", percent_encode(given->id), address));
            },
            print);
    };
    of_one("show", "A device's state, and every rule with what was found", "compliance", print_details);
    of_one("history", "How a device's state changed and what Entra was told of it, oldest first", "compliance/history",
        print_history);

    asks(
        line, compliance->add_subcommand("report", "Report to Entra now"),
        [](daemon_connection& c) { return c.post("/compliance/report", json::object{}); }, print_report);
    add_link(*compliance, line);
}

}  // namespace mdmd::ctl
