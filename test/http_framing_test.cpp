// Request smuggling and its relatives: what is not plainly one request is refused and ends the connection.
#include "http/framing.hpp"

#include "http/server.hpp"
#include "test/http_raw.hpp"
#include "test/support.hpp"

using namespace mdmd;

namespace {

constexpr std::string_view second = "GET /second HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view chunks = "5\r\nhello\r\n0\r\n\r\n";

std::string post(std::string_view fields, std::string_view body = {}, std::string_view version = "1.1",
    std::string_view method = "POST", std::string_view target = "/a") {
    return fmt::format("{} {} HTTP/{}\r\nHost: x\r\n{}\r\n{}", method, target, version, fields, body);
}
std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked\r\n", body); }
std::string with_nul(std::string text, char mark = '~') {
    for (auto& c : text)
        if (c == mark) c = '\0';
    return text;
}

struct attempt {
    std::string name;
    std::string bytes;    // `second` follows them
    std::string answers;  // the statuses, in order
};

std::vector<attempt> const attempts{
    {"CL then TE chunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks), "400"},
    {"TE chunked then CL", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks), "400"},
    {"TE gzip then CL", post("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", "hello"), "501"},
    {"CL then TE gzip", post("Content-Length: 5\r\nTransfer-Encoding: gzip\r\n", "hello"), "400"},
    {"TE gzip", post("Transfer-Encoding: gzip\r\n", "hello"), "501"},
    {"TE xchunked", post("Transfer-Encoding: xchunked\r\n", chunks), "501"},
    {"TE gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", chunks), "501"},
    {"TE chunked, gzip", post("Transfer-Encoding: chunked, gzip\r\n", chunks), "501"},
    {"TE chunked, chunked", post("Transfer-Encoding: chunked, chunked\r\n", chunks), "501"},
    {"TE empty", post("Transfer-Encoding:\r\n", chunks), "501"},
    {"two TE lines", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunks), "400"},
    {"blank before the colon of TE", post("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "hello"), "400"},
    {"vertical tab before chunked",
        post("Transfer-Encoding:\x0b"
             "chunked\r\n",
            chunks),
        "400"},
    {"HTTP/1.0 with TE", post("Transfer-Encoding: chunked\r\n", chunks, "1.0"), "501"},
    {"CL twice, the same", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "400"},
    {"CL twice, different", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), "400"},
    {"CL list, the same", post("Content-Length: 5, 5\r\n", "hello"), "400"},
    {"CL list, different", post("Content-Length: 5, 6\r\n", "hello"), "400"},
    {"CL +5", post("Content-Length: +5\r\n", "hello"), "400"},
    {"CL -5", post("Content-Length: -5\r\n", "hello"), "400"},
    {"CL 0x5", post("Content-Length: 0x5\r\n", "hello"), "400"},
    {"CL 5 5", post("Content-Length: 5 5\r\n", "hello"), "400"},
    {"CL empty", post("Content-Length: \r\n"), "400"},
    {"CL 05", post("Content-Length: 05\r\n", "hello"), "200 200"},
    {"CL 2^64 + 5", post("Content-Length: 18446744073709551621\r\n", "hello"), "400"},
    {"CL over the limit", post("Content-Length: 2000000\r\n", "hello"), "413"},
    {"bare LF", "GET /a HTTP/1.1\nHost: x\n\n", "400"},
    {"bare CR in a value", post("X-A: a\rb\r\n"), "400"},
    {"LF in a value", post("X-A: a\nX-B: b\r\n"), "400"},
    {"NUL in a value", with_nul(post("X-A: a~b\r\n")), "400"},
    {"0x01 in a value",
        post("X-A: a\x01"
             "b\r\n"),
        "400"},
    {"0x7f in a value",
        post("X-A: a\x7f"
             "b\r\n"),
        "400"},
    {"obs-fold", post("X-A: a\r\n b\r\n"), "400"},
    {"obs-fold by tab", post("X-A: a\r\n\tb\r\n"), "400"},
    {"blank before a colon", post("X-A : a\r\n"), "400"},
    {"line without colon", post("X-A\r\n"), "400"},
    {"empty name", post(": a\r\n"), "400"},
    {"first field indented", "GET /a HTTP/1.1\r\n Host: x\r\n\r\n", "400"},
    {"no Host", "GET /a HTTP/1.1\r\n\r\n", "400"},
    {"two Hosts", "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
    {"two Hosts, the same", "GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", "400"},
    {"Host with a blank", "GET /a HTTP/1.1\r\nHost: x y\r\n\r\n", "400"},
    {"Host empty", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", "400"},
    {"Host with user", "GET /a HTTP/1.1\r\nHost: u@x\r\n\r\n", "400"},
    {"Host list", "GET /a HTTP/1.1\r\nHost: x, y\r\n\r\n", "400"},
    {"Host with a bad port", "GET /a HTTP/1.1\r\nHost: x:99999\r\n\r\n", "400"},
    {"Host with a port", "GET /a HTTP/1.1\r\nHost: x:8443\r\n\r\n", "200 200"},
    {"Host an IPv6 address", "GET /a HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n", "200 200"},
    {"absolute-form", "GET http://evil/a HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"authority-form", "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "501"},
    {"lower-case method", post("", "", "1.1", "get"), "501"},
    {"unknown method", post("", "", "1.1", "FOO"), "501"},
    {"TRACE", post("", "", "1.1", "TRACE"), "501"},
    {"two blanks in the request line", "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"tabs in the request line", "GET\t/a\tHTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"HTTP/1.2", post("", "", "1.2", "GET"), "505"},
    {"HTTP/2.0", post("", "", "2.0", "GET"), "505"},
    {"HTTP/0.9", "GET /a\r\n\r\n", "400"},
    {"target with a blank", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"target with NUL", with_nul("GET /a~b HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
    {"target with 0xff", "GET /a\xff HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"target with a fragment", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"dot segments", "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"dot segment at the end", "GET /a/.. HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"encoded dot segments", "GET /a/%2E%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"half encoded dot segment", "GET /a/.%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"single dot segment", "GET /./b HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"dots that are no segment", "GET /a..b/...?x=/../y HTTP/1.1\r\nHost: x\r\n\r\n", "200 200"},
    {"target of 9000 bytes", post("", "", "1.1", "GET", "/" + std::string(9000, 'a')), "200 200"},
    {"field of 9000 bytes", post("X-A: " + std::string(9000, 'a') + "\r\n", "", "1.1", "GET"), "200 200"},
    {"target over the limit", post("", "", "1.1", "GET", "/" + std::string(70'000, 'a')), "414"},
    {"field over the limit", post("X-A: " + std::string(70'000, 'a') + "\r\n", "", "1.1", "GET"), "431"},
    {"64 fields",
        post(
            [] {
                std::string all;
                for (int i = 0; i < 63; ++i) all += fmt::format("X-{}: 1\r\n", i);
                return all;
            }(),
            "", "1.1", "GET"),
        "200 200"},
    {"65 fields",
        post(
            [] {
                std::string all;
                for (int i = 0; i < 64; ++i) all += fmt::format("X-{}: 1\r\n", i);
                return all;
            }(),
            "", "1.1", "GET"),
        "431"},
    {"one empty line before a request", "\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", "200 200"},
    {"two empty lines before a request", "\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
    {"GET with a body", post("Content-Length: 5\r\n", "hello", "1.1", "GET"), "200 200"},
    {"pipelined", post("Content-Length: 5\r\n", "hello"), "200 200"},
    {"closed after the first", post("Connection: close\r\nContent-Length: 5\r\n", "hello"), "200"},
    {"unknown expectation", post("Expect: miracles\r\nContent-Length: 5\r\n", "hello"), "417"},
    {"TLS on plain HTTP", with_nul("\x16\x03\x01\x02~\x01~\x01\xfc\x03\x03~~~~~~~~~~"), "400"},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
};

// How a chunked body goes where it is allowed; where it is not, every one of these is a 411.
std::vector<attempt> const chunk_attempts{
    {"plain", chunked("5\r\nhello\r\n0\r\n\r\n"), "200 200"},
    {"two chunks", chunked("5\r\nhello\r\n00000a\r\n0123456789\r\n0\r\n\r\n"), "200 200"},
    {"extension", chunked("5;a=b\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with LF", chunked("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), "400"},
    {"extension with NUL", with_nul(chunked("5;a=\"~\"\r\nhello\r\n0\r\n\r\n")), "400"},
    {"size 0x5", chunked("0x5\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size +5", chunked("+5\r\nhello\r\n0\r\n\r\n"), "400"},
    {"blank before the size", chunked(" 5\r\nhello\r\n0\r\n\r\n"), "400"},
    {"blank after the size", chunked("5 \r\nhello\r\n0\r\n\r\n"), "400"},
    {"size 2^64 + 5", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), "400"},
    {"size over the limit", chunked("7fffffff\r\nhello\r\n0\r\n\r\n"), "413"},
    {"no size", chunked("\r\nhello\r\n0\r\n\r\n"), "400"},
    {"lines that end in LF", chunked("5\nhello\n0\n\n"), "400"},
    {"content not followed by CR LF", chunked("5\r\nhelloXX0\r\n\r\n"), "400"},
    {"trailer Content-Length", chunked("5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"), "400"},
    {"trailer", chunked("5\r\nhello\r\n0\r\nX-Evil: 1\r\n\r\n"), "400"},
};

std::string statuses(std::string_view all) {
    std::string found;
    for (auto at = all.find("HTTP/1.1 "); at != all.npos; at = all.find("HTTP/1.1 ", at + 1))
        found += (found.empty() ? "" : " ") + std::string(all.substr(at + 9, 3));
    return found;
}

struct strict_server {
    http::server server{1, 2};
    std::uint16_t port;
    explicit strict_server(bool chunked_allowed) {
        port = server.listen("127.0.0.1", 0,
            {{.host = {},
                .tls = nullptr,
                .handle = [](auto const&) { return http::response{}; },
                .chunked_allowed = chunked_allowed}});
        server.start();
    }
    std::string statuses_of(std::string bytes) {
        bytes += second;
        test::raw_peer peer(port);
        peer.send(bytes);
        peer.end_sending();
        auto const got = statuses(peer.read_to_end());
        CHECK(peer.closed);
        CHECK_FALSE(peer.reset);
        return got;
    }
};

}  // namespace

TEST_CASE("what is not plainly one request gets one answer, and the connection ends", "[http]") {
    strict_server there(false);
    for (auto const& a : attempts) {
        CAPTURE(a.name);
        CHECK(there.statuses_of(a.bytes) == a.answers);
    }
}

TEST_CASE("chunked bodies are refused unless a site allows them, and then nothing but chunks", "[http]") {
    strict_server refusing(false);
    strict_server allowing(true);
    for (auto const& a : chunk_attempts) {
        CAPTURE(a.name);
        CHECK(refusing.statuses_of(a.bytes) == "411");
        CHECK(allowing.statuses_of(a.bytes) == a.answers);
    }
}

TEST_CASE("how the bytes are cut makes no difference", "[http]") {
    http::framing_rules const rules{
        .header_bytes = 65536, .body_bytes = 1 << 20, .header_fields = 64, .chunked_allowed = true};
    auto all = attempts;
    all.insert(all.end(), chunk_attempts.begin(), chunk_attempts.end());
    for (auto const& a : all) {
        CAPTURE(a.name);
        http::request_reader whole(rules);
        auto const taken = whole.put(a.bytes);
        http::request_reader dripping(rules);
        std::string pending;
        std::size_t dripped = 0;
        for (char const c : a.bytes) {
            pending += c;
            auto const n = dripping.put(pending);
            pending.erase(0, n);
            dripped += n;
        }
        CHECK(whole.where() == dripping.where());
        CHECK(whole.status() == dripping.status());
        if (whole.where() != http::request_reader::state::complete) continue;
        CHECK(whole.message().body == dripping.message().body);
        CHECK(taken == dripped);
    }
}
