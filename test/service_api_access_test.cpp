#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

struct access_fixture : appliance_fixture {
    access_fixture() { appliance->keys.refresh_if_due(); }

    std::variant<service::api_caller, service::api_refusal> caller(
        std::string const& authorization, std::string const& address = "192.0.2.1") {
        auto r = request("GET", "/v1.0/deviceManagement/troubleshootingEvents");
        if (!authorization.empty()) r.headers.add("Authorization", authorization);
        r.peer_address = address;
        return appliance->access.caller(r);
    }
    // "read", "write", or why not.
    std::string may(std::string const& authorization, std::string const& address = "192.0.2.1") {
        auto const got = caller(authorization, address);
        if (auto const* const c = std::get_if<service::api_caller>(&got)) return c->may_write ? "write" : "read";
        switch (std::get<service::api_refusal>(got).code) {
            case errc::unauthenticated: return "unauthenticated";
            case errc::forbidden: return "forbidden";
            case errc::too_large: return "too many";
            case errc::unavailable: return "unavailable";
            default: return "?";
        }
    }
    std::string make(std::string const& name, std::string const& role = "reader", std::chrono::seconds ttl = 24h) {
        return "Bearer " + std::string(appliance->access.create(name, role, ttl).value().text.reveal());
    }
    std::string entra(json::object claims, bool v2 = true) {
        return "Bearer " + tenant->token(time.now(), std::move(claims), v2);
    }
};

constexpr char read_all[] = "DeviceManagementManagedDevices.Read.All";
constexpr char read_write_all[] = "DeviceManagementManagedDevices.ReadWrite.All";

}  // namespace

TEST_CASE_METHOD(access_fixture, "a local token lets in as its role says, until it ends or is revoked", "[service]") {
    auto const token = make("ci", "reader", 1h);
    CHECK_THAT(token, Catch::StartsWith("Bearer mdmd_"));
    CHECK(token.size() == 7 + 5 + 43);
    CHECK(may(token) == "read");
    CHECK(may("bearer   " + token.substr(7)) == "read");
    CHECK(may(make("op", "operator")) == "write");
    CHECK(may(make("root", "admin")) == "write");
    CHECK(std::get<service::api_caller>(caller(token)).name == "token ci");
    time.advance(1h - 1ms);
    CHECK(may(token) == "read");
    time.advance(1ms);
    CHECK(may(token) == "unauthenticated");
    auto const other = make("other", "admin", 1h);
    CHECK(may(other) == "write");
    REQUIRE(appliance->access.revoke("other"));
    CHECK(may(other) == "unauthenticated");
    CHECK(appliance->access.revoke("other").error().code == errc::not_found);
    // What outlives the process is enough.
    auto const kept = make("kept");
    appliance = start();
    CHECK(may(kept) == "read");
}

TEST_CASE_METHOD(access_fixture,
    "a token's making is refused for a bad name, role or time, and for a name that is taken", "[service]") {
    auto& access = appliance->access;
    for (auto const* name : {"", "a b", "a/b", "\xC3\xBC", "a\n"})
        CHECK(access.create(name, "reader", 1h).error().code == errc::malformed);
    CHECK(access.create(std::string(65, 'a'), "reader", 1h).error().code == errc::malformed);
    for (auto const* role : {"", "Reader", "root"}) CHECK(access.create("a", role, 1h).error().code == errc::malformed);
    CHECK(access.create("a", "reader", 0s).error().code == errc::malformed);
    CHECK(access.create("a", "reader", std::chrono::days(3651)).error().code == errc::malformed);
    CHECK(access.create(std::string(64, 'a'), "reader", std::chrono::days(3650)));
    CHECK(access.create("A.b_c-9", "reader", 1s));
    CHECK(access.create("A.b_c-9", "admin", 1h).error().code == errc::conflict);
    CHECK(access.list().size() == 2);
    CHECK(access.list()[0].role == "reader");
}

TEST_CASE_METHOD(
    access_fixture, "of a token only its digest is kept, and nothing of it is logged", "[service][security]") {
    std::string all_logged;
    log::configure(log::level::trace);
    log::configure([&](log::record const& r) { all_logged += log::as_text(r) + "\n"; });
    auto const token = make("ci").substr(7);
    CHECK(may("Bearer " + token) == "read");
    CHECK(may("Bearer " + token + "x") == "unauthenticated");
    CHECK(may("Bearer mdmd_secretsecretsecret") == "unauthenticated");
    auto const jwt = tenant->token(time.now(), {{"aud", "other"}});
    CHECK(may("Bearer " + jwt) == "unauthenticated");
    log::configure(log::to_text);
    log::configure(log::level::error);
    CHECK_THAT(all_logged, Catch::Contains("API token refused"));
    for (auto const& secret : {token, std::string("secretsecretsecret"), jwt.substr(jwt.rfind('.') + 1)})
        CHECK(all_logged.find(secret) == std::string::npos);
    db.probe();
    for (auto const& file : std::filesystem::directory_iterator(folder.path()))
        CHECK(read_file(file.path()).find(token.substr(5)) == std::string::npos);
    CHECK(appliance->access.list()[0].digest == hex(crypto::sha256(token)));
}

TEST_CASE_METHOD(access_fixture, "the use of a token is kept, once a minute at the most", "[service]") {
    auto const token = make("ci");
    auto const used = [&] { return appliance->access.list()[0].last_used; };
    CHECK_FALSE(used());
    auto const first = time.now();
    CHECK(may(token) == "read");
    CHECK(used() == first);
    time.advance(59s);
    CHECK(may(token) == "read");
    CHECK(used() == first);
    time.advance(1s);
    CHECK(may(token) == "read");
    CHECK(used() == time.now());
}

TEST_CASE_METHOD(access_fixture, "what is no bearer token of ours is refused", "[service][security]") {
    auto const token = make("ci");
    auto const text = token.substr(7);
    for (auto const& bad :
        {std::string(), std::string("Bearer"), std::string("Bearer "), "Basic " + text, text, "Bearer" + text,
            "Bearer " + text.substr(0, text.size() - 1), "Bearer " + lower(text) + "A", "Bearer " + text + "," + text,
            std::string("Bearer mdmd_"), std::string("Bearer x.y.z"), "Bearer " + std::string(70'000, 'x')}) {
        CAPTURE(bad.substr(0, 40));
        CHECK(may(bad) == "unauthenticated");
    }
    auto r = request("GET", "/v1.0/x");
    r.headers.add("Authorization", token);
    r.headers.add("Authorization", token);
    CHECK(std::holds_alternative<service::api_refusal>(appliance->access.caller(r)));
}

TEST_CASE_METHOD(access_fixture, "an Entra token lets in by the permission in its roles or scopes", "[service]") {
    bool const v2 = GENERATE(true, false);
    auto const client = v2 ? "azp" : "appid";
    auto const app = [&](json::value roles) {
        return entra({{"scp", nullptr}, {"roles", std::move(roles)}, {client, "c"}, {"oid", user_id}}, v2);
    };
    auto const user = [&](std::string const& scopes) { return entra({{"scp", scopes}, {client, "c"}}, v2); };
    auto const without = [&](json::object claims) { return may(entra(std::move(claims), v2)); };
    CHECK(may(user(read_all)) == "read");
    CHECK(may(user(read_write_all)) == "write");
    CHECK(may(user(std::string("mdm_delegation ") + read_all)) == "read");
    CHECK(may(user(std::string(read_all) + " " + read_write_all)) == "write");
    CHECK(may(user("mdm_delegation")) == "forbidden");
    CHECK(may(user("DeviceManagementManagedDevices.Read.AllX")) == "forbidden");
    CHECK(may(user("devicemanagementmanageddevices.read.all")) == "forbidden");
    CHECK(may(user("DeviceManagementManagedDevices.PrivilegedOperations.All")) == "forbidden");
    CHECK(without({{"scp", ""}, {"roles", {read_all}}, {client, "c"}}) == "read");
    CHECK(without({{"scp", ""}, {"roles", {"Other", read_write_all}}, {client, "c"}}) == "write");
    CHECK(without({{"scp", ""}, {"roles", json::array()}, {client, "c"}}) == "forbidden");
    CHECK(without({{"scp", ""}, {"roles", read_all}, {client, "c"}}) == "unauthenticated");
    CHECK(without({{"scp", ""}, {"roles", {read_all, 1}}, {client, "c"}}) == "unauthenticated");
    CHECK(may(app({read_all})) == "unauthenticated");  // scp of the wrong type
}

TEST_CASE_METHOD(access_fixture, "an Entra token that is not genuine, not ours or no access token is refused",
    "[service][security]") {
    json::object const good{{"scp", read_write_all}, {"azp", "c"}};
    auto const with = [&](json::object more) {
        auto all = good;
        for (auto const& [k, v] : more) all[k] = v;
        return may(entra(all));
    };
    CHECK(with({}) == "write");
    CHECK(with({{"aud", "00000003-0000-0000-c000-000000000000"}}) == "unauthenticated");
    CHECK(with({{"tid", "99999999-2222-3333-4444-555555555555"}}) == "unauthenticated");
    CHECK(with({{"iss", "https://login.test/other/v2.0"}}) == "unauthenticated");
    CHECK(
        with({{"exp", to_ms(time.now()) / 1000 - 301}, {"nbf", to_ms(time.now()) / 1000 - 4000}}) == "unauthenticated");
    CHECK(with({{"nonce", "n"}}) == "unauthenticated");
    CHECK(with({{"azp", ""}}) == "unauthenticated");
    auto token = entra(good);
    token[token.size() - 5] = token[token.size() - 5] == 'A' ? 'B' : 'A';
    CHECK(may(token) == "unauthenticated");
}

TEST_CASE_METHOD(
    appliance_fixture, "without signing keys an Entra token is refused for now, a local one is not", "[service]") {
    tenant->away = true;
    appliance->keys.refresh_if_due();
    auto r = request("GET", "/v1.0/x");
    r.headers.add("Authorization", "Bearer " + tenant->token(time.now()));
    auto const got = appliance->access.caller(r);
    CHECK(std::get<service::api_refusal>(got).code == errc::unavailable);
    CHECK(std::get<service::api_refusal>(got).retry_after > 0s);
    auto local = request("GET", "/v1.0/x");
    local.headers.add(
        "Authorization", "Bearer " + std::string(appliance->access.create("a", "admin", 1h).value().text.reveal()));
    CHECK(std::holds_alternative<service::api_caller>(appliance->access.caller(local)));
}

TEST_CASE_METHOD(access_fixture, "guessing from one address is stopped for a minute, and who has a token is not",
    "[service][security]") {
    auto const known = make("known");
    auto const late = make("late");
    CHECK(may(known) == "read");
    for (int i = 0; i < 30; ++i) CHECK(may("Bearer mdmd_" + std::to_string(i)) == "unauthenticated");
    CHECK(may("Bearer mdmd_x") == "too many");
    CHECK(may(late) == "read");  // whoever has a token is not locked out by others behind the same address
    CHECK(may(known) == "read");
    CHECK(may("") == "unauthenticated");  // no guess
    CHECK(may(late, "192.0.2.2") == "read");
    CHECK(may("Bearer mdmd_x", "192.0.2.2") == "unauthenticated");
    for (int i = 0; i < 30; ++i) may("Bearer mdmd_x", fmt::format("2001:db8::{:x}", i));
    CHECK(may("Bearer mdmd_x", "2001:db8::ffff") == "too many");  // one customer's addresses
    CHECK(may("Bearer mdmd_x", "2001:db8:0:1::1") == "unauthenticated");
    auto const refusal = std::get<service::api_refusal>(caller("Bearer mdmd_x"));
    CHECK(refusal.retry_after == 60s);
    time.advance(59s);
    CHECK(std::get<service::api_refusal>(caller("Bearer mdmd_x")).retry_after == 1s);
    time.advance(1s);
    CHECK(may(late) == "read");
}

TEST_CASE_METHOD(
    access_fixture, "a revoked token is good no more, even where guessing is stopped", "[service][security]") {
    auto const token = make("known");
    CHECK(may(token) == "read");
    for (int i = 0; i < 31; ++i) may("Bearer mdmd_" + std::to_string(i));
    REQUIRE(appliance->access.revoke("known"));
    CHECK(may(token) == "too many");
    CHECK(may(token, "192.0.2.7") == "unauthenticated");
}

TEST_CASE_METHOD(
    access_fixture, "however many addresses guess, an address with a good token is let in", "[service][security]") {
    auto const token = make("known");
    for (int i = 0; i < 10'100; ++i) may("Bearer mdmd_x", fmt::format("10.0.{}.{}", i / 256, i % 256));
    CHECK(may(token, "192.0.2.9") == "read");
    CHECK(may("Bearer mdmd_y", "192.0.2.9") == "too many");  // no room for it: it shares what is left
    time.advance(1min);
    CHECK(may("Bearer mdmd_y", "192.0.2.9") == "unauthenticated");
}
