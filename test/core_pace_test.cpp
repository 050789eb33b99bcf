#include <deque>
#include <random>

#include "core/pace.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

TEST_CASE("so much is given in one go, and then so much a second", "[core]") {
    pace p{10, 100};
    auto const t0 = from_ms(1'800'000'000'000);
    for (int i = 0; i < 5; ++i) CHECK(p.take(20, t0));
    CHECK_FALSE(p.take(1, t0));
    CHECK_FALSE(p.take(20, t0 + 1s));  // all or none…
    CHECK(p.take(10, t0 + 1s));        // …and none is not taken
    CHECK_FALSE(p.take(20, t0 + 2900ms));
    CHECK(p.take(20, t0 + 3s));
    CHECK(p.take(100, t0 + 24h));
    CHECK_FALSE(p.take(1, t0 + 24h));
}

TEST_CASE("a clock that is set back gives nothing, and then goes on", "[core]") {
    pace p{10, 100};
    auto const t0 = from_ms(1'800'000'000'000);
    CHECK(p.take(100, t0));
    CHECK_FALSE(p.take(1, t0 - 1h));
    CHECK(p.take(10, t0 - 1h + 1s));
}

TEST_CASE("no 150 seconds see more than Graph allows, however greedy the caller", "[core]") {
    auto const seed = GENERATE(range(1U, 20U));
    CAPTURE(seed);
    std::mt19937 random(seed);
    pace p{10, 100};
    auto now = from_ms(1'800'000'000'000);
    std::deque<std::pair<time_point, std::size_t>> given;
    std::size_t sum = 0, most = 0;
    for (int i = 0; i < 5000; ++i) {
        now += std::chrono::milliseconds(std::uniform_int_distribution<>(0, 3000)(random));
        auto const many = std::uniform_int_distribution<std::size_t>(1, 20)(random);
        while (p.take(many, now)) {
            given.emplace_back(now, many);
            sum += many;
        }
        while (!given.empty() && given.front().first < now - 150s) {
            sum -= given.front().second;
            given.pop_front();
        }
        most = std::max(most, sum);
    }
    CHECK(most <= 1600);
    CHECK(most > 1400);
}
