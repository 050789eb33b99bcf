#include <future>
#include <mutex>

#include "http/server.hpp"
#include "test/http_raw.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using test::raw_peer;

namespace {

// A server whose handler can be held, and which writes down the clients that it loses.
struct losing_server {
    std::mutex mutex;
    std::vector<std::string> told;  // "receiving /path 0 36 127.0.0.1 x": stage, path, and sizes of body and id…
    std::promise<void> entered, release;
    http::limits limit{.body = 200ms, .idle = 100ms, .write = 200ms, .connections = 1};
    std::unique_ptr<http::server> server;
    std::uint16_t port = 0;

    void start(bool held = false, std::string answer = "done") {
        server = std::make_unique<http::server>(1, 2, limit);
        http::site site{.host = {}, .tls = nullptr, .handle = [this, held, answer](http::request const& r) {
                            if (held && r.path == "/whole") {
                                entered.set_value();
                                release.get_future().wait();
                            }
                            return http::response{.headers = {}, .body = r.path == "/last" ? "done" : answer};
                        }};
        site.lost = [this](http::request const& head, http::lost_stage at) {
            std::scoped_lock const lock(mutex);
            told.push_back(fmt::format("{} {} {} {} {} {}",
                at == http::lost_stage::receiving ? "receiving" : "answering", head.path, head.body.size(),
                head.id.size(), head.peer_address, head.headers.get("Host").value_or("")));
        };
        port = server->listen("127.0.0.1", 0, {site});
        server->start();
    }
    // Everything that was told of all connections so far: one is served at a time, so that the last one's answer comes
    // after the others' ends.
    std::vector<std::string> in_the_end() {
        raw_peer last(port);
        last.send("GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        CHECK_THAT(last.read_until_text("\r\n\r\n"), Catch::StartsWith("HTTP/1.1 200"));
        last.read_to_end();
        last.close();
        server->stop(10s);
        std::scoped_lock const lock(mutex);
        return told;
    }
};

void reset(raw_peer& p) {
    linger const at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(p.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    p.close();
}

constexpr auto half = "POST /half?q HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbeginning";
constexpr auto whole = "POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";

}  // namespace

TEST_CASE_METHOD(losing_server, "a client that goes before its body has come whole is told of", "[http]") {
    auto const how =
        GENERATE(as<std::string>(), "closes", "ends its side", "resets", "falls silent", "was told to continue");
    CAPTURE(how);
    start();
    raw_peer p(port);
    if (how == "was told to continue") {
        p.send("POST /half HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n");
        CHECK_THAT(p.read_until_text("\r\n\r\n"), Catch::Contains("100 Continue"));
    } else {
        p.send(half);
    }
    if (how == "closes" || how == "was told to continue") p.close();
    if (how == "ends its side") p.end_sending();
    if (how == "resets") reset(p);
    if (how == "falls silent" || how == "ends its side") p.read_to_end();
    CHECK(in_the_end() == std::vector<std::string>{"receiving /half 0 36 127.0.0.1 x"});
}

TEST_CASE_METHOD(losing_server, "a client that is gone when its answer is ready is told of", "[http]") {
    bool const by_reset = GENERATE(false, true);
    start(true);
    raw_peer p(port);
    p.send(whole);
    entered.get_future().wait();
    if (by_reset)
        reset(p);
    else
        p.close();
    release.set_value();
    CHECK(in_the_end() == std::vector<std::string>{"answering /whole 0 36 127.0.0.1 x"});
}

TEST_CASE_METHOD(losing_server, "a client that does not take its answer is told of", "[http]") {
    start(false, std::string(16'000'000, 'x'));
    raw_peer p(port);
    p.send(whole);
    auto const until = std::chrono::steady_clock::now() + 10s;
    auto const told_once = [&] {
        std::scoped_lock const lock(mutex);
        return !told.empty();
    };
    while (!told_once() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(5ms);
    CHECK(in_the_end() == std::vector<std::string>{"answering /whole 0 36 127.0.0.1 x"});
}

TEST_CASE_METHOD(losing_server, "connections that end between or before requests are nobody's loss", "[http]") {
    start();
    SECTION("after an answer") {
        for (bool const by_reset : {false, true}) {
            raw_peer p(port);
            p.send(whole);
            CHECK_THAT(p.read_until_text("done"), Catch::EndsWith("done"));
            if (by_reset) reset(p);
        }
    }
    SECTION("idle until the time for that is over") {
        raw_peer p(port);
        p.send(whole);
        CHECK_THAT(p.read_to_end(), Catch::EndsWith("done"));
        CHECK(p.closed);
    }
    SECTION("in a header") {
        raw_peer p(port);
        p.send("POST /whole HTTP/1.1\r\nHost: x\r\nContent-Len");
        p.close();
    }
    SECTION("without a word") { raw_peer p(port); }
    SECTION("refused") {
        raw_peer p(port);
        p.send("POST /whole HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        p.read_to_end();
    }
    CHECK(in_the_end().empty());
}

TEST_CASE_METHOD(losing_server, "what the server itself cuts off is not a client's loss", "[http]") {
    limit.body = 60s;
    start();
    raw_peer p(port);
    // The header has been read when the server says so.
    p.send("POST /half HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n");
    p.read_until_text("\r\n\r\n");
    server->stop(0ms);
    CHECK(told.empty());
}
