// The power goes off at any moment: what was promised is kept.
#include <random>

#include "e2e/promises.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

TEST_CASE("kill -9 at any moment loses no command, no result and no device that was acknowledged", "[e2e]") {
    e2e::world w(e2e::settings{{"enrollment.max_devices_per_user", "1000"}});
    auto const seed = std::random_device{}();
    CAPTURE(seed);
    std::minstd_rand random(seed);
    w.app->start();
    e2e::mixed_load load(w, 2000);
    auto const until = std::chrono::steady_clock::now() + 40s;
    int rounds = 0;
    // On a busy machine it takes more rounds until a device gets through.
    for (; rounds < 15 && (rounds < 5 || load.taken().enrolled.size() < 2 || std::chrono::steady_clock::now() < until);
         ++rounds) {
        CAPTURE(rounds);
        {
            e2e::mixed_load::work const work(load);
            std::this_thread::sleep_for(std::chrono::milliseconds(50 + random() % 900));
            w.app->kill9();
        }
        w.app->start();
        auto const lost = load.missing(load.taken());
        CHECK(lost.commands == 0);
        CHECK(lost.results == 0);
        CHECK(lost.devices == 0);
        // The device goes on where it was.
        e2e::require_clean(load.sync());
    }
    CHECK(rounds >= 5);
    auto const p = load.taken();
    CHECK_FALSE(p.told.empty());
    CHECK(p.queued.size() >= 20);
    CHECK(p.enrolled.size() >= 2);
    load.check_all_served();
    CHECK(w.app->stop() == 0);
}
