// Looks into every block of memory that this program gives back while a test asks for it.
#include <malloc.h>
#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include <string.h>  // memmem

#include "http/client.hpp"
#include "test/http_raw.hpp"
#include "test/support.hpp"

using namespace mdmd;

namespace {

constexpr std::string_view looked_for[] = {
    "the-secret-of-this-very-call", "YW5uOnRoZS1zZWNyZXQtb2YtdGhpcy12ZXJ5LWNhbGw="};  // and base64 of ann:the-…
std::atomic<bool> looking = false;
std::atomic<int> found = 0;

void look_into(void* block) {
    if (!looking || block == nullptr) return;
    for (auto const what : looked_for)
        if (::memmem(block, ::malloc_usable_size(block), what.data(), what.size()) != nullptr) ++found;
}

}  // namespace

// A program of its own, since no other should go without the sanitizers' view of memory. All other forms, those with an
// alignment aside, come to these.
void* operator new(std::size_t size) {
    if (auto* const block = std::malloc(size == 0 ? 1 : size)) return block;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, std::nothrow_t const&) noexcept { return std::malloc(size == 0 ? 1 : size); }
void operator delete(void* block) noexcept {
    look_into(block);
    std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
    look_into(block);
    std::free(block);
}

TEST_CASE("a call leaves no secret in memory that it gives back", "[http][security]") {
    // Each peer takes one message that ends in "!" or with its header, and answers, without memory of its own.
    test::loopback_port const site;
    test::loopback_port const proxy;
    auto const serve = [](test::loopback_port const& port, std::string_view answer) {
        auto const peer = port.accept();
        std::array<char, 8192> got{};
        std::size_t size = 0;
        bool whole = false;
        while (!whole) {
            auto const n = ::recv(peer, got.data() + size, got.size() - size, 0);
            if (n <= 0) break;
            size += static_cast<std::size_t>(n);
            std::string_view const all(got.data(), size);
            whole = all.ends_with("!") || (all.starts_with("CONNECT") && all.ends_with("\r\n\r\n"));
        }
        test::send_all(peer, answer);
        ::close(peer);
    };
    std::thread one(serve, std::cref(site),
        "HTTP/1.1 200 OK\r\nContent-Length: 52\r\n\r\n{\"access_token\": \"the-secret-of-this-very-call-now\"}");
    std::thread two(serve, std::cref(proxy), "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    http::call const plain{.method = "POST",
        .url = fmt::format("http://127.0.0.1:{}/", site.number()),
        .headers = {{"Authorization", "Bearer the-secret-of-this-very-call"}},
        .body = "client_secret=the-secret-of-this-very-call&" + std::string(1000, 'x') + "!"};
    http::call const proxied{.method = "GET", .url = "https://here.test/"};

    auto* const careless = new std::string("client_secret=the-secret-of-this-very-call");
    looking = true;
    delete careless;
    CHECK(found.exchange(0) == 1);

    result<http::response> answer = fail(errc::unavailable, ""), refusal = fail(errc::unavailable, "");
    {
        http::client client({.proxy = http::proxy{"127.0.0.1", proxy.number(),
                                 secret(std::string("ann:the-secret-of-this-very-call"))}});
        answer = client.send(plain);
        refusal = client.send(proxied);
    }
    looking = false;
    site.stop_accepting();
    proxy.stop_accepting();
    one.join();
    two.join();
    REQUIRE(answer);
    CHECK_THAT(answer->body, Catch::Contains("the-secret"));
    REQUIRE_FALSE(refusal);
    CHECK_THAT(refusal.error().detail, Catch::EndsWith("does not accept its credentials"));
    CHECK(found == 0);
}
