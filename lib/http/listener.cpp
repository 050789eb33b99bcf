#include "http/listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace mdmd::http {
namespace {

[[noreturn]] void cannot_listen(std::string const& where, int error) {
    throw std::system_error(error, std::system_category(), fmt::format("listen {}", where));
}

descriptor new_socket(int family, std::string const& where) {
    descriptor s(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!s) cannot_listen(where, errno);
    return s;
}

void bind_and_listen(descriptor const& s, sockaddr const* to, socklen_t size, std::string const& where) {
    if (::bind(s.get(), to, size) != 0 || ::listen(s.get(), SOMAXCONN) != 0) cannot_listen(where, errno);
}

union any_address {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
};

std::string text_of(any_address const& a) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (a.any.sa_family == AF_INET) return inet_ntop(AF_INET, &a.v4.sin_addr, text.data(), text.size());
    if (a.any.sa_family != AF_INET6) return {};
    if (IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr))  // a listener on [::] takes IPv4, too
        return inet_ntop(AF_INET, &a.v6.sin6_addr.s6_addr[12], text.data(), text.size());
    return inet_ntop(AF_INET6, &a.v6.sin6_addr, text.data(), text.size());
}

// Makes room for a socket file. Only one that nobody listens on is taken away.
void remove_stale(any_address const& at, std::string const& where) {
    struct stat found {};
    if (::lstat(at.local.sun_path, &found) != 0) {
        if (errno == ENOENT) return;
        cannot_listen(where, errno);
    }
    if (!S_ISSOCK(found.st_mode)) cannot_listen(where, EEXIST);
    auto const probe = new_socket(AF_UNIX, where);
    if (::connect(probe.get(), &at.any, sizeof at.local) == 0 || errno != ECONNREFUSED)
        cannot_listen(where, EADDRINUSE);
    if (::unlink(at.local.sun_path) != 0 && errno != ENOENT) cannot_listen(where, errno);
}

}  // namespace

descriptor::~descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

listening listen_tcp(std::string const& address, std::uint16_t port) {
    bool const v6 = address.find(':') != address.npos;
    auto const where = v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
    any_address to{};
    socklen_t size = v6 ? sizeof to.v6 : sizeof to.v4;
    if (v6) {
        to.v6.sin6_family = AF_INET6;
        to.v6.sin6_port = htons(port);
    } else {
        to.v4.sin_family = AF_INET;
        to.v4.sin_port = htons(port);
    }
    void* const number = v6 ? static_cast<void*>(&to.v6.sin6_addr) : static_cast<void*>(&to.v4.sin_addr);
    if (inet_pton(to.any.sa_family, address.c_str(), number) != 1) cannot_listen(where, EINVAL);

    auto s = new_socket(to.any.sa_family, where);
    int const on = 1;
    int const off = 0;
    ::setsockopt(s.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (v6) ::setsockopt(s.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);  // [::] takes IPv4, too
    bind_and_listen(s, &to.any, size, where);
    if (::getsockname(s.get(), &to.any, &size) != 0) cannot_listen(where, errno);
    std::uint16_t const bound = ntohs(v6 ? to.v6.sin6_port : to.v4.sin_port);
    return {std::move(s), to.any.sa_family, bound};
}

listening adopt_tcp(descriptor s) {
    auto const where = fmt::format("on the socket {}", s.get());
    any_address at{};
    socklen_t size = sizeof at;
    if (::getsockname(s.get(), &at.any, &size) != 0) cannot_listen(where, errno);
    if (at.any.sa_family != AF_INET && at.any.sa_family != AF_INET6) cannot_listen(where, EAFNOSUPPORT);
    auto const flags = ::fcntl(s.get(), F_GETFL);
    if (flags < 0 || ::fcntl(s.get(), F_SETFL, flags | O_NONBLOCK) != 0 || ::fcntl(s.get(), F_SETFD, FD_CLOEXEC) != 0)
        cannot_listen(where, errno);
    std::uint16_t const port = ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
    return {std::move(s), at.any.sa_family, port};
}

listening listen_unix_socket(std::filesystem::path const& path, unsigned mode) {
    auto const where = path.string();
    any_address to{};
    to.local.sun_family = AF_UNIX;
    if (where.empty() || where.size() >= sizeof to.local.sun_path) cannot_listen(where, ENAMETOOLONG);
    std::memcpy(to.local.sun_path, where.data(), where.size());
    remove_stale(to, where);

    auto s = new_socket(AF_UNIX, where);
    // On Linux the file is made with the socket's own mode, so that at no time more is allowed than asked for.
    if (::fchmod(s.get(), mode & 0600) != 0) cannot_listen(where, errno);
    bind_and_listen(s, &to.any, sizeof to.local, where);
    if (::chmod(where.c_str(), mode) != 0) cannot_listen(where, errno);
    return {std::move(s), AF_UNIX, 0};
}

arrival accept_one(int listening_socket, error_code& e) {
    any_address from{};
    socklen_t size = sizeof from;
    descriptor s(::accept4(listening_socket, &from.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!s) {
        auto const error = errno;
        // ECONNABORTED and the network errors that accept(2) passes on concern that one connection only.
        bool const nobody = error == EAGAIN || error == EWOULDBLOCK;
        e = nobody ? error_code() : error_code(error, boost::system::system_category());
        return {};
    }
    e = {};
    int const on = 1;
    if (from.any.sa_family == AF_INET || from.any.sa_family == AF_INET6)
        ::setsockopt(s.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return {std::move(s), text_of(from)};
}

bool out_of_resources(error_code const& e) {
    auto const n = e.value();
    return n == EMFILE || n == ENFILE || n == ENOBUFS || n == ENOMEM;
}

bool gate::full() const {
    std::scoped_lock const lock(mutex_);
    return count_ >= most_;
}

std::shared_ptr<void> gate::admit(std::string const& address) {
    {
        std::scoped_lock const lock(mutex_);
        if (!address.empty()) {  // a Unix socket has no addresses to tell apart
            auto& n = by_address_[address];
            if (most_per_address_ > 0 && n >= most_per_address_) return nullptr;
            ++n;
        }
        ++count_;
    }
    return {this, [self = shared_from_this(), address](void*) { self->leave(address); }};
}

void gate::leave(std::string const& address) {
    std::function<void()> tell;
    {
        std::scoped_lock const lock(mutex_);
        if (auto const i = by_address_.find(address); i != by_address_.end() && --i->second == 0) by_address_.erase(i);
        if (count_-- == most_) tell = on_vacancy_;
        if (count_ == 0) empty_.notify_all();
    }
    if (tell) tell();
}

void gate::on_vacancy(std::function<void()> tell) {
    std::scoped_lock const lock(mutex_);
    on_vacancy_ = std::move(tell);
}

bool gate::wait_empty(std::optional<std::chrono::steady_clock::time_point> until) const {
    std::unique_lock lock(mutex_);
    auto const none = [this] { return count_ == 0; };
    if (until) return empty_.wait_until(lock, *until, none);
    empty_.wait(lock, none);
    return true;
}

}  // namespace mdmd::http
