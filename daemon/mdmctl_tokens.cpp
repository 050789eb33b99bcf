// mdmctl token: who else may use the administrator's API over HTTP.
#include <memory>

#include "core/text.hpp"
#include "core/time.hpp"
#include "daemon/mdmctl.hpp"

namespace mdmd::ctl {
namespace {

void print_token(json::value const& v) {
    fmt::print("{}\n", show(v.at("token")));
    fmt::print("for {}, role {}, until {}. It is not shown again.\n", show(v.at("name")), show(v.at("role")),
        show(v.at("expires")));
}

std::string check_ttl(std::string& s) {
    using namespace std::chrono_literals;
    auto const d = parse_duration(s);
    return d && *d >= 1s && *d <= std::chrono::days(3650) ? ""
                                                          : "expected a time from 1s to 3650d such as 90d, got " + s;
}

}  // namespace

void add_tokens(CLI::App& app, command_line& line) {
    struct arguments {
        std::string name, role, ttl = "90d";
    };
    auto const a = std::make_shared<arguments>();
    auto const on = [&line](CLI::App* verb, auto what, auto how) { asks(line, verb, what, how); };
    auto* token = app.add_subcommand("token", "Tokens for the API on admin.listen");
    token->require_subcommand(1);
    auto* create = token->add_subcommand("create", "Make a token and print it, once");
    create->add_option("NAME", a->name, "What it is for: letters, digits, dots, dashes, underscores")->required();
    create->add_option("--role", a->role, "reader: may read; operator, admin: may change things too")
        ->required()
        ->check(CLI::IsMember({"reader", "operator", "admin"}));
    create->add_option("--ttl", a->ttl, "How long it is good for, 1s to 3650d")
        ->capture_default_str()
        ->check(CLI::Validator(check_ttl, ""));
    on(
        create,
        [a](daemon_connection& c) {
            return c.post("/tokens",
                json::object{{"name", a->name}, {"role", a->role}, {"ttl_s", parse_duration(a->ttl).value().count()}});
        },
        print_token);
    on(
        token->add_subcommand("list", "The tokens there are, without what is secret of them"),
        [](daemon_connection& c) { return c.get("/tokens"); },
        [](json::value const& v) {
            table(v.at("value").as_array(), {{"ROLE", "role"}, {"CREATED", "created"}, {"EXPIRES", "expires"},
                                                {"LAST USED", "last_used"}, {"NAME", "name"}});
        });
    auto* revoke = token->add_subcommand("revoke", "End a token at once");
    revoke->add_option("NAME", a->name, "The token's name")
        ->required()
        ->check(CLI::Validator(
            [](std::string& s) { return s.empty() ? std::string("expected a name, got nothing") : std::string(); },
            ""));
    on(
        revoke, [a](daemon_connection& c) { return c.remove("/tokens/" + percent_encode(a->name)); },
        [](json::value const& v) { fmt::print("{} is a token no more\n", show(v.at("name"))); });
}

}  // namespace mdmd::ctl
