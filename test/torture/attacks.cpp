// Strangers who hold connections, drip, send too much, or come in numbers, while a device goes on with its sessions.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <algorithm>
#include <fstream>

#include "core/descriptor.hpp"
#include "e2e/managed.hpp"
#include "torture/torture.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using torture::number_from;

namespace {

std::int64_t status_number(pid_t id, std::string const& name) {
    std::ifstream status(fmt::format("/proc/{}/status", id));
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(name + ":")) return std::stoll(line.substr(name.size() + 1));
    return 0;
}

struct stop_tls {
    void operator()(SSL* p) const { SSL_free(p); }
    void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
};

// Connections of strangers, each hundred of them from an address of its own.
class strangers {
public:
    strangers(std::uint16_t port, std::size_t count, bool tls = false) : context_(SSL_CTX_new(TLS_client_method())) {
        for (std::size_t i = 0; i < count; ++i) {
            auto owned = std::make_unique<descriptor>(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            auto const& s = *owned;
            sockaddr_in from{}, to{};
            from.sin_family = to.sin_family = AF_INET;
            from.sin_addr.s_addr = htonl(0x7f000002U + static_cast<std::uint32_t>(i / 100));
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            to.sin_port = htons(port);
            linger const hard{1, 0};
            ::setsockopt(s.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            timeval const patience{5, 0};
            ::setsockopt(s.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
            if (::bind(s.get(), reinterpret_cast<sockaddr*>(&from), sizeof from) != 0 ||
                ::connect(s.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
                continue;
            std::unique_ptr<SSL, stop_tls> t;
            if (tls) {
                t.reset(SSL_new(context_.get()));
                SSL_set_fd(t.get(), s.get());
                SSL_set_tlsext_host_name(t.get(), e2e::host);
                if (SSL_connect(t.get()) != 1) continue;
            }
            ::fcntl(s.get(), F_SETFL, O_NONBLOCK);
            all_.push_back(std::move(owned));
            tls_.push_back(std::move(t));
        }
    }
    std::size_t count() const { return all_.size(); }
    // So many bytes of `text` to each, from `at` on.
    void send(std::string_view text, std::size_t at, std::size_t bytes) {
        auto const piece = text.substr(std::min(at, text.size()), bytes);
        if (piece.empty()) return;
        for (std::size_t i = 0; i < all_.size(); ++i)
            if (tls_[i])
                SSL_write(tls_[i].get(), piece.data(), static_cast<int>(piece.size()));
            else
                ::send(all_[i]->get(), piece.data(), piece.size(), MSG_NOSIGNAL);
    }
    // Those that the server has not closed.
    std::size_t open() const {
        std::size_t n = 0;
        for (std::size_t i = 0; i < all_.size(); ++i) {
            char c;
            auto got = ::recv(all_[i]->get(), &c, 1, MSG_PEEK);
            // What TLS says before it closes is no sign that it stays open.
            pollfd p{all_[i]->get(), POLLRDHUP, 0};
            if (::poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) continue;
            if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK) continue;
            if (got != 0) ++n;
        }
        return n;
    }

private:
    std::unique_ptr<SSL_CTX, stop_tls> context_;
    std::vector<std::unique_ptr<descriptor>> all_;
    std::vector<std::unique_ptr<SSL, stop_tls>> tls_;
};

struct witness {
    std::vector<double> ms;
    int failures = 0;
    void session(e2e::world& w, sim::device& d) {
        auto const began = std::chrono::steady_clock::now();
        if (!d.sync(w.sync()).failure.empty()) ++failures;
        ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
    }
    double worst() const { return ms.empty() ? 0 : *std::max_element(ms.begin(), ms.end()); }
};

}  // namespace

TEST_CASE("thousands of connections that are idle, drip or stop half way", "[torture][slow]") {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    struct trial {
        char const* name;
        std::size_t count;
        bool tls;
        std::string text;               // what is said…
        std::size_t first;              // …at once
        std::size_t each;               // …and every half second
        std::chrono::seconds patience;  // until all are gone
    };
    std::string const hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    std::string const head =
        "POST /EnrollmentServer/Enrollment.svc HTTP/1.1\r\nHost: mdm.contoso.test\r\nX: " + std::string(400, 'x');
    std::string const body =
        "POST /EnrollmentServer/Enrollment.svc HTTP/1.1\r\nHost: mdm.contoso.test\r\nContent-Type: application/soap+xml\r\n"
        "Content-Length: 60000\r\n\r\n" +
        std::string(400, 'x');
    for (auto const& t : {
             trial{"silent connections", number_from("MDMD_TORTURE_IDLE", 10'000), false, "", 0, 0, 40s},
             trial{"half a TLS hello", 1'000, false, hello + std::string(200, 'h'), 11, 0, 40s},
             trial{"a TLS hello, byte by byte", 1'000, false, hello + std::string(200, 'h'), 11, 1, 40s},
             trial{"a head, byte by byte", 500, true, head, 20, 1, 60s},
             trial{"a body, byte by byte", 500, true, body, body.size() - 400, 1, 90s},
             trial{"silence after TLS", 500, true, "", 0, 0, 60s},
         }) {
        e2e::world w(e2e::settings{{"log.level", "info"}});
        w.app->start();
        auto const device = e2e::joined(w, "ALICE-PC", "alice@contoso.test");
        for (int i = 0; i < 5; ++i) device->sync(w.sync());
        auto const before = status_number(w.app->daemon().id(), "VmRSS");
        auto const began = std::chrono::steady_clock::now();
        strangers s(w.app->port("public"), t.count, t.tls);
        auto const opened = s.count();
        s.send(t.text, 0, t.first);
        witness seen;
        std::size_t at = t.first, left = opened;
        std::int64_t most = before;
        while (left > 0 && std::chrono::steady_clock::now() - began < t.patience) {
            std::this_thread::sleep_for(500ms);
            if (t.each > 0) s.send(t.text, at, t.each);
            at += t.each;
            seen.session(w, *device);
            most = std::max(most, status_number(w.app->daemon().id(), "VmRSS"));
            left = s.open();
        }
        auto const took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        torture::row(t.name, opened, left + static_cast<std::size_t>(seen.failures),
            fmt::format("{}gone after {:.0f} s; {} sessions of a device meanwhile, the slowest {:.0f} ms; {:+} KiB",
                opened < t.count ? fmt::format("{} refused, the rest ", t.count - opened) : "all ", took,
                seen.ms.size(), seen.worst(), most - before));
        CHECK(left == 0);
        CHECK(seen.failures == 0);
        CHECK(seen.worst() < 1'000);
        CHECK(w.app->stop() == 0);
    }
}

TEST_CASE("bodies of 30 MB", "[torture][large]") {
    e2e::world w(e2e::settings{{"log.level", "info"}});
    w.app->start();
    auto const device = e2e::joined(w, "ALICE-PC", "alice@contoso.test");
    auto const before = status_number(w.app->daemon().id(), "VmHWM");
    std::string const body(30'000'000, '<');
    std::size_t times = 0, wrong = 0;
    for (auto const* const url :
        {e2e::terms_url, e2e::discovery_url, e2e::policy_url, e2e::enrollment_url, e2e::session_url})
        for (int i = 0; i < 5; ++i, ++times) {
            auto const r = device->raw({.method = "POST",
                                           .url = url,
                                           .headers = {{"Content-Type", "application/soap+xml; charset=utf-8"}},
                                           .body = body},
                w.app->net());
            // It may close before all is sent.
            if (r && r->status != 413 && r->status != 415 && r->status != 400 && r->status != 405) ++wrong;
        }
    auto const grown = status_number(w.app->daemon().id(), "VmHWM") - before;
    torture::row("bodies of 30 MB", times, wrong, fmt::format("to every address; {:+} KiB at most", grown));
    CHECK(wrong == 0);
    CHECK(grown < 16 * 1024);
    e2e::require_clean(device->sync(w.sync()));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("no file descriptors left", "[torture][descriptors]") {
    e2e::world w(e2e::settings{{"log.level", "info"}});
    rlimit old{};
    ::getrlimit(RLIMIT_NOFILE, &old);
    rlimit few{600, 600};
    w.app->start();
    auto const device = e2e::joined(w, "ALICE-PC", "alice@contoso.test");
    // From now on it has no more than that, whatever it counted on at its start.
    REQUIRE(::prlimit(w.app->daemon().id(), RLIMIT_NOFILE, &few, nullptr) == 0);
    auto const used = status_number(w.app->daemon().id(), "voluntary_ctxt_switches");
    std::size_t opened = 0;
    bool served = false;
    {
        strangers s(w.app->port("public"), 2'000);
        opened = s.count();
        // Strangers' time ends, and with it the shortage.
        served = e2e::becomes_true(60s, [&] { return device->sync(w.sync()).failure.empty(); });
    }
    auto const switches = status_number(w.app->daemon().id(), "voluntary_ctxt_switches") - used;
    torture::row(
        "no file descriptors left", opened, served ? 0 : 1, "a device is served when the strangers' time is over");
    CHECK(served);
    CHECK(switches < 1'000'000);
    CHECK(device->sync(w.sync()).failure.empty());
    CHECK(w.app->stop() == 0);
}
