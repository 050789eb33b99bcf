// Whom the client's tests call: an HTTPS site with a certificate of its own, and a proxy that leads to one port.
#pragma once
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "http/client.hpp"
#include "http/server.hpp"
#include "test/http_pki.hpp"
#include "test/http_raw.hpp"

namespace mdmd::test {

// A server of https://here.test that repeats what it was asked.
struct https_site {
    key_pair authority = make_authority("Roots R Us");
    key_pair leaf;
    http::server server{1, 2};
    std::uint16_t port = 0;

    explicit https_site(std::string const& names = "DNS:here.test,IP:127.0.0.1", long to_days = 30)
        : leaf(make_certificate(
              {.name = "here", .alternative_names = names, .usage = "serverAuth", .from_days = -40, .to_days = to_days},
              &authority)) {
        auto const tls = http::make_tls(
            {.certificate_pem = leaf.certificate_pem, .key_pem = leaf.key_pem(), .client_authority_pem = {}});
        port = server.listen("127.0.0.1", 0, {{.host = "here.test", .tls = tls.value(), .handle = [](auto const& r) {
                                                   return http::response{
                                                       .headers = {{"X-Host", std::string(*r.headers.get("Host"))}},
                                                       .body = r.method + r.path + r.query + r.body};
                                               }}});
        server.start();
    }
    http::client_options options(bool trusting = true) const {
        return {.extra_roots_pem = trusting ? authority.certificate_pem : std::string(),
            .system_roots = false,
            .connect_to = {{"here.test:443", fmt::format("127.0.0.1:{}", port)},
                {"there.test:443", fmt::format("127.0.0.1:{}", port)}}};
    }
};

// Reads one header a connection and says `answer`. Where that is to open a tunnel, `to` is the port that it leads to,
// whatever host was asked for; otherwise the connection is closed after the answer, or kept in silence.
class proxy_double {
public:
    struct ways {
        std::string answer = "HTTP/1.1 200 Connection established\r\n\r\n";
        std::uint16_t to = 0;      // 0: no tunnel
        bool keeps_still = false;  // instead of closing
        bool drips = false;        // a byte at a time
    };
    explicit proxy_double(ways w) : ways_(std::move(w)) {
        accepting_ = std::thread([this] { accept(); });
    }
    ~proxy_double() {
        port_.stop_accepting();
        accepting_.join();
        drop_all();
        for (auto& one : serving_) one.join();
        for (auto const fd : open_) ::close(fd);
    }
    std::uint16_t port() const { return port_.number(); }
    std::vector<std::string> asked() const {  // the headers
        std::lock_guard const lock(mutex_);
        return asked_;
    }
    void drop_all() {  // ends every connection in both directions
        std::lock_guard const lock(mutex_);
        for (auto const fd : open_) ::shutdown(fd, SHUT_RDWR);
    }

private:
    // Descriptors stay open until the end, so that drop_all() meets no number that belongs to somebody else by then.
    int keep(int fd) {
        std::lock_guard const lock(mutex_);
        open_.push_back(fd);
        return fd;
    }
    void accept() {
        while (true) {
            auto const peer = port_.accept();
            if (peer < 0) return;
            keep(peer);
            serving_.emplace_back([this, peer] { serve(peer); });
        }
    }
    void serve(int peer) {
        {
            auto header = read_header(peer);
            std::lock_guard const lock(mutex_);
            if (!header.empty()) asked_.push_back(std::move(header));
        }
        int const on = 1;
        ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        auto const step = ways_.drips ? 1 : ways_.answer.size();
        for (std::size_t at = 0; at < ways_.answer.size(); at += step) {
            if (!send_all(peer, std::string_view(ways_.answer).substr(at, step))) break;
            if (ways_.drips) std::this_thread::sleep_for(std::chrono::microseconds(500));  // else they arrive together
        }
        if (ways_.to != 0) {
            raw_peer upstream(ways_.to);
            auto const other = keep(::dup(upstream.descriptor()));
            upstream.close();
            pump(peer, other);
            ::shutdown(other, SHUT_RDWR);
        } else {
            if (!ways_.keeps_still) ::shutdown(peer, SHUT_WR);
            char rest[4096];
            while (::recv(peer, rest, sizeof rest, 0) > 0) continue;
        }
        ::shutdown(peer, SHUT_RDWR);
    }
    static void pump(int a, int b) {  // until either ends
        int const on = 1;
        ::setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        char piece[16384];
        while (true) {
            pollfd both[] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
            if (::poll(both, 2, -1) < 0) return;
            for (auto const& from : both) {
                if (from.revents == 0) continue;
                auto const n = ::recv(from.fd, piece, sizeof piece, 0);
                if (n <= 0 || !send_all(from.fd == a ? b : a, {piece, static_cast<std::size_t>(n)})) return;
            }
        }
    }

    ways const ways_;
    loopback_port port_;
    mutable std::mutex mutex_;
    std::vector<std::string> asked_;
    std::vector<int> open_;
    std::vector<std::thread> serving_;  // begun by accepting_, ended after it
    std::thread accepting_;
};

}  // namespace mdmd::test
