#include "http/stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>  // explicit_bzero
#include <sys/socket.h>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace mdmd::http {
namespace {

constexpr auto as_values = net::as_tuple(net::use_awaitable);
constexpr std::size_t read_size = 16 * 1024;  // a TLS record's most

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }
error_code last_error() { return {errno, boost::system::system_category()}; }

ssize_t receive(int descriptor, void* data, std::size_t size) {
    ssize_t n = -1;
    do n = ::recv(descriptor, data, size, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

// MSG_NOSIGNAL: a peer that has gone is an error, not a SIGPIPE.
ssize_t send(int descriptor, void const* data, std::size_t size) {
    ssize_t n = -1;
    do n = ::send(descriptor, data, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

// OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE; a library must not change how the process
// treats signals, so this one sends.
int descriptor_of(BIO* b) { return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(b))); }

int bio_read(BIO* b, char* data, int size) {
    BIO_clear_retry_flags(b);
    auto const n = receive(descriptor_of(b), data, static_cast<std::size_t>(size));
    if (n < 0 && would_block()) BIO_set_retry_read(b);
    if (n == 0) BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return static_cast<int>(n);
}

int bio_write(BIO* b, char const* data, int size) {
    BIO_clear_retry_flags(b);
    auto const n = send(descriptor_of(b), data, static_cast<std::size_t>(size));
    if (n < 0 && would_block()) BIO_set_retry_write(b);
    return static_cast<int>(n);
}

long bio_control(BIO* b, int what, long, void*) {
    switch (what) {
        case BIO_CTRL_FLUSH: return 1;
        case BIO_CTRL_EOF: return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
        default: return 0;
    }
}

BIO* socket_bio(int descriptor) {
    static BIO_METHOD* const method = [] {
        auto* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "non-blocking socket");
        if (m == nullptr) throw std::bad_alloc();
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_ctrl(m, bio_control);
        return m;
    }();
    auto* b = BIO_new(method);
    if (b == nullptr) throw std::bad_alloc();
    BIO_set_data(b, reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)));
    BIO_set_init(b, 1);
    return b;
}

}  // namespace

stream::stream(net::io_context& io) : io_(io), socket_(io), timer_(io) {}

stream::stream(net::io_context& io, int descriptor, int family) : stream(io) {
    socket_.assign({family, 0}, descriptor);
}

stream::~stream() {
    // OpenSSL takes a session out of its cache when a connection goes that was not shut down in both directions
    // (openssl issue 4720). Lengths are explicit in HTTP, so an end without close_notify hides nothing.
    if (tls_ && SSL_is_init_finished(tls_.get())) {
        SSL_set_shutdown(tls_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
}

void stream::deadline(std::chrono::milliseconds d) {
    timer_.expires_after(d);
    timer_.async_wait([weak = weak_from_this(), round = ++timer_round_](error_code e) {
        auto const self = weak.lock();
        if (!self || e || round != self->timer_round_) return;
        if (!self->broken_) self->broken_ = net::error::timed_out;
        error_code ignored;
        self->socket_.cancel(ignored);
    });
}

void stream::no_deadline() {
    ++timer_round_;
    timer_.cancel();
}

void stream::cancel() {
    if (!broken_) broken_ = net::error::operation_aborted;
    error_code ignored;
    socket_.cancel(ignored);
}

net::awaitable<error_code> stream::wait(net::socket_base::wait_type what) {
    if (broken_) co_return broken_;
    auto const [e] = co_await socket_.async_wait(what, as_values);
    co_return broken_ ? broken_ : e;
}

net::awaitable<error_code> stream::ready(attempt a) {
    switch (a.state) {
        case attempt::must_read: co_return co_await wait(net::socket_base::wait_read);
        case attempt::must_write: co_return co_await wait(net::socket_base::wait_write);
        default: co_return broken_ ? broken_ : a.why;
    }
}

net::awaitable<error_code> stream::connect(endpoint to) {
    error_code e;
    socket_.close(e);
    // Asio's open() does not set close-on-exec, and a child process must not inherit a connection.
    auto const descriptor = ::socket(to.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) co_return last_error();
    socket_.assign(to.protocol(), descriptor);
    if (::connect(descriptor, to.data(), static_cast<socklen_t>(to.size())) != 0) {
        // EAGAIN: a Unix socket whose queue is full
        if (errno != EINPROGRESS) co_return last_error();
        if (e = co_await wait(net::socket_base::wait_write); e) co_return e;
        int status = 0;
        socklen_t size = sizeof status;
        if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &status, &size) != 0) co_return last_error();
        if (status != 0) co_return error_code(status, boost::system::system_category());
    }
    int const on = 1;
    if (to.protocol().family() != AF_UNIX) ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    co_return error_code();
}

void stream::secure(ssl_ptr tls) {
    auto* const bio = socket_bio(socket_.native_handle());
    SSL_set_bio(tls.get(), bio, bio);
    tls_ = std::move(tls);
}

stream::attempt stream::tls_outcome(int returned) {
    switch (SSL_get_error(tls_.get(), returned)) {
        case SSL_ERROR_NONE: return {attempt::done};
        case SSL_ERROR_WANT_READ: return {attempt::must_read};
        case SSL_ERROR_WANT_WRITE: return {attempt::must_write};
        case SSL_ERROR_ZERO_RETURN: return {attempt::failed, net::error::eof};
        case SSL_ERROR_SYSCALL:
            return {attempt::failed, errno != 0 ? last_error() : error_code(net::error::connection_reset)};
        default: {
            auto const code = ERR_get_error();
            if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
                return {attempt::failed, net::error::connection_reset};
            return {attempt::failed, {static_cast<int>(code), net::error::get_ssl_category()}};
        }
    }
}

net::awaitable<error_code> stream::handshake() {
    while (true) {
        ERR_clear_error();
        errno = 0;
        auto const a = tls_outcome(SSL_do_handshake(tls_.get()));
        if (a.state == attempt::done) co_return broken_;
        if (auto const e = co_await ready(a); e) co_return e;
    }
}

stream::attempt stream::try_read(std::string& into) {
    std::array<char, read_size> piece;
    if (!tls_) {
        auto const n = receive(socket_.native_handle(), piece.data(), piece.size());
        if (n > 0) {
            into.append(piece.data(), static_cast<std::size_t>(n));
            return {attempt::done};
        }
        if (n == 0) return {attempt::failed, net::error::eof};
        return would_block() ? attempt{attempt::must_read} : attempt{attempt::failed, last_error()};
    }
    ERR_clear_error();
    errno = 0;
    std::size_t count = 0;
    auto const returned = SSL_read_ex(tls_.get(), piece.data(), piece.size(), &count);
    if (returned != 1) return tls_outcome(returned);
    into.append(piece.data(), count);
    ::explicit_bzero(piece.data(), count);  // tokens come this way
    return {attempt::done};
}

net::awaitable<error_code> stream::read(std::string& into) {
    while (true) {
        if (broken_) co_return broken_;
        auto const a = try_read(into);
        if (a.state == attempt::done) co_return error_code();
        if (auto const e = co_await ready(a); e) co_return e;
    }
}

stream::attempt stream::try_write(std::string_view data, std::size_t& count) {
    if (!tls_) {
        auto const n = send(socket_.native_handle(), data.data(), data.size());
        if (n >= 0) {
            count = static_cast<std::size_t>(n);
            return {attempt::done};
        }
        return would_block() ? attempt{attempt::must_write} : attempt{attempt::failed, last_error()};
    }
    ERR_clear_error();
    errno = 0;
    auto const returned = SSL_write_ex(tls_.get(), data.data(), data.size(), &count);
    return returned == 1 ? attempt{attempt::done} : tls_outcome(returned);
}

net::awaitable<error_code> stream::write(std::string_view data) {
    while (!data.empty()) {
        if (broken_) co_return broken_;
        std::size_t count = 0;
        auto const a = try_write(data, count);
        if (a.state == attempt::done) {
            written_ += count;
            data.remove_prefix(count);
        } else if (auto const e = co_await ready(a); e) {
            co_return e;
        }
    }
    co_return error_code();
}

bool stream::quiet() {
    if (broken_) return false;
    std::string unexpected;  // TLS's own records, such as new session tickets, are taken in silently
    return try_read(unexpected).state == attempt::must_read;
}

bool stream::hung_up() {
    pollfd p{socket_.native_handle(), POLLRDHUP, 0};
    return ::poll(&p, 1, 0) > 0;  // POLLERR and POLLHUP are told unasked
}

net::awaitable<void> stream::close_gently(std::chrono::milliseconds most) {
    if (tls_ && SSL_is_init_finished(tls_.get())) {
        ERR_clear_error();
        SSL_shutdown(tls_.get());  // as much as the socket takes at once
    }
    ::shutdown(socket_.native_handle(), SHUT_WR);
    deadline(most);
    std::array<char, read_size> dropped;
    while (!broken_) {
        auto const n = receive(socket_.native_handle(), dropped.data(), dropped.size());
        if (n == 0 || (n < 0 && !would_block())) break;
        if (n < 0 && co_await wait(net::socket_base::wait_read)) break;
    }
    close();
}

void stream::close() {
    no_deadline();
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace mdmd::http
