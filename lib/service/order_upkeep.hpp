// What becomes of orders that no session sees to: those that expire, and those that have been over for long.
#pragma once
#include "service/context.hpp"

namespace mdmd::service {

class order_upkeep {
public:
    explicit order_upkeep(context& c) : context_(c) {}

    // Called by the timer. Cancels what was not begun in its time. Once an hour, what is finished is forgotten that is
    // older than 90 days, or has the device's 1000 last ones behind it: a result may have 256 KiB.
    void tick();

private:
    void forget(time_point now);

    context& context_;
    time_point next_look_{};  // at what is finished
};

}  // namespace mdmd::service
