#include <random>

#include "compliance/report.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::compliance;
using namespace std::chrono_literals;
using phase = enum report::phase;

namespace {

time_point const t0 = *parse_rfc3339("2026-03-01T00:00:00Z");
constexpr std::chrono::seconds refresh = 24h;

report due_report() {
    auto r = decided({}, true, false, true, t0);
    r.object_id = "object";
    return r;
}
report after(report const& r, int status, double jitter = 1.0, time_point now = t0) {
    return answered(r, {status, "Code", "Text", {}, {}}, jitter, now, refresh);
}

}  // namespace

TEST_CASE("a decision is due at once where Graph can be told of it", "[compliance]") {
    report const fresh;
    CHECK(decided(fresh, true, false, false, t0).phase == phase::waiting);
    auto const r = decided(decided(fresh, true, false, false, t0), true, false, true, t0 + 1h);
    CHECK(r.phase == phase::due);
    CHECK(r.next_try == t0 + 1h);
}

TEST_CASE("the same decision again changes nothing, another one is due now", "[compliance]") {
    auto const r = GENERATE(after(due_report(), 204), after(due_report(), 400), after(due_report(), 403),
        after(due_report(), 503), after(after(due_report(), 404), 404));
    CAPTURE(name(r.phase), r.error);
    CHECK(decided(r, true, false, true, t0 + 1s) == r);
    auto const changed = decided(r, true, true, true, t0 + 1s);
    CHECK(changed.phase == phase::due);
    CHECK(changed.next_try == t0 + 1s);
    CHECK(changed.attempts == 0);
}

TEST_CASE("what Graph answers decides what comes next", "[compliance]") {
    struct row {
        int status;
        phase next;
        std::chrono::milliseconds in;
    };
    auto const expected = GENERATE(row{204, phase::done, refresh}, row{200, phase::done, refresh},
        row{400, phase::parked, never - t0}, row{401, phase::due, 0ms}, row{403, phase::parked, 1h},
        row{404, phase::due, 0ms}, row{405, phase::parked, 1h}, row{408, phase::due, 1s}, row{409, phase::due, 1s},
        row{412, phase::due, 1s}, row{423, phase::due, 1s}, row{424, phase::due, 1s}, row{429, phase::due, 1s},
        row{500, phase::due, 1s}, row{503, phase::due, 1s}, row{0, phase::due, 1s}, row{302, phase::parked, 1h});
    CAPTURE(expected.status);
    auto const r = after(due_report(), expected.status);
    CHECK(r.phase == expected.next);
    CHECK(r.next_try == t0 + expected.in);
    CHECK(r.error.empty() == (expected.next == phase::done));
    CHECK(r.last_success.has_value() == (expected.next == phase::done));
    CHECK(r.object_id == (expected.status == 404 ? "" : "object"));
}

TEST_CASE("why a report is not done is said in one line", "[compliance]") {
    CHECK(after(due_report(), 403).error == "403 Code: Text");
    CHECK(answered(due_report(), {0, "", "connection refused\nby peer", {}, {}}, 0, t0, refresh).error ==
          "no answer: connection refused\\nby peer");
}

TEST_CASE("a refused token is tried again at once only once", "[compliance]") {
    auto const r = after(after(due_report(), 401), 401);
    CHECK(r.phase == phase::due);
    CHECK(r.next_try == t0 + 2s);
}

TEST_CASE("a device that Graph does not find is looked up again once, then left until the refresh", "[compliance]") {
    auto r = after(due_report(), 404);
    CHECK(r.resolved_again);
    r.object_id = "other";
    r = after(r, 404);
    CHECK(r.phase == phase::parked);
    CHECK(r.next_try == t0 + refresh);
    CHECK(r.object_id.empty());
    CHECK(refreshed(r, refresh, t0 + refresh - 1s) == r);
    r = refreshed(r, refresh, t0 + refresh);
    CHECK(r.phase == phase::due);
    CHECK_FALSE(after(r, 204, 1, t0 + refresh).resolved_again);
}

TEST_CASE("waiting doubles up to five minutes, by chance between half and whole", "[compliance]") {
    auto const jitter = GENERATE(0.0, 0.5, 1.0, -3.0, 7.0);
    auto r = due_report();
    for (int i = 0; i < 40; ++i) {
        r = after(r, 503, jitter);
        auto const whole = std::min<std::chrono::milliseconds>(5min, 1s * (1LL << std::min(i, 20)));
        auto const wait = r.next_try - t0;
        CHECK(wait >= std::max<std::chrono::milliseconds>(1s, whole / 2));
        CHECK(wait <= whole);
    }
}

TEST_CASE("what Graph says about waiting is heeded, within reason", "[compliance]") {
    auto const [said, wait] = GENERATE(table<std::chrono::milliseconds, std::chrono::milliseconds>(
        {{2128ms, 2128ms}, {600s, 600s}, {1000h, 24h}, {0ms, 1s}, {-5s, 1s}}));
    auto const r = answered(due_report(), {429, "", "", said, {}}, 1, t0, refresh);
    CHECK(r.next_try - t0 == wait);
}

TEST_CASE("an answer to an older report leaves the newer one due", "[compliance]") {
    auto const status = GENERATE(204, 400);
    auto const r = decided(due_report(), true, true, true, t0 + 1s);
    auto const got = answered(r, {status, "", "", {}, told{true, false}}, 1, t0 + 2s, refresh);
    CHECK(got.phase == phase::due);
    CHECK(got.next_try <= t0 + 2s);
    CHECK(answered(r, {204, "", "", {}, told{true, true}}, 1, t0 + 2s, refresh).phase == phase::done);
}

TEST_CASE("everything reported is reported again after the refresh", "[compliance]") {
    auto const r = after(due_report(), 204);
    CHECK(refreshed(r, refresh, t0 + refresh - 1s) == r);
    CHECK(refreshed(r, refresh, t0 + refresh).phase == phase::due);
    CHECK(refreshed(after(due_report(), 400), refresh, t0 + 10 * refresh).phase == phase::parked);
    CHECK(refreshed(report{}, refresh, t0 + refresh).phase == phase::waiting);
}

TEST_CASE("the names of phases are read back", "[compliance]") {
    for (auto const p : {phase::waiting, phase::due, phase::done, phase::parked}) CHECK(parse_phase(name(p)) == p);
    CHECK_FALSE(parse_phase(""));
}

TEST_CASE("no report is lost, whatever comes between", "[compliance]") {
    auto const seed = GENERATE(range(1U, 80U));
    CAPTURE(seed);
    std::mt19937 random(seed);
    auto const chance = [&](double p) { return std::uniform_real_distribution<>(0, 1)(random) < p; };
    auto const pick = [&](std::vector<int> const& all) {
        return all[std::uniform_int_distribution<std::size_t>(0, all.size() - 1)(random)];
    };

    report r;
    auto now = t0;
    told wanted;                    // what was decided last
    std::optional<told> graph;      // what Graph holds
    std::optional<told> in_flight;  // what was sent and not answered yet
    bool known = false;
    auto const step = [&](std::vector<int> const& answers) {
        if (in_flight) {
            auto const status = pick(answers);
            if (status == 204) graph = in_flight;
            r = answered(r, {status, "", "", {}, std::exchange(in_flight, std::nullopt)}, 0.5, now, refresh);
        } else if (r.phase == phase::due && r.next_try <= now) {
            in_flight = told{r.is_managed, r.is_compliant};
        }
        // The pair is always the one decided last, and done means that Graph has it.
        if (known) CHECK(told{r.is_managed, r.is_compliant} == wanted);
        if (r.phase == phase::done) CHECK(graph == wanted);
        if (known && graph != wanted) CHECK((r.phase == phase::due || r.phase == phase::parked));
        if (r.phase == phase::due) CHECK(r.next_try <= now + 5min);
    };
    for (int i = 0; i < 300; ++i) {
        now += std::chrono::seconds(pick({0, 1, 30, 600, 90000}));
        if (chance(0.2)) {
            wanted = {chance(0.9), chance(0.5)};
            known = known || chance(0.5);
            r = decided(r, wanted.is_managed, wanted.is_compliant, known, now);
        }
        if (chance(0.3)) r = refreshed(r, refresh, now);
        step({204, 204, 400, 401, 403, 404, 429, 503, 0});
    }
    // Graph is well again, and something changes: within minutes it has the last word.
    wanted = {true, !wanted.is_compliant};
    r = decided(r, wanted.is_managed, wanted.is_compliant, known = true, now);
    for (int i = 0; i < 6; ++i) {
        now += 5min;
        step({204});
    }
    CHECK(r.phase == phase::done);
    CHECK(graph == wanted);
}
