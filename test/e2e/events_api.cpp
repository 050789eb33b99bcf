// The events' API on the admin listener, over real sockets, with tokens of mdmctl.
#include "core/text.hpp"
#include "e2e/appliance.hpp"
#include "test/http_raw.hpp"

using namespace mdmd;
namespace json = boost::json;

namespace {

constexpr char events[] = "/v1.0/deviceManagement/troubleshootingEvents";
constexpr char permission[] = "DeviceManagementManagedDevices.Read.All";

std::string text(json::value const& v) { return v.is_string() ? std::string(v.as_string()) : ""; }

struct api_world : e2e::world {
    explicit api_world(e2e::settings more = {}) : world(std::move(more)) { app->start(); }

    std::string make_token(std::string const& name, std::string const& role) {
        auto const made = app->ask({"token", "create", name, "--role", role});
        return std::string(made.at("token").as_string());
    }
    http::response send(
        std::string method, std::string const& path, std::string const& token, std::string body = "") const {
        http::client c({});
        http::call call{.method = std::move(method),
            .url = fmt::format("http://127.0.0.1:{}{}", app->port("admin"), path),
            .headers = {},
            .body = std::move(body)};
        if (!token.empty()) call.headers.add("Authorization", "Bearer " + token);
        if (!call.body.empty()) call.headers.add("Content-Type", "application/json");
        return c.send(call).value();
    }
};

}  // namespace

TEST_CASE("an enrollment that was refused is read over the API as mdmctl shows it", "[e2e]") {
    api_world w;
    auto const reader = w.make_token("dashboard", "reader");
    sim::token_order order;
    order.upn = "stranger@contoso.test";
    auto join = w.join(order.upn);
    w.app->configure({{"enrollment.enabled", "false"}});
    w.app->reload();
    REQUIRE(w.app->logs("configuration taken"));
    auto device = w.device("PC");
    sim::device d(device);
    CHECK(d.join(join).failure);
    auto const list = json::parse(w.send("GET", events, reader).body);
    REQUIRE_FALSE(list.at("value").as_array().empty());
    auto const id = std::string(list.at("value").at(0).at("id").as_string());
    auto shown = w.app->ask({"events", "show", id}).as_object();
    auto const beta = json::parse(w.send("GET", "/beta" + std::string(events).substr(5) + "/" + id, reader).body);
    for (auto const& [name, value] : shown) {
        CAPTURE(std::string(name));
        CHECK(beta.at(name) == value);
    }
    CHECK(beta.as_object().size() == shown.size() + 1);
    CHECK_THAT(std::string(beta.at("@odata.context").as_string()),
        Catch::StartsWith(fmt::format("http://127.0.0.1:{}/beta/$metadata#", w.app->port("admin"))));
}

TEST_CASE("a token is good as its role says, ends when it is revoked, and is in no output again", "[e2e][security]") {
    api_world w;
    auto const reader = w.make_token("reader", "reader");
    auto const admin = w.make_token("admin", "admin");
    CHECK(w.send("GET", events, reader).status == 200);
    CHECK(w.send("POST", events, reader, "{}").status == 403);
    auto const made = w.send("POST", events, admin, R"({"failureReason":"kept"})");
    CHECK(made.status == 201);
    auto const head = w.send("HEAD", events, reader);
    CHECK(head.status == 200);
    CHECK(head.body.empty());
    auto const tokens = w.app->ask({"token", "list"});
    CHECK(tokens.at("value").as_array().size() == 2);
    for (auto const& token : tokens.at("value").as_array()) {
        CHECK_FALSE(token.at("last_used").is_null());
        CHECK_FALSE(token.as_object().contains("token"));
    }
    for (auto const& wrong : {std::string(), std::string("mdmd_wrong"), admin + "x"})
        CHECK(w.send("GET", events, wrong).status == 401);
    CHECK(w.app->mdmctl({"token", "create", "admin", "--role", "reader"}).code == 1);
    CHECK(w.app->mdmctl({"token", "create", "x", "--role", "king"}).code == 2);
    CHECK(w.app->mdmctl({"token", "create", "x", "--role", "reader", "--ttl", "soon"}).code == 2);

    // Told is kept: a killed daemon knows event and token, and no revoked one.
    CHECK(w.app->mdmctl({"token", "revoke", "reader"}).code == 0);
    w.app->kill9();
    w.app->start();
    CHECK(w.send("GET", events, reader).status == 401);
    auto const location = std::string(made.headers.get("Location").value());
    CHECK(w.send("GET", location.substr(location.find("/v1.0")), admin).status == 200);
    CHECK(w.send("DELETE", location.substr(location.find("/v1.0")), admin).status == 204);
    CHECK(w.app->mdmctl({"token", "revoke", "reader"}).code == 1);
    for (auto const& token : {reader, admin}) CHECK(w.app->log().find(token.substr(5)) == std::string::npos);
}

TEST_CASE("a token of Entra's lets in with Graph's permission alone", "[e2e][security]") {
    api_world w;
    auto const app = [&](json::value roles) {
        sim::token_order order;
        order.who = sim::token_order::kind::app;
        order.claims["roles"] = std::move(roles);
        return w.tenant.make(order).value();
    };
    CHECK(w.send("GET", events, app(json::array{permission})).status == 200);
    CHECK(w.send("POST", events, app(json::array{permission}), "{}").status == 403);
    CHECK(w.send("POST", events, app(json::array{"DeviceManagementManagedDevices.ReadWrite.All"}), "{}").status == 201);
    CHECK(w.send("GET", events, app(json::array{"Directory.Read.All"})).status == 403);
    static_cast<void>(w.join("alice@contoso.test"));
    CHECK(w.send("GET", events, w.token("alice@contoso.test")).status == 403);
    sim::token_order forged;
    forged.who = sim::token_order::kind::app;
    forged.claims["roles"] = json::array{permission};
    forged.key = sim::token_order::signer::foreign;
    CHECK(w.send("GET", events, w.tenant.make(forged).value()).status == 401);
}

TEST_CASE("a foreign name leads to nothing on the admin listener", "[e2e][security]") {
    api_world w;
    auto const token = w.make_token("admin", "admin");
    auto const status = [&](char const* path, std::string const& name) {
        test::raw_peer peer(w.app->port("admin"));
        peer.send(fmt::format("GET {} HTTP/1.1\r\nHost: {}:{}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            path, name, w.app->port("admin"), token));
        return peer.read_to_end().substr(0, 13);
    };
    for (auto const* path : {events, "/healthz", "/readyz", "/metrics"}) {
        CAPTURE(path);
        for (auto const* foreign : {"evil.test", "192.0.2.1", "127.0.0.1.evil.test"})
            CHECK(status(path, foreign) == "HTTP/1.1 421 ");
        for (auto const* own : {"localhost", "127.0.0.1", "[::1]", e2e::host})
            CHECK(status(path, own) == "HTTP/1.1 200 ");
    }
}

TEST_CASE("a body in chunks is read as one", "[e2e]") {
    api_world w;
    auto const token = w.make_token("admin", "admin");
    test::raw_peer peer(w.app->port("admin"));
    REQUIRE(
        peer.send(fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: "
                              "application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                              "12\r\n{{\"failureReason\":\"\r\n8\r\nin piece\r\n3\r\ns\"}}\r\n0\r\n\r\n",
            events, token)));
    auto const answer = peer.read_to_end();
    CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 201 "));
    CHECK(json::parse(answer.substr(answer.find("\r\n\r\n") + 4)).at("failureReason") == "in pieces");
}

TEST_CASE("what the listener itself refuses has Graph's error object too", "[e2e]") {
    api_world w;
    struct row {
        std::string sent, status, code;
    };
    auto const to = [](std::string const& fields) { return fmt::format("POST {} HTTP/1.1\r\n{}", events, fields); };
    for (auto const& r : std::vector<row>{
             {to("Host: localhost\r\nContent-Length: 2000000\r\n\r\n"), "413", "payloadTooLarge"},
             {to("Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFF\r\n"), "413", "payloadTooLarge"},
             {to("Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n"), "400", "invalidRequest"},
             {to("\r\n"), "400", "invalidRequest"},
             {to("Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), "400", "invalidRequest"},
             {to("Host: localhost\r\nTransfer-Encoding: gzip\r\n\r\n"), "501", "notSupported"},
             {"GET /v1.0/" + std::string(70'000, 'x'), "414", "invalidRequest"},
             {"GET /v1.0/x HTTP/1.1\r\nX: " + std::string(70'000, 'x'), "431", "invalidRequest"},
             {"nonsense\r\n\r\n", "400", "invalidRequest"},
         }) {
        CAPTURE(r.sent.substr(0, 100));
        test::raw_peer peer(w.app->port("admin"));
        peer.send(r.sent);
        auto const answer = peer.read_to_end();
        CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 " + r.status + " ") &&
                               Catch::Contains("\r\nContent-Type: application/json; charset=utf-8\r\n"));
        boost::system::error_code bad;
        auto const body = json::parse(answer.substr(std::min(answer.size(), answer.find("\r\n\r\n") + 4)), bad);
        REQUIRE_FALSE(bad);
        auto const& e = body.at("error").as_object();
        CHECK(text(e.at("code")) == r.code);
        CHECK_FALSE(text(e.at("message")).empty());
        auto const id = text(e.at("innerError").at("request-id"));
        CHECK(is_guid(id));
        CHECK_THAT(answer, Catch::Contains("\r\nrequest-id: " + id + "\r\n"));
    }
}

TEST_CASE("off loopback the admin listener needs TLS", "[e2e][security]") {
    e2e::world w;
    w.app->configure({{"admin.listen", "\"0.0.0.0:0\""}});
    auto const checked = w.app->check_config();
    CHECK(checked.code == 1);
    CHECK_THAT(checked.err, Catch::Contains("admin.listen 0.0.0.0:0 is not loopback"));
}
