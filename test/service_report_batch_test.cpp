#include "test/service_report_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

struct batch_fixture : reports_fixture {
    batch_fixture() {
        add(30);
        tick();
    }
    // The first three devices have a decision that is told, so that their object ids are known, and another one.
    void three_are_due() {
        decide_all(3, false);
        report_now();
        REQUIRE(tenant->writes.size() == 3);
        decide_all(3, true);
        tenant->writes.clear();
        tenant->batches.clear();
    }
    std::size_t done(std::size_t many) {
        std::size_t n = 0;
        for (std::size_t i = 1; i <= many; ++i) n += report(i).phase == "done";
        return n;
    }
};

}  // namespace

TEST_CASE_METHOD(batch_fixture, "devices are found and told in batches of twenty", "[service]") {
    decide_all(30, true);
    auto const run = appliance->report.report_now().value();
    CHECK(run.sent == 30);
    CHECK(run.failed == 0);
    CHECK(tenant->writes.size() == 30);
    std::size_t sum = 0;
    for (auto const n : tenant->batches) {
        CHECK(n <= 20);
        sum += n;
    }
    CHECK(sum == 60);
    CHECK(tenant->batches.size() == 4);
    tenant->batches.clear();
    decide_all(30, false);
    report_now();
    CHECK(tenant->batches == std::vector<std::size_t>{20, 10});  // the object ids are known
    CHECK(totals().queued == 0);
}

TEST_CASE_METHOD(batch_fixture, "a thousand changed devices among many cost fifty batches", "[service]") {
    constexpr std::size_t all = 20'000, changed = 1000;
    auto const now = time.now();
    db.write([&](store::connection& c) {
        for (std::size_t i = 1; i <= all; ++i) {
            auto r = compliance::found(compliance::decided({}, true, true, true, now), object_of(i));
            r = compliance::answered(r, 1, {204, "", "", {}}, 0.5, now, 24h);
            if (i % (all / changed) == 0) r = compliance::decided(r, true, false, true, now);
            store::put_report(c, service::to_stored(device_of(i), entra_of(i), r));
        }
    });
    time.advance(15min);
    for (int i = 0; i < 120 && totals().queued > 0; ++i) {
        tick();
        time.advance(1s);
    }
    CHECK(tenant->writes.size() == changed);
    CHECK(tenant->batches == std::vector<std::size_t>(changed / 20, 20));
}

TEST_CASE_METHOD(
    batch_fixture, "Graph is told no faster than it allows, and what is left follows by itself", "[service]") {
    decide_all(30, true);
    report_now();  // 60 requests
    decide_all(30, false);
    report_now();
    decide_all(30, true);
    auto const run = appliance->report.report_now().value();
    CHECK(run.sent < 30);
    CHECK_THAT(appliance->report.held_up(), Catch::Contains("10 a second"));
    ticks_for(5s);
    CHECK(totals().queued == 0);
    CHECK(appliance->report.held_up().empty());
}

TEST_CASE_METHOD(
    batch_fixture, "each request of a batch has its own answer, whatever the others are told", "[service]") {
    struct row {
        int status;
        std::string phase;
        std::chrono::milliseconds again;  // when it is due again, at the latest
    };
    auto const expected = GENERATE(row{400, "parked", 0ms}, row{403, "parked", 1h}, row{405, "parked", 1h},
        row{408, "due", 1s}, row{409, "due", 1s}, row{412, "due", 1s}, row{423, "due", 1s}, row{424, "due", 1s},
        row{429, "due", 1s}, row{500, "due", 1s}, row{503, "due", 1s}, row{0, "due", 1s});
    CAPTURE(expected.status);
    three_are_due();
    auto const position = GENERATE(0U, 1U, 2U);
    tenant->patch_answers.assign(position, http::response{204, {}, ""});
    tenant->patch_answers.push_back(expected.status ? refusal(expected.status) : http::response{0, {}, ""});
    auto const run = appliance->report.report_now().value();
    CHECK(run.sent == 2);
    CHECK(run.failed == 1);
    CHECK(done(3) == 2);
    CHECK(appliance->report.held_up().empty());
    auto const r = report(position + 1);
    CHECK(r.phase == expected.phase);
    CHECK_FALSE(r.error.empty());
    tenant->writes.clear();
    if (expected.status == 400) {
        ticks_for(24h, 10min);
        for (auto const& w : tenant->writes) CHECK(w.object_id != object_of(position + 1));
        decide(position + 1, false);
        time.advance(15min);
    } else {
        time.advance(expected.again);
    }
    tick();
    CHECK(report(position + 1).phase == "done");
}

TEST_CASE_METHOD(
    batch_fixture, "what one request is to wait is its own affair, fractions of seconds too", "[service]") {
    three_are_due();
    tenant->patch_answers = {refusal(429, "TooManyRequests", {{"Retry-After", "2.128"}})};
    report_now();
    CHECK(done(3) == 2);
    CHECK(report(1).next_try == time.now() + 2128ms);
    time.advance(2127ms);
    tick();
    CHECK(report(1).phase == "due");
    time.advance(1ms);
    tick();
    CHECK(report(1).phase == "done");
}

TEST_CASE_METHOD(batch_fixture, "where every request is throttled or fails, Graph is left alone by all", "[service]") {
    three_are_due();
    auto const status = GENERATE(0, 408, 429, 500, 503);
    bool const as_a_whole = GENERATE(true, false);
    CAPTURE(status, as_a_whole);
    if (as_a_whole && status == 0) return;  // no such thing
    auto const one = status ? refusal(status, "Busy", {{"Retry-After", "60"}}) : http::response{0, {}, ""};
    if (as_a_whole)
        tenant->batch_answers = {one};
    else
        tenant->patch_answers = {one, one, one};
    auto const run = appliance->report.report_now().value();
    CHECK(run.failed == 3);
    CHECK(tenant->batches.size() == 1);
    CHECK_THAT(appliance->report.held_up(), Catch::StartsWith("Graph is left alone until"));
    CHECK_FALSE(report(2).error.empty());
    decide(4, true);
    if (status != 0) {
        time.advance(59s);
        tick();
        CHECK(tenant->batches.size() == 1);
    }
    ticks_for(10s);
    CHECK(done(4) == 4);
    CHECK(appliance->report.held_up().empty());
}

TEST_CASE_METHOD(batch_fixture, "an answer that is no batch's is silence", "[service]") {
    auto const body = GENERATE(as<std::string>(), "", "<html>", "{}", R"({"responses":[]})");
    three_are_due();
    tenant->batch_answers = {{200, {}, body}};
    report_now();
    CHECK(done(3) == 0);
    CHECK_THAT(report(1).error, Catch::StartsWith("no answer"));
    CHECK_FALSE(appliance->report.held_up().empty());
    ticks_for(3s);
    CHECK(done(3) == 3);
}

TEST_CASE_METHOD(batch_fixture, "one bad request does not spoil those that it goes with", "[service]") {
    auto const status = GENERATE(400, 413);
    three_are_due();
    tenant->batch_answers = {refusal(status, "BadRequest")};
    SECTION("they are sent one by one in the same run") {
        tenant->instead_of_member = [](http::call const& c) -> std::optional<http::response> {
            return c.url.ends_with(object_of(2)) ? std::optional(refusal(400)) : std::nullopt;
        };
        auto const run = appliance->report.report_now().value();
        CHECK(run.sent == 2);
        CHECK(run.failed == 1);
        CHECK(tenant->batches == std::vector<std::size_t>{3, 1, 1, 1});
        CHECK(report(2).phase == "parked");
    }
    SECTION("and so in the next one, where the pace ends this") {
        decide_all(30, false);
        tenant->batch_answers.clear();
        report_now();
        decide_all(30, true);
        for (int i = 0; i < 40 && totals().queued; ++i) {
            tenant->batch_answers = {refusal(400)};  // to a batch of one too: that parks it
            time.advance(1s);
            appliance->report.retry_now();
            tick();
        }
        CHECK(totals().queued == totals().parked);
    }
}

TEST_CASE_METHOD(batch_fixture, "an answer to the call that says nothing of devices drops no object id", "[service]") {
    auto const status = GENERATE(404, 302, 405);
    three_are_due();
    tenant->batch_answers = {refusal(status)};
    report_now();
    CHECK(report(1).object_id == object_of(1));
    CHECK(report(1).phase == "due");
    CHECK_FALSE(appliance->report.held_up().empty());
    ticks_for(5s);
    CHECK(done(3) == 3);
}

TEST_CASE_METHOD(batch_fixture, "a refused token is bought anew once, in the same run", "[service]") {
    bool const as_a_whole = GENERATE(true, false);
    three_are_due();
    auto const bought = tenant->token_requests;
    auto const no = refusal(401, "InvalidAuthenticationToken");
    if (as_a_whole)
        tenant->batch_answers = {no};
    else
        tenant->patch_answers = {no, no, no};
    CHECK(appliance->report.report_now().value().failed == 0);
    CHECK(done(3) == 3);
    CHECK(tenant->token_requests == bought + 1);
}

TEST_CASE_METHOD(batch_fixture,
    "an application that Graph refuses is told to the operator once, and tried with one device an hour", "[service]") {
    three_are_due();
    int asked = 0, errors = 0;
    log::configure([&](log::record const& r) { errors += r.message == "Graph refuses every report"; });
    log::configure(log::level::error);
    bool const as_a_whole = GENERATE(true, false);
    bool refuses = true;
    auto const no = refusal(403, "Authorization_RequestDenied");
    if (as_a_whole)
        tenant->instead = [&](http::call const& c) -> std::optional<http::response> {
            if (!refuses || !c.url.ends_with("$batch")) return std::nullopt;
            asked += static_cast<int>(json::parse(c.body).at("requests").as_array().size());
            return no;
        };
    else
        tenant->instead_of_member = [&](http::call const&) -> std::optional<http::response> {
            if (!refuses) return std::nullopt;
            ++asked;
            return no;
        };
    report_now();
    CHECK(asked == 3);
    CHECK(report(1).phase == "parked");
    CHECK_THAT(appliance->report.held_up(), Catch::Contains("403 Authorization_RequestDenied"));
    CHECK_THAT(service::status(*appliance).report.last_error, Catch::Contains("403"));
    decide_all(30, false);
    ticks_for(59min, 1min);
    CHECK(asked == 3);
    ticks_for(5h, 1min);
    CHECK(asked == 8);
    appliance = start();  // it is remembered…
    ticks_for(2min, 1min);
    CHECK(asked == 9);
    CHECK(errors == 1);  // …and was told
    refuses = false;
    ticks_for(61min, 1min);
    CHECK(done(30) == 30);
    CHECK(appliance->report.held_up().empty());
    CHECK(appliance->report.refused().empty());
    CHECK(totals().queued == 0);
    log::configure(log::sink(log::to_text));
}

TEST_CASE_METHOD(batch_fixture, "a report by hand that Graph takes ends every wait", "[service]") {
    auto const status = GENERATE(403, 429, 503);
    three_are_due();
    tenant->batch_answers = {refusal(status, "No", {{"Retry-After", "3600"}})};
    report_now();
    CHECK_FALSE(appliance->report.held_up().empty());
    report_now();
    CHECK(done(3) == 3);
    CHECK(appliance->report.held_up().empty());
    decide(1, false);
    time.advance(15min);
    tick();
    CHECK(report(1).phase == "done");
}

TEST_CASE_METHOD(batch_fixture, "a device that Graph refuses alone keeps no other waiting", "[service]") {
    three_are_due();
    tenant->instead_of_member = [](http::call const& c) -> std::optional<http::response> {
        return c.url.ends_with(object_of(2)) ? std::optional(refusal(403)) : std::nullopt;
    };
    report_now();
    CHECK(done(3) == 2);
    for (int hour = 0; hour < 6; ++hour) {
        decide(1, hour % 2 == 0);
        ticks_for(1h, 1min);
        CHECK(report(1).phase == "done");
        CHECK(report(2).phase == "parked");
    }
    CHECK(appliance->report.refused().empty());
}

TEST_CASE_METHOD(batch_fixture,
    "a decision between question and answer is told as well, though it be the old one again", "[service]") {
    three_are_due();
    bool const back_again = GENERATE(false, true);
    bool once = true;
    tenant->instead_of_member = [&](http::call const& c) -> std::optional<http::response> {
        if (c.url.ends_with(object_of(2)) && std::exchange(once, false)) {
            decide(2, false);
            if (back_again) decide(2, true);
        }
        return std::nullopt;
    };
    report_now();
    REQUIRE(tenant->writes.size() == 4);
    CHECK(tenant->writes.back().object_id == object_of(2));
    CHECK(json::parse(tenant->writes.back().body) == json::value{{"isManaged", true}, {"isCompliant", back_again}});
    CHECK(done(3) == 3);
    CHECK(report(2).told == report(2).revision);
}

TEST_CASE_METHOD(batch_fixture, "the run ends after the call that it is in when mdmd stops", "[service]") {
    decide_all(30, true);
    tenant->instead_of_member = [&](http::call const&) -> std::optional<http::response> {
        appliance->report.stop();
        return std::nullopt;
    };
    report_now();
    CHECK(tenant->batches.size() == 1);
    tick();
    CHECK(tenant->batches.size() == 1);
}

TEST_CASE_METHOD(batch_fixture, "what was told is kept: each change once, and each refusal once", "[service]") {
    three_are_due();  // false was told, true is due
    tenant->patch_answers.assign(6, refusal(409));
    report_now();
    tenant->patch_answers = {refusal(400, "Request_BadRequest")};
    report_now();
    tenant->patch_answers = {refusal(400, "Request_BadRequest")};
    report_now();
    auto h = history(1);
    REQUIRE(h.size() == 2);
    CHECK(h[0].result == "400 Request_BadRequest: m");
    CHECK(h[0].is_compliant);
    CHECK(h[1].result == "204");
    CHECK_FALSE(h[1].is_compliant);
    CHECK(h[1].at == time.now());
    CHECK(h[1].entra_device_id == entra_of(1));
    report_now();
    ticks_for(60h, 1h);  // told again: nothing new
    h = history(1);
    REQUIRE(h.size() == 3);
    CHECK(h[0].result == "204");
    CHECK(history(2).size() == 2);
    time.advance(24h * 401);
    tick();
    CHECK(history(1).empty());
}

TEST_CASE_METHOD(batch_fixture, "while the store cannot be written, Graph is not asked every second", "[service]") {
    three_are_due();
    time.advance(15min);  // the next interval
    *store_is_broken = true;
    for (int i = 0; i < 60; ++i) {
        time.advance(1s);
        try {
            appliance->report.tick();
        } catch (store::store_error const&) {}
    }
    CHECK(tenant->batches.size() >= 1);
    CHECK(tenant->batches.size() <= 8);
    *store_is_broken = false;
    ticks_for(20min, 10s);
    CHECK(done(3) == 3);
}

TEST_CASE_METHOD(batch_fixture, "an answer is counted by its status, silence too", "[service]") {
    three_are_due();
    auto const before = appliance->report.answers();
    tenant->patch_answers = {refusal(429), http::response{0, {}, ""}, {204, {}, ""}};
    report_now();
    tenant->batch_answers = {refusal(503)};
    report_now();
    auto now = appliance->report.answers();
    auto const more = [&](int status) {
        auto const b = before.find(status);
        return now[status] - (b == before.end() ? 0 : b->second);
    };
    CHECK(more(429) == 1);
    CHECK(more(0) == 1);
    CHECK(more(204) == 1);
    CHECK(more(200) == 1);
    CHECK(more(503) == 1);
}

TEST_CASE_METHOD(batch_fixture, "under the Entra ID of another record an ended one is silent", "[service]") {
    decide(1, true);
    report_now();
    db.write([&](store::connection& c) {
        store::remove_reports_of(c, entra_of(1));
        store::add_device(c, make("anew", entra_of(1)));
        decide(c, "anew", entra_of(1), true, true, time.now());
        auto const old = store::find_device(c, device_of(1)).value();
        store::set_device_state(c, old.id, "unenrolled");
        service::report_unmanaged(c, old, time.now());
    });
    tenant->writes.clear();
    report_now();
    ticks_for(60h, 1h);
    for (auto const& w : tenant->writes) CHECK(json::parse(w.body).at("isManaged") == true);
}
