#include "core/clock_watch.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

TEST_CASE("a clock that is set is told from one that runs, is slewed, or slept", "[core]") {
    struct step {
        char const* what;
        std::chrono::milliseconds clock, machine, moved;  // 0: not
    };
    for (auto const& s : {
             step{"a second", 1s, 1s, 0ms},
             step{"a busy machine", 90s, 90s, 0ms},
             step{"slewed", 1000ms, 1001ms, 0ms},
             step{"a night's sleep", 8h, 8h, 0ms},
             step{"set forward", 1s + 1h, 1s, 1h},
             step{"set back", 1s - 24h, 1s, -24h},
             step{"as much as slewing might", 6s, 1s, 0ms},
             step{"a little more", 6001ms, 1s, 5001ms},
         }) {
        CAPTURE(s.what);
        clock_watch watch;
        auto const t0 = from_ms(1'800'000'000'000);
        CHECK_FALSE(watch.moved(t0, 100s));
        CHECK(watch.moved(t0 + s.clock, 100s + s.machine).value_or(0ms) == s.moved);
        // It is told once.
        CHECK_FALSE(watch.moved(t0 + s.clock + 1s, 100s + s.machine + 1s));
    }
}

TEST_CASE("the machine's own time goes on", "[core]") { CHECK(system_clock().running() > 0ms); }
