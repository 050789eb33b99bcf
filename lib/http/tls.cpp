#include "http/tls.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace mdmd::http {
namespace {

// AEAD with ephemeral keys only. Windows 10 and 11 offer the GCM ones.
constexpr auto tls12_suites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr auto groups = "X25519:P-256:P-384";
constexpr int security_level = 2;         // 112 bits: RSA from 2048, no SHA-1 signatures
constexpr long session_seconds = 36'000;  // 10 h, as long as Schannel keeps its side: spans an 8 h poll interval
constexpr long sessions_kept = 10'240;    // about 7 KB each with a client certificate
constexpr long peer_chain_bytes = 32 * 1024;
constexpr int peer_chain_depth = 4;

struct openssl_free {
    void operator()(BIO* p) const { BIO_free(p); }
    void operator()(X509* p) const { X509_free(p); }
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
template <class T> using owned = std::unique_ptr<T, openssl_free>;

// The newest entry of OpenSSL's error queue, which is emptied.
std::string openssl_error() {
    auto const code = ERR_peek_last_error();
    ERR_clear_error();
    auto const* const reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "unknown error";
}

void must(bool done, char const* what) {
    if (!done) throw std::runtime_error(fmt::format("OpenSSL: {}: {}", what, openssl_error()));
}

int no_password(char*, int, int, void*) { return 0; }  // instead of asking on the terminal

owned<BIO> reader(std::string_view text) {
    owned<BIO> b(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    must(b != nullptr, "memory");
    return b;
}

result<std::vector<owned<X509>>> read_certificates(std::string_view pem, char const* what) {
    std::vector<owned<X509>> all;
    auto const in = reader(pem);
    ERR_clear_error();
    while (auto* const c = PEM_read_bio_X509(in.get(), nullptr, no_password, nullptr)) all.emplace_back(c);
    bool const at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    auto const why = openssl_error();
    if (all.empty() || !at_end)
        return fail(errc::malformed, fmt::format("{}: {}", what, at_end ? "no PEM certificate in it" : why));
    return all;
}

result<void> use_identity(SSL_CTX* context, std::string_view certificate_pem, secret const& key_pem) {
    auto const chain = read_certificates(certificate_pem, "certificate");
    if (!chain) return chain.error();
    ERR_clear_error();
    if (SSL_CTX_use_certificate(context, chain->front().get()) != 1)
        return fail(errc::malformed, fmt::format("certificate: {}", openssl_error()));
    for (auto i = chain->begin() + 1; i != chain->end(); ++i)
        if (SSL_CTX_add1_chain_cert(context, i->get()) != 1)
            return fail(errc::malformed, fmt::format("certificate chain: {}", openssl_error()));

    auto const in = reader(key_pem.reveal());
    owned<EVP_PKEY> const key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_password, nullptr));
    if (!key) {
        ERR_clear_error();
        return fail(errc::malformed, "key: no unencrypted PEM private key in it");
    }
    owned<EVP_PKEY> const of_certificate(X509_get_pubkey(chain->front().get()));
    if (!of_certificate || EVP_PKEY_eq(key.get(), of_certificate.get()) != 1) {
        ERR_clear_error();
        return fail(errc::conflict, "the key is not the certificate's");
    }
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1)
        return fail(errc::malformed, fmt::format("key: {}", openssl_error()));
    return {};
}

void harden(SSL_CTX* context) {
    SSL_CTX_set_security_level(context, security_level);
    must(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1, "protocol versions");
    must(SSL_CTX_set_cipher_list(context, tls12_suites) == 1, "cipher suites");
    must(SSL_CTX_set1_groups_list(context, groups) == 1, "groups");
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(
        context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(context, peer_chain_bytes);
    SSL_CTX_set_verify_depth(context, peer_chain_depth);
}

// Says http/1.1 to those who ask. A client that offers something else alone gets no answer and speaks what it will.
int on_alpn(
    SSL*, unsigned char const** out, unsigned char* out_size, unsigned char const* in, unsigned in_size, void*) {
    static constexpr std::string_view ours("\x08http/1.1");
    auto const* const wire = reinterpret_cast<unsigned char const*>(ours.data());
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, wire, static_cast<unsigned>(ours.size()), in, in_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

ssl_ctx_ptr new_server_context() {
    ssl_ctx_ptr context(SSL_CTX_new(TLS_server_method()));
    must(context != nullptr, "context");
    harden(context.get());
    // Unexpected ends are ends: many clients close without close_notify, and OpenSSL would otherwise call that a
    // fatal error and forget the session.
    SSL_CTX_set_options(
        context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_alpn_select_cb(context.get(), on_alpn, nullptr);
    return context;
}

std::string sha256(std::string_view text) {
    std::string digest(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    must(EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, EVP_sha256(),
             nullptr) == 1,
        "SHA-256");
    digest.resize(size);
    return digest;
}

// The host name of a client hello's server_name extension (RFC 6066 section 3); empty: none. OpenSSL itself parses
// the extension later and ends the handshake where it is malformed.
std::string_view server_name(SSL* tls) {
    unsigned char const* data = nullptr;
    std::size_t size = 0;
    if (SSL_client_hello_get0_ext(tls, TLSEXT_TYPE_server_name, &data, &size) != 1) return {};
    std::string_view const ext(reinterpret_cast<char const*>(data), size);
    auto const number = [&](std::size_t at) {
        return static_cast<std::size_t>(data[at]) << 8 | static_cast<std::size_t>(data[at + 1]);
    };
    // list length (2), type (1), name length (2), name
    if (size < 5 || number(0) != size - 2 || data[2] != TLSEXT_NAMETYPE_host_name || number(3) > size - 5) return {};
    return ext.substr(5, number(3));
}

// Whether a client hello's ALPN extension (RFC 7301 section 3.1) names HTTP/2.
bool offers_http2(SSL* tls) {
    unsigned char const* data = nullptr;
    std::size_t size = 0;
    constexpr auto extension = TLSEXT_TYPE_application_layer_protocol_negotiation;
    if (SSL_client_hello_get0_ext(tls, extension, &data, &size) != 1) return false;
    std::string_view const ext(reinterpret_cast<char const*>(data), size);
    // list length (2), then names, each behind its length (1)
    for (std::size_t at = 2; at < size; at += 1U + data[at])
        if (ext.substr(at + 1, data[at]) == "h2") return true;
    return false;
}

}  // namespace

result<std::shared_ptr<tls_context>> make_tls(tls_identity const& identity) {
    auto context = new_server_context();
    if (auto const r = use_identity(context.get(), identity.certificate_pem, identity.key_pem); !r) return r.error();
    if (identity.clients != client_certificates::none) {
        auto const anchors = read_certificates(identity.client_authority_pem, "client authority");
        if (!anchors) return anchors.error();
        auto* const store = SSL_CTX_get_cert_store(context.get());
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);  // an issuing CA is an anchor, too
        X509_STORE_set_purpose(store, X509_PURPOSE_SSL_CLIENT);
        for (auto const& a : *anchors) {
            must(X509_STORE_add_cert(store, a.get()) == 1, "client authority");
            must(SSL_CTX_add_client_CA(context.get(), a.get()) == 1, "client authority");
        }
    }
    if (identity.clients == client_certificates::optional)  // no chain is built, so no certificate ends the handshake
        SSL_CTX_set_cert_verify_callback(
            context.get(), [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
    return std::make_shared<tls_context>(std::move(context), identity.clients, sha256(identity.client_authority_pem));
}

// --- several sites on one address

tls_front::tls_front(std::vector<site> const& sites) : context_(new_server_context()) {
    for (auto const& s : sites) members_.push_back({s.host, s.tls});
    auto* const c = context_.get();
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(c, sessions_kept);
    SSL_CTX_set_timeout(c, session_seconds);
    must(SSL_CTX_set_num_tickets(c, 1) == 1, "session tickets");
    SSL_CTX_set_client_hello_cb(c, on_client_hello, this);
}

ssl_ptr tls_front::accept() {
    ssl_ptr tls(SSL_new(context_.get()));
    must(tls != nullptr, "connection");
    SSL_set_accept_state(tls.get());
    return tls;
}

int tls_front::on_client_hello(SSL* tls, int* alert, void* self) {
    if (static_cast<tls_front*>(self)->choose(tls)) return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

bool tls_front::choose(SSL* tls) {
    auto const name = server_name(tls);
    std::size_t at = 0;
    std::shared_ptr<tls_context> chosen;
    std::string belongs;
    {
        std::scoped_lock const lock(mutex_);
        for (std::size_t i = 0; i < members_.size(); ++i)
            if (iequals(members_[i].host, name)) at = i;
        chosen = members_[at].tls;
        belongs = members_[at].host;
    }
    auto const clients = chosen->clients();
    int verify = SSL_VERIFY_NONE;
    if (clients == client_certificates::required) verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    if (clients == client_certificates::optional && !offers_http2(tls)) verify = SSL_VERIFY_PEER;
    belongs = sha256(fmt::format("{}\n{}\n{}", belongs, chosen->authority_digest(), verify));
    static_assert(SSL_MAX_SID_CTX_LENGTH == 32);
    auto const* const id = reinterpret_cast<unsigned char const*>(belongs.data());
    if (SSL_set_SSL_CTX(tls, chosen->get()) == nullptr) return false;
    if (SSL_set_session_id_context(tls, id, static_cast<unsigned>(belongs.size())) != 1) return false;
    // SSL_set_SSL_CTX brings certificate, key, trust and the names of authorities, but not whether to ask.
    SSL_set_verify(tls, verify, nullptr);
    return SSL_set_app_data(tls, reinterpret_cast<char*>(at)) == 1;
}

std::size_t tls_front::site_of(SSL const* tls) { return reinterpret_cast<std::size_t>(SSL_get_app_data(tls)); }

bool tls_front::replace(std::string const& host, std::shared_ptr<tls_context> const& tls) {
    std::scoped_lock const lock(mutex_);
    bool found = false;
    for (auto& m : members_) {
        if (!iequals(m.host, host) || m.tls->clients() != tls->clients()) continue;
        m.tls = tls;
        found = true;
    }
    return found;
}

// --- calls

ssl_ctx_ptr make_client_context(client_options const& options) {
    ssl_ctx_ptr context(SSL_CTX_new(TLS_client_method()));
    must(context != nullptr, "context");
    harden(context.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (options.system_roots) must(SSL_CTX_set_default_verify_paths(context.get()) == 1, "system roots");
    if (!options.extra_roots_pem.empty()) {
        auto const roots = read_certificates(options.extra_roots_pem, "extra roots");
        if (!roots) throw std::invalid_argument(roots.error().detail);
        for (auto const& r : *roots)
            must(X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), r.get()) == 1, "extra roots");
    }
    if (!options.certificate_pem.empty()) {
        auto const r = use_identity(context.get(), options.certificate_pem, options.key_pem);
        if (!r) throw std::invalid_argument("client " + r.error().detail);
    }
    return context;
}

ssl_ptr connect_tls(SSL_CTX* context, std::string const& host) {
    ssl_ptr tls(SSL_new(context));
    must(tls != nullptr, "connection");
    std::array<unsigned char, sizeof(in6_addr)> binary;
    bool const address =
        inet_pton(AF_INET, host.c_str(), binary.data()) == 1 || inet_pton(AF_INET6, host.c_str(), binary.data()) == 1;
    if (address) {
        must(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls.get()), host.c_str()) == 1, "address check");
    } else {
        SSL_set_hostflags(tls.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        must(SSL_set1_host(tls.get(), host.c_str()) == 1, "name check");
        must(SSL_set_tlsext_host_name(tls.get(), host.c_str()) == 1, "server name");
    }
    SSL_set_connect_state(tls.get());
    return tls;
}

std::string verify_failure(SSL const* tls) {
    auto const code = SSL_get_verify_result(tls);
    return code == X509_V_OK ? std::string() : X509_verify_cert_error_string(code);
}

std::string peer_certificate_der(SSL const* tls) {
    auto const* const certificate = SSL_get0_peer_certificate(tls);
    if (certificate == nullptr) return {};
    unsigned char* der = nullptr;
    auto const size = i2d_X509(certificate, &der);
    must(size > 0, "peer certificate");
    std::unique_ptr<unsigned char, void (*)(unsigned char*)> const held(der, [](unsigned char* p) { OPENSSL_free(p); });
    return {reinterpret_cast<char const*>(der), static_cast<std::size_t>(size)};
}

}  // namespace mdmd::http
