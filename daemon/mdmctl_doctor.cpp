// mdmctl doctor: is the whole installation as it must be. Works whether or not the daemon runs.
#include <netdb.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "core/text.hpp"
#include "daemon/configuration.hpp"
#include "daemon/mdmctl.hpp"
#include "service/doctor.hpp"
#include "version.hpp"

namespace mdmd::ctl {
namespace {

using namespace std::chrono_literals;
using service::check;
using service::verdict;

constexpr auto patience = 5s;

char const* name(verdict v) {
    switch (v) {
        case verdict::ok: return "ok";
        case verdict::warn: return "warn";
        case verdict::fail: return "fail";
    }
    return "";
}

// All names at once. The system's look-up cannot be interrupted: it is left behind where it takes too long.
std::map<std::string, std::string> look_up(std::vector<std::string> const& names) {
    struct shared {
        std::mutex mutex;
        std::condition_variable change;
        std::map<std::string, std::string> found;
    };
    auto const all = std::make_shared<shared>();
    for (auto const& host : names)
        std::thread([all, host] {
            addrinfo wanted{};
            wanted.ai_socktype = SOCK_STREAM;
            addrinfo* got = nullptr;
            int const code = ::getaddrinfo(host.c_str(), nullptr, &wanted, &got);
            if (got) ::freeaddrinfo(got);
            std::scoped_lock const lock(all->mutex);
            all->found[host] = code == 0 ? "" : ::gai_strerror(code);
            all->change.notify_all();
        }).detach();
    std::unique_lock lock(all->mutex);
    all->change.wait_for(lock, patience, [&] { return all->found.size() == names.size(); });
    auto out = all->found;
    for (auto const& host : names) out.try_emplace(host, "the name servers do not answer");
    return out;
}

result<service::daemon_answer> ask_daemon(std::filesystem::path const& socket) {
    http::client client({.unix_socket = socket});
    auto const got = client.send(
        {.method = "GET", .url = "http://localhost/status", .headers = {}, .body = {}, .timeout = patience});
    if (!got) return fail(errc::unavailable, fmt::format("mdmd does not answer at {}", socket.string()));
    boost::system::error_code bad;
    auto const value = json::parse(got->body, bad);
    auto const text = [](json::value const* v) { return v && v->is_string() ? std::string(v->as_string()) : ""; };
    if (bad || got->status != 200 || !value.is_object())
        return fail(errc::unavailable, fmt::format("what answers at {} is not mdmd", socket.string()));
    auto const& o = value.as_object();
    auto const* report = o.if_contains("report");
    return service::daemon_answer{text(o.if_contains("version")),
        text(report && report->is_object() ? report->as_object().if_contains("last_error") : nullptr)};
}

std::string remedy_of(config::problem const& p) {
    if (p.line == 0 && p.key.empty()) return "Write it with `mdmctl init`, or name it with --config.";
    if (p.text.find("systemd credential 'entra-key', got none") != p.text.npos)
        return "Give the key; where it is a systemd credential, run `mdmctl doctor` as root while mdmd runs.";
    return "Correct it as docs/settings.md says, then reload mdmd.";
}

// "expected …, got mode 0644 (chmod 640 FILE)", as the configuration says it of a key file.
std::optional<std::string> chmod_of(std::string_view text) {
    auto const at = text.find("(chmod ");
    if (at == text.npos) return std::nullopt;
    auto const command = text.substr(at + 1);
    return std::string(command.substr(0, command.find(')')));
}

std::vector<check> diagnose(command_line const& line) {
    std::vector<check> all;
    auto const loaded = daemon::load_configuration(line.config_file, daemon::environment_of_service());
    for (auto const& p : loaded.problems) {
        auto const command = chmod_of(p.text);
        all.push_back({"config", verdict::fail, p.line_text(), command ? *command : remedy_of(p)});
        if (command) all.push_back({"file_modes", verdict::fail, p.key + ": " + p.text, *command});
    }
    if (!loaded.problems.empty()) {
        all.push_back(
            {"skipped", verdict::warn, "the other checks take a configuration without mistakes, and were not made",
                "Correct the configuration, then run `mdmctl doctor` again."});
        return all;
    }
    auto const& s = loaded.value->settings;
    for (auto const& w : loaded.warnings)
        all.push_back({"config", verdict::warn, w.line_text(),
            w.file.filename() == s.file.filename() ? "See docs/settings.md for the place where it is better kept."
                                                   : "See docs/policies.md."});
    for (auto const& p : loaded.refusable)
        all.push_back({"config", verdict::warn, p.line_text(), "Devices would refuse it: see docs/policies.md."});
    if (loaded.warnings.empty() && loaded.refusable.empty())
        all.push_back({"config", verdict::ok, s.file.string() + " is without mistakes", ""});
    system_clock const time;
    auto const rest = service::examine(s,
        {.time = time,
            .out = daemon::way_out(s, {}),
            .look_up = look_up,
            .daemon =
                [&] { return ask_daemon(line.socket.empty() ? s.admin.socket : std::filesystem::path(line.socket)); },
            .version = MDMD_VERSION,
            .trusted_pem = ""});
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
}

int doctor(command_line const& line) {
    ::prctl(PR_SET_DUMPABLE, 0);  // keys are in this process's memory: it leaves no core behind
    auto const all = diagnose(line);
    json::array rows;
    bool failed = false;
    for (auto const& c : all) {
        failed = failed || c.result == verdict::fail;
        auto const detail = printable(c.detail, 2048), remedy = printable(c.remedy, 2048);
        if (line.as_json) {
            rows.push_back(json::object{{"name", c.name}, {"result", name(c.result)}, {"detail", detail},
                {"remedy", remedy.empty() ? json::value(nullptr) : json::value(remedy)}});
            continue;
        }
        fmt::print("{:<4}  {:<15}  {}\n", name(c.result), c.name, detail);
        if (!remedy.empty()) fmt::print("      {}\n", remedy);
    }
    if (line.as_json) fmt::print("{}\n", json::serialize(json::object{{"checks", std::move(rows)}}));
    std::fflush(stdout);
    return failed ? 1 : 0;
}

}  // namespace

void add_doctor(CLI::App& app, command_line& line) {
    app.add_subcommand("doctor", "Check the whole installation; exit code 1 where something fails")->callback([&line] {
        line.run = [&line] { return doctor(line); };
    });
}

}  // namespace mdmd::ctl
