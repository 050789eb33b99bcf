// A clock that was set, told from one that runs.
#pragma once
#include <chrono>
#include <optional>
#include <utility>

#include "core/time.hpp"

namespace mdmd {

class clock_watch {
public:
    // Slewing by NTP and a busy machine stay below this.
    static constexpr std::chrono::milliseconds tolerance = std::chrono::seconds(5);

    // What a clock shows, and its running(), read together. How far it was set since the call before, forward or,
    // negative, back; none where it ran as it should.
    std::optional<std::chrono::milliseconds> moved(time_point shown, std::chrono::milliseconds running) {
        auto const start = shown - running;
        auto const before = std::exchange(start_, start);
        if (!before || std::chrono::abs(start - *before) <= tolerance) return std::nullopt;
        return start - *before;
    }

private:
    std::optional<time_point> start_;  // what the clock would have shown when running() began
};

}  // namespace mdmd
