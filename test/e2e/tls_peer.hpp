// A TLS client that does one thing at a time and says which certificate it was shown.
#pragma once
#include <openssl/ssl.h>
#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include "sim/pki.hpp"
#include "test/http_raw.hpp"

namespace mdmd::e2e {

class tls_peer {
public:
    // Connected, with the handshake done. Who the server is, is for the caller to judge by certificate().
    // A client certificate is shown where one is given and asked for.
    tls_peer(
        std::uint16_t port, std::string const& server_name, std::optional<sim::identity> const& shown = std::nullopt)
        : socket_(port), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
        std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to a connection that the server has closed
        timeval const patience{.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(socket_.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (shown && (SSL_CTX_use_certificate(context_.get(), shown->own.get()) != 1 ||
                         SSL_CTX_use_PrivateKey(context_.get(), shown->key.get()) != 1))
            throw std::runtime_error("the client certificate cannot be used");
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_tlsext_host_name(ssl_.get(), server_name.c_str());
        SSL_set_fd(ssl_.get(), socket_.descriptor());
        if (SSL_connect(ssl_.get()) != 1) throw std::runtime_error("the TLS handshake failed");
    }

    std::string certificate() const {  // DER
        std::unique_ptr<X509, decltype(&X509_free)> const c(SSL_get1_peer_certificate(ssl_.get()), X509_free);
        unsigned char* der = nullptr;
        auto const size = i2d_X509(c.get(), &der);
        std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
        OPENSSL_free(der);
        return out;
    }
    bool send(std::string_view text) {
        return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size());
    }
    // Up to and with that text; less where the server closes or is silent for 20 s.
    std::string read_until(std::string_view text) {
        std::string all;
        char one = 0;
        while (all.find(text) == all.npos && SSL_read(ssl_.get(), &one, 1) == 1) all += one;
        return all;
    }
    std::string read_to_end() {
        std::string all;
        char piece[4096];
        for (int n = 0; (n = SSL_read(ssl_.get(), piece, sizeof piece)) > 0;)
            all.append(piece, static_cast<std::size_t>(n));
        return all;
    }

private:
    test::raw_peer socket_;
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

}  // namespace mdmd::e2e
