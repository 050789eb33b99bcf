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

TEST_CASE_METHOD(admin_fixture, "a PIN is made, listed without itself, and revoked", "[admin]") {
    auto const [status, v] = ask("POST", "/pins", R"({"upn":"User@contoso.com","ttl_s":3600})");
    CHECK(status == 201);
    CHECK(keys(v) == "pin upn expires ");
    CHECK(v.at("upn") == "user@contoso.com");
    auto const pin = std::string(v.at("pin").as_string());
    auto const list = ask("GET", "/pins").body;
    CHECK(keys(list.at("value").at(0)) == "upn state created expires tries used ");
    CHECK(list.at("value").at(0).at("state") == "usable");
    CHECK(json::serialize(list).find(pin) == std::string::npos);
    CHECK(ask("DELETE", "/pins/USER%40contoso.com").status == 200);
    CHECK(ask("DELETE", "/pins/user%40contoso.com").status == 404);
    CHECK(ask("GET", "/pins").body.at("value") == json::array());
    CHECK(ask("GET", "/pins/user%40contoso.com").status == 405);
    CHECK(ask("PUT", "/pins").status == 405);
}

TEST_CASE_METHOD(admin_fixture, "what does not describe a PIN or a state is a bad request", "[admin]") {
    auto const [path, body] = GENERATE(table<char const*, char const*>({
        {"/pins", ""},
        {"/pins", "[]"},
        {"/pins", R"({"upn":"user@contoso.com"})"},
        {"/pins", R"({"upn":"user@contoso.com","ttl_s":"1h"})"},
        {"/pins", R"({"upn":"user@contoso.com","ttl_s":0})"},
        {"/pins", R"({"upn":"user","ttl_s":60})"},
        {"/pins", R"({"upn":"user@contoso.com","ttl_s":60,"pin":"12345678"})"},
        {"/maintenance", ""},
        {"/maintenance", "{}"},
        {"/maintenance", R"({"maintenance":"on"})"},
        {"/maintenance", R"({"maintenance":true,"x":1})"},
    }));
    CAPTURE(path, body);
    CHECK(ask("POST", path, body).status == 400);
}

TEST_CASE_METHOD(admin_fixture, "maintenance is switched on and off", "[admin]") {
    CHECK(ask("POST", "/maintenance", R"({"maintenance":true})").body.at("maintenance") == true);
    CHECK(ask("GET", "/status").body.at("maintenance") == true);
    CHECK(ask("POST", "/maintenance", R"({"maintenance":false})").status == 200);
    CHECK(ask("GET", "/status").body.at("maintenance") == false);
    CHECK(ask("GET", "/maintenance").status == 405);
}

TEST_CASE_METHOD(admin_fixture, "consents are listed with all that an audit asks for, of one user or all", "[admin]") {
    auto const list = ask("GET", "/consents").body.at("value").as_array();
    REQUIRE(list.size() == 1);
    CHECK(keys(list[0]) == "user user_id version language ownership accepted client_request_id device_id used ");
    CHECK(list[0].at("user") == "user@contoso.com");
    CHECK(list[0].at("ownership") == "corporate");
    CHECK(list[0].at("client_request_id") == "34be581c-6ebd-49d6-a4e1-150eff4b7213");
    CHECK(list[0].at("used").is_string());
    CHECK(list[0].at("device_id") == ask("GET", "/devices").body.at("value").at(0).at("id"));
    CHECK(ask("GET", "/consents?user=USER%40contoso.com").body.at("value").as_array().size() == 1);
    CHECK(ask("GET", std::string("/consents?user=") + user_id).body.at("value").as_array().size() == 1);
    CHECK(ask("GET", "/consents?user=other%40contoso.com").body.at("value").as_array().empty());
}
