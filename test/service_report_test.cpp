#include "service/evaluation.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

struct report_fixture : appliance_fixture {
    report_fixture() {
        config.policies.push_back({.name = "rules",
            .rules = {{config::uri_rule{"./Vendor/MSFT/DeviceStatus/OS/Mode", config::comparison::eq, {"0"}}, 1}}});
        reconfigure();
        certificate = enroll_one();
        device = service::devices(*appliance)[0].device.id;
        // The timer's first run, with nothing to say yet.
        timers();
    }
    std::string device;

    // The device checks in and answers the rule's node with this value.
    void checks_in(std::string const& mode) {
        auto const now = time.now();
        db.write([&](store::connection& c) {
            store::put_fact(c, device, {"./Vendor/MSFT/DeviceStatus/OS/Mode", 200, mode, now});
            store::put_fact(c, device, {"./Device/Vendor/MSFT/DeviceStatus/OS/Mode", 200, mode, now});
            store::put_session(c, {device, "", "", "", now});
        });
        appliance->report.judge_all();
    }
    std::string state() { return service::devices(*appliance)[0].compliance; }
    store::report report() {
        return db.read([&](store::connection& c) { return store::find_report(c, device); }).value();
    }
    json::value last_body() { return json::parse(tenant->writes.back().body); }
    http::response answer(int status, std::string code = "", http::fields headers = {}) {
        return {
            status, std::move(headers), json::serialize(json::value{{"error", {{"code", code}, {"message", "m"}}}})};
    }
};

}  // namespace

TEST_CASE_METHOD(
    report_fixture, "a device is unknown until it answers, and then Graph is told on the timer", "[service]") {
    CHECK(state() == "unknown");
    checks_in("0");
    CHECK(state() == "compliant");
    timers();
    CHECK(tenant->writes.empty());  // not before the interval
    time.advance(15min);
    timers();
    REQUIRE(tenant->writes.size() == 1);
    CHECK(tenant->writes[0].object_id == "object-1");
    CHECK(last_body() == json::value{{"isManaged", true}, {"isCompliant", true}});
    time.advance(15min);
    timers();
    CHECK(tenant->writes.size() == 1);  // what Graph has is not told again…
    time.advance(24h - 16min);
    timers();
    CHECK(tenant->writes.size() == 1);
    time.advance(144min + 16min);  // a tenth of a day, and what was short of one
    timers();
    CHECK(tenant->writes.size() == 2);  // …but once a day, or a little later
}

TEST_CASE_METHOD(report_fixture, "breaking and mending compliance reaches Graph", "[service]") {
    checks_in("0");
    report_now();
    checks_in("1");
    CHECK(state() == "noncompliant");
    report_now();
    CHECK(last_body() == json::value{{"isManaged", true}, {"isCompliant", false}});
    auto const why = service::compliance_states(*appliance).at(0).verdict.value().reasons;
    REQUIRE(why.size() == 1);
    CHECK(why[0].found == "1");
    checks_in("0");
    report_now();
    CHECK(last_body() == json::value{{"isManaged", true}, {"isCompliant", true}});
}

TEST_CASE_METHOD(report_fixture, "grace and staleness end by the clock alone", "[service]") {
    config.policies[0].grace_period = 24h;
    reconfigure();
    checks_in("1");
    CHECK(state() == "inGracePeriod");
    time.advance(24h);
    timers();
    CHECK(state() == "noncompliant");
    checks_in("0");
    CHECK(state() == "compliant");
    time.advance(std::chrono::days(30) + 1s);
    timers();
    CHECK(state() == "noncompliant");
    CHECK(service::compliance_states(*appliance).at(0).verdict.value().reasons.at(0).rule == "last_seen");
}

TEST_CASE_METHOD(report_fixture, "a report is tried until Graph has it, over restarts", "[service]") {
    checks_in("0");
    tenant->away = true;
    auto const run = appliance->report.report_now().value();
    CHECK(run.sent == 0);
    CHECK(run.failed == 1);
    CHECK(tenant->writes.empty());
    time.advance(2h);  // the token has ended too
    CHECK_FALSE(appliance->report.report_now().value().stopped.empty());
    appliance = start();
    tenant->away = false;
    timers();
    CHECK(tenant->writes.size() == 1);
    CHECK(report().phase == "done");
}

TEST_CASE_METHOD(report_fixture, "each answer of Graph's has its consequence", "[service]") {
    checks_in("0");
    SECTION("429 waits as long as Graph asks") {
        tenant->patch_answers = {answer(429, "TooManyRequests", {{"Retry-After", "20"}})};
        report_now();
        CHECK(report().phase == "due");
        time.advance(19s);
        timers();
        CHECK(tenant->writes.empty());
        time.advance(2s);
        timers();
        CHECK(tenant->writes.size() == 1);
    }
    SECTION("503 is tried again soon") {
        tenant->patch_answers = {answer(503)};
        report_now();
        time.advance(2s);
        timers();
        CHECK(tenant->writes.size() == 1);
    }
    SECTION("401 buys a new token") {
        tenant->patch_answers = {answer(401, "InvalidAuthenticationToken")};
        report_now();
        CHECK(tenant->writes.size() == 1);
        CHECK(tenant->token_requests == 2);
    }
    SECTION("403 is shown and tried once an hour") {
        tenant->patch_answers = {answer(403, "Authorization_RequestDenied")};
        report_now();
        CHECK(report().phase == "parked");
        CHECK_THAT(service::status(*appliance).report.last_error, Catch::Contains("403"));
        time.advance(30min);
        timers();
        CHECK(tenant->writes.empty());
        time.advance(31min);
        timers();
        CHECK(tenant->writes.size() == 1);
    }
    SECTION("404 is looked up once more") {
        report_now();
        tenant->writes.clear();
        tenant->devices[entra_device] = "object-2";
        tenant->patch_answers = {answer(404, "Request_ResourceNotFound")};
        checks_in("1");
        report_now();
        REQUIRE(tenant->writes.size() == 1);
        CHECK(tenant->writes[0].object_id == "object-2");
    }
    SECTION("404 for good is shown as gone, and tried again with the refresh") {
        report_now();
        tenant->devices.clear();
        tenant->patch_answers = {answer(404, "Request_ResourceNotFound")};
        checks_in("1");
        report_now();
        CHECK(report().phase == "parked");
        CHECK_THAT(report().error, Catch::StartsWith("gone from Entra"));
        tenant->devices[entra_device] = "object-2";
        time.advance(23h);
        timers();
        CHECK(tenant->writes.size() == 1);
        time.advance(61min);
        timers();
        REQUIRE(tenant->writes.size() == 2);
        CHECK(tenant->writes[1].object_id == "object-2");
    }
    SECTION("a device that Entra does not know yet is waited for, minutes at first") {
        tenant->devices.clear();
        report_now();
        timers();
        CHECK(report().phase == "due");
        CHECK(report().error == "Entra does not know this device yet");
        time.advance(40min);
        timers();
        tenant->devices[entra_device] = "object-9";
        time.advance(5min);
        timers();
        CHECK(tenant->writes.size() == 1);
    }
    SECTION("and for ever after once an hour") {
        tenant->devices.clear();
        report_now();
        time.advance(24h * 20);
        timers();
        tenant->devices[entra_device] = "object-9";
        time.advance(59min);
        timers();
        CHECK(tenant->writes.empty());
        time.advance(1min);
        timers();
        CHECK(tenant->writes.size() == 1);
    }
}

TEST_CASE_METHOD(report_fixture,
    "a refused key is told with its meaning, not hammered, and tried at once after a reload", "[service]") {
    checks_in("0");
    tenant->token_refusal = json::value{
        {"error", "invalid_client"}, {"error_description", "AADSTS7000222: expired"}, {"error_codes", {7000222}}};
    time.advance(2h);  // the token has ended
    auto const before = tenant->token_requests;
    for (int i = 0; i < 5; ++i) report_now();
    CHECK(tenant->token_requests == before + 1);
    auto const s = service::status(*appliance);
    CHECK(s.key.state == "expired");
    CHECK_THAT(s.report.last_error, Catch::Contains("7000222"));
    CHECK(s.report.queued == 1);
    tenant->token_refusal = nullptr;
    reconfigure();
    timers();
    CHECK(tenant->writes.size() == 1);
    CHECK(service::status(*appliance).key.state == "ok");
}

TEST_CASE_METHOD(
    report_fixture, "an ended record never speaks again for a device that was enrolled anew", "[service]") {
    checks_in("0");
    report_now();
    // Its user unenrolls it, Graph is away, and it comes back.
    db.write([&](store::connection& c) {
        auto const d = store::find_device(c, device).value();
        store::set_device_state(c, device, "unenrolled");
        service::report_unmanaged(c, d, time.now());
    });
    certificate =
        certificate_of(enroll({.blob = accept_terms(true), .token = device_token(), .csr = rsa_key().request()}));
    for (auto const& v : service::devices(*appliance))
        if (v.device.state == "enrolled") device = v.device.id;
    checks_in("0");
    for (int day = 0; day < 3; ++day) {
        report_now();
        time.advance(25h);
        timers();
        CHECK(last_body() == json::value{{"isManaged", true}, {"isCompliant", true}});
    }
}

TEST_CASE_METHOD(
    report_fixture, "policies that changed while the appliance was down are judged when it starts", "[service]") {
    checks_in("1");
    CHECK(state() == "noncompliant");
    config.policies.clear();
    appliance = start();
    timers();
    CHECK(state() == "compliant");
}

TEST_CASE_METHOD(report_fixture, "Graph is left alone as long as it asks, by the whole queue", "[service]") {
    int const status = GENERATE(429, 503);
    CAPTURE(status);
    checks_in("0");
    tenant->patch_answers = {answer(status, "x", {{"Retry-After", "7200"}})};
    time.advance(15min);  // the next interval
    timers();
    for (int i = 0; i < 7; ++i) {  // intervals pass
        time.advance(15min);
        timers();
        CHECK(tenant->writes.empty());
    }
    time.advance(20min);
    timers();
    CHECK(tenant->writes.size() == 1);
}

TEST_CASE_METHOD(
    report_fixture, "a token that Graph goes on refusing does not make us buy another each time", "[service]") {
    checks_in("0");
    for (int i = 0; i < 200; ++i) tenant->patch_answers.push_back(answer(401, "InvalidAuthenticationToken"));
    time.advance(15min);  // the next interval
    auto const before = tenant->token_requests;
    for (int i = 0; i < 600; ++i) {
        timers();
        time.advance(1s);
    }
    CHECK(tenant->token_requests - before >= 1);
    CHECK(tenant->token_requests - before <= 3);
}

TEST_CASE_METHOD(report_fixture, "a clock that is set back delays no report", "[service]") {
    time.advance(365 * 24h);
    checks_in("0");
    tenant->patch_answers = {answer(503)};
    time.advance(15min);  // the next interval
    timers();
    time.advance(-365 * 24h - 15min);
    checks_in("1");
    timers();
    CHECK(tenant->writes.size() == 1);
}
