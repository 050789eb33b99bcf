// The listeners: TCP, TLS, HTTP/1.1, limits. Knows no protocol above HTTP. Nothing of Asio or Beast shows here.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/http_message.hpp"
#include "core/secret.hpp"

namespace mdmd::http {

struct limits {
    std::chrono::milliseconds handshake{10'000};  // TLS handshake, from the first byte to the last
    std::chrono::milliseconds header{20'000};     // a request's header, from its first byte; the first request's, from
                                                  // the connection's beginning or the end of its handshake
    std::chrono::milliseconds body{60'000};       // a request's whole body
    std::chrono::milliseconds idle{60'000};       // between two requests of one connection
    std::chrono::milliseconds write{60'000};      // an answer
    std::uint32_t header_bytes = 64 * 1024;       // an Entra token with groups is long
    std::uint64_t body_bytes = 1024 * 1024;
    std::size_t header_fields = 64;
    std::size_t connections = 10'000;         // of all listeners; more wait in the kernel's queue
    std::size_t connections_per_address = 0;  // 0: not limited
    // How long a client is asked to stay away where too many wait already, in seconds: at least this, and at random up
    // to twice as long, so that they do not all come back at once.
    std::chrono::seconds retry_after{30};
};

// Whether a site asks for client certificates. The authority's names go with the question in either case.
enum class client_certificates {
    none,
    // Any certificate is taken, and none is fine too: the handler judges the DER that it is handed. TLS has proven no
    // more than that the peer holds its key. A client whose ALPN offers h2 is not asked: that is a browser, which would
    // make its user choose among certificates before it shows a page.
    optional,
    required,  // and it must chain to one of the authority's certificates, for client authentication
};

// The TLS side of one site.
struct tls_identity {
    std::string certificate_pem;  // leaf first, then the chain
    secret key_pem;
    std::string client_authority_pem;  // of those who are asked
    client_certificates clients = client_certificates::none;
};

// How far a request got whose client went away.
enum class lost_stage {
    receiving,  // its header came, its body never came whole: closed, reset, or not within the time for it
    answering,  // the client hung up before its answer was written, or the answer could not be written
};

// What a site answers in the listener's place where no handler does: `head` is as much of the request as could be read,
// which may be nothing but its id, and has no body. `status` is the answer's, whatever comes back; `why` is one short
// phrase without a full stop and holds nothing that the peer sent. Called on an I/O thread, so that it must not wait
// for anything. What it throws is logged, and answered by the bare status.
using refusal_writer = std::function<response(request const& head, int status, std::string_view why)>;

// What is served under one name of one address.
struct site {
    std::string host;  // chosen by SNI where several sites share an address; the first site is the default
    std::shared_ptr<class tls_context> tls;  // nullptr: plain HTTP
    handler handle;
    bool chunked_allowed = false;  // device endpoints refuse chunked request bodies altogether
    // Told of requests whose client went away, on a worker; not of connections that end between two requests, nor of
    // those that this server ends. The request has no body. An answer that the kernel took and the network lost does
    // not show here. What it throws is logged.
    std::function<void(request const& head, lost_stage)> lost = nullptr;
    refusal_writer refused = nullptr;  // nullptr: the bare status
    // Requests that wait for a worker: one more than these is refused at once with 429 and Retry-After, and its
    // connection goes on. 0: as many as there are connections.
    std::size_t most_waiting = 0;
    bool own_workers = false;  // served by a few that no other site keeps busy, however many of its requests wait
};

// Checks that certificate and key fit. TLS 1.2 and 1.3, AEAD suites, server order, no tickets; sessions
// are kept in the process, by address, and outlive a change of certificates. Errors: malformed (unreadable PEM),
// conflict (the key is not the certificate's).
[[nodiscard]] result<std::shared_ptr<tls_context>> make_tls(tls_identity const&);

class server {
public:
    // `io_threads` run sockets and TLS, `workers` run handlers; there are a few more for sites with `own_workers`.
    server(unsigned io_threads, unsigned workers, limits = {});
    server(server const&) = delete;
    server& operator=(server const&) = delete;
    ~server();  // as stop(0)

    // Binds and listens; requests are served from start() on. Address numeric, port 0: any free one. Returns the
    // port. Throws std::system_error ("listen 0.0.0.0:443: Address already in use").
    std::uint16_t listen(std::string const& address, std::uint16_t port, std::vector<site>);
    // The same on a TCP socket that was bound and listens already; it is the server's from now on. Clients that connect
    // while nobody accepts wait in its queue, also after stop() where another process has the same socket.
    std::uint16_t adopt(int socket, std::vector<site>);
    // A Unix stream socket with this mode and workers of its own; a stale socket file is replaced, a live one is an
    // error.
    void listen_unix(std::filesystem::path const&, unsigned mode, handler);
    void start();

    // Gives the sites of that host new certificates: connections from now on use them. A site takes an identity that
    // asks for client certificates as it does: two listeners may share a name.
    // Throws std::runtime_error (as make_tls would refuse) or std::invalid_argument (no such TLS site), and then
    // changes nothing.
    void replace_tls(std::string const& host, tls_identity const&);

    // No new connections; requests that have begun are finished, up to `grace`; idle connections are closed.
    // Returns when nothing runs any more; a handler at work is waited for, however long it takes.
    void stop(std::chrono::milliseconds grace);

    // Whether every I/O thread turns to something new within this time. After start(), before stop().
    bool answers(std::chrono::milliseconds patience) const;

    struct impl;

private:
    std::unique_ptr<impl> impl_;
};

}  // namespace mdmd::http
