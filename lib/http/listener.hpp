// Listening sockets, and who may connect.
#pragma once
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "http/stream.hpp"

namespace mdmd::http {

// A file descriptor that is closed when it goes.
class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int fd) : fd_(fd) {}
    descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    descriptor& operator=(descriptor other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~descriptor();
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

struct listening {
    descriptor socket;
    int family;
    std::uint16_t port = 0;  // of TCP
};
// All throw std::system_error, naming what was to be listened on. Non-blocking, close-on-exec.
listening listen_tcp(std::string const& address, std::uint16_t port);
listening adopt_tcp(descriptor);  // one that listens already
listening listen_unix_socket(std::filesystem::path const&, unsigned mode);

struct arrival {
    descriptor socket;
    std::string address;  // "192.0.2.7", "2001:db8::1"; empty on a Unix socket
};
// One connection that is there already. An arrival without a socket and no error: nobody is there any more.
arrival accept_one(int listening_socket, error_code&);
// Whether accepting failed because something has run out, so that trying again at once would fail again.
bool out_of_resources(error_code const&);

// Counts connections, all and by address. Safe to use by several threads.
class gate : public std::enable_shared_from_this<gate> {
public:
    gate(std::size_t most, std::size_t most_per_address) : most_(most), most_per_address_(most_per_address) {}
    bool full() const;
    // nullptr: too many from there. The connection is counted until the last copy of the token goes.
    std::shared_ptr<void> admit(std::string const& address);
    // Called after a connection has gone that the gate was full with, by the thread that let it go.
    void on_vacancy(std::function<void()>);
    bool wait_empty(std::optional<std::chrono::steady_clock::time_point> until) const;  // whether it is

private:
    void leave(std::string const& address);
    std::size_t const most_;
    std::size_t const most_per_address_;
    mutable std::mutex mutex_;
    mutable std::condition_variable empty_;
    std::size_t count_ = 0;
    std::map<std::string, std::size_t> by_address_;
    std::function<void()> on_vacancy_;
};

}  // namespace mdmd::http
