// Devices that are to be woken, by when each is due. Not safe for threads.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/backoff.hpp"

namespace mdmd::service {

class wake_queue {
public:
    static constexpr std::size_t most_waiting = 10'000;

    struct entry {
        std::string device_id;
        time_point asked;  // last
        time_point due;
        backoff pauses{std::chrono::seconds(5), std::chrono::minutes(5)};  // of its channel
    };
    // Due at once. One that waits already keeps its place. False: too many wait.
    bool add(std::string_view device_id, time_point now);
    // Takes out the first that is due, of several the one that came first.
    std::optional<entry> next(time_point now);
    // What next() gave waits again, by its `due`; if it was asked for meanwhile, that is the same wish.
    void put_back(entry);
    // Nobody waits any longer for a time to come.
    void all_due(time_point now);

private:
    using place = std::pair<time_point, std::uint64_t>;
    void insert(entry);

    std::map<place, entry> by_due_;
    std::unordered_map<std::string, place> by_device_;
    std::uint64_t last_ = 0;
};

}  // namespace mdmd::service
