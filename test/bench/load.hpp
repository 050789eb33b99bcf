// Many devices at one server, each over TLS with its own certificate: what a fleet does to it, at little cost of its
// own.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/pki.hpp"

namespace mdmd::bench {

struct device {
    std::string source;       // SyncML's
    std::string certificate;  // DER; empty: none is shown
};

// What a device says: to the last answer of its session (empty: there is none yet), from message 1 on. Nothing: the
// session is over. One thread has the whole session.
using script = std::function<std::optional<std::string>(device const&, int message, std::string_view answer)>;

struct load {
    std::vector<device> devices;
    std::optional<sim::private_key> key;  // of all of them
    std::uint16_t port = 0;
    std::string host, path;
    script says;
    int threads = 32;
    bool tls13 = false;   // else 1.2
    bool resume = false;  // the device's TLS session before, where it has one
    std::chrono::milliseconds length{5'000};
    std::size_t most = 0;  // sessions; 0: as many as there is time for
    double rate = 0;       // sessions a second, begun evenly; 0: as fast as they go
};

struct outcome {
    std::size_t sessions = 0, messages = 0, resumed = 0, failures = 0;
    std::string failure;  // the first one
    double seconds = 0;
    std::vector<float> session_ms;               // with a rate: since it was due
    std::vector<std::string> requests, answers;  // of the first session
    double percentile(double p) const;           // of session_ms
};

// On one processor, so that the server has the other; -1: on all.
outcome run(load const&, int processor = 1);

// So many connections that have carried one message each and stay open with this object.
class held_connections {
public:
    held_connections(load const&, std::size_t count);
    ~held_connections();
    std::size_t count() const { return all_.size(); }

private:
    std::vector<std::unique_ptr<class connection>> all_;
};

}  // namespace mdmd::bench
