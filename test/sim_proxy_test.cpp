#include <thread>

#include "core/text.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "sim/pki.hpp"
#include "sim/proxy.hpp"
#include "sim/tenant.hpp"
#include "test/http_raw.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

// A server that answers "PATH BODY", over TLS or plain.
class echo {
public:
    explicit echo(std::string const& name = {}) : server(1, 2) {
        std::shared_ptr<http::tls_context> tls;
        if (!name.empty()) {
            auto const own = sim::make_server(authority, {name});
            tls = http::make_tls({.certificate_pem = own.own.pem() + authority.own.pem(),
                                     .key_pem = secret(own.key.pem()),
                                     .client_authority_pem = {}})
                      .value();
        }
        port = server.listen(
            "127.0.0.1", 0, {{.host = name, .tls = tls, .handle = [](http::request const& r) -> http::response {
                                  return {.status = 200,
                                      .headers = {{"X-Host", std::string(r.headers.get("Host").value_or(""))}},
                                      .body = r.path + "?" + r.query + " " + r.body};
                              }}});
        server.start();
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(port); }

    sim::identity authority = sim::make_authority("Test root");
    http::server server;
    std::uint16_t port = 0;
};

sim::proxy_options leading(std::string const& from, std::string const& to) {
    sim::proxy_options o;
    o.routes[from] = to;
    return o;
}

std::string connect_line(std::string const& to, std::string const& more = {}) {
    return "CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n" + more + "\r\n";
}

// The status of the answer to these bytes on a connection of their own.
std::string status_of(sim::proxy const& p, std::string const& bytes) {
    test::raw_peer peer(p.port());
    peer.send(bytes);
    auto const all = peer.read_until_text("\r\n\r\n");
    return all.size() > 12 ? all.substr(9, 3) : all;
}

// Sends one GET through a tunnel that is open already and returns the whole answer.
std::string get_in_tunnel(test::raw_peer& peer, std::string const& path) {
    peer.send("GET " + path + " HTTP/1.1\r\nHost: echo.test\r\nConnection: close\r\n\r\n");
    return peer.read_to_end();
}

}  // namespace

TEST_CASE("a tunnel carries bytes both ways to where its route leads", "[sim]") {
    echo const far;
    auto const route = GENERATE(as<std::string>(), "echo.test:80", "*");
    sim::proxy p(leading(route, far.address()));
    p.start();
    test::raw_peer peer(p.port());
    peer.send(connect_line("Echo.test:80"));
    CHECK(peer.read_until_text("\r\n\r\n") == "HTTP/1.1 200 Connection established\r\n\r\n");
    CHECK_THAT(get_in_tunnel(peer, "/through"), Catch::EndsWith("/through? "));
    CHECK(peer.closed);
    CHECK(p.connects() == 1);
    CHECK(p.refused() == 0);
    CHECK(p.seen() == std::vector<std::string>{"echo.test:80"});
}

TEST_CASE("a tunnel carries more than its buffers hold, and what came with the CONNECT", "[sim]") {
    echo const far;
    sim::proxy p(leading("*", far.address()));
    p.start();
    std::string const body(900'000, 'b');
    test::raw_peer peer(p.port());
    peer.send(connect_line("echo.test:80") + "POST /big HTTP/1.1\r\nHost: echo.test\r\nConnection: close\r\n" +
              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    auto const all = peer.read_to_end();
    CHECK(all.ends_with("/big? " + body));
}

TEST_CASE("direct is where the destination says, for numeric addresses and localhost only", "[sim]") {
    echo const far;
    sim::proxy p(leading("*", "direct"));
    p.start();
    CHECK(status_of(p, connect_line(far.address())) == "200");
    CHECK(status_of(p, connect_line("localhost:" + std::to_string(far.port))) == "200");
    CHECK(status_of(p, connect_line("echo.test:80")) == "502");
}

TEST_CASE("a proxy with credentials asks for them and takes no others", "[sim]") {
    echo const far;
    auto o = leading("*", far.address());
    o.credentials = "mdm:pass word:1";
    sim::proxy p(o);
    p.start();
    auto const with = [&](std::string const& value) {
        return status_of(p, connect_line("echo.test:80", "Proxy-Authorization: " + value + "\r\n"));
    };
    {
        test::raw_peer peer(p.port());
        peer.send(connect_line("echo.test:80"));
        auto const asked = peer.read_to_end();
        CHECK_THAT(asked, Catch::StartsWith("HTTP/1.1 407 "));
        CHECK_THAT(asked, Catch::Contains("\r\nProxy-Authenticate: Basic realm="));
    }
    CHECK(with("Basic " + base64("mdm:wrong")) == "407");
    CHECK(with("Basic nonsense") == "407");
    CHECK(with("Bearer " + base64("mdm:pass word:1")) == "407");
    CHECK(p.seen().empty());
    CHECK(with("basic " + base64("mdm:pass word:1")) == "200");
    CHECK(p.connects() == 1);
    CHECK(p.refused() == 4);
    p.set_credentials("mdm:next");
    CHECK(with("Basic " + base64("mdm:pass word:1")) == "407");
    CHECK(with("Basic " + base64("mdm:next")) == "200");
}

TEST_CASE("what is no CONNECT to somewhere known is refused", "[sim]") {
    echo const far;
    auto o = leading("echo.test:80", far.address());
    o.routes["broken.test:443"] = "not-numeric:1";
    sim::proxy p(o);
    p.start();
    auto const [bytes, status] = GENERATE(table<std::string, std::string>({
        {connect_line("elsewhere.test:80"), "502"},
        {connect_line("echo.test:81"), "502"},
        {connect_line("broken.test:443"), "502"},
        {connect_line("echo.test"), "400"},
        {connect_line("echo.test:0"), "400"},
        {connect_line("echo.test:80x"), "400"},
        {connect_line("http://echo.test:80"), "400"},
        {connect_line("echo.test:80", "Content-Length: 1\r\n"), "400"},
        {"CONNECT echo.test:80 HTTP/1.1\r\n\r\n", "400"},
        {"CONNECT echo.test:80 HTTP/1.1\r\nHost: other.test:80\r\n\r\n", "400"},
        {"GET http://echo.test/ HTTP/1.1\r\nHost: echo.test\r\n\r\n", "405"},
        {"nonsense\r\n\r\n", "400"},
        {connect_line("echo.test:80", "X: " + std::string(20'000, 'x') + "\r\n"), "431"},
    }));
    CAPTURE(printable(bytes, 100));
    CHECK(status_of(p, bytes) == status);
    CHECK(p.refused() == 1);
    CHECK(p.connects() == 0);
}

TEST_CASE("a destination that takes no connection is answered 502", "[sim]") {
    std::uint16_t free_port = 0;
    {
        test::silent_port const gone;
        free_port = gone.number();
    }
    sim::proxy p(leading("*", "127.0.0.1:" + std::to_string(free_port)));
    p.start();
    CHECK(status_of(p, connect_line("echo.test:80")) == "502");
}

TEST_CASE("an outage ends tunnels and meets new connections with silence or a reset", "[sim]") {
    echo const far;
    sim::proxy p(leading("*", far.address()));
    p.start();
    test::raw_peer tunnel(p.port());
    tunnel.send(connect_line("echo.test:80"));
    tunnel.read_until_text("\r\n\r\n");
    p.block(sim::proxy::outage::silent);
    tunnel.read_to_end();
    CHECK(tunnel.closed);

    test::raw_peer unheard(p.port());
    unheard.send(connect_line("echo.test:80"));
    REQUIRE(p.wait_blocked(1, 10s));
    CHECK(unheard.read_to_end(50ms).empty());
    CHECK_FALSE(unheard.closed);

    p.block(sim::proxy::outage::reset);
    unheard.read_to_end();
    CHECK(unheard.closed);
    test::raw_peer thrown_out(p.port());
    CHECK(thrown_out.read_to_end().empty());
    CHECK(thrown_out.reset);
    REQUIRE(p.wait_blocked(2, 10s));

    p.block(sim::proxy::outage::none);
    CHECK(status_of(p, connect_line("echo.test:80")) == "200");
    CHECK(p.blocked() == 2);
}

TEST_CASE("a proxy that stops ends its tunnels, and comes back at the same address", "[sim]") {
    echo const far;
    sim::proxy p(leading("*", far.address()));
    p.start();
    auto const url = p.url();
    test::raw_peer tunnel(p.port());
    tunnel.send(connect_line("echo.test:80"));
    tunnel.read_until_text("\r\n\r\n");
    p.stop();
    tunnel.read_to_end();
    CHECK(tunnel.closed);
    CHECK_THROWS(test::raw_peer(p.port()));
    p.start();
    CHECK(p.url() == url);
    CHECK(status_of(p, connect_line("echo.test:80")) == "200");
}

TEST_CASE("an inspecting proxy is believed by whom it is made known to, and passes requests and answers on", "[sim]") {
    echo const far("echo.test");
    auto o = leading("echo.test:443", far.address());
    o.routes["other.test:8443"] = far.address();
    o.inspect = true;
    o.credentials = "mdm:secret";
    o.upstream_ca_pem = far.authority.own.pem();
    sim::proxy p(o);
    p.start();
    auto const client = [&](std::string const& roots) {
        http::client_options c;
        c.extra_roots_pem = roots;
        c.system_roots = false;
        c.proxy = {.host = "127.0.0.1", .port = p.port(), .credentials = secret("mdm:secret")};
        return c;
    };
    http::call const post{.method = "POST",
        .url = "https://echo.test/a/b?c=d",
        .headers = {{"Content-Type", "text/plain"}},
        .body = "content"};

    http::client knows_it(client(p.ca_pem()));
    for (int i = 0; i < 2; ++i) {
        auto const got = knows_it.send(post);
        REQUIRE(got);
        CHECK(got->status == 200);
        CHECK(got->body == "/a/b?c=d content");
        CHECK(got->headers.get("X-Host") == "echo.test");
        CHECK(got->headers.get("Via"));
    }
    CHECK(p.connects() == 1);  // the second one went through the same tunnel
    CHECK(p.inspected() == 2);

    http::client knows_the_server_only(client(far.authority.own.pem()));
    auto const refused = knows_the_server_only.send(post);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().detail, Catch::Contains("not trusted"));
    CHECK(p.inspected() == 2);

    // The proxy judges the server behind it as strictly: this one's certificate is for another name.
    auto const misnamed =
        knows_it.send({.method = "GET", .url = "https://other.test:8443/", .headers = {}, .body = {}});
    REQUIRE(misnamed);
    CHECK(misnamed->status == 502);
    CHECK(p.seen() == std::vector<std::string>{"echo.test:443", "echo.test:443", "other.test:8443"});
}

TEST_CASE("a whole cloud's hosts are reached through a proxy", "[sim]") {
    auto const inspect = GENERATE(false, true);
    CAPTURE(inspect);
    sim::tenant_options cloud;
    cloud.login_host = "login.microsoftonline.us";
    cloud.graph_host = "dod-graph.microsoft.us";
    sim::tenant tenant(cloud);
    tenant.start();
    auto o = leading("login.microsoftonline.us:443", tenant.address());
    o.routes["dod-graph.microsoft.us:443"] = tenant.address();
    o.inspect = inspect;
    o.upstream_ca_pem = tenant.ca_pem();
    sim::proxy p(o);
    p.start();
    http::client_options c;
    c.extra_roots_pem = inspect ? p.ca_pem() : tenant.ca_pem();
    c.system_roots = false;
    c.proxy = {.host = "127.0.0.1", .port = p.port(), .credentials = {}};
    http::client client(std::move(c));
    auto const status = [&](std::string const& url) {
        auto const r = client.send({.method = "GET", .url = url, .headers = {}, .body = {}});
        REQUIRE(r);
        return r->status;
    };
    CHECK(status(tenant.login_url() + "/" + tenant.tenant_id() + "/discovery/v2.0/keys") == 200);
    CHECK(status(tenant.graph_url() + "/v1.0/devices") == 401);
    CHECK(p.seen() == std::vector<std::string>{"login.microsoftonline.us:443", "dod-graph.microsoft.us:443"});
}

TEST_CASE("an inspecting proxy stops while the server behind it says nothing", "[sim]") {
    test::silent_port const far;
    auto o = leading("*", "127.0.0.1:" + std::to_string(far.number()));
    o.inspect = true;
    sim::proxy p(o);
    p.start();
    http::client_options c;
    c.extra_roots_pem = p.ca_pem();
    c.system_roots = false;
    c.proxy = {.host = "127.0.0.1", .port = p.port(), .credentials = {}};
    http::client client(std::move(c));
    std::thread caller([&] {
        auto const r = client.send({.method = "GET", .url = "https://far.test/", .headers = {}, .body = {}});
        static_cast<void>(r);
    });
    auto const reached = far.visited(10s);
    auto const before = std::chrono::steady_clock::now();
    p.stop();
    caller.join();
    CHECK(reached);
    CHECK(std::chrono::steady_clock::now() - before < 8s);
}
