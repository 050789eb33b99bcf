// Answers from files: over TLS as packages are, and over plain connections where bytes and times are looked at.
#include <fcntl.h>
#include <sys/stat.h>
#include <atomic>
#include <fstream>

#include "core/http_content.hpp"
#include "core/log.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "test/http_pki.hpp"
#include "test/http_raw.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using test::raw_peer;

namespace {

constexpr std::size_t file_size = 3 * 1024 * 1024 + 17;

std::string content() {
    std::string all(file_size, '\0');
    std::uint32_t x = 1;
    for (char& c : all) c = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
    return all;
}

// Serves one file as `Range` asks; `served` counts the calls of the handler.
struct fixture {
    test::scratch folder;
    std::string const bytes = content();
    std::filesystem::path const path = folder.write("file", bytes);
    http::limits limit{};
    std::atomic<int> lost = 0;
    std::uint64_t promised = 0;  // instead of the file's own size; 0: that
    test::key_pair authority = test::make_authority("Roots");
    test::key_pair leaf = test::make_certificate(
        {.name = "here", .alternative_names = "DNS:here.test", .usage = "serverAuth"}, &authority);
    std::unique_ptr<http::server> server{};
    std::uint16_t port = 0;

    http::response serve(http::request const& r) const {
        if (r.path != "/file") return {.headers = {}, .body = "no file"};
        auto file = std::make_shared<mdmd::descriptor>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        struct stat info {};
        ::fstat(file->get(), &info);
        auto const size = promised > 0 ? promised : static_cast<std::uint64_t>(info.st_size);
        auto const part = http::choose_range(r.headers.get("Range").value_or(""), size);
        http::response out{.status = part.what == http::byte_range::kind::part ? 206 : 200, .headers = {}, .body = {}};
        out.file = http::file_part{std::move(file), part.offset, part.length};
        return out;
    }
    void start(bool tls) {
        log::configure(log::level::error);
        server = std::make_unique<http::server>(2, 4, limit);
        http::site site{.host = "here.test", .tls = nullptr, .handle = [this](auto const& r) { return serve(r); }};
        site.lost = [this](auto const&, auto) { ++lost; };
        if (tls)
            site.tls = http::make_tls(
                {.certificate_pem = leaf.certificate_pem, .key_pem = leaf.key_pem(), .client_authority_pem = {}})
                           .value();
        port = server->listen("127.0.0.1", 0, {site});
        server->start();
    }
    http::client client(std::size_t most = 64 * 1024 * 1024) const {
        return http::client({.extra_roots_pem = authority.certificate_pem,
            .system_roots = false,
            .connect_to = {{"here.test:443", fmt::format("127.0.0.1:{}", port)}},
            .answer_bytes = most});
    }
    static http::call get(http::fields headers = {}, std::string method = "GET") {
        return {
            .method = std::move(method), .url = "https://here.test/file", .headers = std::move(headers), .body = {}};
    }
    // Descriptors of the file that this process holds open.
    int open_files() const {
        int n = 0;
        for (auto const& e : std::filesystem::directory_iterator("/proc/self/fd")) {
            std::error_code gone;
            n += std::filesystem::read_symlink(e.path(), gone) == path;
        }
        return n;
    }
    static bool eventually(std::function<bool()> const& what) {
        for (auto const until = std::chrono::steady_clock::now() + 20s; std::chrono::steady_clock::now() < until;) {
            if (what()) return true;
            std::this_thread::sleep_for(2ms);
        }
        return what();
    }
};

std::size_t resident_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
    return 0;
}

}  // namespace

TEST_CASE_METHOD(fixture, "a file comes whole over TLS, and the connection goes on", "[http file]") {
    start(true);
    auto c = client();
    for (int i = 0; i < 2; ++i) {
        auto const got = c.send(get());
        REQUIRE(got);
        CHECK(got->status == 200);
        CHECK(got->headers.get("Content-Length") == std::to_string(file_size));
        CHECK(got->body == bytes);
    }
    auto const other = c.send({.method = "GET", .url = "https://here.test/x", .headers = {}, .body = {}});
    REQUIRE(other);
    CHECK(other->body == "no file");
    CHECK(eventually([&] { return open_files() == 0; }));
}

TEST_CASE_METHOD(fixture, "a transfer that broke off is resumed where it ended", "[http file]") {
    start(true);
    // The first try ends early: its client takes no more than it has room for.
    auto small = client(1024 * 1024);
    CHECK_FALSE(small.send(get()));
    small.close_idle();
    auto c = client();
    std::size_t const had = 1024 * 1024;
    auto const rest = c.send(get({{"Range", fmt::format("bytes={}-", had)}}));
    REQUIRE(rest);
    CHECK(rest->status == 206);
    CHECK(rest->headers.get("Content-Length") == std::to_string(file_size - had));
    CHECK(bytes.substr(0, had) + rest->body == bytes);
    CHECK(eventually([&] { return open_files() == 0; }));
}

TEST_CASE_METHOD(fixture, "HEAD tells the length and sends nothing of the file", "[http file]") {
    start(false);
    raw_peer peer(port);
    peer.send(
        "HEAD /file HTTP/1.1\r\nHost: here.test\r\n\r\nGET /x HTTP/1.1\r\nHost: here.test\r\nConnection: close\r\n\r\n");
    auto const all = peer.read_to_end();
    CHECK_THAT(all, Catch::Contains(fmt::format("Content-Length: {}\r\n\r\nHTTP/1.1 200 OK", file_size)));
    CHECK(all.size() < 1000);
    CHECK_THAT(all, Catch::EndsWith("no file"));
}

TEST_CASE_METHOD(fixture, "a transfer holds a piece of the file in memory, however large that is", "[http file]") {
    auto const large = std::uint64_t{512} * 1024 * 1024;
    std::filesystem::resize_file(path, large);
    start(false);
    raw_peer peer(port);
    auto const before = resident_kib();
    peer.send("GET /file HTTP/1.1\r\nHost: here.test\r\nConnection: close\r\n\r\n");
    std::uint64_t got = 0;
    std::size_t most = 0;
    std::string piece(1 << 20, '\0');
    while (true) {
        auto const n = ::recv(peer.descriptor(), piece.data(), piece.size(), 0);
        if (n <= 0) break;
        got += static_cast<std::uint64_t>(n);
        most = std::max(most, resident_kib());
    }
    CHECK(got > large);
    CHECK(got < large + 1000);
    // A sanitizer keeps what was freed for a while: a quarter of the file is far from all of it.
    CHECK(most < before + large / 1024 / 4);
}

TEST_CASE_METHOD(fixture, "a reader that stops is cut off, one that goes on is not", "[http file]") {
    limit.write = 1s;
    std::filesystem::resize_file(path, std::uint64_t{64} * 1024 * 1024);  // more than the sockets' buffers hold
    start(false);
    SECTION("stops") {
        raw_peer peer(port);
        peer.send("GET /file HTTP/1.1\r\nHost: here.test\r\n\r\n");
        CHECK(eventually([&] { return open_files() == 1; }));
        CHECK(eventually([&] { return open_files() == 0; }));  // without a byte being read
        CHECK(eventually([&] { return lost == 1; }));
    }
    SECTION("takes longer than the limit in all") {
        raw_peer peer(port);
        peer.send("GET /file HTTP/1.1\r\nHost: here.test\r\nConnection: close\r\n\r\n");
        auto const begin = std::chrono::steady_clock::now();
        std::uint64_t got = 0;
        std::string piece(1 << 20, '\0');
        while (true) {
            auto const n = ::recv(peer.descriptor(), piece.data(), piece.size(), 0);
            if (n <= 0) break;
            got += static_cast<std::uint64_t>(n);
            // A pace of the reader's own: a pause after every MiB or so, 1.5 s in all and more.
            if (std::chrono::steady_clock::now() - begin < 1500ms) std::this_thread::sleep_for(50ms);
        }
        CHECK(std::chrono::steady_clock::now() - begin > 1s);
        CHECK(got > 64 * 1024 * 1024);
    }
}

TEST_CASE_METHOD(fixture, "a client that goes in the middle leaves nothing behind", "[http file]") {
    std::filesystem::resize_file(path, std::uint64_t{64} * 1024 * 1024);
    start(false);
    for (int i = 0; i < 5; ++i) {
        raw_peer peer(port);
        peer.send("GET /file HTTP/1.1\r\nHost: here.test\r\n\r\n");
        peer.read_until([](std::string const& all) { return all.size() > 100'000; });
    }
    CHECK(eventually([&] { return open_files() == 0 && lost == 5; }));
}

TEST_CASE_METHOD(fixture, "a file that has become shorter breaks the connection rather than a promise", "[http file]") {
    promised = file_size + 1000;
    start(false);
    raw_peer peer(port);
    peer.send("GET /file HTTP/1.1\r\nHost: here.test\r\n\r\n");
    auto const all = peer.read_to_end();
    CHECK(peer.closed);
    CHECK(all.size() < promised);
    CHECK(eventually([&] { return open_files() == 0; }));
}

TEST_CASE_METHOD(fixture, "a server that stops does not wait for a transfer longer than it must", "[http file]") {
    std::filesystem::resize_file(path, std::uint64_t{64} * 1024 * 1024);
    start(false);
    raw_peer peer(port);
    peer.send("GET /file HTTP/1.1\r\nHost: here.test\r\n\r\n");
    CHECK(eventually([&] { return open_files() == 1; }));
    auto const begin = std::chrono::steady_clock::now();
    server->stop(100ms);
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
    CHECK(open_files() == 0);
}

TEST_CASE_METHOD(fixture, "an answer with both a body and a file is the handler's mistake", "[http file]") {
    log::configure(log::level::error);
    log::configure([](log::record const&) {});
    server = std::make_unique<http::server>(1, 1, limit);
    port = server->listen("127.0.0.1", 0, {{.host = {}, .tls = nullptr, .handle = [this](auto const& r) {
                                                auto out = serve(r);
                                                out.body = "and this";
                                                return out;
                                            }}});
    server->start();
    raw_peer peer(port);
    peer.send("GET /file HTTP/1.1\r\nHost: here.test\r\n\r\n");
    CHECK_THAT(peer.read_to_end(), Catch::StartsWith("HTTP/1.1 500 "));
    log::configure(log::sink(log::to_text));
}
