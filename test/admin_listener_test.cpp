#include "admin/listener.hpp"
#include "test/http_pki.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;

namespace {

struct listener_fixture : appliance_fixture {
    listener_fixture() {
        config.settings.server.management_url = {"https://manage.test:8443", "manage.test", 8443};
        config.settings.admin.listen = {"192.0.2.7", 8080};
        reconfigure();
    }
    http::response send(http::request const& r) {
        return admin::serve_listener(
            *appliance,
            [](http::request const&) {
                return http::response{200, {}, "other"};
            },
            r);
    }
    http::request to(std::string const& host, std::string method = "GET", std::string path = "/healthz") {
        auto r = request(std::move(method), std::move(path));
        if (!host.empty()) r.headers.add("Host", host);
        return r;
    }
};

}  // namespace

TEST_CASE_METHOD(listener_fixture, "the listener answers to its own names alone", "[admin][security]") {
    for (auto const* good : {"localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8080", "[::1]",
             "[::1]:8080", "[0:0:0:0:0:0:0:1]:9", "192.0.2.7:8080", "mdm.test", "MDM.test:8443", "manage.test"}) {
        CAPTURE(good);
        CHECK(send(to(good)).body == "other");
        CHECK(send(to(good, "GET", "/v1.0/x")).status == 401);
    }
    for (auto const* bad : {"", "evil.test", "evil.test:8080", "localhost.evil.test", "mdm.test.evil.test", "192.0.2.8",
             "127.0.0.2", "[::2]", "127.0.0.1.evil.test", "localhost:8080:1", "localhost:x", "[::1", "[::1]x",
             "mdm.test@evil", "127.1", "2130706433", "localhost ", "localhost:1234567", ":8080", "[]"}) {
        CAPTURE(bad);
        CHECK(send(to(bad)).status == 421);
        CHECK(send(to(bad)).body != "other");
        auto const api = send(to(bad, "GET", "/v1.0/deviceManagement/troubleshootingEvents"));
        CHECK(api.status == 421);
        CHECK(json::parse(api.body).at("error").at("code") == "invalidRequest");
    }
}

TEST_CASE_METHOD(
    listener_fixture, "on all addresses, any address may be named, and still no foreign name", "[admin][security]") {
    config.settings.admin.listen.address = GENERATE(as<std::string>(), "0.0.0.0", "::");
    reconfigure();
    CHECK(send(to("192.0.2.99:8080")).status == 200);
    CHECK(send(to("[2001:db8::1]:8080")).status == 200);
    CHECK(send(to("evil.test")).status == 421);
}

TEST_CASE_METHOD(listener_fixture, "the names in the listener's certificate are its names", "[admin][security]") {
    CHECK(send(to("admin.example")).status == 421);
    config.settings.admin.certificate_pem =
        make_certificate({.name = "x", .alternative_names = "DNS:admin.example,DNS:*.wild.example"}).certificate_pem;
    reconfigure();
    CHECK(send(to("admin.example:8080")).status == 200);
    CHECK(send(to("a.wild.example")).status == 200);
    CHECK(send(to("a.b.wild.example")).status == 421);
    CHECK(send(to("evil.test")).status == 421);
}

TEST_CASE_METHOD(listener_fixture, "a page of another origin changes nothing", "[admin][security]") {
    auto const from = [&](std::string const& method, http::fields const& more) {
        auto r = to("localhost:8080", method, "/v1.0/deviceManagement/troubleshootingEvents");
        for (auto const& [name, value] : more) r.headers.add(name, value);
        return send(r).status;
    };
    for (auto const* method : {"POST", "PATCH", "DELETE", "PUT"}) {
        CHECK(from(method, {}) == 401);  // a program: on to its token
        CHECK(from(method, {{"Origin", "http://localhost:8080"}, {"Sec-Fetch-Site", "same-origin"}}) == 401);
        CHECK(from(method, {{"Sec-Fetch-Site", "none"}}) == 401);
        CHECK(from(method, {{"Origin", "http://evil.test"}}) == 403);
        CHECK(from(method, {{"Origin", "https://localhost:8080"}}) == 403);
        CHECK(from(method, {{"Origin", "http://localhost:9090"}}) == 403);
        CHECK(from(method, {{"Origin", "null"}}) == 403);
        CHECK(from(method, {{"Sec-Fetch-Site", "cross-site"}}) == 403);
        CHECK(from(method, {{"Sec-Fetch-Site", "same-site"}, {"Origin", "http://localhost:8080"}}) == 403);
    }
    CHECK(from("GET", {{"Origin", "http://evil.test"}, {"Sec-Fetch-Site", "cross-site"}}) == 401);
}

TEST_CASE_METHOD(listener_fixture, "addresses in answers are those that the client used", "[admin]") {
    auto const token = std::string(appliance->access.create("a", "admin", std::chrono::hours(1)).value().text.reveal());
    auto const context = [&](std::string const& host) {
        auto r = to(host, "GET", "/v1.0/deviceManagement/troubleshootingEvents");
        r.headers.add("Authorization", "Bearer " + token);
        return std::string(json::parse(send(r).body).at("@odata.context").as_string());
    };
    CHECK_THAT(context("localhost:8080"), Catch::StartsWith("http://localhost:8080/v1.0/$metadata#"));
    CHECK_THAT(context("[::1]:8080"), Catch::StartsWith("http://[::1]:8080/v1.0/"));
    config.settings.admin.certificate_pem =
        make_certificate({.name = "x", .alternative_names = "DNS:admin.example"}).certificate_pem;
    reconfigure();
    CHECK_THAT(context("admin.example"), Catch::StartsWith("https://admin.example/v1.0/"));
}
