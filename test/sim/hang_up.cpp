// A client that goes away: a request that is sent whole, and a connection that is closed before its answer.
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "core/text.hpp"
#include "device_impl.hpp"

namespace mdmd::sim {
namespace {

template <class T, void (*free_it)(T*)> struct freed {
    void operator()(T* p) const { free_it(p); }
};
using context = std::unique_ptr<SSL_CTX, freed<SSL_CTX, SSL_CTX_free>>;
using stream = std::unique_ptr<BIO, freed<BIO, BIO_free_all>>;

}  // namespace

result<void> send_and_hang_up(network const& net, std::string const& url, http::fields const& headers,
    std::string const& body, std::optional<identity> const& shown, std::optional<certificate> const& issuing) {
    auto const failed = [](char const* what) { return fail(errc::unavailable, fmt::format("hang-up: {}", what)); };
    constexpr std::string_view scheme = "https://";
    auto const rest = std::string_view(url).substr(scheme.size());
    auto const slash = rest.find('/');
    std::string authority(rest.substr(0, slash));
    auto const path = std::string(rest.substr(slash));
    auto const host = authority.substr(0, authority.rfind(':'));
    auto const place = authority.find(':') == authority.npos ? authority + ":443" : authority;
    auto const mapped = net.connect_to.find(place);

    context const tls(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(tls.get(), SSL_VERIFY_PEER, nullptr);
    auto const root = certificate::from_pem(net.server_ca_pem);
    if (!root) return root.error();
    X509_STORE_add_cert(SSL_CTX_get_cert_store(tls.get()), root->get());
    if (shown) {
        SSL_CTX_use_certificate(tls.get(), shown->own.get());
        if (issuing) SSL_CTX_add1_chain_cert(tls.get(), issuing->get());
        SSL_CTX_use_PrivateKey(tls.get(), shown->key.get());
    }
    stream const peer(BIO_new_ssl_connect(tls.get()));
    SSL* session = nullptr;
    BIO_get_ssl(peer.get(), &session);
    if (!session) return failed("no TLS");
    SSL_set_tlsext_host_name(session, host.c_str());
    SSL_set1_host(session, host.c_str());
    BIO_set_conn_hostname(peer.get(), (mapped == net.connect_to.end() ? place : mapped->second).c_str());
    if (BIO_do_connect(peer.get()) != 1 || BIO_do_handshake(peer.get()) != 1) return failed("no connection");
    auto text = fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", path, authority, body.size());
    for (auto const& [name, value] : headers) text += fmt::format("{}: {}\r\n", name, value);
    text += "\r\n" + body;
    if (BIO_write(peer.get(), text.data(), static_cast<int>(text.size())) != static_cast<int>(text.size()))
        return failed("not sent");
    BIO_flush(peer.get());
    return {};
}

}  // namespace mdmd::sim
