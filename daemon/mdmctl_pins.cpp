// mdmctl pin, consents and maintenance: who may enroll now, and who agreed to what.
#include <array>
#include <memory>
#include <vector>

#include "core/text.hpp"
#include "core/time.hpp"
#include "daemon/mdmctl.hpp"

namespace mdmd::ctl {
namespace {

// As a cell of RFC 4180. A text that a spreadsheet would take for a formula is kept from being one by an apostrophe.
std::string cell(json::value const& v) {
    if (v.is_null()) return "";
    auto text = v.is_string() ? std::string(v.as_string()) : json::serialize(v);
    if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos) text.insert(0, "'");
    if (text.find_first_of(",\"\r\n") == text.npos) return text;
    std::string out = "\"";
    for (char const c : text) out.append(c == '"' ? 2 : 1, c);
    return out + "\"";
}

void print_csv(json::value const& v) {
    constexpr std::array columns{
        "user", "user_id", "version", "language", "ownership", "accepted", "client_request_id", "device_id", "used"};
    fmt::print("{}\r\n", fmt::join(columns, ","));
    for (auto const& row : rows_of(v)) {
        std::vector<std::string> cells;
        for (auto const* name : columns) cells.push_back(cell(row.at(name)));
        fmt::print("{}\r\n", fmt::join(cells, ","));
    }
}

void print_pin(json::value const& v) {
    fmt::print("{}\n", show(v.at("pin")));
    fmt::print("for {}, until {}. It is not shown again; five wrong tries lock it.\n", show(v.at("upn")),
        show(v.at("expires")));
}

std::string check_ttl(std::string& s) {
    using namespace std::chrono_literals;
    auto const d = parse_duration(s);
    return d && *d >= 1s && *d <= std::chrono::days(30) ? "" : "expected a time from 1s to 30d such as 1h, got " + s;
}

std::string check_upn(std::string& s) {
    return s.find('@') != s.npos ? "" : "expected a UPN such as user@contoso.com, got " + (s.empty() ? "nothing" : s);
}

}  // namespace

void add_pins(CLI::App& app, command_line& line) {
    struct arguments {
        std::string upn, ttl = "1h", user, state;
        bool csv = false;
    };
    auto const a = std::make_shared<arguments>();
    auto const on = [&line](CLI::App* verb, auto ask, auto print) { asks(line, verb, ask, print); };

    auto* pin = app.add_subcommand("pin", "One-time PINs, which terms.pin asks for");
    pin->require_subcommand(1);
    auto* create = pin->add_subcommand("create", "Make a PIN for a user; the one the user had ends");
    create->add_option("UPN", a->upn, "user@contoso.com")->required()->check(CLI::Validator(check_upn, ""));
    create->add_option("--ttl", a->ttl, "How long it is good for, 1s to 30d")
        ->capture_default_str()
        ->check(CLI::Validator(check_ttl, ""));
    on(
        create,
        [a](daemon_connection& c) {
            return c.post("/pins", json::object{{"upn", a->upn}, {"ttl_s", parse_duration(a->ttl).value().count()}});
        },
        print_pin);
    on(
        pin->add_subcommand("list", "Users with a PIN, and what became of it"),
        [](daemon_connection& c) { return c.get("/pins"); },
        [](json::value const& v) {
            table(rows_of(v), {{"STATE", "state"}, {"TRIES", "tries"}, {"EXPIRES", "expires"}, {"USER", "upn"}});
        });
    auto* revoke = pin->add_subcommand("revoke", "Take a user's PIN away");
    revoke->add_option("UPN", a->upn, "user@contoso.com")->required()->check(CLI::Validator(check_upn, ""));
    on(
        revoke, [a](daemon_connection& c) { return c.remove("/pins/" + percent_encode(a->upn)); },
        [](json::value const& v) { fmt::print("{} has no PIN any more\n", show(v.at("upn"))); });

    auto* consents = app.add_subcommand("consents", "Who accepted which Terms of Use, and when");
    consents->require_subcommand(1);
    auto* list = consents->add_subcommand("list", "All that is kept, newest first");
    list->add_option("--user", a->user, "Those of one user: UPN or object ID");
    list->add_flag("--csv", a->csv, "Print CSV (RFC 4180)");
    on(
        list,
        [a](daemon_connection& c) {
            return c.get(a->user.empty() ? "/consents" : "/consents?user=" + percent_encode(a->user));
        },
        [a](json::value const& v) {
            if (a->csv) return print_csv(v);
            table(rows_of(v),
                {{"ACCEPTED", "accepted"}, {"USER", "user"}, {"OWNERSHIP", "ownership"}, {"VERSION", "version"},
                    {"LANGUAGE", "language"}, {"USED", "used"}, {"DEVICE", "device_id"}});
        });

    auto* maintenance = app.add_subcommand("maintenance", "Let no device enroll for a while");
    maintenance->add_option("STATE", a->state, "on or off")->required()->check(CLI::IsMember({"on", "off"}));
    on(
        maintenance,
        [a](daemon_connection& c) {
            return c.post("/maintenance", json::object{{"maintenance", a->state == "on"}});
        },
        [](json::value const& v) {
            fmt::print("{}\n", v.at("maintenance") == true
                                   ? "Maintenance is on: no device enrolls; enrolled ones are managed."
                                   : "Maintenance is off.");
        });
}

}  // namespace mdmd::ctl
