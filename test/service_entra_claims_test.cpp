// A device that says itself which of Entra's devices it is.
#include "test/service_session_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char claim_uri[] = "./Vendor/MSFT/DMClient/Provider/mdmd/AADDeviceID";
constexpr char colleague[] = "0d000000-0000-0000-0000-000000000002";

struct finding {
    char const* name;
    std::optional<std::set<std::string>> owners;  // none: Entra has no such device
    char const* problem;
};

struct claim_fixture : session_fixture {
    claim_fixture() : session_fixture(false) {
        config.policies.push_back({.name = "rules",
            .rules = {{config::uri_rule{"./Vendor/MSFT/DeviceStatus/OS/Mode", config::comparison::eq, {"0"}}, 1}}});
        reconfigure();
        tree["./Vendor/MSFT/DeviceStatus/OS/Mode"] = "0";
        tree[claim_uri] = "DE000000-0000-0000-0000-000000000001";
        log::configure(log::sink([this](log::record const& r) {
            std::string_view const told = r.message;
            if (told.starts_with("Entra does not confirm") || told.starts_with("Entra cannot be asked"))
                warned.emplace_back(told);
        }));
        log::configure(log::level::warning);
    }
    ~claim_fixture() {
        log::configure(log::sink(log::to_text));
        log::configure(log::level::error);
    }
    std::vector<std::string> warned;  // about claims

    service::device_details details() {
        return service::details(*appliance, service::devices(*appliance).at(0).device.id).value();
    }
    std::string entra_id() { return details().summary.device.entra_device_id; }
    // The problem of the claim that stands; "none" where there is none.
    std::string problem() {
        auto const claim = details().claim;
        return claim ? claim->problem : "none";
    }
    void tick() { appliance->claims.tick(); }
    // What is told to Graph at the end of a day.
    std::size_t told() {
        time.advance(24h);
        tick();
        report_now();
        return tenant->writes.size();
    }
};

}  // namespace

TEST_CASE_METHOD(claim_fixture,
    "a device's own word which of Entra's it is counts once Entra says that its user owns that", "[service][claims]") {
    sync("1");
    CHECK(entra_id().empty());
    CHECK(problem().empty());
    CHECK(details().claim->entra_device_id == entra_device);
    report_now();
    CHECK(tenant->writes.empty());

    tenant->owners[entra_device] = {user_id};
    tick();
    CHECK(entra_id() == entra_device);
    CHECK(problem() == "none");
    CHECK(tenant->owners_asked == std::vector<std::string>{entra_device});
    report_now();
    REQUIRE(tenant->writes.size() == 1);
    CHECK(tenant->writes[0].object_id == "object-1");
    CHECK(json::parse(tenant->writes[0].body) == json::value{{"isManaged", true}, {"isCompliant", true}});

    // It is not asked again: not the device, and not Entra.
    seen.clear();
    time.advance(1h);
    tick();
    sync("2");
    CHECK_FALSE(was_sent(std::string("Get ") + claim_uri));
    CHECK(tenant->owners_asked.size() == 1);
    CHECK(warned.empty());
}

TEST_CASE_METHOD(claim_fixture, "a device that names one of Entra's that its user does not own is never reported as it",
    "[service][claims][security]") {
    auto const row = GENERATE(values<finding>({
        {"a colleague's", std::set<std::string>{colleague}, "its owner in Entra is not who enrolled the device"},
        {"nobody's", std::set<std::string>{}, "the device has no owner in Entra"},
        {"unknown to Entra", std::nullopt, "Entra has no device of this ID"},
    }));
    CAPTURE(row.name);
    if (row.owners) tenant->owners[entra_device] = *row.owners;
    sync("1");
    tick();
    CHECK(entra_id().empty());
    CHECK(problem() == row.problem);
    CHECK(told() == 0);
    CHECK(warned.size() == 1);  // the second look found the same
    CHECK(tenant->owners_asked.size() == 2);

    // Another session changes nothing of it. An owner who comes later is seen within the hour.
    sync("2");
    CHECK(entra_id().empty());
    tenant->owners[entra_device] = {user_id};
    time.advance(1h);
    tick();
    CHECK(entra_id() == entra_device);
}

TEST_CASE_METHOD(claim_fixture, "a claim is looked at again after a minute, later once an hour", "[service][claims]") {
    sync("1");
    tick();
    auto const asked_after = [&](std::chrono::milliseconds pause) {
        time.advance(pause);
        tick();
        return tenant->owners_asked.size();
    };
    CHECK(asked_after(59s) == 1);
    CHECK(asked_after(6s) == 2);
    CHECK(asked_after(48h) == 3);
    CHECK(asked_after(59min) == 3);
    CHECK(asked_after(1min) == 4);
}

TEST_CASE_METHOD(claim_fixture, "a claim that changes begins anew", "[service][claims]") {
    constexpr char another[] = "de000000-0000-0000-0000-000000000002";
    sync("1");
    tick();
    CHECK(problem() == "Entra has no device of this ID");
    tree[claim_uri] = another;
    time.advance(25h);  // a day after, everything is read
    sync("2");
    CHECK(problem().empty());
    CHECK(details().claim->entra_device_id == another);
    tree[claim_uri] = "no GUID";
    time.advance(25h);
    sync("3");
    CHECK(details().claim->entra_device_id == another);
}

TEST_CASE_METHOD(claim_fixture,
    "without the permission a claim is not confirmed, which is told once with what to grant", "[service][claims]") {
    tenant->owners[entra_device] = {user_id};
    tenant->owners_answer = {403, {}, R"({"error":{"code":"Authorization_RequestDenied","message":"no"}})"};
    sync("1");
    tick();
    CHECK(entra_id().empty());
    CHECK_THAT(problem(), Catch::Contains("Device.ReadWrite.All"));
    CHECK(warned.size() == 1);
    auto const tokens = tenant->token_requests;
    time.advance(1h);
    tick();
    CHECK(tenant->owners_asked.size() == 2);
    CHECK(tenant->token_requests == tokens + 1);  // which may have more permissions
    CHECK(warned.size() == 1);
    tenant->owners_answer.reset();
    reconfigure();
    tick();
    CHECK(entra_id() == entra_device);
}

TEST_CASE_METHOD(
    claim_fixture, "while Graph does not answer a claim stands, and Graph has a rest", "[service][claims]") {
    tenant->owners[entra_device] = {user_id};
    sync("1");
    SECTION("throttled") {
        tenant->owners_answer = {429, {{"Retry-After", "120"}}, "{}"};
        tick();
        time.advance(119s);
        tick();
        CHECK(tenant->owners_asked.size() == 1);
        tenant->owners_answer.reset();
        time.advance(1s);
    }
    SECTION("garbage") {
        tenant->owners_answer = {
            200, {}, GENERATE("<html>", R"({"value":1})", R"({"value":["x"]})", R"({"value":[{"id":"no guid"}]})")};
        tick();
        CHECK(entra_id().empty());
        tenant->owners_answer.reset();
        time.advance(13s);
    }
    SECTION("away") {
        tenant->away = true;
        tick();
        CHECK(problem() == "connection refused");
        tenant->away = false;
        time.advance(13s);
    }
    tick();
    CHECK(entra_id() == entra_device);
}

TEST_CASE_METHOD(claim_fixture, "a device is not confirmed as one of Entra's as which another is enrolled",
    "[service][claims][security]") {
    rsa_key const other;
    auto const first = service::devices(*appliance).at(0).device.id;
    REQUIRE(enroll({.blob = accept_terms(true),
                       .token = device_token(),
                       .csr = other.request(),
                       .hardware = "HW2",
                       .device_id = "MDMDEVICE2"})
                .status == 200);
    tenant->owners[entra_device] = {user_id};
    sync("1");
    tick();
    auto const d = service::details(*appliance, first).value();
    CHECK(d.summary.device.entra_device_id.empty());
    REQUIRE(d.claim);
    CHECK_THAT(d.claim->problem, Catch::Contains("another device is enrolled as this one"));
}

TEST_CASE_METHOD(claim_fixture, "a claim goes with its device", "[service][claims]") {
    sync("1");
    auto const id = service::devices(*appliance).at(0).device.id;
    SECTION("which is deleted") {
        REQUIRE(service::remove(*appliance, id));
        CHECK_FALSE(db.read([&](store::connection& c) { return store::find_entra_claim(c, id); }));
    }
    SECTION("which is not managed any more") {
        db.write([&](store::connection& c) { store::set_device_state(c, id, "unenrolled"); });
    }
    tick();
    CHECK(tenant->owners_asked.empty());
}
