// What the verbs of mdmctl share: the options of all of them, the way to the daemon, printing.
#pragma once
#include <fmt/format.h>
#include <boost/json.hpp>
#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

#include "http/client.hpp"

namespace mdmd::ctl {

namespace json = boost::json;

// What ends the program with exit code 1 and one line on standard error.
struct refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What ends it with exit code 2.
struct wrong_usage : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class daemon_connection {
public:
    explicit daemon_connection(std::filesystem::path socket);
    // Throw `refused` where the daemon does not answer, or answers with an error.
    json::value get(std::string const& path) { return ask("GET", path, ""); }
    json::value post(std::string const& path, json::value const& body) {
        return ask("POST", path, json::serialize(body));
    }
    json::value remove(std::string const& path) { return ask("DELETE", path, ""); }

private:
    json::value ask(std::string const& method, std::string const& path, std::string body);

    std::filesystem::path socket_;
    http::client client_;
};

// The options of every verb, and what the chosen one does: it returns the exit code.
struct command_line {
    std::string config_file = "/etc/mdmd/config.yaml";
    std::string socket;
    bool as_json = false;
    std::function<int()> run;

    daemon_connection daemon() const;  // throws `refused` where the configuration does not name its socket
};

// A verb that asks the daemon and prints the answer.
void asks(command_line&, CLI::App* verb, std::function<json::value(daemon_connection&)> what,
    std::function<void(json::value const&)> how);
// An empty argument is most often a script's variable that is not set.
CLI::Validator not_empty();

void add_devices(CLI::App&, command_line&);  // devices, commands, trace
void add_plan(CLI::App& policies, command_line&);
void add_key(CLI::App&, command_line&);
void add_doctor(CLI::App&, command_line&);
void add_explain(CLI::App&, command_line&);
void add_init(CLI::App&, command_line&);
void add_terms(CLI::App&, command_line&);
void add_ca(CLI::App&, command_line&);
void add_pins(CLI::App&, command_line&);  // pin, consents, maintenance
void add_tokens(CLI::App&, command_line&);
void add_policies_check(CLI::App& policies, command_line&);
void add_compliance(CLI::App&, command_line&);
void add_backup(CLI::App&, command_line&);  // backup, restore

// One line's worth of a value: "-" for null.
std::string show(json::value const&);
std::string show(json::object const&, std::string_view key);
// "ends 2027-06-30T00:00:00Z (9 days left)" of an object with `ends` and `days_left`.
std::string show_end(json::object const&);
json::array const& rows_of(json::value const&);  // of a list
void table(json::array const& rows, std::initializer_list<std::pair<char const*, char const*>> columns);

}  // namespace mdmd::ctl
