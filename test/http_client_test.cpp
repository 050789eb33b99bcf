#include "http/client.hpp"

#include <atomic>
#include <future>

#include "http/server.hpp"
#include "test/http_doubles.hpp"
#include "test/http_raw.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

// A server of one scripted answer a connection: reads a header, says its piece, closes.
class scripted {
public:
    explicit scripted(std::vector<std::string> answers, bool wait_for_second = false) {
        thread_ = std::thread([this, answers = std::move(answers), wait_for_second] {
            for (auto const& a : answers) {
                auto const peer = port_.accept();
                if (peer < 0) return;
                if (!test::read_header(peer).empty()) ++requests;
                test::send_all(peer, a);
                if (wait_for_second && !test::read_header(peer).empty()) ++requests;
                ::shutdown(peer, SHUT_WR);
                char rest[256];
                while (::recv(peer, rest, sizeof rest, 0) > 0) continue;
                ::close(peer);
            }
        });
    }
    ~scripted() {
        port_.stop_accepting();
        thread_.join();
    }
    std::uint16_t port() const { return port_.number(); }
    std::string url(std::string const& path = "/") const { return fmt::format("http://127.0.0.1:{}{}", port(), path); }
    std::atomic<int> requests = 0;

private:
    test::loopback_port port_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("a call goes to the host that its URL names, with all that was given", "[http]") {
    test::https_site there;
    http::client client(there.options());
    auto const got =
        client.send({.method = "POST", .url = "https://HERE.test/a/b?c=d", .headers = {{"X-A", "1"}}, .body = "hi"});
    REQUIRE(got);
    CHECK(got->status == 200);
    CHECK(got->body == "POST/a/bc=dhi");
    CHECK(got->headers.get("x-host") == "here.test");
}

TEST_CASE("HTTP errors are answers", "[http]") {
    scripted there({"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"});
    http::client client({});
    auto const got = client.send({.method = "GET", .url = there.url()});
    REQUIRE(got);
    CHECK(got->status == 404);
    CHECK(got->body == "no");
}

TEST_CASE("answers are read in every form that HTTP/1.1 has", "[http]") {
    auto const [answer, body] = GENERATE(table<std::string, std::string>({
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n3\r\n ho\r\n0\r\nX-Trailer: 1\r\n\r\n",
            "hi ho"},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabcd", "abc"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "x"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
    }));
    CAPTURE(answer);
    scripted there({answer});
    http::client client({});
    auto const got = client.send({.method = "GET", .url = there.url()});
    REQUIRE(got);
    CHECK(got->status == 200);
    CHECK(got->body == body);
}

TEST_CASE("what is not a whole answer is an error", "[http]") {
    auto const [answer, code, why] = GENERATE(table<std::string, errc, std::string>({
        {"", errc::unavailable, "connection closed before the answer was complete"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", errc::unavailable, "connection closed before"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", errc::unavailable,
            "connection closed before"},
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", errc::unavailable, "answer is not HTTP"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", errc::unavailable,
            "Transfer-Encoding"},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", errc::unavailable, "101"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n12345678901234567", errc::too_large, "answer over 16 bytes"},
        {"HTTP/1.1 200 OK\r\n\r\n12345678901234567", errc::too_large, "answer over 16 bytes"},
    }));
    CAPTURE(answer);
    scripted there({answer});
    http::client client({.answer_bytes = 16});
    auto const got = client.send({.method = "POST", .url = there.url("/p?code=hush"), .body = "secret"});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == code);
    CHECK_THAT(got.error().detail, Catch::StartsWith(there.url("/p: ")) && Catch::Contains(why));
    CHECK_THAT(got.error().detail, !Catch::Contains("hush") && !Catch::Contains("secret"));
}

TEST_CASE("only an absolute URL with nothing private in it is called", "[http]") {
    auto const url = GENERATE("", "/a", "ftp://127.0.0.1/", "http://user:pw@127.0.0.1/", "https://",
        "http://127.0.0.1/#f", "http://127.0.0.1:99999/", "http://127.0.0.1:0/", "http://192.0.2.1/",
        "http://example.test/", "http://a b/", "https://a%41/");
    CAPTURE(url);
    http::client client({});
    auto const got = client.send({.method = "GET", .url = url});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::malformed);
    CHECK_THAT(got.error().detail, !Catch::Contains("pw"));
}

TEST_CASE("a header that would break out of its line is not sent", "[http]") {
    http::client client({});
    auto const got = client.send({.method = "GET", .url = "http://127.0.0.1:1/", .headers = {{"X", "a\r\nY: hush"}}});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::malformed);
    CHECK_THAT(got.error().detail, !Catch::Contains("hush"));
}

TEST_CASE("a certificate that does not prove the host ends the call", "[http]") {
    auto const [names, to_days, trusting, url,
        why] = GENERATE(table<std::string, long, bool, std::string, std::string>({
        {"DNS:here.test", 30, false, "https://here.test/", "certificate of here.test not trusted: "},
        {"DNS:here.test", -1, true, "https://here.test/", "certificate has expired"},
        {"DNS:other.test", 30, true, "https://here.test/", "certificate of here.test not trusted: hostname mismatch"},
        {"DNS:here.test", 30, true, "https://there.test/", "hostname mismatch"},
    }));
    CAPTURE(names, to_days, trusting, url);
    test::https_site there(names, to_days);
    http::client client(there.options(trusting));
    auto const got = client.send({.method = "GET", .url = url});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unavailable);
    CHECK_THAT(got.error().detail, Catch::Contains(why));
}

TEST_CASE("a host that is an address is checked as an address", "[http]") {
    bool const named = GENERATE(true, false);
    test::https_site there(named ? "IP:127.0.0.1" : "DNS:127.0.0.1");
    http::client client(there.options());
    auto const got = client.send({.method = "GET", .url = fmt::format("https://127.0.0.1:{}/", there.port)});
    CHECK(got.has_value() == named);
}

TEST_CASE("nobody listening is said so", "[http]") {
    std::uint16_t port = 0;
    { port = scripted({}).port(); }
    http::client client({});
    auto const got = client.send({.method = "GET", .url = fmt::format("http://127.0.0.1:{}/x?y", port)});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unavailable);
    CHECK(got.error().detail == fmt::format("http://127.0.0.1:{}/x: connection refused", port));
}

TEST_CASE("a call ends when its time is up, whatever drips in", "[http]") {
    std::promise<void> leave;
    auto const released = leave.get_future().share();
    http::server slow(1, 2);  // goes first, and with it the handler that waits
    auto const port = slow.listen("127.0.0.1", 0, {{.host = {}, .tls = nullptr, .handle = [&](auto const&) {
                                                        released.wait();
                                                        return http::response{};
                                                    }}});
    slow.start();
    http::client client({});
    auto const begin = std::chrono::steady_clock::now();
    auto const got = client.send({.method = "GET", .url = fmt::format("http://127.0.0.1:{}/", port), .timeout = 200ms});
    CHECK(std::chrono::steady_clock::now() - begin < 3s);
    leave.set_value();
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unavailable);
    CHECK_THAT(got.error().detail, Catch::EndsWith(": time-out after 200 ms"));
}

TEST_CASE("a stop ends the calls that are under way, and every later one", "[http]") {
    test::silent_port const nowhere;
    std::stop_source stop;
    http::client client({.stop = stop.get_token()});
    http::call const c{.method = "GET", .url = fmt::format("http://127.0.0.1:{}/", nowhere.number()), .timeout = 10min};
    auto first = std::async(std::launch::async, [&] { return client.send(c); });
    REQUIRE(nowhere.visited(10s));
    stop.request_stop();
    for (auto const& got : {first.get(), client.send(c)}) {
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::unavailable);
        CHECK_THAT(got.error().detail, Catch::EndsWith("this process is stopping"));
    }
}

TEST_CASE("connections are used again", "[http]") {
    std::atomic<int> handled = 0;
    http::server there(1, 1, {.connections = 1});  // a second connection would have to wait for the first to go
    auto const port = there.listen("127.0.0.1", 0, {{.host = {}, .tls = nullptr, .handle = [&](auto const&) {
                                                         ++handled;
                                                         return http::response{};
                                                     }}});
    there.start();
    http::client client({});
    for (int i = 0; i < 3; ++i)
        CHECK(client.send({.method = "POST", .url = fmt::format("http://127.0.0.1:{}/", port), .timeout = 5s}));
    CHECK(handled == 3);
    client.close_idle();
    http::client other({});
    CHECK(other.send({.method = "GET", .url = fmt::format("http://127.0.0.1:{}/", port), .timeout = 5s}));
}

TEST_CASE("a connection that died while idle is noticed before a POST is sent", "[http]") {
    std::string const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    scripted there({ok, ok});
    http::client client({});
    for (int i = 0; i < 2; ++i) {
        CHECK(client.send({.method = "POST", .url = there.url(), .body = "x", .timeout = 5s}));
    }
    CHECK(there.requests == 2);
}

TEST_CASE("a request whose connection dies under it is sent again only if that is harmless", "[http]") {
    std::string const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    auto const method = GENERATE(as<std::string>(), "GET", "POST");
    scripted there({ok, ok}, true);  // reads a second request on each connection and closes without answering it
    http::client client({});
    REQUIRE(client.send({.method = method, .url = there.url(), .timeout = 5s}));
    auto const second = client.send({.method = method, .url = there.url(), .timeout = 5s});
    CHECK(second.has_value() == (method == "GET"));
    CHECK(there.requests == (method == "GET" ? 3 : 2));
}

TEST_CASE("many threads call at once", "[http]") {
    test::https_site there;
    http::client client(there.options());
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
}

TEST_CASE("options that cannot work are refused at once", "[http]") {
    CHECK_THROWS_WITH(http::client({.extra_roots_pem = "nonsense"}), Catch::Contains("extra roots"));
    CHECK_THROWS_WITH(http::client({.certificate_pem = "nonsense"}), Catch::Contains("certificate"));
}

TEST_CASE("localhost is this machine", "[http]") {
    http::server server(1, 1);
    auto const port = server.listen("127.0.0.1", 0, {{.host = "x", .tls = nullptr, .handle = [](http::request const&) {
                                                          return http::response{200, {}, "here"};
                                                      }}});
    server.start();
    http::client client({});
    auto const got = client.send({.method = "GET", .url = fmt::format("http://LocalHost:{}/", port)});
    REQUIRE(got);
    CHECK(got->body == "here");
}
