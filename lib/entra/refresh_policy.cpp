#include <algorithm>

#include "entra/token.hpp"

namespace mdmd::entra {
namespace {

using namespace std::chrono_literals;

constexpr auto shortest_wait = 54min;  // an hour less 10 %
constexpr auto longest_wait = 66min;   // an hour and 10 %
constexpr auto forced_pause = 5min;

}  // namespace

bool refresh_policy::due(time_point now) const {
    // A plan further off than any we make was made before the clock was set back.
    return !next_ || now >= *next_ || *next_ - now > longest_wait;
}

bool refresh_policy::unknown_kid_allows(time_point now) {
    if (last_forced_ && now >= *last_forced_ && now - *last_forced_ < forced_pause) return false;
    last_forced_ = now;
    return true;
}

void refresh_policy::succeeded(time_point now, double jitter) {
    auto const spread = std::chrono::duration<double, std::milli>(longest_wait - shortest_wait);
    retries_.succeeded();
    next_ = now + shortest_wait + std::chrono::floor<std::chrono::milliseconds>(spread * std::clamp(jitter, 0.0, 1.0));
}

void refresh_policy::failed(time_point now, double jitter, std::optional<std::chrono::milliseconds> retry_after) {
    next_ = retries_.failed(now, jitter, retry_after);
}

}  // namespace mdmd::entra
