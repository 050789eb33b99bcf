#include "service/order_upkeep.hpp"

#include "core/backoff.hpp"
#include "store/commands.hpp"

namespace mdmd::service {
namespace {

constexpr std::int64_t most_expired_at_once = 500;
constexpr auto kept_for = std::chrono::days(90);
constexpr std::int64_t most_kept = 1000;              // finished ones of a device
constexpr std::int64_t most_forgotten_at_once = 100;  // 25 MiB of results, if each is as long as it may be
constexpr auto between_looks = std::chrono::hours(1);

}  // namespace

void order_upkeep::tick() {
    auto const now = context_.time.now();
    auto const due = context_.db.read([&](store::connection& db) { return store::has_expired_commands(db, now); });
    if (due) context_.db.write([&](store::connection& db) { store::expire_commands(db, now, most_expired_at_once); });
    if (has_come(next_look_, now, between_looks) && !context_.clock_is_doubtful()) forget(now);
}

void order_upkeep::forget(time_point now) {
    auto const ids = context_.db.read([&](store::connection& db) {
        return store::commands_to_forget(db, now - kept_for, most_kept, most_forgotten_at_once);
    });
    if (!ids.empty()) context_.db.write([&](store::connection& db) { store::forget_commands(db, ids); });
    bool const more = static_cast<std::int64_t>(ids.size()) == most_forgotten_at_once;
    next_look_ = more ? now : now + between_looks;
}

}  // namespace mdmd::service
