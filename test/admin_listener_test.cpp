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

TEST_CASE_METHOD(listener_fixture, "behind a proxy the listener has the name that clients know", "[admin][security]") {
    auto const token = std::string(appliance->access.create("a", "admin", std::chrono::hours(1)).value().text.reveal());
    auto const ask = [&](std::string method, std::string const& host, http::fields const& more) {
        bool const reads = method == "GET";
        auto r = to(host, std::move(method),
            std::string("/v1.0/deviceManagement/troubleshootingEvents") + (reads ? "?$top=1" : ""));
        r.headers.add("Authorization", "Bearer " + token);
        r.headers.add("Content-Type", "application/json");
        for (auto const& [name, value] : more) r.headers.add(name, value);
        if (r.method == "POST") r.body = "{}";
        return send(r);
    };
    http::fields const of_page{{"Origin", "https://admin.example"}, {"Sec-Fetch-Site", "same-origin"}};
    CHECK(ask("GET", "admin.example", {}).status == 421);
    CHECK(ask("POST", "127.0.0.1:8080", of_page).status == 403);

    config.settings.admin.public_url = {"https://admin.example", "admin.example", 443};
    reconfigure();
    for (auto const* host : {"admin.example", "admin.example:443", "127.0.0.1:8080"}) {  // as the proxy passes it on
        CAPTURE(host);
        auto const made = ask("POST", host, of_page);
        CHECK(made.status == 201);
        CHECK_THAT(std::string(made.headers.get("Location").value_or("")),
            Catch::StartsWith("https://admin.example/v1.0/deviceManagement/troubleshootingEvents/"));
        CHECK(ask("POST", host, {}).status == 201);
        auto const list = json::parse(ask("GET", host, {}).body);
        CHECK_THAT(std::string(list.at("@odata.context").as_string()),
            Catch::StartsWith("https://admin.example/v1.0/$metadata#"));
        CHECK_THAT(std::string(list.at("@odata.nextLink").as_string()),
            Catch::StartsWith("https://admin.example/v1.0/deviceManagement/troubleshootingEvents?"));
        for (auto const* foreign : {"http://admin.example", "https://admin.example:8443", "https://evil.test", "null",
                 "https://admin.example.evil.test"}) {
            CAPTURE(foreign);
            CHECK(ask("POST", host, {{"Origin", foreign}}).status == 403);
        }
        CHECK(ask("POST", host, {{"Sec-Fetch-Site", "cross-site"}}).status == 403);
    }
    CHECK(ask("POST", "127.0.0.1:8080", {{"Origin", "http://127.0.0.1:8080"}}).status == 201);  // past the proxy
    CHECK(ask("GET", "evil.test", {{"X-Forwarded-Host", "admin.example"}}).status == 421);
}

TEST_CASE_METHOD(listener_fixture, "what the listener refuses has Graph's error object", "[admin]") {
    auto const refused = [&](std::string const& path, int status, http::fields headers = {}) {
        auto head = request("GET", path);
        head.headers = std::move(headers);
        return admin::refused_request(*appliance, head, status, "one short phrase");
    };
    for (auto const& [status, code] : std::vector<std::pair<int, std::string>>{{400, "invalidRequest"},
             {413, "payloadTooLarge"}, {414, "invalidRequest"}, {417, "invalidRequest"}, {431, "invalidRequest"},
             {500, "generalException"}, {501, "notSupported"}, {505, "notSupported"}}) {
        CAPTURE(status);
        for (auto const* path : {"/v1.0/deviceManagement/troubleshootingEvents", "/beta/x", "/v1", ""}) {
            auto const got = refused(path, status, {{"client-request-id", "mine"}});
            CHECK(got.status == status);
            CHECK(got.headers.get("Content-Type") == "application/json; charset=utf-8");
            auto const body = json::parse(got.body);
            auto const& e = body.at("error").as_object();
            CHECK(e.at("code") == json::value(code));
            CHECK_FALSE(e.at("message").as_string().empty());
            CHECK(e.at("innerError").at("request-id") == json::value(got.headers.get("request-id").value()));
            CHECK(e.at("innerError").at("client-request-id") == "mine");
        }
        CHECK_THAT(refused("/healthz", status).body, !Catch::Contains("{") && Catch::EndsWith("\n"));
    }
    CHECK_THAT(refused("/v1.0/x", 413).body, Catch::Contains("one short phrase"));
    CHECK_THAT(refused("/v1.0/x", 500).body, !Catch::Contains("one short phrase"));
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
