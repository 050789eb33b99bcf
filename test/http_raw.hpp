// A peer for the HTTP tests that sends exactly the bytes it is told to, blocking, with an end to its patience.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace mdmd::test {

inline bool send_all(int peer, std::string_view bytes) {
    while (!bytes.empty()) {
        auto const n = ::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

class raw_peer {
public:
    explicit raw_peer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
            throw std::runtime_error("connect failed");
    }
    raw_peer(raw_peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    raw_peer& operator=(raw_peer&&) = delete;
    ~raw_peer() { close(); }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    int descriptor() const { return fd_; }

    bool send(std::string_view bytes) { return send_all(fd_, bytes); }
    void end_sending() { ::shutdown(fd_, SHUT_WR); }

    // Until the peer closes, or `stop(all)` says enough, or patience ends (then `closed` stays false).
    template <class Stop>
    std::string read_until(Stop stop, std::chrono::milliseconds patience = std::chrono::seconds(10)) {
        std::string all;
        auto const until = std::chrono::steady_clock::now() + patience;
        while (!stop(all)) {
            auto const left =
                std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
            pollfd p{fd_, POLLIN, 0};
            if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0) return all;
            char piece[4096];
            auto const n = ::recv(fd_, piece, sizeof piece, 0);
            if (n <= 0) {
                closed = true;
                reset = n < 0;
                return all;
            }
            all.append(piece, static_cast<std::size_t>(n));
        }
        return all;
    }
    std::string read_to_end(std::chrono::milliseconds patience = std::chrono::seconds(10)) {
        return read_until([](std::string const&) { return false; }, patience);
    }
    std::string read_until_text(std::string_view text) {
        return read_until([&](std::string const& all) { return all.find(text) != all.npos; });
    }

    bool closed = false;
    bool reset = false;

private:
    int fd_;
};

// A port of this machine where connections are made by the system alone; whoever has this may accept them.
class loopback_port {
public:
    loopback_port() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        if (::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(fd_, 64) != 0 ||
            ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
            throw std::runtime_error("listen failed");
        number_ = ntohs(at.sin_port);
    }
    loopback_port(loopback_port const&) = delete;
    loopback_port& operator=(loopback_port const&) = delete;
    ~loopback_port() { ::close(fd_); }
    std::uint16_t number() const { return number_; }
    // Somebody has connected.
    bool visited(std::chrono::milliseconds patience) const {
        pollfd p{fd_, POLLIN, 0};
        return ::poll(&p, 1, static_cast<int>(patience.count())) > 0;
    }
    int accept() const { return ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); }  // waits; -1: no more
    void stop_accepting() const { ::shutdown(fd_, SHUT_RDWR); }

private:
    int fd_;
    std::uint16_t number_ = 0;
};

// Connections are made, and nobody ever says a word.
using silent_port = loopback_port;

// What was sent up to the end of a header, byte by byte: nothing behind it is taken. Empty: closed before.
inline std::string read_header(int peer) {
    std::string all;
    char c = 0;
    while (!all.ends_with("\r\n\r\n") && ::recv(peer, &c, 1, 0) == 1) all += c;
    return all;
}

}  // namespace mdmd::test
