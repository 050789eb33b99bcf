// The application's keys: proof, roll-over, refusals; and Entra's signing keys over restarts.
#include <sys/stat.h>

#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using service::key_state;

namespace {

struct keys_fixture : test::appliance_fixture {
    keys_fixture() {
        config.settings.entra.next_key_file = folder.path() / "next.key";
        appliance = start();
    }
    void stage(std::string const& text, mode_t mode = 0600) {
        folder.write("next.key", text);
        REQUIRE(::chmod((folder.path() / "next.key").c_str(), mode) == 0);
    }
    service::application_token& keys() { return appliance->token; }
    std::string last_tried() { return tenant->secrets_tried.empty() ? "" : tenant->secrets_tried.back(); }
    std::size_t tries() { return tenant->secrets_tried.size(); }
};

constexpr char first[] = "the-application-secret";

}  // namespace

TEST_CASE_METHOD(keys_fixture, "a key is proven at the start, without anything to report", "[service]") {
    CHECK(keys().current().current.state == key_state::unproven);
    keys().watch();
    CHECK(keys().current().current.state == key_state::ok);
    keys().watch();
    CHECK(tries() == 1);
}

TEST_CASE_METHOD(
    keys_fixture, "a successor is proven as soon as its file appears, and does not replace the key", "[service]") {
    keys().watch();
    CHECK_FALSE(keys().current().next.present);
    stage("the-next-secret\n");
    keys().watch();
    auto const s = keys().current();
    CHECK(s.next.state == key_state::ok);
    CHECK_FALSE(s.next_in_use);
    CHECK(tenant->secrets_tried == std::vector<std::string>{first, "the-next-secret"});
    time.advance(2h);
    REQUIRE(keys().get());
    CHECK(last_tried() == first);

    // A changed file is another key; one that is gone is none.
    tenant->refused_secrets["mistyped"] = 7000215;
    stage("mistyped\n");
    keys().watch();
    CHECK(keys().current().next.state == key_state::refused);
    CHECK(keys().current().next.refusal->code == 7000215);
    auto const so_far = tries();
    keys().watch();
    CHECK(tries() == so_far);  // Entra is not asked again and again
    std::filesystem::remove(folder.path() / "next.key");
    keys().watch();
    CHECK_FALSE(keys().current().next.present);
}

TEST_CASE_METHOD(keys_fixture, "a successor that cannot be read, or is no other key, says why", "[service]") {
    struct row {
        char const* name;
        std::string text;
        mode_t mode;
        char const* said;
    };
    for (auto const& r :
        std::vector<row>{{"others may read it", "the-next-secret\n", 0644, "others cannot read"},
            {"empty", "\n", 0600, "expected"}, {"the current key again", std::string(first) + "\n", 0600, "same as"}}) {
        CAPTURE(r.name);
        stage(r.text, r.mode);
        keys().watch();
        auto const next = keys().current().next;
        CHECK_FALSE(next.present);
        CHECK_THAT(next.problem, Catch::Contains(r.said));
        CHECK(last_tried() == first);
    }
}

TEST_CASE_METHOD(keys_fixture, "when Entra refuses the key its successor is used in the same breath", "[service]") {
    int const code = GENERATE(7000215, 7000222, 700027);
    CAPTURE(code);
    keys().watch();
    stage("the-next-secret");
    keys().watch();
    tenant->refused_secrets[first] = code;
    time.advance(2h);  // the token has ended
    CHECK(keys().get());
    auto const s = keys().current();
    CHECK(s.next_in_use);
    CHECK(s.in_use().state == key_state::ok);
    CHECK(s.current.state == (code == 7000222 ? key_state::expired : key_state::refused));
    CHECK(s.current.refusal->code == code);
    time.advance(2h);
    CHECK(keys().get());
    CHECK(last_tried() == "the-next-secret");
    // The file may go: the key is in use.
    std::filesystem::remove(folder.path() / "next.key");
    keys().watch();
    time.advance(2h);
    CHECK(keys().get());
    CHECK(keys().current().next_in_use);
}

TEST_CASE_METHOD(
    keys_fixture, "a successor that comes after the refusal mends it, and what waited goes on", "[service]") {
    tenant->refused_secrets[first] = 7000222;
    CHECK_FALSE(keys().get());
    auto const before = keys().recoveries();
    stage("the-next-secret");
    keys().watch();
    CHECK(keys().current().next_in_use);
    CHECK(keys().recoveries() == before + 1);
    CHECK(keys().get());
}

TEST_CASE_METHOD(keys_fixture, "what a successor cannot mend does not bring it into use", "[service]") {
    int const code = GENERATE(700016, 90002, 70011, 53003);
    CAPTURE(code);
    stage("the-next-secret");
    tenant->refused_secrets[first] = code;
    CHECK_FALSE(keys().get());
    CHECK_FALSE(keys().current().next_in_use);
    CHECK(last_tried() == first);
}

TEST_CASE_METHOD(keys_fixture, "a refused key is left alone for a quarter of an hour, or until a reload", "[service]") {
    tenant->refused_secrets[first] = 7000215;
    for (int i = 0; i < 5; ++i) {
        auto const got = keys().get();
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::forbidden);
        CHECK_THAT(got.error().detail, Catch::Contains("AADSTS7000215"));
        keys().watch();
    }
    CHECK(tries() == 1);
    time.advance(15min);
    CHECK_FALSE(keys().get());
    CHECK(tries() == 2);
    reconfigure();
    keys().watch();
    CHECK(tries() == 3);
}

TEST_CASE_METHOD(keys_fixture, "silence is waited out for longer each time, with a limit", "[service]") {
    tenant->away = true;
    CHECK(keys().get().error().code == errc::unavailable);
    std::vector<std::int64_t> waits;
    for (int i = 0; i < 8; ++i) {
        auto const from = time.now();
        tenant->away = false;
        auto const so_far = tenant->token_requests;
        auto const asked = [&] {
            static_cast<void>(keys().get());
            return tenant->token_requests > so_far;
        };
        tenant->token_refusal = {{"error", "temporarily_unavailable"}};
        while (!asked()) time.advance(500ms);
        waits.push_back((time.now() - from) / 1s);
    }
    CHECK(waits.front() >= 8);
    CHECK(waits.front() <= 13);
    CHECK(waits[2] > waits[0]);
    CHECK(waits.back() >= 240);
    CHECK(waits.back() <= 361);
}

TEST_CASE_METHOD(keys_fixture, "a token outlives a login that is out of order", "[service]") {
    keys().watch();
    REQUIRE(keys().get());
    tenant->away = true;
    reconfigure();
    keys().watch();
    CHECK(keys().get());
    time.advance(56min);  // now it has less than five minutes
    CHECK_FALSE(keys().get());
}

TEST_CASE_METHOD(keys_fixture, "a new key that is wrong is told at once, whatever token there was", "[service]") {
    keys().watch();
    config.settings.entra.key.text = secret("wrong");
    tenant->refused_secrets["wrong"] = 7000215;
    reconfigure();
    CHECK_FALSE(keys().get());
    CHECK(keys().current().current.state == key_state::refused);
    config.settings.entra.key.text = secret(first);
    reconfigure();
    CHECK(keys().get());
}

TEST_CASE_METHOD(
    keys_fixture, "promotion uses the successor; after the files were moved it is the current key", "[service]") {
    CHECK(keys().promote().error().code == errc::not_found);
    keys().watch();
    stage("the-next-secret");
    REQUIRE(keys().promote());
    CHECK(keys().current().next_in_use);
    CHECK(keys().current().in_use().state == key_state::ok);
    std::filesystem::remove(folder.path() / "next.key");
    keys().watch();
    CHECK(keys().current().next_in_use);
    config.settings.entra.key.text = secret("the-next-secret");
    reconfigure();
    keys().watch();
    auto const s = keys().current();
    CHECK_FALSE(s.next_in_use);
    CHECK_FALSE(s.next.present);
    CHECK(s.current.state == key_state::ok);
    time.advance(2h);
    CHECK(keys().get());
    CHECK(last_tried() == "the-next-secret");
}

TEST_CASE_METHOD(keys_fixture, "a successor that Entra refuses cannot be promoted", "[service]") {
    keys().watch();
    stage("the-next-secret");
    tenant->refused_secrets["the-next-secret"] = 7000215;
    CHECK(keys().promote().error().code == errc::forbidden);
    CHECK_FALSE(keys().current().next_in_use);
    time.advance(2h);
    CHECK(keys().get());
    CHECK(last_tried() == first);
}

TEST_CASE_METHOD(keys_fixture, "a test tries both keys, whatever was waited for", "[service]") {
    tenant->refused_secrets[first] = 7000222;
    CHECK_FALSE(keys().get());
    tenant->refused_secrets.clear();
    stage("the-next-secret");
    keys().test();
    CHECK(keys().current().current.state == key_state::ok);
    CHECK(keys().current().next.state == key_state::ok);
    CHECK_FALSE(keys().current().next_in_use);
}

TEST_CASE_METHOD(keys_fixture, "a token of one tenant is not shown to another", "[service]") {
    auto const change = GENERATE(0, 1, 2, 3);
    CAPTURE(change);
    keys().watch();
    REQUIRE(keys().get());
    auto& e = config.settings.entra;
    if (change == 0) e.tenant_id = "99999999-2222-3333-4444-555555555555";
    if (change == 1) e.client_id = "99999999-2222-3333-4444-555555555555";
    if (change == 2) e.login_url = {"https://other.test", "other.test", 443};
    if (change == 3) e.graph_url = {"https://other.test", "other.test", 443};
    tenant->away = true;
    reconfigure();
    CHECK_FALSE(keys().get());
    CHECK(keys().current().current.state == key_state::unproven);
}

TEST_CASE_METHOD(
    keys_fixture, "a successor in use stays in use over a reload, until the current key is taken", "[service]") {
    stage("the-next-secret");
    keys().watch();
    tenant->refused_secrets[first] = 7000222;
    time.advance(2h);
    REQUIRE(keys().get());
    tenant->away = true;
    reconfigure();
    keys().watch();
    CHECK(keys().current().next_in_use);
    CHECK(keys().get());
    tenant->away = false;
    tenant->refused_secrets.clear();
    time.advance(15min);
    reconfigure();
    keys().watch();
    CHECK_FALSE(keys().current().next_in_use);
    CHECK(keys().get());
}

TEST_CASE_METHOD(keys_fixture, "what failed is tried again without anybody asking", "[service]") {
    tenant->away = true;
    CHECK_FALSE(keys().get());
    tenant->away = false;
    auto const before = keys().recoveries();
    time.advance(13s);
    keys().watch();
    CHECK(keys().recoveries() == before + 1);
    CHECK(keys().current().current.state == key_state::ok);
}

TEST_CASE_METHOD(keys_fixture, "a clock that is set back holds nothing up", "[service]") {
    time.advance(365 * 24h);
    tenant->away = true;
    CHECK_FALSE(keys().get());
    tenant->away = false;
    time.advance(-365 * 24h);
    CHECK(keys().get());
}

// --- Entra's signing keys ----------------------------------------------------------------------------------------
TEST_CASE_METHOD(test::appliance_fixture, "the signing keys are there after a restart without a network", "[service]") {
    appliance->keys.refresh_if_due();
    auto const v2 = GENERATE(false, true);
    auto const token = [&] { return tenant->token(time.now(), {}, v2); };
    REQUIRE(appliance->keys.verify(token()));
    tenant->away = true;
    appliance = start();
    CHECK_FALSE(appliance->keys.attempted());
    CHECK(appliance->keys.verify(token()));
    appliance->keys.refresh_if_due();
    CHECK(appliance->keys.verify(token()));

    SECTION("but not for longer than a day since they were fetched") {
        time.advance(24h - 1min);
        appliance = start();
        CHECK(appliance->keys.verify(token()));
        time.advance(2min);
        CHECK(appliance->keys.verify(token()).error().code == errc::unavailable);
        appliance = start();
        CHECK(appliance->keys.verify(token()).error().code == errc::unavailable);
    }
    SECTION("and not for another tenant") {
        config.settings.entra.tenant_id = "99999999-2222-3333-4444-555555555555";
        appliance = start();
        CHECK(appliance->keys.verify(token()).error().code == errc::unavailable);
    }
    SECTION("and not what was damaged in the store") {
        db.write([&](store::connection& c) { store::put_document(c, {"signing_keys", "{\"place\": 1", time.now()}); });
        appliance = start();
        CHECK(appliance->keys.verify(token()).error().code == errc::unavailable);
    }
}

TEST_CASE_METHOD(
    test::appliance_fixture, "a version whose documents cannot be had keeps its own old ones alone", "[service]") {
    appliance->keys.refresh_if_due();
    tenant->no_v1 = true;
    tenant->kid = "k2";
    time.advance(2h);
    appliance->keys.refresh_if_due();
    CHECK(appliance->keys.verify(tenant->token(time.now(), {}, true)));  // v2, by its new key
    auto const old_key = [&] {
        tenant->kid = "k1";
        auto const token = tenant->token(time.now());
        tenant->kid = "k2";
        return token;
    };
    CHECK(appliance->keys.verify(old_key()));  // v1, by its old one
    appliance = start();
    CHECK(appliance->keys.verify(old_key()));
    for (int i = 0; i < 25; ++i) {
        time.advance(1h);
        appliance->keys.refresh_if_due();
    }
    CHECK_FALSE(appliance->keys.verify(old_key()));
    CHECK(appliance->keys.verify(tenant->token(time.now(), {}, true)));
}

TEST_CASE_METHOD(test::appliance_fixture, "made-up key ids cannot make the appliance hammer Entra", "[service]") {
    appliance->keys.refresh_if_due();
    auto const fetches = tenant->fetches;
    for (int i = 0; i < 100; ++i) {
        tenant->kid = "made-up-" + std::to_string(i);
        auto const token = tenant->token(time.now());
        tenant->kid = "k1";
        CHECK(appliance->keys.verify(token).error().code == errc::not_found);
        time.advance(1s);
    }
    CHECK(tenant->fetches == fetches + 1);
}
