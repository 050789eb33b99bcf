// What a monitoring system is told of this process and of what it keeps.
#pragma once
#include <atomic>
#include <cstdint>
#include <string_view>

#include "core/http_message.hpp"
#include "service/appliance.hpp"

namespace mdmd::daemon {

// The requests of devices that were sent away with 429, as more waited than can be served.
class sent_away {
public:
    // What a device's listener writes itself; where it is because of overload it is counted, and told once a minute.
    // Safe to use by several threads.
    http::response answer(http::request const& head, int status);
    std::uint64_t count() const { return count_; }

private:
    std::atomic<std::uint64_t> count_ = 0;
    std::atomic<std::int64_t> next_warning_ = 0;  // seconds of the steady clock
};

struct sent_away_by_listener {
    sent_away enrollment, management;  // of the public listener, and of that for sessions
};

// Prometheus' text format, version 0.0.4.
http::response metrics(service::appliance&, sent_away_by_listener const&);

}  // namespace mdmd::daemon
