#include <atomic>
#include <future>

#include "http/client.hpp"
#include "test/http_doubles.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

// The proxy goes by a name that no name service knows; of the target's name, connect_to knows a wrong place only.
http::client_options through(std::uint16_t port, test::https_site const& site, std::string const& credentials = "") {
    auto o = site.options();
    o.connect_to = {{"proxy.test:3128", fmt::format("127.0.0.1:{}", port)}, {"here.test:443", "127.0.0.1:1"}};
    o.proxy = http::proxy{"proxy.test", 3128, secret(credentials)};
    return o;
}

std::string const ok = "HTTP/1.1 200 Connection established\r\n\r\n";

}  // namespace

TEST_CASE("the proxy is asked for a tunnel to the host by its name, which nobody looks up here", "[http]") {
    test::https_site const site;
    test::proxy_double const proxy({.to = site.port});
    http::client client(through(proxy.port(), site));
    auto const got = client.send(
        {.method = "POST", .url = "https://here.test/a?b", .headers = {{"Authorization", "Bearer x"}}, .body = "hush"});
    REQUIRE(got);
    CHECK(got->body == "POST/abhush");
    CHECK(proxy.asked() == std::vector<std::string>{
                               "CONNECT here.test:443 HTTP/1.1\r\nHost: here.test:443\r\nUser-Agent: mdmd\r\n\r\n"});
}

TEST_CASE("CONNECT names host and port, addresses of this machine too", "[http]") {
    test::https_site const site("DNS:here.test,IP:127.0.0.1,IP:::1");
    test::proxy_double const proxy({.to = site.port});
    auto const [url, authority] = GENERATE(table<std::string, std::string>({
        {"https://HERE.test:8443/", "here.test:8443"},
        {"https://127.0.0.1/", "127.0.0.1:443"},
        {"https://[::1]:444/", "[::1]:444"},
    }));
    CAPTURE(url);
    http::client client(through(proxy.port(), site));
    auto const got = client.send({.method = "GET", .url = url});
    REQUIRE(got);
    REQUIRE(proxy.asked().size() == 1);
    CHECK_THAT(
        proxy.asked()[0], Catch::StartsWith(fmt::format("CONNECT {} HTTP/1.1\r\nHost: {}\r\n", authority, authority)));
}

TEST_CASE("credentials go to the proxy as Basic, and to nobody else", "[http]") {
    test::https_site const site;
    test::proxy_double const proxy({.to = site.port});
    auto const [credentials, sent] = GENERATE(table<std::string, std::string>({
        {"Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},  // RFC 7617 section 2
        {"test:123\u00a3", "dGVzdDoxMjPCow=="},                   // section 2.1
        {"a:", "YTo="},
    }));
    CAPTURE(credentials);
    http::client client(through(proxy.port(), site, credentials));
    REQUIRE(client.send({.method = "GET", .url = "https://here.test/"}));
    REQUIRE(proxy.asked().size() == 1);
    CHECK_THAT(proxy.asked()[0], Catch::Contains(fmt::format("\r\nProxy-Authorization: Basic {}\r\n", sent)));
}

TEST_CASE("any 2xx opens the tunnel, whatever length its header states", "[http]") {
    test::https_site const site;
    auto const answer = GENERATE(as<std::string>(), "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 Connection established\r\nConnection: close\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hm\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 299 \r\nX: " + std::string(64 * 1024 - 15 - 7, 'x') + "\r\n\r\n");
    CAPTURE(printable(answer, 80));
    bool const drips = answer.size() < 1000;
    test::proxy_double const proxy({.answer = answer, .to = site.port, .drips = drips});
    http::client client(through(proxy.port(), site));
    auto const got = client.send({.method = "GET", .url = "https://here.test/"});
    REQUIRE(got);
    CHECK(got->body == "GET/");
}

TEST_CASE("a proxy that opens no tunnel is the one to blame, and its credentials are not told", "[http]") {
    auto const [answer, credentials, why] = GENERATE(table<std::string, std::string, std::string>({
        {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 2\r\n\r\nno",
            "", " asks for credentials"},
        {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "ann:opensesame", " does not accept its credentials"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nforbidden", "ann:opensesame",
            " refuses CONNECT to here.test:443: HTTP 403"},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "", " refuses CONNECT to here.test:443: HTTP 502"},
        {"HTTP/1.1 302 Found\r\nLocation: https://login.test/\r\n\r\n", "",
            " refuses CONNECT to here.test:443: HTTP 302"},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "", " refuses CONNECT to here.test:443: HTTP 101"},
        {"", "ann:opensesame", ": connection closed before the answer was complete"},
        {"HTTP/1.1 200 OK\r\n", "", ": connection closed before the answer was complete"},
        {"HTTP/1.1 100 Continue\r\n\r\n", "", ": connection closed before the answer was complete"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "ann:opensesame", ": answer is not HTTP"},
        {"HTTP/2 200\r\n\r\n", "", ": answer is not HTTP"},
        {"HTTP/1.1 2OO OK\r\n\r\n", "", ": answer is not HTTP"},
        {"HTTP/1.1 2000 OK\r\n\r\n", "", ": answer is not HTTP"},
        {"HTTP/1.1 099 OK\r\n\r\n", "", ": answer is not HTTP"},
        {"HTTP/1.1 \r\n\r\n", "", ": answer is not HTTP"},
        {"\r\n\r\n", "", ": answer is not HTTP"},
        {"HTTP/1.1 299 \r\nX: " + std::string(64 * 1024 - 15 - 6, 'x') + "\r\n\r\n", "",
            ": answer's header over 65536 bytes"},
        {"HTTP/1.1 200 OK\r\nX: " + std::string(1024 * 1024, 'x'), "", ": answer's header over 65536 bytes"},
        {ok + "\x16\x03\x03", "", " sends bytes of its own into the tunnel to here.test:443"},
    }));
    CAPTURE(printable(answer, 80));
    test::https_site const site;
    test::proxy_double const proxy({.answer = answer});
    http::client client(through(proxy.port(), site, credentials));
    auto const got = client.send({.method = "GET", .url = "https://here.test/p?q", .timeout = 10s});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unavailable);
    CHECK(got.error().detail == "https://here.test/p: proxy proxy.test:3128" + why);
    CHECK(proxy.asked().size() == 1);
}

TEST_CASE("endless interim answers of a proxy come to an end", "[http]") {
    std::string all;
    while (all.size() < 128 * 1024) all += "HTTP/1.1 100 Continue\r\n\r\n";
    test::https_site const site;
    test::proxy_double const proxy({.answer = all, .keeps_still = true});
    http::client client(through(proxy.port(), site));
    auto const got = client.send({.method = "GET", .url = "https://here.test/"});
    REQUIRE_FALSE(got);
    CHECK_THAT(got.error().detail, Catch::EndsWith("proxy.test:3128: answer's header over 65536 bytes"));
}

TEST_CASE("a silent proxy ends the call when its time is up", "[http]") {
    auto const answer = GENERATE(as<std::string>(), "", "HTTP/1.1 200 OK\r\nX: ");
    test::https_site const site;
    test::proxy_double const proxy({.answer = answer, .keeps_still = true});
    http::client client(through(proxy.port(), site, "ann:opensesame"));
    auto const got = client.send({.method = "GET", .url = "https://here.test/", .timeout = 150ms});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unavailable);
    CHECK(got.error().detail == "https://here.test/: proxy proxy.test:3128: time-out after 150 ms");
}

TEST_CASE("a tunnel that leads nowhere ends the call when its time is up", "[http]") {
    test::https_site const site;
    test::proxy_double const proxy({.answer = ok, .keeps_still = true});
    http::client client(through(proxy.port(), site));
    auto const got = client.send({.method = "GET", .url = "https://here.test/", .timeout = 150ms});
    REQUIRE_FALSE(got);
    CHECK(got.error().detail == "https://here.test/: time-out after 150 ms");
}

TEST_CASE("a client goes while its proxy is still silent", "[http]") {
    test::https_site const site;
    test::proxy_double const proxy({.answer = "", .keeps_still = true});
    std::stop_source stop;
    auto options = through(proxy.port(), site, "ann:opensesame");
    options.stop = stop.get_token();
    auto client = std::make_unique<http::client>(std::move(options));
    auto call = std::async(std::launch::async,
        [&] { return client->send({.method = "GET", .url = "https://here.test/", .timeout = 10min}); });
    while (proxy.asked().empty() && call.wait_for(0s) != std::future_status::ready) std::this_thread::yield();
    stop.request_stop();
    auto const got = call.get();
    client.reset();
    REQUIRE_FALSE(got);
    CHECK_THAT(got.error().detail, Catch::EndsWith("this process is stopping"));
}

TEST_CASE("a proxy that cannot be reached is named", "[http]") {
    std::uint16_t port = 0;
    { port = test::loopback_port().number(); }
    test::https_site const site;
    http::client client(through(port, site, "ann:opensesame"));
    auto const got = client.send({.method = "GET", .url = "https://here.test/"});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unavailable);
    CHECK(got.error().detail == "https://here.test/: proxy proxy.test:3128 cannot be reached: connection refused");
}

TEST_CASE("a proxy whose name nobody knows is named", "[http]") {
    test::https_site const site;
    auto options = through(1, site);
    options.connect_to.clear();
    http::client client(std::move(options));
    auto const got = client.send({.method = "GET", .url = "https://127.0.0.1/"});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unavailable);
    CHECK_THAT(got.error().detail,
        Catch::StartsWith("https://127.0.0.1/: proxy proxy.test:3128 cannot be reached: looking up proxy.test: "));
}

TEST_CASE("a proxy may be an IPv6 address", "[http]") {
    test::https_site const site;
    test::proxy_double const proxy({.answer = "HTTP/1.1 403 no\r\n\r\n"});
    auto options = through(proxy.port(), site);
    options.proxy->host = "2001:db8::7";
    options.connect_to = {{"2001:db8::7:3128", fmt::format("127.0.0.1:{}", proxy.port())}};
    http::client client(std::move(options));
    auto const got = client.send({.method = "GET", .url = "https://here.test/"});
    REQUIRE_FALSE(got);
    CHECK_THAT(got.error().detail, Catch::Contains("proxy [2001:db8::7]:3128 refuses CONNECT"));
}

TEST_CASE("a certificate that does not prove the host ends the call through a proxy too", "[http]") {
    auto const [names, to_days, trusting, why] = GENERATE(table<std::string, long, bool, std::string>({
        {"DNS:other.test,DNS:proxy.test", 30, true, "certificate of here.test not trusted: hostname mismatch"},
        {"DNS:here.test", -1, true, "certificate of here.test not trusted: certificate has expired"},
        {"DNS:here.test", 30, false, "certificate of here.test not trusted: "},
    }));
    CAPTURE(names, to_days, trusting);
    test::https_site const site(names, to_days);
    test::proxy_double const proxy({.to = site.port});
    auto options = through(proxy.port(), site);
    if (!trusting) options.extra_roots_pem.clear();
    http::client client(std::move(options));
    auto const got = client.send({.method = "GET", .url = "https://here.test/"});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unavailable);
    CHECK_THAT(got.error().detail, Catch::Contains(why));
}

TEST_CASE("what is direct, plain or for a Unix socket does not ask the proxy", "[http]") {
    test::https_site const site;
    test::proxy_double const proxy({.answer = "HTTP/1.1 403 no\r\n\r\n"});
    auto options = through(proxy.port(), site);

    SECTION("direct") {
        options.connect_to["here.test:443"] = fmt::format("127.0.0.1:{}", site.port);
        http::client client(std::move(options));
        auto const got = client.send({.method = "GET", .url = "https://here.test/", .direct = true});
        REQUIRE(got);
        CHECK(got->body == "GET/");
    }
    SECTION("plain") {
        http::server plain(1, 1);
        auto const port = plain.listen("127.0.0.1", 0, {{.host = "x", .tls = nullptr, .handle = [](auto const&) {
                                                             return http::response{200, {}, "plain"};
                                                         }}});
        plain.start();
        http::client client(std::move(options));
        auto const got = client.send({.method = "GET", .url = fmt::format("http://localhost:{}/", port)});
        REQUIRE(got);
        CHECK(got->body == "plain");
    }
    SECTION("Unix socket") {
        options.unix_socket = "/nonexistent/socket";
        http::client client(std::move(options));
        auto const got = client.send({.method = "GET", .url = "https://here.test/"});
        REQUIRE_FALSE(got);
        CHECK(got.error().detail == "https://here.test/: no such file or directory");
    }
    CHECK(proxy.asked().empty());
}

TEST_CASE("tunnels are used again, each for its own host and never for direct calls", "[http]") {
    test::https_site const site("DNS:here.test,DNS:there.test");
    test::proxy_double proxy({.to = site.port});
    auto options = through(proxy.port(), site);
    options.connect_to["here.test:443"] = fmt::format("127.0.0.1:{}", site.port);
    http::client client(std::move(options));
    auto const get = [&](std::string const& url, bool direct = false) {
        return client.send({.method = "POST", .url = url, .direct = direct}).has_value();
    };
    for (int i = 0; i < 3; ++i) CHECK(get("https://here.test/"));
    CHECK(proxy.asked().size() == 1);
    CHECK(get("https://there.test/"));
    CHECK(proxy.asked().size() == 2);
    CHECK(get("https://here.test:8443/"));
    CHECK(proxy.asked().size() == 3);

    proxy.drop_all();  // what the tunnels cannot do any more, a direct connection still can
    CHECK(get("https://here.test/", true));
    CHECK(proxy.asked().size() == 3);
    client.close_idle();
    CHECK(get("https://here.test/", true));  // leaves a direct connection, which is not for the next
    CHECK(get("https://here.test/"));
    CHECK(proxy.asked().size() == 4);
}

TEST_CASE("a tunnel that closed while idle is noticed before a POST is sent", "[http]") {
    test::https_site const site;
    test::proxy_double proxy({.to = site.port});
    http::client client(through(proxy.port(), site));
    for (int i = 0; i < 2; ++i) {
        auto const got = client.send({.method = "POST", .url = "https://here.test/", .body = "x", .timeout = 5s});
        REQUIRE(got);
        CHECK(got->body == "POST/x");
        proxy.drop_all();
    }
    CHECK(proxy.asked().size() == 2);
}

TEST_CASE("a request whose tunnel dies under it is sent again only if that is harmless", "[http]") {
    auto const method = GENERATE(as<std::string>(), "GET", "POST");
    test::https_site site;
    test::proxy_double* way = nullptr;
    std::atomic<int> handled = 0;
    auto const tls = http::make_tls(
        {.certificate_pem = site.leaf.certificate_pem, .key_pem = site.leaf.key_pem(), .client_authority_pem = {}});
    http::server there(1, 2);
    auto const port =
        there.listen("127.0.0.1", 0, {{.host = "here.test", .tls = tls.value(), .handle = [&](auto const&) {
                                           if (++handled == 2) way->drop_all();
                                           return http::response{};
                                       }}});
    there.start();
    test::proxy_double proxy({.to = port});
    way = &proxy;
    http::client client(through(proxy.port(), site));
    http::call const c{.method = method, .url = "https://here.test/", .timeout = 5s};
    REQUIRE(client.send(c));
    CHECK(client.send(c).has_value() == (method == "GET"));
    CHECK(handled == (method == "GET" ? 3 : 2));
    CHECK(proxy.asked().size() == (method == "GET" ? 2 : 1));
}

TEST_CASE("many threads call through one proxy at once", "[http]") {
    test::https_site const site;
    test::proxy_double const proxy({.to = site.port});
    http::client client(through(proxy.port(), site, "ann:opensesame"));
    std::vector<std::future<int>> all;
    for (int i = 0; i < 8; ++i) {
        all.push_back(std::async(std::launch::async, [&client, i] {
            int good = 0;
            for (int n = 0; n < 5; ++n) {
                auto const body = fmt::format("{}-{}", i, n);
                auto const got = client.send({.method = "POST", .url = "https://here.test/", .body = body});
                if (got && got->body == "POST/" + body) ++good;
            }
            return good;
        }));
    }
    for (auto& one : all) CHECK(one.get() == 5);
    CHECK(proxy.asked().size() <= 8);
}
