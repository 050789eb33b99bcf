// How many commands and settings there are in each state: what an administrator's monitoring watches.
#pragma once
#include <map>
#include <mutex>
#include <optional>

#include "service/context.hpp"

namespace mdmd::service {

class tally {
public:
    explicit tally(context& c) : context_(c) {}

    struct counts {
        std::map<std::string, std::int64_t> commands;  // "queued", "sent", "failed"
        std::map<std::string, std::int64_t>
            settings;  // "pending", "applied", "failed", "removing", "removal_failed", "not_applicable"
    };
    // Counted at most once in 15 s, however often it is asked: counting reads every setting of every enrolled device.
    counts now();

private:
    counts count();

    context& context_;
    std::mutex mutex_;
    std::optional<counts> last_;
    time_point counted_;
};

}  // namespace mdmd::service
