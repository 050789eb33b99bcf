// The application's key over its whole life: rolled over under load, ended and repaired, through storms.
#include <sys/stat.h>
#include <unistd.h>
#include <atomic>
#include <set>

#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

using steady = std::chrono::steady_clock;
constexpr auto interval = 3s;  // compliance.interval of these tests
auto const in_a_year = [] { return from_ms(to_ms(system_clock().now()) + 365 * 86'400'000LL); };

e2e::settings staged(e2e::settings more = {}) {
    e2e::settings all{{"entra.next_key_file", "entra.next.key"}, {"compliance.interval", "3s"}};
    for (auto const& [key, value] : more) all[key] = value;
    return all;
}

std::string text(boost::json::value const& v, char const* name) {
    return v.at(name).is_null() ? "" : std::string(v.at(name).as_string());
}

// The next call to Graph is told that its token is not good: the appliance must buy another one.
void end_token(e2e::world& w) {
    w.tenant.add_fault({.method = "",
        .path = "/v1.0/devices",
        .status = 401,
        .headers = {},
        .body = R"({"error":{"code":"InvalidAuthenticationToken","message":"ended"}})",
        .count = 1});
}

bool key_is(e2e::world& w, char const* state, char const* in_use = "current", std::chrono::seconds patience = 20s) {
    return e2e::becomes_true(patience, [&] {
        auto const k = w.app->ask({"key", "status"});
        auto const& used = text(k, "in_use") == "next" ? k.at("next") : k;
        return text(k, "in_use") == in_use && text(used, "state") == state;
    });
}

bool graph_says(e2e::world& w, sim::device const& d, bool compliant, std::chrono::milliseconds patience = 20s) {
    return e2e::becomes_true(patience, [&] { return w.registered(d.entra_device_id()).is_compliant == compliant; });
}

std::size_t token_requests(e2e::world& w) {
    std::size_t n = 0;
    for (auto const& e : w.tenant.log())
        if (e.what == "token") ++n;
    return n;
}

}  // namespace

TEST_CASE("a key is rolled over under a steady load: no report is lost, none is over an interval late", "[e2e]") {
    e2e::world w(staged());
    e2e::write_mode_rule(*w.app);
    w.app->start();
    REQUIRE(key_is(w, "ok"));
    std::vector<std::unique_ptr<sim::device>> devices;
    for (auto const* name : {"PC-1", "PC-2", "PC-3"}) devices.push_back(joined(w, name, "alice@contoso.test"));

    // Each turn changes what every device reports. Due is a report within an interval; late by another one, at most.
    std::atomic<int> turns = 0;
    std::atomic<bool> enough = false;
    steady::duration slowest{};
    std::vector<std::string> lost;
    std::thread load([&] {
        for (bool compliant = true; !enough; compliant = !compliant, ++turns) {
            auto const from = steady::now();
            for (auto& d : devices) {
                d->tree().set(e2e::mode_uri, {"int", compliant ? "0" : "1", "G"});
                auto const session = d->sync(w.sync());
                if (session.failure != "") lost.push_back(session.failure);
            }
            for (auto& d : devices)
                if (!graph_says(w, *d, compliant, 30s)) lost.push_back(fmt::format("turn {}", turns.load()));
            slowest = std::max(slowest, steady::now() - from);
        }
    });
    auto const some_turns = [&] {
        auto const from = turns.load();
        return e2e::becomes_true(90s, [&] { return turns >= from + 2; });
    };
    CHECK(some_turns());

    // The successor is staged and proven while the old key still works; then the old one ends; then it is promoted.
    auto second = sim::make_client_secret();
    w.tenant.add_secret(second, in_a_year());
    w.app->write("entra.next.key", second + "\n");
    CHECK(e2e::becomes_true(10s, [&] { return text(w.app->ask({"key", "status"}).at("next"), "state") == "ok"; }));
    CHECK(some_turns());
    w.tenant.set_secret(w.tenant.secret(), "expired");
    end_token(w);
    CHECK(some_turns());
    CHECK(key_is(w, "ok", "next"));
    auto const status = w.app->mdmctl({"key", "status"});
    CHECK_THAT(status.out, Catch::Contains("AADSTS7000222"));
    auto const promoted = w.app->mdmctl({"key", "promote"});
    CAPTURE(promoted.err);
    CHECK(promoted.code == 0);
    CHECK_FALSE(std::filesystem::exists(w.app->file("entra.next.key")));
    CHECK(trim(test::read_file(w.app->file("entra.key"))) == second);
    CHECK(key_is(w, "ok"));
    end_token(w);
    CHECK(some_turns());

    // The usual way, with nothing ended: stage, promote, then remove the old one in Entra.
    auto const third = sim::make_client_secret();
    w.tenant.add_secret(third, in_a_year());
    w.app->write("entra.next.key", third + "\n");
    auto const again = w.app->mdmctl({"key", "promote", "--json"});
    CHECK(again.code == 0);
    w.tenant.set_secret(second, "removed");
    end_token(w);
    CHECK(some_turns());
    CHECK(key_is(w, "ok"));

    enough = true;
    load.join();
    CAPTURE(lost, turns.load(), slowest / 1ms);
    CHECK(lost.empty());
    CHECK(slowest < 2 * interval + 2s);  // and the sessions themselves
    CHECK(w.app->stop() == 0);
}

TEST_CASE("certificates are rolled over as secrets are, and a secret gives way to a certificate", "[e2e]") {
    e2e::world w(staged());
    w.app->start();
    REQUIRE(key_is(w, "ok"));
    auto const make = [] {
        auto key = sim::private_key::rsa(2048);
        auto own = sim::self_signed(key, "mdmd", 365);
        return sim::identity{std::move(own), std::move(key)};
    };
    auto const first = make(), second = make();
    for (auto const& c : {first, second}) REQUIRE(w.tenant.add_certificate(c.own.pem(), in_a_year()));

    // As the successor of a secret it comes in one file.
    w.app->write("entra.next.key", first.own.pem() + first.key.pem());
    auto promoted = w.app->mdmctl({"key", "promote"});
    CAPTURE(promoted.out, promoted.err);
    REQUIRE(promoted.code == 0);
    w.tenant.set_secret(w.tenant.secret(), "removed");
    auto shown = w.app->ask({"key", "test"});
    CHECK(text(shown, "state") == "ok");
    CHECK(text(shown, "kind") == "certificate");

    // Or in two, for good.
    w.app->write("app.crt", second.own.pem());
    w.app->write("app.key", second.key.pem());
    for (auto const* form : {"PS256", "RS256"}) {
        w.app->configure({{"entra.key_file", ""}, {"entra.certificate_file", "app.crt"},
            {"entra.certificate_key_file", "app.key"}, {"entra.assertion", form}});
        w.app->reload();
        CAPTURE(form);
        CHECK(e2e::becomes_true(10s, [&] {
            shown = w.app->ask({"key", "test"});
            return text(shown, "source") == "certificate" && text(shown, "state") == "ok";
        }));
    }
    auto const third = make();
    REQUIRE(w.tenant.add_certificate(third.own.pem(), in_a_year()));
    w.app->write("entra.next.key", third.own.pem() + third.key.pem());
    promoted = w.app->mdmctl({"key", "promote"});
    CHECK(promoted.code == 0);
    CHECK(test::read_file(w.app->file("app.crt")) == third.own.pem());
    w.tenant.set_certificate(second.own.thumbprint(), "removed");
    CHECK(text(w.app->ask({"key", "test"}), "state") == "ok");
    CHECK(w.app->check_config().code == 0);
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a key whose file is on another file system is promoted too", "[e2e]") {
    std::filesystem::path const elsewhere = fmt::format("/dev/shm/mdmd-test-{}", ::getpid());
    struct removed {
        std::filesystem::path const& folder;
        ~removed() { std::filesystem::remove_all(folder); }
    } const cleanup{elsewhere};
    e2e::world w(staged({{"entra.key_file", (elsewhere / "entra.key").string()}}));
    std::filesystem::create_directories(elsewhere);
    std::filesystem::copy_file(w.app->file("entra.key"), elsewhere / "entra.key");
    REQUIRE(::chmod((elsewhere / "entra.key").c_str(), 0640) == 0);
    w.app->start();
    REQUIRE(key_is(w, "ok"));
    auto const second = sim::make_client_secret();
    w.tenant.add_secret(second, in_a_year());
    w.app->write("entra.next.key", second + "\n");
    auto const promoted = w.app->mdmctl({"key", "promote"});
    CAPTURE(promoted.out, promoted.err);
    CHECK(promoted.code == 0);
    CHECK(trim(test::read_file(elsewhere / "entra.key")) == second);
    CHECK((std::filesystem::status(elsewhere / "entra.key").permissions() & std::filesystem::perms::all) ==
          std::filesystem::perms(0640));
    CHECK_FALSE(std::filesystem::exists(w.app->file("entra.next.key")));
    w.tenant.set_secret(w.tenant.secret(), "removed");
    CHECK(text(w.app->ask({"key", "test"}), "state") == "ok");
    CHECK(w.app->stop() == 0);
}

TEST_CASE("the only key ends: reports wait, the remedy is told, and either repair brings all of them", "[e2e]") {
    e2e::world w(staged());
    e2e::write_mode_rule(*w.app);
    w.app->start();
    auto const d = joined(w, "PC-1", "alice@contoso.test");
    e2e::check_in(w, *d, true);
    REQUIRE(graph_says(w, *d, true));

    bool const by_successor = GENERATE(true, false);
    w.tenant.set_secret(w.tenant.secret(), "expired");
    end_token(w);
    e2e::check_in(w, *d, false);
    REQUIRE(key_is(w, "expired"));
    auto const before = token_requests(w);
    auto const status = w.app->ask({"status"});
    CHECK(status.at("report").at("queued") == 1);
    CHECK_THAT(text(status.at("report"), "last_error"), Catch::Contains("7000222"));
    auto const key = w.app->ask({"key", "status"});
    CHECK(key.at("error").at("code") == 7000222);
    CHECK(text(key.at("error"), "remedy") != "");
    auto const tested = w.app->mdmctl({"key", "test"});
    CHECK(tested.code == 1);
    CHECK(token_requests(w) == before + 1);
    // A wrong key is told as such, and Entra is not hammered with it.
    w.app->write("entra.key", "s1mS3cret-mistyped\n");
    w.app->reload();
    REQUIRE(e2e::becomes_true(20s, [&] {
        auto const k = w.app->ask({"key", "status"});
        return k.at("error").is_object() && k.at("error").at("code") == 7000215;
    }));
    auto const after = token_requests(w);
    for (int i = 0; i < 5; ++i) CHECK(w.app->mdmctl({"compliance", "report"}).code == 1);
    CHECK(token_requests(w) == after);
    CHECK(w.app->ask({"status"}).at("report").at("queued") == 1);

    auto const fresh = sim::make_client_secret();
    w.tenant.add_secret(fresh, in_a_year());
    w.app->write(by_successor ? "entra.next.key" : "entra.key", fresh + "\n");
    if (!by_successor) w.app->reload();
    CHECK(graph_says(w, *d, false, 10s));
    CHECK(key_is(w, "ok", by_successor ? "next" : "current"));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("storms of 429 and 503 are waited out, and nothing is lost in them", "[e2e]") {
    e2e::world w(staged({{"compliance.interval", "1s"}}));
    e2e::write_mode_rule(*w.app);
    w.app->start();
    auto const d = joined(w, "PC-1", "alice@contoso.test");
    e2e::check_in(w, *d, true);
    REQUIRE(graph_says(w, *d, true));

    auto const storm = [&](std::string path, int status) {
        w.tenant.add_fault({.method = "",
            .path = std::move(path),
            .status = status,
            .headers = {{"Retry-After", "3"}},
            .body = R"({"error":{"code":"TooManyRequests","message":"slow down"}})"});
    };
    end_token(w);
    storm(fmt::format("/{}/oauth2/v2.0/token", w.tenant.tenant_id()), GENERATE(429, 503));
    auto const before = steady::now();
    e2e::check_in(w, *d, false);
    REQUIRE(e2e::becomes_true(20s, [&] { return w.app->ask({"status"}).at("report").at("queued") == 1; }));
    REQUIRE(e2e::becomes_true(20s, [&] { return steady::now() - before > 4s; }));
    w.tenant.clear_faults();
    CHECK(graph_says(w, *d, false, 15s));

    storm("/v1.0/devices", 429);
    e2e::check_in(w, *d, true);
    REQUIRE(e2e::becomes_true(20s, [&] {
        return text(w.app->ask({"devices", "show", "PC-1"}).at("report"), "error").find("429") != std::string::npos;
    }));
    w.tenant.clear_faults();
    CHECK(graph_says(w, *d, true, 15s));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("what ends is told by a program and a web hook, in the status and the metrics", "[e2e]") {
    e2e::world w;
    auto const hook = w.app->file("hook");
    w.app->write("hook", "#!/bin/sh\ncat >> \"$0.got\"\necho >> \"$0.got\"\n");
    REQUIRE(::chmod(hook.c_str(), 0700) == 0);
    w.app->configure({{"notify.command", "hook"}, {"key_reminders", "[800d, 100d]"}});
    w.app->start();
    // The simulated tenant's secret ends within 800 days; so does the TLS certificate.
    auto const reminders = [&] { return w.app->ask({"status"}).at("reminders").as_array().size(); };
    e2e::becomes_true(20s, [&] { return reminders() >= 2; });
    CAPTURE(boost::json::serialize(w.app->ask({"key", "status"})), boost::json::serialize(w.app->ask({"status"})));
    REQUIRE(reminders() >= 2);
    std::set<std::string> told;
    REQUIRE(e2e::becomes_true(20s, [&] {
        if (!std::filesystem::exists(w.app->file("hook.got"))) return false;
        told.clear();
        auto const all = test::read_file(w.app->file("hook.got"));
        for (auto const line : split(trim(all), '\n')) {
            boost::system::error_code bad;
            auto const v = boost::json::parse(line, bad);
            if (!bad) told.insert(text(v, "what"));
        }
        return told.contains("entra_key") && told.contains("tls_certificate");
    }));
    auto const key = w.app->ask({"key", "status"});
    CHECK(text(key, "end_source") == "Graph");
    auto const metrics = w.app->admin("/metrics");
    CHECK(metrics.status == 200);
    CHECK_THAT(metrics.body, Catch::Contains(fmt::format("mdmd_expiry_timestamp_seconds{{what=\"entra_key\"}} {}\n",
                                 to_ms(parse_rfc3339(text(key, "ends")).value()) / 1000)));
    // Once, over restarts too.
    CHECK(w.app->stop() == 0);
    auto const before = test::read_file(w.app->file("hook.got"));
    w.app->start();
    REQUIRE(key_is(w, "ok"));
    REQUIRE(e2e::becomes_true(10s, [&] { return w.app->ask({"status"}).at("reminders").as_array().size() >= 2; }));
    CHECK(w.app->stop() == 0);
    CHECK(test::read_file(w.app->file("hook.got")) == before);
}
