// OpenSSL contexts: what a site, an address of several sites, and our own calls do in TLS.
#pragma once
#include <mutex>
#include <string>
#include <vector>

#include "http/client.hpp"
#include "http/server.hpp"
#include "http/stream.hpp"

namespace mdmd::http {

// One site's certificate, key and client authority.
class tls_context {
public:
    tls_context(ssl_ctx_ptr context, client_certificates clients, std::string authority_digest)
        : context_(std::move(context)), clients_(clients), authority_digest_(std::move(authority_digest)) {}
    SSL_CTX* get() const { return context_.get(); }
    client_certificates clients() const { return clients_; }
    std::string const& authority_digest() const { return authority_digest_; }

private:
    ssl_ctx_ptr context_;
    client_certificates clients_;
    std::string authority_digest_;
};

// The TLS side of one address. Connections begin in a context of its own, which holds the session cache of all its
// sites and so keeps it when a site gets new certificates; the client hello then decides the site, before OpenSSL
// looks for a session. A session belongs to its site's name and client authority, and to whether its client was asked
// for a certificate (by its session id context): it cannot be resumed where that is another.
class tls_front {
public:
    explicit tls_front(std::vector<site> const&);

    ssl_ptr accept();                        // a connection that will be accepted
    static std::size_t site_of(SSL const*);  // which of the sites, after the handshake
    bool replace(std::string const& host, std::shared_ptr<tls_context> const&);  // whether that is one of the sites

private:
    static int on_client_hello(SSL*, int* alert, void* self);
    bool choose(SSL*);

    struct member {
        std::string host;
        std::shared_ptr<tls_context> tls;
    };
    std::mutex mutex_;
    std::vector<member> members_;
    ssl_ctx_ptr context_;
};

// Throws std::invalid_argument where the options' PEM cannot be used.
ssl_ctx_ptr make_client_context(client_options const&);
// A connection to `host`, a name or an IP address without brackets, whose certificate must be that host's.
ssl_ptr connect_tls(SSL_CTX*, std::string const& host);

// Why verification failed, in OpenSSL's words; empty: it did not.
std::string verify_failure(SSL const*);
std::string peer_certificate_der(SSL const*);  // empty: none

}  // namespace mdmd::http
