#include "service/wake_queue.hpp"

#include <algorithm>

namespace mdmd::service {
namespace {

constexpr auto longest_pause = std::chrono::hours(2);  // more than a backoff gives

}  // namespace

void wake_queue::insert(entry e) {
    place const at{e.due, ++last_};
    by_device_[e.device_id] = at;
    by_due_.emplace(at, std::move(e));
}

bool wake_queue::add(std::string_view device_id, time_point now) {
    std::string id(device_id);
    if (auto const found = by_device_.find(id); found != by_device_.end()) {
        by_due_.at(found->second).asked = now;
        return true;
    }
    if (by_due_.size() >= most_waiting) return false;
    insert({.device_id = std::move(id), .asked = now, .due = now});
    return true;
}

std::optional<wake_queue::entry> wake_queue::next(time_point now) {
    auto const first = by_due_.begin();
    if (first == by_due_.end() || !has_come(first->second.due, now, longest_pause)) return std::nullopt;
    auto e = std::move(first->second);
    by_due_.erase(first);
    by_device_.erase(e.device_id);
    return e;
}

void wake_queue::put_back(entry e) {
    if (auto const found = by_device_.find(e.device_id); found != by_device_.end()) {
        e.asked = by_due_.at(found->second).asked;
        by_due_.erase(found->second);
    }
    insert(std::move(e));
}

void wake_queue::all_due(time_point now) {
    auto all = std::exchange(by_due_, {});
    for (auto& [at, e] : all) {
        e.due = std::min(e.due, now);
        insert(std::move(e));
    }
}

}  // namespace mdmd::service
