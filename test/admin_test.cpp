#include "admin/api.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;

namespace {

struct admin_fixture : appliance_fixture {
    admin_fixture() { enroll_one(); }
    admin::about const us{"1.2.3", time.now()};

    struct reply {
        int status;
        json::value body;
    };
    reply ask(std::string method, std::string path, std::string body = "") {
        auto const r = admin::serve(*appliance, us, request(std::move(method), std::move(path), std::move(body)));
        CHECK(r.headers.get("Content-Type") == "application/json");
        return {r.status, json::parse(r.body)};
    }
    std::string keys(json::value const& v) {
        std::string all;
        for (auto const& [key, value] : v.as_object()) all += std::string(key) + " ";
        return all;
    }
};

}  // namespace

TEST_CASE_METHOD(admin_fixture, "status names everything that scripts rely on", "[admin]") {
    auto const [status, v] = ask("GET", "/status");
    CHECK(status == 200);
    CHECK(v.at("version") == "1.2.3");
    CHECK(v.at("uptime_s") == 0);
    CHECK(v.at("devices").at("total") == 1);
    CHECK(v.at("devices").at("compliant") == 1);
    for (auto const* key : {"noncompliant", "in_grace_period", "unknown"}) CHECK(v.at("devices").at(key) == 0);
    for (auto const* key : {"last_success", "queued", "last_error"}) CHECK(v.at("report").as_object().contains(key));
    for (auto const* key : {"source", "ends", "days_left", "state"}) CHECK(v.at("key").as_object().contains(key));
    for (auto const* what : {"tls_certificate", "authority"})
        for (auto const* key : {"ends", "days_left"}) CHECK(v.at(what).as_object().contains(key));
    CHECK(v.at("authority").at("days_left").as_int64() > 3600);
    CHECK(v.at("reminders") == json::array());
    CHECK(v.at("maintenance") == false);
}

TEST_CASE_METHOD(admin_fixture, "a device is listed and shown by id, Entra id and name", "[admin]") {
    auto const list = ask("GET", "/devices").body.at("value").as_array();
    REQUIRE(list.size() == 1);
    CHECK(keys(list[0]) == "id entra_device_id name user ownership os_version enrolled last_seen compliance state ");
    for (auto const& name :
        {std::string(list[0].at("id").as_string()), std::string(entra_device), std::string("PC1")}) {
        auto const [status, v] = ask("GET", "/devices/" + percent_encode(name));
        CHECK(status == 200);
        CHECK(v.at("id") == list[0].at("id"));
        for (auto const* key : {"settings", "report", "certificates", "inventory"}) CHECK(v.as_object().contains(key));
    }
    auto const [status, v] = ask("GET", "/devices/nobody");
    CHECK(status == 404);
    CHECK_THAT(std::string(v.at("error").at("message").as_string()), Catch::Contains("there is no device 'nobody'"));
}

TEST_CASE_METHOD(admin_fixture, "a command is taken with all its fields, or refused with the reason", "[admin]") {
    auto const [status, v] =
        ask("POST", "/devices/PC1/commands", R"({"verb":"replace","uri":"./Device/X","format":"int","value":"1"})");
    CHECK(status == 201);
    CHECK(v.at("state") == "queued");
    auto const list = ask("GET", "/devices/PC1/commands").body.at("value").as_array();
    REQUIRE(list.size() == 1);
    CHECK(
        keys(list[0]) ==
        "id device_id kind user_id verb uri format value queued expires state status original_error result detail updated ");
    auto const bad = GENERATE(as<std::string>(), "", "[]", "{", R"({"verb":"replace"})", R"({"verb":1,"uri":"./X"})",
        R"({"verb":"get","uri":"./X","more":"1"})");
    CAPTURE(bad);
    CHECK(ask("POST", "/devices/PC1/commands", bad).status == 400);
    CHECK(ask("POST", "/devices/nobody/commands", R"({"verb":"get","uri":"./X"})").status == 404);
    CHECK(ask("GET", "/devices/PC1/commands").body.at("value").as_array().size() == 1);
}

TEST_CASE_METHOD(admin_fixture, "what a command writes to a node for passwords is not shown", "[admin][security]") {
    auto const sent = ask("POST", "/devices/PC1/commands",
        R"({"verb":"replace","uri":"./Vendor/MSFT/VPNv2/Home/Password","format":"chr","value":"hunter2"})");
    CHECK(sent.body.at("value") == "***");
    CHECK(ask("GET", "/devices/PC1/commands").body.at("value").at(0).at("value") == "***");
}

TEST_CASE_METHOD(admin_fixture, "compliance is listed and reported on demand", "[admin]") {
    auto const list = ask("GET", "/compliance").body.at("value").as_array();
    REQUIRE(list.size() == 1);
    CHECK(list[0].at("state") == "compliant");
    CHECK(list[0].at("reported").at("state") == "due");
    auto const [status, v] = ask("POST", "/compliance/report");
    CHECK(status == 200);
    CHECK(
        v == json::value{{"sent", 1}, {"failed", 0}, {"queued", 0}, {"waiting", json::array()}, {"held_up", nullptr}});
    tenant->away = true;
    time.advance(std::chrono::hours(2));
    CHECK(ask("GET", "/compliance").body.at("value").at(0).at("reported").at("state") == "done");
}

TEST_CASE_METHOD(admin_fixture, "failed enrollments are listed as Graph names them", "[admin]") {
    enroll({.blob = "", .token = device_token()});
    auto const list = ask("GET", "/events").body.at("value").as_array();
    REQUIRE(list.size() == 1);
    CHECK(
        keys(list[0]) ==
        "@odata.type id eventDateTime correlationId managedDeviceIdentifier operatingSystem osVersion userId deviceId "
        "enrollmentType failureCategory failureReason eventName additionalInformation troubleshootingErrorDetails ");
    CHECK(list[0].at("enrollmentType") == "windowsAzureADJoin");
    CHECK(ask("GET", "/events/" + std::string(list[0].at("id").as_string())).body == list[0]);
    CHECK(ask("GET", "/events/none").status == 404);
}

TEST_CASE_METHOD(admin_fixture, "other addresses and methods are refused", "[admin]") {
    CHECK(ask("GET", "/").status == 404);
    CHECK(ask("GET", "/nothing").status == 404);
    CHECK(ask("DELETE", "/devices").status == 405);
    CHECK(ask("POST", "/status").status == 405);
    CHECK(ask("GET", "/devices/%zz").status == 400);
    CHECK(ask("GET", "/devices/").status == 400);
    CHECK(ask("POST", "/devices//commands", R"({"verb":"exec","uri":"./Device/X"})").status == 400);
}

TEST_CASE_METHOD(admin_fixture, "a link to a device's compliance page is made by id or name", "[admin]") {
    auto const [status, v] = ask("POST", "/compliance/links", R"({"device":"PC1","ttl_s":60})");
    CHECK(status == 201);
    CHECK(keys(v) == "url device id expires ");
    CHECK(v.at("url").as_string().starts_with("https://mdm.test/compliance?device="));
    CHECK(v.at("device") == "PC1");
    CHECK(v.at("expires").as_string() == rfc3339(time.now() + std::chrono::minutes(1)));
    struct {
        char const* body;
        int status;
    } const rows[]{{R"({"device":"nobody","ttl_s":60})", 404}, {R"({"device":"","ttl_s":60})", 400},
        {R"({"device":"PC1","ttl_s":0})", 400}, {R"({"device":"PC1","ttl_s":"7d"})", 400}, {R"({"device":"PC1"})", 400},
        {R"({"device":7,"ttl_s":60})", 400}, {"[]", 400}, {"", 400}, {R"({"device":"PC1","ttl_s":60,"x":1})", 400}};
    for (auto const& row : rows) {
        CAPTURE(row.body);
        CHECK(ask("POST", "/compliance/links", row.body).status == row.status);
    }
    CHECK(ask("GET", "/compliance/links").status == 405);
}
