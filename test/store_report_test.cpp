#include "store/compliance.hpp"
#include "store/database.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

time_point const now = from_ms(1'800'000'000'000);
time_point const never{std::chrono::seconds(253'402'300'799)};

store::report report(
    std::string id, std::string phase, time_point next_try, std::int64_t attempts = 0, std::string error = {}) {
    return {.device_id = id,
        .entra_device_id = "E" + id,
        .decided = now,
        .revision = 1,
        .told = phase == "done" ? 1 : 0,
        .phase = std::move(phase),
        .attempts = attempts,
        .next_try = next_try,
        .error = std::move(error),
        .last_success = {}};
}

struct fixture {
    test::scratch folder;
    store::database db{store::sqlite_engine(folder.path() / "mdmd.db")};

    void put(std::vector<store::report> const& all) {
        db.write([&](store::connection& c) {
            for (auto const& r : all) store::put_report(c, r);
        });
    }
    std::string due(time_point at, store::which_reports which = store::which_reports::all, std::int64_t most = 100) {
        std::string ids;
        for (auto const& r : db.read([&](store::connection& c) { return store::due_reports(c, at, 48h, most, which); }))
            ids += r.device_id;
        return ids;
    }
};

// Says how each statement would be run, besides running it.
class explained : public store::connection {
public:
    explicit explained(store::connection& c) : inner_(c) {}
    std::int64_t execute(std::string_view sql, std::initializer_list<store::parameter> values = {}) override {
        return inner_.execute(sql, values);
    }
    std::vector<std::string> plans;

private:
    std::unique_ptr<store::rows> run(std::string_view sql, std::span<store::parameter const> values) override {
        for (auto const r = inner_.query("EXPLAIN QUERY PLAN " + std::string(sql), values); r->next();)
            plans.push_back(r->text(3));
        return inner_.query(sql, values);
    }
    store::connection& inner_;
};

}  // namespace

TEST_CASE_METHOD(fixture, "what was decided comes before what is parked and what is told again", "[store]") {
    put({report("1", "due", now + 2s), report("2", "parked", now + 1s), report("3", "done", now - 1h),
        report("4", "waiting", now - 1h), report("5", "due", now + 1s, 3), report("6", "done", never),
        report("7", "parked", never)});
    CHECK(due(now - 2h).empty());
    CHECK(due(now) == "3");
    CHECK(due(now + 1s) == "523");
    CHECK(due(now + 2s) == "5123");
    CHECK(due(now + 2s, store::which_reports::not_fresh) == "523");
    CHECK(due(now + 2s, store::which_reports::all, 2) == "51");
    // The clock was set back: what is planned beyond any plan has come, but for what never comes.
    CHECK(due(now - 72h) == "5123");
}

TEST_CASE_METHOD(
    fixture, "an operator's wish makes everything that waits due, and a shorter refresh holds at once", "[store]") {
    auto told = report("3", "done", now + 25h);
    told.last_success = now;
    auto recent = report("8", "done", now + 1h);
    recent.last_success = now;
    put({report("1", "due", now + 2s), report("2", "parked", never), told, recent, report("4", "waiting", now + 1s)});
    db.write([&](store::connection& c) { store::retry_reports_now(c, now); });
    CHECK(due(now) == "12");
    db.write([&](store::connection& c) { store::hasten_refresh(c, 24h); });
    CHECK(due(now + 24h) == "128");
    db.write([&](store::connection& c) { store::hasten_refresh(c, 1h); });
    CHECK(due(now + 1h) == "1238");
}

TEST_CASE_METHOD(fixture, "totals tell what is queued, why, and since when", "[store]") {
    auto told = report("3", "done", now + 24h);
    told.last_success = now;
    auto again = report("5", "due", now, 1, "503");  // Graph has this decision: it is only told again
    again.told = 1;
    again.decided = now - 48h;
    auto late = report("6", "due", now + 1s, 2, "429 TooManyRequests");
    late.decided = now - 1h;
    put({report("1", "due", now), report("2", "parked", now + 1h, 1, "403 Denied"), told, report("4", "waiting", now),
        again, late});
    auto const t = db.read([](store::connection& c) { return store::total_reports(c); });
    CHECK(t.queued == 4);
    CHECK(t.parked == 1);
    CHECK(t.oldest == now - 1h);
    CHECK(t.last_success == now);
    CHECK(t.last_error == "403 Denied");
    auto const why = db.read([](store::connection& c) { return store::queued_reasons(c, 2); });
    REQUIRE(why.size() == 2);
    CHECK(why[0].reports == 1);
    store::database empty(store::sqlite_engine(folder.path() / "empty.db"));
    auto const none = empty.read([](store::connection& c) { return store::total_reports(c); });
    CHECK(none.queued == 0);
    CHECK_FALSE(none.oldest);
}

TEST_CASE_METHOD(fixture, "no look at what is due or queued walks over the whole table", "[store]") {
    put({report("1", "due", now)});
    auto const plans_of = [&](auto const& look) {
        return db.read([&](store::connection& c) {
            explained e(c);
            look(e);
            return e.plans;
        });
    };
    auto const due_ones = plans_of([](store::connection& c) {
        store::due_reports(c, now, 48h, 100);
        store::due_reports(c, now, 48h, 100, store::which_reports::not_fresh);
        store::find_report(c, "1");
        store::was_refused(c, "1", now);
        store::list_told_reports(c, "1");
    });
    CHECK(due_ones.size() == 17);
    for (auto const& p : due_ones) {
        CAPTURE(p);
        CHECK_THAT(p, Catch::StartsWith("SEARCH") && !Catch::Contains("TEMP B-TREE"));
    }
    // What is only counted is counted along an index of such rows alone.
    auto const totals = plans_of([](store::connection& c) { store::total_reports(c); });
    CHECK(totals.size() == 7);
    for (auto const& p : totals) {
        CAPTURE(p);
        CHECK_THAT(p, Catch::Contains("INDEX report_"));
    }
}

TEST_CASE_METHOD(fixture, "what Entra was told is kept, so many of each device and not for ever", "[store]") {
    auto const told = [](std::string device, int i) {
        return store::told_report{
            device, "E", now + std::chrono::hours(i), now, true, i % 2 == 0, i == 3 ? "403 x" : "204"};
    };
    db.write([&](store::connection& c) {
        for (int i = 0; i < 12; ++i) store::add_told_report(c, told("1", i), 10);
        store::add_told_report(c, told("2", 0), 10);
    });
    auto const list = [&](std::string const& device) {
        return db.read([&](store::connection& c) { return store::list_told_reports(c, device); });
    };
    auto const all = list("1");
    REQUIRE(all.size() == 10);
    CHECK(all.front().at == now + 11h);
    CHECK(all.back().at == now + 2h);
    CHECK(all.back().is_compliant);
    CHECK(list("2").size() == 1);
    CHECK(db.read([&](store::connection& c) { return store::was_refused(c, "1", now); }));
    CHECK_FALSE(db.read([&](store::connection& c) { return store::was_refused(c, "2", now); }));
    CHECK_FALSE(db.read([&](store::connection& c) { return store::was_refused(c, "1", now + 1s); }));
    auto const forget = [&](time_point before, std::int64_t most) {
        return db.write([&](store::connection& c) { return store::forget_told_reports(c, before, most); });
    };
    CHECK(forget(now + 4h, 2) == 2);
    CHECK(forget(now + 4h, 100) == 1);
    CHECK(forget(now + 4h, 100) == 0);
    CHECK(list("2").empty());
    CHECK(list("1").back().at == now + 4h);
}
