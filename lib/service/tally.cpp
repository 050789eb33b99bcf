#include "service/tally.hpp"

#include "store/commands.hpp"
#include "store/management.hpp"

namespace mdmd::service {
namespace {

constexpr std::chrono::seconds kept{15};

}  // namespace

tally::counts tally::now() {
    std::scoped_lock const lock(mutex_);
    auto const now = context_.time.now();
    if (!last_ || now < counted_ || now - counted_ >= kept) {
        last_ = count();
        counted_ = now;
    }
    return *last_;
}

// A state that nothing is in is 0, not missing.
tally::counts tally::count() {
    counts c{.commands = {{"queued", 0}, {"sent", 0}, {"failed", 0}},
        .settings = {{"pending", 0}, {"applied", 0}, {"failed", 0}, {"removing", 0}, {"removal_failed", 0},
            {"not_applicable", 0}}};
    context_.db.read([&](store::connection& db) {
        for (auto& [state, number] : c.commands) number = store::count_commands(db, state);
        for (auto const& [state, number] : store::count_settings(db)) c.settings[state] = number;
    });
    return c;
}

}  // namespace mdmd::service
