// More requests than workers: who waits, who is sent away, and who is answered all the same.
#include <future>
#include <set>

#include "http/client.hpp"
#include "http/server.hpp"
#include "test/http_raw.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using test::raw_peer;

namespace {

constexpr char get[] = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::size_t most_waiting = 2;

std::string answer_of(raw_peer& p) { return p.read_until_text("\r\n\r\n"); }

int retry_after(std::string const& answer) {
    auto const at = answer.find("\r\nRetry-After: ");
    return at == answer.npos ? -1 : std::stoi(answer.substr(at + 15));
}

// One worker, which is held by the first request until release().
struct fixture {
    fixture() {
        site.handle = [this](http::request const&) { return handle(); };
    }
    ~fixture() { release(); }

    http::response handle() {
        if (handled++ == 0) begun.set_value();
        held.wait();
        return {.headers = {}, .body = "done"};
    }
    void start() {
        site.most_waiting = most_waiting;
        port = server.listen("127.0.0.1", 0, {site});
        server.start();
        occupant.emplace(port);
        occupant->send(get);
        REQUIRE(begun.get_future().wait_for(10s) == std::future_status::ready);
    }
    void release() {
        if (!std::exchange(released, true)) end.set_value();
    }
    // One more than may wait: the one that is answered before anybody is released is the one sent away.
    std::size_t fill() {
        for (std::size_t i = 0; i < most_waiting + 1; ++i) {
            waiting.emplace_back(port);
            waiting.back().send(get);
        }
        std::vector<pollfd> all;
        for (auto const& p : waiting) all.push_back({p.descriptor(), POLLIN, 0});
        REQUIRE(::poll(all.data(), all.size(), 10'000) == 1);
        return static_cast<std::size_t>(
            std::find_if(all.begin(), all.end(), [](pollfd const& p) { return p.revents != 0; }) - all.begin());
    }

    std::promise<void> begun, end;
    std::shared_future<void> held{end.get_future()};
    std::atomic<int> handled = 0;
    bool released = false;
    http::site site{.host = {}, .tls = nullptr, .handle = nullptr};
    std::optional<raw_peer> occupant;
    std::vector<raw_peer> waiting;
    std::uint16_t port = 0;
    http::server server{2, 1};
};

}  // namespace

TEST_CASE_METHOD(fixture,
    "one request more than may wait is sent away at once, told when to come back, and may on the same connection",
    "[http]") {
    start();
    auto const away = fill();
    auto& peer = waiting[away];
    std::set<int> waits;
    for (int i = 0; i < 20; ++i) {
        auto const answer = answer_of(peer);
        CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 429 Too Many Requests\r\n") &&
                               !Catch::Contains("Connection: close") && Catch::Contains("Content-Length: 0"));
        CHECK(retry_after(answer) >= 30);
        CHECK(retry_after(answer) <= 60);
        waits.insert(retry_after(answer));
        peer.send(get);
    }
    CHECK(waits.size() > 1);
    CHECK_THAT(answer_of(peer), Catch::StartsWith("HTTP/1.1 429 "));
    CHECK(handled == 1);

    release();
    CHECK_THAT(answer_of(*occupant), Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
    for (std::size_t i = 0; i < waiting.size(); ++i) {
        if (i == away) continue;
        CHECK_THAT(answer_of(waiting[i]), Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
    }
    peer.send(get);
    CHECK_THAT(answer_of(peer), Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
    CHECK(handled == 4);
}

TEST_CASE_METHOD(fixture, "a site is told of each request that is sent away, and writes the answer", "[http]") {
    std::atomic<int> told = 0;
    site.refused = [&](http::request const& r, int status, std::string_view why) {
        CHECK(status == 429);
        CHECK(r.path == "/a");
        CHECK(why == "more requests wait than can be served");
        ++told;
        return http::response{.headers = {{"Content-Type", "text/x"}}, .body = {}};
    };
    start();
    auto const answer = answer_of(waiting[fill()]);
    CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 429 ") && Catch::Contains("Content-Type: text/x\r\n"));
    CHECK(retry_after(answer) >= 30);
    CHECK(told == 1);
}

TEST_CASE_METHOD(fixture, "sites with workers of their own are answered however many wait for the others", "[http]") {
    test::scratch folder;
    auto const quick = [](http::request const&) { return http::response{.headers = {}, .body = "at once"}; };
    auto const admin =
        server.listen("127.0.0.1", 0, {{.host = {}, .tls = nullptr, .handle = quick, .own_workers = true}});
    server.listen_unix(folder.path() / "sock", 0600, quick);
    start();
    fill();
    raw_peer peer(admin);
    peer.send(get);
    CHECK_THAT(peer.read_until_text("at once"), Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
    http::client c({.unix_socket = folder.path() / "sock"});
    auto const got = c.send({.method = "GET", .url = "http://mdmd/"});
    REQUIRE(got);
    CHECK(got->body == "at once");
    CHECK(handled == 1);
}

TEST_CASE_METHOD(fixture, "without a limit all wait", "[http]") {
    start();
    http::server other(1, 1);
    auto unlimited = site;
    unlimited.most_waiting = 0;
    auto const at = other.listen("127.0.0.1", 0, {unlimited});
    other.start();
    for (int i = 0; i < 20; ++i) {
        waiting.emplace_back(at);
        waiting.back().send(get);
    }
    release();
    for (auto& p : waiting) CHECK_THAT(answer_of(p), Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
}
