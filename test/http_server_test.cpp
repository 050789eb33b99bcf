#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
#include <future>

#include "core/log.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "test/http_raw.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using test::raw_peer;

namespace {

http::response text(std::string body) { return {.headers = {{"Content-Type", "text/plain"}}, .body = std::move(body)}; }

http::site plain(http::handler handle, bool chunked = false) {
    return {.host = {}, .tls = nullptr, .handle = std::move(handle), .chunked_allowed = chunked};
}

// A server with one plain site, which by default says what it was asked.
struct fixture {
    http::limits limit{};
    http::handler handle = [](http::request const& r) {
        return text(fmt::format("{} {} {} {}", r.method, r.path, r.query, r.body));
    };
    http::refusal_writer refused{};
    bool chunked = false;
    std::unique_ptr<http::server> server{};
    std::uint16_t port = 0;

    raw_peer connect() {
        if (!server) {
            server = std::make_unique<http::server>(2, 4, limit);
            auto site = plain(handle, chunked);
            site.refused = refused;
            port = server->listen("127.0.0.1", 0, {site});
            server->start();
        }
        return raw_peer(port);
    }
    std::string ask(std::string const& bytes) {
        auto peer = connect();
        peer.send(bytes);
        return peer.read_to_end();
    }
};

std::chrono::milliseconds time_of(std::function<void()> const& what) {
    auto const begin = std::chrono::steady_clock::now();
    what();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
}

constexpr auto last_get = "GET /a?b=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

}  // namespace

TEST_CASE_METHOD(fixture, "requests of one connection are answered in turn", "[http]") {
    auto const all =
        ask("POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
            "GET /two?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK_THAT(all, Catch::StartsWith("HTTP/1.1 200 OK\r\n") && Catch::Contains("\r\n\r\nPOST /one  hiHTTP/1.1 200") &&
                        Catch::EndsWith("Connection: close\r\n\r\nGET /two q "));
    CHECK_THAT(all, Catch::Contains("\r\nDate: ") && Catch::Contains("\r\nContent-Length: 13\r\n") &&
                        Catch::Contains("\r\nContent-Type: text/plain\r\n"));
    CHECK_THAT(all, !Catch::Contains("Server:") && !Catch::Contains("Transfer-Encoding"));
}

TEST_CASE_METHOD(fixture, "a request's parts reach the handler as they were sent", "[http]") {
    http::request seen;
    handle = [&](http::request const& r) {
        seen = r;
        return text("");
    };
    ask("PUT /a%20b/C?x=%26&y HTTP/1.1\r\nHost: x:8443\r\nX-Two: 1\r\nx-two: 2\r\nConnection: close\r\n"
        "Content-Length: 3\r\n\r\na\nb");
    CHECK(seen.method == "PUT");
    CHECK(seen.path == "/a%20b/C");
    CHECK(seen.query == "x=%26&y");
    CHECK(seen.headers.get("host") == "x:8443");
    CHECK(seen.headers.get("X-TWO") == "1");
    CHECK(seen.body == "a\nb");
    CHECK(seen.peer_address == "127.0.0.1");
    CHECK(seen.peer_certificate.empty());
    CHECK(is_guid(seen.id));
}

TEST_CASE_METHOD(fixture, "HEAD is answered with the length of what is not sent", "[http]") {
    auto const all = ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(last_get));
    CHECK_THAT(all, Catch::Contains("\r\nContent-Length: 8\r\n\r\nHTTP/1.1 200"));
}

TEST_CASE_METHOD(fixture, "HTTP/1.0 keeps a connection only where asked to", "[http]") {
    CHECK_THAT(ask("GET / HTTP/1.0\r\n\r\n"), Catch::Contains("Connection: close"));
    CHECK_THAT(ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
        Catch::Contains("Connection: keep-alive") && Catch::Contains("Connection: close"));
}

TEST_CASE_METHOD(fixture, "answers that have no body have no length either", "[http]") {
    handle = [](http::request const&) { return http::response{.status = 204, .headers = {}, .body = "never"}; };
    auto const all = ask(last_get);
    CHECK_THAT(all, Catch::StartsWith("HTTP/1.1 204 No Content\r\n") && Catch::EndsWith("\r\n\r\n"));
    CHECK_THAT(all, !Catch::Contains("Content-Length") && !Catch::Contains("never"));
}

TEST_CASE_METHOD(fixture, "a handler that throws is a 500 that says nothing, and a log line", "[http]") {
    std::mutex mutex;
    std::vector<std::string> lines;
    log::configure([&](log::record const& r) {
        std::scoped_lock const lock(mutex);
        lines.push_back(log::as_text(r));
    });
    std::string id;
    handle = [&](http::request const& r) -> http::response {
        id = r.id;
        throw std::runtime_error("disk on fire");
    };
    auto const all = ask(last_get);
    server.reset();
    log::configure(log::to_text);
    CHECK_THAT(all, Catch::StartsWith("HTTP/1.1 500 Internal Server Error\r\n") &&
                        Catch::Contains("Connection: close") && !Catch::Contains("fire"));
    REQUIRE(lines.size() == 1);
    CHECK_THAT(
        lines[0], Catch::Contains("error") && Catch::Contains("request_id=" + id) && Catch::Contains("disk on fire"));
}

TEST_CASE_METHOD(fixture, "an answer cannot break out of its header", "[http]") {
    handle = [](http::request const& r) {
        return http::response{.status = r.path == "/status" ? 99 : 200,
            .headers = {{r.path == "/name" ? "A b" : "Location", r.path == "/value" ? "x\r\nSet-Cookie: y" : "x"}},
            .body = "b"};
    };
    log::configure([](log::record const&) {});
    auto const path = GENERATE("/value", "/name", "/status");
    auto const all = ask(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path));
    log::configure(log::to_text);
    CHECK_THAT(all, Catch::StartsWith("HTTP/1.1 500") && !Catch::Contains("Set-Cookie"));
}

TEST_CASE_METHOD(fixture, "what the listener writes itself, handlers cannot write twice", "[http]") {
    handle = [](http::request const&) {
        return http::response{.headers = {{"content-length", "99"}, {"Date", "now"}, {"Connection", "x"}}, .body = "b"};
    };
    auto const all = ask(last_get);
    CHECK_THAT(all, Catch::Contains("Content-Length: 1\r\n") && !Catch::Contains("99") && !Catch::Contains("now"));
}

TEST_CASE_METHOD(fixture, "a client that expects it is told to continue before it sends", "[http]") {
    auto peer = connect();
    peer.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n");
    CHECK(peer.read_until_text("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("hi");
    CHECK_THAT(peer.read_to_end(), Catch::StartsWith("HTTP/1.1 200") && Catch::EndsWith("POST /  hi"));
}

TEST_CASE_METHOD(fixture, "a body that will be refused is not asked for", "[http]") {
    limit.body_bytes = 4;
    auto const all = ask("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    CHECK_THAT(all, Catch::StartsWith("HTTP/1.1 413") && Catch::Contains("Connection: close"));
}

TEST_CASE_METHOD(fixture, "a client that is still sending can read why it was refused", "[http]") {
    limit.body_bytes = 1000;
    auto peer = connect();
    peer.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
    std::string const piece(100'000, 'x');
    for (int i = 0; i < 30 && peer.send(piece); ++i) continue;
    CHECK_THAT(peer.read_to_end(), Catch::StartsWith("HTTP/1.1 413"));
    CHECK_FALSE(peer.reset);
}

TEST_CASE_METHOD(fixture, "a body as large as allowed arrives whole", "[http]") {
    std::string const body(1024 * 1024, 'z');
    handle = [](http::request const& r) { return text(r.body + r.body); };
    auto const all =
        ask(fmt::format("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.size()) +
            body);
    CHECK(all.size() > 2 * body.size());
    CHECK(all.ends_with(body + body));
}

TEST_CASE_METHOD(fixture, "chunked bodies are read where they are allowed", "[http]") {
    chunked = true;
    CHECK_THAT(ask("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                   "2\r\nhi\r\nA\r\n0123456789\r\n0\r\n\r\n"),
        Catch::EndsWith("POST /  hi0123456789"));
}

TEST_CASE_METHOD(
    fixture, "a site writes the answers to what the listener refuses, and knows what was read of it", "[http]") {
    limit.header_bytes = 1000;
    limit.body_bytes = 10;
    limit.header_fields = 8;
    chunked = true;
    refused = [](http::request const& r, int status, std::string_view why) {
        CHECK(is_guid(r.id));
        CHECK(r.peer_address == "127.0.0.1");
        CHECK(r.body.empty());
        return http::response{.status = 200,
            .headers = {{"Content-Type", "text/x"}},
            .body =
                fmt::format("<{}|{} {}|{}|{}>", status, r.method, r.path, r.headers.get("X-Id").value_or("-"), why)};
    };
    struct row {
        std::string sent, status_line, body;
    };
    std::string const id = "Host: x\r\nX-Id: 7\r\n";
    for (auto const& r : std::vector<row>{
             {"POST /a?b HTTP/1.1\r\n" + id + "Content-Length: 11\r\n\r\n", "413 Payload Too Large",
                 "<413|POST /a|7|body over 10 bytes>"},
             {"POST /a HTTP/1.1\r\n" + id + "Transfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n",
                 "413 Payload Too Large", "<413|POST /a|7|body over 10 bytes>"},
             {"POST /a HTTP/1.1\r\n" + id + "Transfer-Encoding: chunked\r\n\r\nx", "400 Bad Request",
                 "<400|POST /a|7|chunk without a size>"},
             {"GET /" + std::string(1100, 'x'), "414 URI Too Long", "<414| |-|header over 1000 bytes>"},
             {"GET / HTTP/1.1\r\nX: " + std::string(1100, 'x'), "431 Request Header Fields Too Large",
                 "<431| |-|header over 1000 bytes>"},
             {"nonsense\r\n\r\n", "400 Bad Request", ""},
             {"GET /a HTTP/1.1\r\nX-Id: 7\r\n\r\n", "400 Bad Request", "<400|GET /a|7|0 Host fields>"},
             {"BREW /a HTTP/1.1\r\nHost: x\r\n\r\n", "501 Not Implemented", "<501| |-|method>"},
             {"GET /a HTTP/2.0\r\nHost: x\r\n\r\n", "505 HTTP Version Not Supported", "<505| |-|HTTP version>"},
             {"POST /a HTTP/1.1\r\n" + id + "Expect: gold\r\nContent-Length: 1\r\n\r\n", "417 Expectation Failed",
                 "<417|POST /a|7|Expect that is not 100-continue>"},
         }) {
        CAPTURE(r.sent.substr(0, 60));
        auto const all = ask(r.sent);
        CHECK_THAT(all, Catch::StartsWith("HTTP/1.1 " + r.status_line + "\r\n") &&
                            Catch::Contains("\r\nContent-Type: text/x\r\n") &&
                            Catch::Contains("\r\nConnection: close\r\n") && Catch::EndsWith(r.body));
    }
    auto const head = ask("HEAD /a HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
    CHECK_THAT(head, Catch::StartsWith("HTTP/1.1 413 ") && Catch::EndsWith("\r\n\r\n"));
}

TEST_CASE_METHOD(
    fixture, "a site writes the answers to its own failures too, and none of them can go wrong", "[http]") {
    log::configure([](log::record const&) {});
    auto const [text_of_it, expected] = GENERATE(table<std::string, std::string>({
        {"good", "good"},
        {"x\r\nSet-Cookie: y", ""},
        {"throw", ""},
    }));
    bool const throws = GENERATE(true, false);
    handle = [throws](http::request const&) -> http::response {
        if (throws) throw std::runtime_error("disk on fire");
        return http::response{.headers = {{"A b", ""}}};
    };
    refused = [how = text_of_it](http::request const& r, int status, std::string_view) {
        CHECK(status == 500);
        CHECK(r.path == "/a");
        if (how == "throw") throw std::runtime_error("again");
        return http::response{.headers = {{"X", how}}, .body = how};
    };
    auto const all = ask(last_get);
    server.reset();
    log::configure(log::to_text);
    CHECK_THAT(all, Catch::StartsWith("HTTP/1.1 500 ") && Catch::EndsWith("\r\n\r\n" + expected) &&
                        !Catch::Contains("Set-Cookie") && !Catch::Contains("fire"));
}

TEST_CASE_METHOD(fixture, "a sender that is too slow is cut off, however steadily it drips", "[http]") {
    limit = {.header = 200ms, .body = 200ms, .idle = 200ms};
    auto const [name, begin] = GENERATE(table<std::string, std::string>({{"silence", ""},
        {"header", "GET / HTTP/1.1\r\nX: "}, {"second header", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"},
        {"body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"}}));
    CAPTURE(name);
    auto peer = connect();
    peer.send(begin);
    std::string all;
    auto const took = time_of([&] {
        while (!peer.closed) {
            if (!begin.empty()) peer.send("a");
            all += peer.read_until([](std::string const&) { return false; }, 20ms);
        }
    });
    CHECK(took >= 150ms);
    CHECK(took < 3s);
    CHECK(all.empty() == (name != "second header"));
}

TEST_CASE_METHOD(fixture, "a connection without requests is closed after its idle time", "[http]") {
    limit.idle = 200ms;
    auto peer = connect();
    peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    auto const took = time_of([&] { CHECK_THAT(peer.read_to_end(), Catch::StartsWith("HTTP/1.1 200")); });
    CHECK(peer.closed);
    CHECK(took >= 150ms);
}

TEST_CASE_METHOD(fixture, "a client that does not read its answer is cut off", "[http]") {
    limit.write = 200ms;
    handle = [](http::request const&) { return text(std::string(64 * 1024 * 1024, 'x')); };
    auto peer = connect();
    peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    auto const took = time_of([&] { server->stop(10s); });  // which waits for the answer
    CHECK(took < 5s);
}

TEST_CASE_METHOD(fixture, "more connections than allowed wait, and are served when others go", "[http]") {
    limit.connections = 2;
    auto first = connect();
    auto second = connect();
    for (auto* const p : {&first, &second}) {
        p->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        CHECK_THAT(p->read_until_text("GET /"), Catch::StartsWith("HTTP/1.1 200"));
    }
    auto third = connect();
    third.send(last_get);
    CHECK(third.read_to_end(100ms).empty());
    first.close();
    CHECK_THAT(third.read_to_end(), Catch::StartsWith("HTTP/1.1 200"));
}

TEST_CASE_METHOD(fixture, "one address gets no more than its share of connections", "[http]") {
    limit.connections_per_address = 1;
    auto first = connect();
    first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    first.read_until_text("GET /");
    auto second = connect();
    CHECK(second.read_to_end().empty());
    CHECK(second.closed);
    first.send(last_get);
    CHECK_THAT(first.read_to_end(), Catch::StartsWith("HTTP/1.1 200"));
}

TEST_CASE_METHOD(fixture, "stopping finishes the request in hand and closes what is idle", "[http]") {
    std::promise<void> entered;
    std::promise<void> leave;
    handle = [&](http::request const& r) {
        if (r.path == "/slow") {
            entered.set_value();
            leave.get_future().wait();
        }
        return text("done");
    };
    auto idle = connect();
    idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    idle.read_until_text("done");
    auto busy = connect();
    busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    entered.get_future().wait();
    auto stopped = std::async(std::launch::async, [&] { server->stop(10s); });
    CHECK(idle.read_to_end().empty());
    CHECK(idle.closed);
    leave.set_value();
    CHECK_THAT(busy.read_to_end(), Catch::Contains("Connection: close") && Catch::EndsWith("done"));
    stopped.get();
    CHECK_THROWS(raw_peer(port));
}

TEST_CASE_METHOD(
    fixture, "who has just connected is served before the end, and who is silent does not hold it up", "[http]") {
    auto idle = connect();
    idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    idle.read_until_text("GET /");
    auto newcomer = connect();
    auto silent = connect();
    // The server has them for sure once another connection of the same thread was served after them.
    for (int i = 0; i < 2; ++i) ask(last_get);
    auto stopped = std::async(std::launch::async, [&] { return time_of([&] { server->stop(10s); }); });
    idle.read_to_end();  // whose end says that it has begun
    newcomer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_THAT(newcomer.read_to_end(), Catch::StartsWith("HTTP/1.1 200") && Catch::Contains("Connection: close"));
    CHECK(silent.read_to_end().empty());
    CHECK(silent.closed);
    CHECK(stopped.get() < 5s);
}

TEST_CASE_METHOD(fixture, "stopping cuts what is not done within the grace", "[http]") {
    auto peer = connect();
    peer.send("GET / HTTP/1.1\r\nHost");
    // The server has the bytes for sure once another connection of the same thread was served after them.
    for (int i = 0; i < 2; ++i) ask(last_get);
    auto const took = time_of([&] { server->stop(200ms); });
    CHECK(took < 5s);
    CHECK(peer.read_to_end().empty());
    CHECK(peer.closed);
}

TEST_CASE("a Unix socket has the mode it was given and replaces a dead one only", "[http]") {
    test::scratch const dir;
    auto const path = dir.path() / "s";
    auto const handle = [](http::request const& r) { return text("from " + r.peer_address + "."); };
    auto server = std::make_unique<http::server>(1, 1);
    server->listen_unix(path, 0660, handle);
    server->start();
    CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::all) ==
          static_cast<std::filesystem::perms>(0660));

    http::client client({.unix_socket = path});
    auto const got = client.send({.method = "GET", .url = "http://mdmd/x"});
    REQUIRE(got);
    CHECK(got->body == "from .");

    http::server second(1, 1);
    CHECK_THROWS_WITH(second.listen_unix(path, 0600, handle), Catch::Contains("Address already in use"));
    server.reset();
    CHECK_FALSE(std::filesystem::exists(path));

    sockaddr_un stale{};
    stale.sun_family = AF_UNIX;
    std::copy_n(path.c_str(), path.string().size(), stale.sun_path);
    auto const dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::bind(dead, reinterpret_cast<sockaddr*>(&stale), sizeof stale) == 0);
    ::close(dead);
    CHECK_NOTHROW(second.listen_unix(path, 0600, handle));

    auto const file = dir.write("precious", "text");
    CHECK_THROWS_WITH(second.listen_unix(file, 0600, handle), Catch::Contains("File exists"));
    CHECK(test::read_file(file) == "text");
}

TEST_CASE("what cannot be listened on is named", "[http]") {
    http::server server(1, 1);
    auto const handle = [](http::request const&) { return text(""); };
    auto const port = server.listen("127.0.0.1", 0, {plain(handle)});
    CHECK_THROWS_WITH(server.listen("127.0.0.1", port, {plain(handle)}),
        Catch::Equals(fmt::format("listen 127.0.0.1:{}: Address already in use", port)));
    CHECK_THROWS_WITH(server.listen("localhost", 0, {plain(handle)}), Catch::Contains("listen localhost:0: Invalid"));
    CHECK_THROWS_AS(server.listen("127.0.0.1", 0, {plain(handle), plain(handle)}), std::invalid_argument);
}

TEST_CASE_METHOD(fixture, "a server answers as long as no I/O thread is held up", "[http]") {
    std::promise<void> held, go_on;
    auto until = go_on.get_future().share();
    refused = [&held, until](http::request const&, int status, std::string_view) {  // runs on an I/O thread
        held.set_value();
        until.wait();
        return http::response{.status = status, .headers = {}, .body = {}};
    };
    auto peer = connect();
    CHECK(server->answers(10s));
    peer.send("GET / HTTP/1.1\r\n\r\n");
    held.get_future().wait();
    CHECK_FALSE(server->answers(50ms));
    go_on.set_value();
    CHECK(server->answers(10s));
}

TEST_CASE("a socket that listens already is served, and left open to others when the server stops", "[http]") {
    auto const original = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(original, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(original, 8) == 0);
    REQUIRE(::getsockname(original, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    auto const port = ntohs(at.sin_port);
    for (auto const* name : {"first", "second"}) {
        raw_peer early(port);  // before anybody accepts
        early.send(last_get);
        http::server one(2, 4);
        CHECK(one.adopt(::dup(original), {plain([&](http::request const&) { return text(name); })}) == port);
        one.start();
        CHECK_THAT(early.read_to_end(), Catch::Contains(name));
        one.stop(1s);
    }
    ::close(original);
    http::server other(1, 1);
    CHECK_THROWS_AS(
        other.adopt(::memfd_create("no socket", 0), {plain([](auto&) { return text(""); })}), std::system_error);
}
