// What the administrator is told by a program (notify.command) and a web hook (notify.webhook).
#pragma once
#include <stop_token>
#include <string>
#include <string_view>

#include "service/context.hpp"
#include "store/notices.hpp"

namespace mdmd::service {

// To whom something is still to be told, and when that is tried next.
struct owed {
    bool to_command = false, to_webhook = false;
    std::int64_t attempts = 0;
    time_point next_try;
    std::string error;  // of the last try; empty: none
    bool any() const { return to_command || to_webhook; }
};
// Owed to whoever the settings name, now.
owed owed_to_all(config::settings const&, time_point now);
// Tries once what is owed, 30 s at most for each. What cannot be delivered is tried again after 10 s, doubling to an
// hour; nobody is owed anything whom the settings do not name any more. A stop leaves `owed` as it was.
owed deliver(context&, std::string const& body, owed, std::stop_token);

// Notices of single events, each delivered once, over restarts too.
class notices {
public:
    explicit notices(context& c) : context_(c) {}

    // Within a write of the caller's. `body`: one JSON object. Nothing is kept where nobody is to be told.
    static void put(store::connection&, config::settings const&, std::string body, time_point now);
    // Called by a timer of its own, since a program may take its time.
    void deliver();
    void stop() { stop_.request_stop(); }  // what is being delivered is given up

private:
    context& context_;
    std::stop_source stop_;
};

}  // namespace mdmd::service
