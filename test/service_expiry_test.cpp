// What ends when, and who is told.
#include <sys/stat.h>
#include <csignal>
#include <thread>

#include "service/hook.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

namespace json = boost::json;

struct expiry_fixture : test::appliance_fixture {
    expiry_fixture() {
        config.settings.key_reminders = {60 * 24h, 30 * 24h, 14 * 24h, 7 * 24h, 3 * 24h, 24h};
        config.settings.notify.webhook = "https://hook.test/x";
        appliance = start();
    }
    // Graph lists the secret, with its hint, as ending then.
    void graph_says(time_point ends, std::string const& hint = "the") {
        tenant->application = {200, {},
            json::serialize(json::object{{"id", "0f0f0f0f-0000-0000-0000-000000000001"}, {"appId", test::client_id},
                {"identifierUris", json::array{"https://mdm.test"}}, {"keyCredentials", json::array{}},
                {"passwordCredentials",
                    json::array{json::object{{"keyId", "0a0a0a0a-0000-0000-0000-000000000001"}, {"displayName", "mdmd"},
                        {"hint", hint}, {"endDateTime", rfc3339(ends)}}}}})};
    }
    void tick() {
        appliance->token.watch();
        appliance->ends.refresh_if_due();
        appliance->remind.tick();
        appliance->remind.deliver();
    }
    json::object told(std::size_t i) { return json::parse(tenant->hook_bodies.at(i)).as_object(); }
    std::size_t count() { return tenant->hook_bodies.size(); }
};

}  // namespace

TEST_CASE("the smallest threshold that was reached is the one", "[service]") {
    auto const ends = from_ms(1'800'000'000'000);
    std::vector<std::chrono::seconds> const all{60 * 24h, 7 * 24h, 24h, 10s};
    using maybe = std::optional<std::chrono::seconds>;
    for (auto const& [left, want] : std::vector<std::pair<std::chrono::milliseconds, maybe>>{{61 * 24h, {}},
             {60 * 24h, 60 * 24h}, {8 * 24h, 60 * 24h}, {7 * 24h, 7 * 24h}, {7 * 24h - 1ms, 7 * 24h}, {23h, 24h},
             {10s, 10s}, {1ms, 10s}, {0ms, 0s}, {-1h, 0s}}) {
        CAPTURE(left.count());
        CHECK(service::threshold_reached(all, ends, ends - left) == want);
    }
    CHECK(service::threshold_reached({}, ends, ends - 1s) == std::nullopt);
    CHECK(service::threshold_reached({}, ends, ends) == 0s);
}

TEST_CASE_METHOD(expiry_fixture, "the key's end is Graph's where it tells, else the configuration's", "[service]") {
    auto const from_config = time.now() + 200 * 24h;
    auto const from_graph = time.now() + 100 * 24h;
    config.settings.entra.key_expires = from_config;
    appliance = start();
    CHECK_FALSE(appliance->ends.attempted());
    tick();
    CHECK(appliance->ends.attempted());
    CHECK(appliance->ends.end_of("entra_key") == from_config);
    CHECK_THAT(appliance->ends.problem(), Catch::Contains("403"));

    // Looked at once a day.
    graph_says(from_graph);
    tick();
    CHECK(appliance->ends.end_of("entra_key") == from_config);
    time.advance(24h);
    tick();
    CHECK(appliance->ends.end_of("entra_key") == from_graph);
    CHECK(appliance->ends.problem() == "");
    CHECK(tenant->application_reads == 2);

    // And remembered while Graph is away.
    tenant->away = true;
    appliance = start();
    CHECK(appliance->ends.end_of("entra_key") == from_graph);
}

TEST_CASE_METHOD(expiry_fixture, "another key is looked up at once", "[service]") {
    graph_says(time.now() + 100 * 24h);
    tick();
    graph_says(time.now() + 300 * 24h, "new");
    config.settings.entra.key.text = secret("new-secret");
    reconfigure();
    tick();
    CHECK(appliance->ends.end_of("entra_key") == time.now() + 300 * 24h);
}

TEST_CASE_METHOD(expiry_fixture,
    "a permission that is granted later is noticed at a reload, a test, and within the hour", "[service]") {
    auto const way = GENERATE(0, 1, 2);
    CAPTURE(way);
    tick();
    CHECK(appliance->ends.end_of("entra_key") == std::nullopt);
    graph_says(time.now() + 100 * 24h);
    if (way == 0) reconfigure();
    if (way == 1) CHECK(service::test_keys(*appliance).current.ends == time.now() + 100 * 24h);
    if (way == 2) time.advance(1h);
    tick();
    CHECK(appliance->ends.end_of("entra_key"));
}

TEST_CASE_METHOD(expiry_fixture, "an answer that is none takes away nothing that was known", "[service]") {
    auto const ends = time.now() + 100 * 24h;
    graph_says(ends);
    tick();
    for (auto const* body : {"{}", "[]", "", R"({"passwordCredentials":null,"keyCredentials":null})"}) {
        tenant->application = {200, {}, body};
        reconfigure();
        tick();
        CAPTURE(body);
        CHECK(appliance->ends.end_of("entra_key") == ends);
        CHECK(appliance->ends.problem() != "");
    }
}

TEST_CASE_METHOD(expiry_fixture, "each key has its own end, whichever of them is in use", "[service]") {
    auto const ends = time.now() + 100 * 24h;
    config.settings.entra.next_key_file = folder.path() / "next.key";
    appliance = start();
    graph_says(ends);
    folder.write("next.key", "other-secret");
    tick();
    CHECK(service::keys(*appliance).current.ends == ends);
    CHECK(service::keys(*appliance).next.ends == std::nullopt);
    CHECK(appliance->ends.end_of("entra_key") == ends);
    REQUIRE(service::promote_key(*appliance));
    CHECK(service::keys(*appliance).next_in_use);
    CHECK(service::keys(*appliance).current.ends == ends);
    CHECK(appliance->ends.end_of("entra_key") == std::nullopt);
}

TEST_CASE_METHOD(expiry_fixture, "a hook that hangs holds up no other reminder", "[service]") {
    auto const program = folder.write("notify", "#!/bin/sh\nexec sleep 600\n");
    REQUIRE(::chmod(program.c_str(), 0700) == 0);
    config.settings.notify = {.command = program, .webhook = ""};
    config.settings.entra.key_expires = time.now() + 5 * 24h;
    appliance = start();
    appliance->token.watch();
    appliance->ends.refresh_if_due();
    appliance->remind.tick();
    std::thread delivery([&] { appliance->remind.deliver(); });
    time.advance(3 * 24h);
    appliance->remind.tick();
    CHECK(appliance->remind.list().at(0).threshold_s == 3 * 86'400);
    appliance->remind.stop();
    delivery.join();
    CHECK(appliance->remind.list().at(0).threshold_s == 3 * 86'400);
    CHECK(appliance->remind.list().at(0).command_due);
}

TEST_CASE_METHOD(expiry_fixture, "a refused token is not taken for a refusal of Graph's", "[service]") {
    graph_says(time.now() + 100 * 24h);
    tenant->refused_secrets["the-application-secret"] = 7000112;
    tick();
    tenant->refused_secrets.clear();
    time.advance(16min);
    tick();
    tick();
    CHECK(appliance->ends.end_of("entra_key"));
    CHECK(appliance->ends.problem() == "");
}

TEST_CASE_METHOD(expiry_fixture, "TLS certificate and authority are among what ends", "[service]") {
    config.settings.server.certificate_pem = appliance->ctx.authority().issuing.pem();
    config.settings.entra.ca_pem = appliance->ctx.authority().root.pem() + appliance->ctx.authority().issuing.pem();
    reconfigure();
    auto const issuing = appliance->ctx.authority().issuing.not_after();
    CHECK(appliance->ends.end_of("tls_certificate") == issuing);
    CHECK(appliance->ends.end_of("authority") == issuing);
    CHECK(appliance->ends.end_of("ca_file") == issuing);  // which ends before the root
    CHECK(appliance->ends.end_of("entra_key") == std::nullopt);
}

TEST_CASE_METHOD(expiry_fixture, "each threshold is told once, over restarts, and the end itself", "[service]") {
    auto const ends = time.now() + 61 * 24h;
    graph_says(ends);
    tick();
    CHECK(count() == 0);
    std::vector<std::int64_t> days;
    while (time.now() < ends + 5 * 24h) {
        time.advance(6h);
        tick();
        if (time.now().time_since_epoch() % 24h == 0h) appliance = start();
    }
    for (std::size_t i = 0; i < count(); ++i) days.push_back(told(i).at("days_left").as_int64());
    CHECK(days == std::vector<std::int64_t>{60, 30, 14, 7, 3, 1, 0});
    auto const last = told(count() - 1);
    CHECK(last.at("event") == "expiry");
    CHECK(last.at("what") == "entra_key");
    CHECK(last.at("ends") == json::value(rfc3339(ends)));
    CHECK_THAT(std::string(last.at("message").as_string()), Catch::Contains("has ended"));
    CHECK_THAT(std::string(last.at("renew").as_string()), Catch::Contains("mdmctl key promote"));
    CHECK_THAT(std::string(last.at("docs").as_string()), Catch::EndsWith("/key-rollover.md"));
}

TEST_CASE_METHOD(expiry_fixture, "of several thresholds that were missed only the smallest is told", "[service]") {
    graph_says(time.now() + 5 * 24h);
    tick();
    REQUIRE(count() == 1);
    CHECK(told(0).at("days_left") == 5);
    tick();
    CHECK(count() == 1);
}

TEST_CASE_METHOD(expiry_fixture, "a renewed key ends the reminder, and is reminded of in its turn", "[service]") {
    graph_says(time.now() + 5 * 24h);
    tick();
    CHECK(appliance->remind.list().size() == 1);
    graph_says(time.now() + 100 * 24h);
    time.advance(24h);
    tick();
    CHECK(appliance->remind.list().empty());
    time.advance(80 * 24h);
    tick();
    CHECK(count() == 2);
}

TEST_CASE_METHOD(expiry_fixture, "a reminder that cannot be delivered is shown and tried again", "[service]") {
    graph_says(time.now() + 5 * 24h);
    tenant->hook_status = 500;
    tick();
    tick();
    CHECK(count() == 1);  // not at once
    auto status = service::status(*appliance);
    REQUIRE(status.reminders.size() == 1);
    CHECK(status.reminders[0].webhook_due);
    CHECK_THAT(status.reminders[0].error, Catch::Contains("HTTP 500"));
    time.advance(13s);
    tick();
    CHECK(count() == 2);
    appliance = start();
    tenant->hook_status = 200;
    time.advance(1min);
    tick();
    CHECK(count() == 3);
    status = service::status(*appliance);
    CHECK_FALSE(status.reminders[0].webhook_due);
    CHECK(status.reminders[0].error == "");
    CHECK_THAT(service::status_line(*appliance), Catch::Contains("ends in 4 days"));
}

TEST_CASE_METHOD(expiry_fixture, "systemd is told of devices, reports and the days that are left", "[service]") {
    graph_says(time.now() + 100 * 24h);
    tick();
    REQUIRE(appliance->remind.list().empty());
    CHECK_THAT(service::status_line(*appliance),
        Catch::StartsWith(
            "Serving 0 devices, 0 reports queued; The application's key for Entra ID ends in 100 days, on "));
}

TEST_CASE_METHOD(expiry_fixture, "a program gets the same object, and its failure is told", "[service]") {
    auto const program = folder.write("notify", "#!/bin/sh\ncat > \"$(dirname \"$0\")/got\"\nexit 3\n");
    REQUIRE(::chmod(program.c_str(), 0700) == 0);
    config.settings.notify.command = program;
    appliance = start();
    graph_says(time.now() + 5 * 24h);
    tick();
    CHECK(json::parse(test::read_file(folder.path() / "got")) == told(0));
    auto const r = appliance->remind.list().at(0);
    CHECK(r.command_due);
    CHECK_FALSE(r.webhook_due);  // which is not repeated for the other's sake
    CHECK_THAT(r.error, Catch::Contains("code 3"));
}

TEST_CASE("a program is run with its input, and killed with all that it started when it takes too long", "[service]") {
    std::signal(SIGPIPE, SIG_IGN);
    test::scratch folder;
    auto const script = [&](std::string const& text) {
        auto const file = folder.write("hook", "#!/bin/sh\n" + text);
        REQUIRE(::chmod(file.c_str(), 0700) == 0);
        return file;
    };
    CHECK(service::run_hook(script("read x && [ \"$x\" = hello ]"), "hello\n", 10s));
    CHECK(service::run_hook(script("exit 0"), std::string(1 << 20, 'x'), 10s));  // which reads nothing of it
    CHECK(service::run_hook(script("exit 7"), "", 10s).error().detail.ends_with("ended with code 7"));
    CHECK(service::run_hook(script("kill -9 $$"), "", 10s).error().detail.ends_with("ended by signal 9"));
    CHECK(service::run_hook(folder.path() / "none", "", 10s).error().code == errc::unavailable);
    std::stop_source stop;
    stop.request_stop();
    CHECK(service::run_hook(script("sleep 600"), "", 10min, stop.get_token()).error().detail.ends_with("stopping"));
    auto const slow = service::run_hook(script("sleep 600 & echo $! > \"$0.pid\"; wait"), "", 500ms);
    REQUIRE_FALSE(slow);
    auto const pid = std::stoi(test::read_file(folder.path() / "hook.pid"));
    for (int i = 0; i < 500 && ::kill(pid, 0) == 0; ++i) std::this_thread::sleep_for(10ms);
    CHECK(::kill(pid, 0) != 0);
}
