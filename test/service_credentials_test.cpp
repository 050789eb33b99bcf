#include "service/credentials.hpp"

#include <crypt.h>

#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using service::enrollee;

namespace {

struct credentials_fixture : appliance_fixture {
    service::attempt who{.address = "192.0.2.1"};
    service::outcome<enrollee> identify(enroll::credential const& c) {
        who = {.address = "192.0.2.1"};
        return appliance->who.identify(c, who);
    }
    enroll::refusal refused(enroll::credential const& c) {
        auto const got = identify(c);
        REQUIRE_FALSE(got);
        CHECK_FALSE(got.error().detail.empty());
        return got.error().what;
    }
    enroll::credential jwt(json::object claims) {
        return enroll::entra_token{secret(tenant->token(time.now(), std::move(claims)))};
    }
    void with_passwords() {
        crypt_data state{};
        config.settings.enrollment.on_premise = true;
        config.settings.enrollment.users = {
            {"alice", secret(crypt_r("right", "$2y$04$abcdefghijklmnopqrstuu", &state))}};
        reconfigure();
    }
};

}  // namespace

TEST_CASE_METHOD(
    credentials_fixture, "a token of Entra's is a user's, a package's or a device's", "[service][credentials]") {
    auto const user = identify(jwt({{"deviceid", entra_device}}));
    REQUIRE(user.has_value());
    CHECK(user->what == enrollee::kind::user);
    CHECK(user->user_id == user_id);
    CHECK(user->entra_device_id == entra_device);
    CHECK(who.upn == "user@contoso.com");

    for (auto const* upn : {"package_0d1e2f3a-1111-2222-3333-444455556666@contoso.com",
             "PACKAGE_0D1E2F3A-1111-2222-3333-444455556666@contoso.com"}) {
        auto const bulk = identify(jwt({{"deviceid", entra_device}, {"upn", upn}}));
        REQUIRE(bulk.has_value());
        CHECK(bulk->what == enrollee::kind::bulk);
        CHECK(bulk->upn == upn);
    }
    // Others may choose such a name.
    for (auto const* upn : {"package_x@contoso.com", "package_@contoso.com", "package_"})
        CHECK(identify(jwt({{"upn", upn}}))->what == enrollee::kind::user);
    auto const preferred = tenant->token(time.now(),
        {{"upn", ""}, {"preferred_username", "package_0d1e2f3a-1111-2222-3333-444455556666@evil.example"}}, true);
    auto const guest = identify(enroll::entra_token{secret(preferred)});
    REQUIRE(guest.has_value());
    CHECK(guest->what == enrollee::kind::user);
    CHECK(identify(jwt({{"upn", "mypackage_x@contoso.com"}}))->what == enrollee::kind::user);

    for (auto const& claims :
        {json::object{{"idtyp", "device"}, {"upn", ""}}, json::object{{"scp", ""}, {"upn", ""}}}) {
        auto all = claims;
        all["deviceid"] = entra_device;
        auto const device = identify(jwt(all));
        REQUIRE(device.has_value());
        CHECK(device->what == enrollee::kind::device);
        CHECK(device->user_id.empty());
        CHECK(device->upn.empty());
        CHECK(device->entra_device_id == entra_device);
        CHECK(who.user_id.empty());
    }
    CHECK(refused(jwt({{"scp", ""}, {"upn", ""}})) == enroll::refusal::authorization);  // of no device
    CHECK(refused(jwt({{"scp", ""}, {"upn", ""}, {"deviceid", entra_device}, {"roles", {"mdm.manage"}}})) ==
          enroll::refusal::authorization);
    CHECK(refused(jwt({{"idtyp", "app"}, {"upn", ""}, {"deviceid", entra_device}})) == enroll::refusal::authorization);
    CHECK(refused(jwt({{"exp", 1'700'000'000}})) == enroll::refusal::authentication);
    CHECK(refused(enroll::entra_token{secret("x")}) == enroll::refusal::invalid_security);
}

TEST_CASE_METHOD(credentials_fixture, "a device's token opens neither the Terms of Use nor anything for users",
    "[service][credentials][security]") {
    auto const token = tenant->token(time.now(), {{"idtyp", "device"}, {"upn", ""}, {"deviceid", entra_device}});
    CHECK_FALSE(appliance->keys.verify(token));
    CHECK_THAT(std::string(open_terms(true, token).headers.get("Location").value_or("")), Catch::Contains("error="));
}

TEST_CASE_METHOD(
    credentials_fixture, "names and passwords are taken where they are switched on", "[service][credentials]") {
    enroll::credential const right = enroll::username_token{"CONTOSO\\Alice", secret("right")};
    CHECK(refused(right) == enroll::refusal::not_supported);
    with_passwords();
    auto const got = identify(right);
    REQUIRE(got.has_value());
    CHECK(got->what == enrollee::kind::on_premise);
    CHECK(got->user_id == "alice");
    CHECK(got->upn == "alice");
    CHECK(got->entra_device_id.empty());
    CHECK(who.user_id == "alice");
}

TEST_CASE_METHOD(credentials_fixture, "a wrong password is an authentication failure that tells nothing else",
    "[service][credentials][security]") {
    with_passwords();
    std::vector<log::record> lines;
    for (auto const& [name, password] :
        {std::pair("alice", "s3cr3t-guess"), {"nobody", "s3cr3t-guess"}, {"alice", ""}}) {
        auto const got = identify(enroll::username_token{name, secret(password)});
        REQUIRE_FALSE(got);
        CHECK(got.error().what == enroll::refusal::authentication);
        CHECK(got.error().text.empty());
        CHECK(got.error().detail.find("s3cr3t") == std::string::npos);
        CHECK(who.user_id.empty());  // nobody has shown to be anybody
        CHECK(who.upn == name);
    }
    for (int i = 0; i < 12; ++i) identify(enroll::username_token{"alice", secret("guess")});
    auto const locked = identify(enroll::username_token{"alice", secret("right")});
    REQUIRE_FALSE(locked);
    CHECK(locked.error().what == enroll::refusal::authentication);
    CHECK_THAT(locked.error().detail, Catch::Contains("too many"));
    who.address = "192.0.2.2";
    CHECK(appliance->who.identify(enroll::username_token{"alice", secret("right")}, who).has_value());
}

TEST_CASE_METHOD(credentials_fixture, "what else may stand in a security header is refused", "[service][credentials]") {
    CHECK(refused(enroll::certificate_token{}) == enroll::refusal::not_supported);
    CHECK(refused(enroll::user_token{secret("x")}) == enroll::refusal::not_supported);
    CHECK(refused(enroll::no_credential{}) == enroll::refusal::invalid_security);
    CHECK(refused(enroll::unreadable_credential{"several"}) == enroll::refusal::invalid_security);
    CHECK(appliance->who.flow_of(enroll::no_credential{}).empty());
    CHECK(appliance->who.flow_of(enroll::user_token{secret("x")}).empty());
}
