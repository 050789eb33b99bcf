// Is the whole installation as it must be: checks over the settings, the files of this machine, and what Entra, Graph
// and the daemon answer. Nothing here depends on a running daemon, and nothing is changed.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "core/http_message.hpp"
#include "core/time.hpp"

namespace mdmd::service {

enum class verdict { ok, warn, fail };

struct check {
    std::string name;  // "tls_certificate": one of a kind, and the same for ever
    verdict result = verdict::ok;
    std::string detail;  // one line; never a secret
    std::string remedy;  // what to do; empty exactly where the result is ok
};

// What a running daemon says of itself.
struct daemon_answer {
    std::string version;
    std::string last_error;  // of its reports to Graph; empty: none
};

struct surroundings {
    clock const& time;
    http::transport out;  // to login and Graph, by the proxy where there is one
    // For each of the names why it has no address; empty where it has one. Answers within a few seconds.
    std::function<std::map<std::string, std::string>(std::vector<std::string> const&)> look_up;
    std::function<result<daemon_answer>()> daemon;
    std::string version;       // of this program
    std::string trusted_pem;   // roots besides the system's, which Windows is taken to trust too
    bool system_roots = true;  // likewise
};

// All checks that take a configuration without mistakes, in the order in which they are best read. Every call to
// another machine is limited to five seconds; what cannot work since something before it failed is not tried.
[[nodiscard]] std::vector<check> examine(config::settings const&, surroundings const&);

// Of free and all bytes of a disk.
verdict judge_space(std::uint64_t free, std::uint64_t all);
// Of the clock that is ahead by so much, or behind.
verdict judge_clock(std::chrono::milliseconds ahead);

}  // namespace mdmd::service
