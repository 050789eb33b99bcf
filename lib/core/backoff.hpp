#pragma once
#include <algorithm>
#include <chrono>
#include <optional>

#include "core/time.hpp"

namespace mdmd {

// Has the time that was planned come? A plan that is further off than any plan can be was made before the clock was set
// back: it has come too.
inline bool has_come(time_point planned, time_point now, std::chrono::milliseconds longest) {
    return now >= planned || planned - now > longest;
}

// How long to leave a server alone that failed: `first`, then twice as long each time up to `longest`, each give or
// take 20 % so that many callers do not come back at once. What the server asks for (Retry-After) is taken where it
// is longer, up to an hour.
class backoff {
public:
    // Both over 0.
    backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest) : first_(first), longest_(longest) {}

    // When to try again. `jitter` is random, 0..1: 0 is 20 % less, 1 is 20 % more.
    time_point failed(time_point now, double jitter, std::optional<std::chrono::milliseconds> retry_after) {
        constexpr std::chrono::milliseconds longest_asked = std::chrono::hours(1);
        next_ = failures_ == 0 ? std::min(first_, longest_) : next_ < longest_ - next_ ? next_ * 2 : longest_;
        if (failures_ < most_counted) ++failures_;
        auto const factor = 0.8 + 0.4 * std::clamp(jitter, 0.0, 1.0);
        auto const own =
            std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double, std::milli>(next_) * factor);
        return now + (retry_after ? std::max(own, std::min(*retry_after, longest_asked)) : own);
    }
    void succeeded() { failures_ = 0; }
    int failures() const { return failures_; }  // since the last success

private:
    static constexpr int most_counted = 1'000'000;

    std::chrono::milliseconds first_;
    std::chrono::milliseconds longest_;
    std::chrono::milliseconds next_{};  // what the last failure led to, before jitter
    int failures_ = 0;
};

}  // namespace mdmd
