// One connection's bytes: TCP or a Unix socket, with or without TLS, and one deadline over whatever is awaited.
//
// OpenSSL works on the socket itself, through a BIO of ours, rather than through asio::ssl::stream: that one keeps
// 68 KiB of buffers a connection, copies every byte once more, and makes every user a template over two streams.
#pragma once
#include <openssl/ssl.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace mdmd::http {

namespace net = boost::asio;
using boost::system::error_code;

struct ssl_free {
    void operator()(SSL* s) const { SSL_free(s); }
    void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};
using ssl_ptr = std::unique_ptr<SSL, ssl_free>;
using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, ssl_free>;

// All of it on the thread that runs its io_context. Held by shared_ptr, because a timer that has gone off may still
// be queued when the connection ends.
class stream : public std::enable_shared_from_this<stream> {
public:
    using endpoint = net::generic::stream_protocol::endpoint;

    explicit stream(net::io_context&);
    // Takes over a connected, non-blocking socket of that address family.
    stream(net::io_context&, int descriptor, int family);
    stream(stream const&) = delete;
    stream& operator=(stream const&) = delete;
    ~stream();

    // Whatever is awaited from now on fails with timed_out once so much time has passed, however many bytes have
    // come until then. A deadline that was missed cannot be moved any more.
    void deadline(std::chrono::milliseconds);
    void no_deadline();
    // Whatever is awaited, now or later, fails with operation_aborted.
    void cancel();

    [[nodiscard]] net::awaitable<error_code> connect(endpoint);

    // Until the peer has sent something, or has gone.
    [[nodiscard]] net::awaitable<error_code> arrival() { return wait(net::socket_base::wait_read); }
    // From here on everything goes through TLS. `tls` is set to accept or to connect.
    void secure(ssl_ptr tls);
    [[nodiscard]] net::awaitable<error_code> handshake();
    SSL* tls() const { return tls_.get(); }  // nullptr: none

    // Appends what there is, at least a byte. net::error::eof: the peer ended its side properly.
    [[nodiscard]] net::awaitable<error_code> read(std::string& into);
    // Writes all of it; it must stay where it is until then.
    [[nodiscard]] net::awaitable<error_code> write(std::string_view);
    std::size_t written() const { return written_; }  // bytes of write() that were handed to the kernel or to TLS

    // Whether a connection that nothing is expected from is still open and silent.
    [[nodiscard]] bool quiet();
    // Whether the peer has ended its side, or the connection is broken, whatever is still to be read.
    [[nodiscard]] bool hung_up();

    // Says that we are done, then drops what the peer still sends until it closes too or `most` has passed: closing
    // with unread bytes would reset the connection and could destroy an answer on its way.
    [[nodiscard]] net::awaitable<void> close_gently(std::chrono::milliseconds most);
    void close();

private:
    struct attempt {  // of an operation that must not block
        enum { done, must_read, must_write, failed } state;
        error_code why{};
    };
    attempt tls_outcome(int returned);
    attempt try_read(std::string& into);
    attempt try_write(std::string_view, std::size_t& count);
    net::awaitable<error_code> ready(attempt);
    net::awaitable<error_code> wait(net::socket_base::wait_type);

    net::io_context& io_;
    net::generic::stream_protocol::socket socket_;
    net::steady_timer timer_;
    std::uint64_t timer_round_ = 0;
    error_code broken_;  // what every further wait fails with
    std::size_t written_ = 0;
    ssl_ptr tls_;
};

}  // namespace mdmd::http
