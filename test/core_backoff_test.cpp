#include <catch2/catch.hpp>

#include "core/backoff.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

time_point const start = from_ms(1'800'000'000'000);
constexpr double middle = 0.5;  // no jitter at all

}  // namespace

TEST_CASE("each failure doubles the wait, up to the longest, for ever", "[core]") {
    backoff wait(10s, 5min);
    for (auto const expected : {10s, 20s, 40s, 80s, 160s, 300s, 300s})
        CHECK(wait.failed(start, middle, std::nullopt) - start == expected);
    for (int i = 0; i < 100'000; ++i)
        if (wait.failed(start, middle, std::nullopt) - start != 5min) FAIL("the wait changed after " << i);
    CHECK(wait.failures() == 100'007);
}

TEST_CASE("a first wait over the longest is the longest", "[core]") {
    backoff wait(10min, 5min);
    CHECK(wait.failed(start, middle, std::nullopt) - start == 5min);
}

TEST_CASE("the longest durations there are do not overflow", "[core]") {
    backoff wait(1ms, std::chrono::hours(24 * 365 * 100));
    for (int i = 0; i < 100; ++i) CHECK(wait.failed(start, 1, std::nullopt) > start);
}

TEST_CASE("jitter makes the wait up to 20 % shorter or longer, whatever it is", "[core]") {
    auto const [jitter, expected] = GENERATE(table<double, std::chrono::milliseconds>(
        {{0.0, 8s}, {0.25, 9s}, {0.5, 10s}, {1.0, 12s}, {-7.0, 8s}, {7.0, 12s}}));
    CAPTURE(jitter);
    backoff wait(10s, 5min);
    CHECK(wait.failed(start, jitter, std::nullopt) - start == expected);
}

TEST_CASE("jitter does not add up", "[core]") {
    backoff wait(10s, 5min);
    for (auto const expected : {12s, 24s, 48s}) CHECK(wait.failed(start, 1, std::nullopt) - start == expected);
}

TEST_CASE("what the server asks for is taken where it is longer, up to an hour", "[core]") {
    auto const [asked, expected] = GENERATE(table<std::chrono::milliseconds, std::chrono::milliseconds>(
        {{-5s, 10s}, {0s, 10s}, {9s, 10s}, {11s, 11s}, {2128ms, 10s}, {1h, 1h}, {24h, 1h}}));
    CAPTURE(asked.count());
    backoff wait(10s, 5min);
    CHECK(wait.failed(start, middle, asked) - start == expected);
}

TEST_CASE("a success starts the waits anew", "[core]") {
    backoff wait(10s, 5min);
    CHECK(wait.failures() == 0);
    wait.failed(start, middle, std::nullopt);
    wait.failed(start, middle, 1h);
    CHECK(wait.failures() == 2);
    wait.succeeded();
    CHECK(wait.failures() == 0);
    CHECK(wait.failed(start, middle, std::nullopt) - start == 10s);
}
