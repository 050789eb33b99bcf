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

report due_report() { return found(decided({}, true, false, true, t0), "object"); }
graph_answer status_of(int status) { return {status, "Code", "Text", {}}; }
report after(report const& r, int status, double jitter = 1.0, time_point now = t0) {
    return answered(r, r.revision, status_of(status), jitter, now, refresh);
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
    CHECK(changed.error.empty());
    CHECK(changed.decided == t0 + 1s);
    CHECK(changed.revision == r.revision + 1);
}

TEST_CASE("the first decision is one, whatever it is", "[compliance]") {
    auto const r = decided({}, true, false, true, t0);
    CHECK(r.revision == 1);
    CHECK(r.told == 0);
    CHECK(r.decided == t0);
}

TEST_CASE("what Graph answers decides what comes next", "[compliance]") {
    struct row {
        int status;
        phase next;
        std::chrono::milliseconds in;
    };
    auto const expected =
        GENERATE(row{204, phase::done, refresh + refresh / 10}, row{200, phase::done, refresh + refresh / 10},
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
    CHECK(r.told == (expected.next == phase::done ? r.revision : 0));
    CHECK(r.object_id == (expected.status == 404 ? "" : "object"));
}

TEST_CASE("why a report is not done is said in one line", "[compliance]") {
    CHECK(after(due_report(), 403).error == "403 Code: Text");
    CHECK(answered(due_report(), 1, {0, "", "connection refused\nby peer", {}}, 0, t0, refresh).error ==
          "no answer: connection refused\\nby peer");
    CHECK_THAT(after(after(due_report(), 404), 404).error, Catch::StartsWith("gone from Entra: 404"));
}

TEST_CASE("a refused token is tried again at once only once", "[compliance]") {
    auto const r = after(after(due_report(), 401), 401);
    CHECK(r.phase == phase::due);
    CHECK(r.next_try == t0 + 2s);
}

TEST_CASE("a device that Graph does not find is looked up again once, then left until the refresh", "[compliance]") {
    auto r = after(due_report(), 404);
    CHECK(r.resolved_again);
    SECTION("it has another object id, which is no better") {
        r = found(r, "other");
        CHECK(r.next_try == t0);
        r = after(r, 404);
    }
    SECTION("it has none") { r = not_found(r, 1, t0, refresh); }
    CHECK(r.phase == phase::parked);
    CHECK(r.next_try == t0 + refresh);
    CHECK(r.object_id.empty());
    CHECK_THAT(r.error, Catch::StartsWith("gone from Entra"));
    r = found(r, "third");
    CHECK_FALSE(after(r, 204, 1, t0 + refresh).resolved_again);
}

TEST_CASE("a device that Entra does not know yet is waited for, in the first hour often", "[compliance]") {
    auto r = decided({}, true, false, true, t0);
    auto now = t0;
    int tries = 0;
    for (; now < t0 + 1h; now = r.next_try, ++tries) {
        r = not_found(r, 1.0, now, refresh);
        CHECK(r.phase == phase::due);
        CHECK(r.error == "Entra does not know this device yet");
        CHECK(r.next_try > now);
        CHECK(r.next_try <= now + 5min);
    }
    CHECK(tries > 12);
    CHECK(tries < 25);
    for (int i = 0; i < 50; ++i, now = r.next_try) {
        r = not_found(r, 1.0, now, refresh);
        CHECK(r.phase == phase::due);
        CHECK(r.next_try == now + 1h);
    }
    // Another decision is another hour.
    r = not_found(decided(r, true, true, true, now), 1.0, now, refresh);
    CHECK(r.next_try <= now + 5min);
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
    auto const r = answered(due_report(), 1, {429, "", "", said}, 1, t0, refresh);
    CHECK(r.next_try - t0 == wait);
}

TEST_CASE("an answer to an older decision leaves the newer one due, though it be the same again", "[compliance]") {
    auto const status = GENERATE(204, 400, 401, 403, 404, 409, 429, 503, 0, 302);
    CAPTURE(status);
    bool const back_again = GENERATE(false, true);
    auto r = decided(due_report(), true, true, true, t0 + 1s);
    if (back_again) r = decided(r, true, false, true, t0 + 2s);
    auto const got = answered(r, 1, status_of(status), 1, t0 + 3s, refresh);
    CHECK(got.phase == phase::due);
    CHECK(got.next_try == r.next_try);
    CHECK(got.attempts == 0);
    CHECK(got.told == (status == 204 ? 1 : 0));
    CHECK(got.object_id == (status == 404 ? "" : "object"));
    CHECK(after(got, 204).phase == phase::done);
}

TEST_CASE("everything reported is reported again after the refresh, not all of it at once", "[compliance]") {
    auto const jitter = GENERATE(0.0, 0.25, 1.0);
    auto const r = after(due_report(), 204, jitter);
    CHECK(r.next_try >= t0 + refresh);
    CHECK(r.next_try == t0 + refresh + std::chrono::milliseconds(static_cast<int>(8'640'000 * jitter)));
    auto const gone = found(decided({}, false, false, true, t0), "object");
    CHECK(after(gone, 204).next_try == never);
}

TEST_CASE("what Graph as a whole answers is told from what it says of a device", "[compliance]") {
    for (int const s : {0, 408, 429, 500, 502, 503, 504}) CHECK((is_about_graph(s) && passes_by_itself(s)));
    for (int const s : {409, 412, 423, 424}) CHECK((!is_about_graph(s) && passes_by_itself(s)));
    for (int const s : {200, 204, 302, 400, 401, 403, 404, 413}) CHECK((!is_about_graph(s) && !passes_by_itself(s)));
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
    using told = std::pair<bool, bool>;
    told wanted;                    // what was decided last
    std::optional<told> graph;      // what Graph holds
    std::optional<told> in_flight;  // what was sent and not answered yet
    std::int64_t sent = 0;          // its revision
    bool known = false;
    auto const step = [&](std::vector<int> const& answers) {
        if (in_flight) {
            auto const status = pick(answers);
            if (status == 204) graph = in_flight;
            in_flight.reset();
            r = answered(r, sent, status_of(status), 0.5, now, refresh);
        } else if (r.phase != phase::waiting && r.next_try <= now) {
            in_flight = told{r.is_managed, r.is_compliant};
            sent = r.revision;
        }
        // The pair is always the one decided last, and done means that Graph has it.
        if (known) CHECK(told(r.is_managed, r.is_compliant) == wanted);
        if (r.phase == phase::done) CHECK((graph == wanted && r.told == r.revision));
        if (known && graph != wanted) CHECK((r.phase == phase::due || r.phase == phase::parked));
        if (r.phase == phase::due) CHECK(r.next_try <= now + 5min);
    };
    for (int i = 0; i < 300; ++i) {
        now += std::chrono::seconds(pick({0, 1, 30, 600, 90000}));
        if (chance(0.2)) {
            wanted = {chance(0.9), chance(0.5)};
            known = known || chance(0.5);
            r = decided(r, wanted.first, wanted.second, known, now);
        }
        step({204, 204, 400, 401, 403, 404, 429, 503, 0});
    }
    // Graph is well again, and something changes: within minutes it has the last word.
    wanted = {true, !wanted.second};
    r = decided(r, wanted.first, wanted.second, known = true, now);
    for (int i = 0; i < 6; ++i) {
        now += 5min;
        step({204});
    }
    CHECK(r.phase == phase::done);
    CHECK(graph == wanted);
}
