// Reminds the administrator of what ends: in the journal, by a program, by a web hook.
#pragma once
#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "service/context.hpp"
#include "service/expiry.hpp"
#include "store/entra.hpp"

namespace mdmd::service {

// The smallest of the thresholds (before the end) that has been reached; 0 s where the end itself has. nullopt: none.
std::optional<std::chrono::seconds> threshold_reached(
    std::vector<std::chrono::seconds> const& thresholds, time_point ends, time_point now);

// What is told, as the one JSON object that programs and web hooks get:
// {"event":"expiry","what","days_left","ends","message","renew","docs"}.
struct notice {
    std::string what;
    std::int64_t days_left = 0;  // whole days; negative after the end
    time_point ends;
    std::string message;  // "The application's key ends in 9 days, on 2027-06-30."
    std::string renew;    // what to do
    std::string docs;     // where that is described
};
notice notice_of(std::string const& what, time_point ends, time_point now);
std::string as_json(notice const&);

class reminders {
public:
    reminders(context& c, expiries const& e) : context_(c), expiries_(e) {}

    // Called by a timer. Each threshold of key_reminders, and the end, is told once, whatever restarts there are; of
    // several thresholds that were reached meanwhile only the smallest.
    void tick();
    // Called by a timer of its own, since a program may take its time. What cannot be delivered is tried again after
    // 10 s, doubling to an hour.
    void deliver();
    void stop() { stop_.request_stop(); }  // what is being delivered is given up

    std::vector<store::reminder> list() const;  // those that have been told, by end

private:
    void tell(expiry const&, std::chrono::seconds threshold, time_point now);
    void deliver(store::reminder const&);

    context& context_;
    expiries const& expiries_;
    std::stop_source stop_;
};

}  // namespace mdmd::service
