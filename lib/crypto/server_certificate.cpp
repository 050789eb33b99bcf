#include "crypto/server_certificate.hpp"

#include <arpa/inet.h>

#include "crypto/openssl.hpp"

namespace mdmd::crypto {
namespace {

using names_handle = handle<GENERAL_NAMES, GENERAL_NAMES_free>;
using store_handle = handle<X509_STORE, X509_STORE_free>;
using store_context_handle = handle<X509_STORE_CTX, X509_STORE_CTX_free>;

std::string address_text(std::string_view octets) {
    char out[INET6_ADDRSTRLEN] = {};
    int const family = octets.size() == 4 ? AF_INET : AF_INET6;
    if (octets.size() != 4 && octets.size() != 16) return {};
    return ::inet_ntop(family, octets.data(), out, sizeof out) ? out : "";
}

bool is_address(std::string const& host) {
    in6_addr ignored{};
    return ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 || ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

store_handle store_of(trust const& t) {
    store_handle store(must(X509_STORE_new(), "X509_STORE_new"));
    if (t.system_roots) must(X509_STORE_set_default_paths(store.get()) == 1, "X509_STORE_set_default_paths");
    if (auto const more = certificates_of(t.roots_pem))
        for (auto const& root : *more)
            must(X509_STORE_add_cert(store.get(), root.get().x509.get()) == 1, "X509_STORE_add_cert");
    return store;
}

}  // namespace

result<std::vector<certificate>> certificates_of(std::string_view pem) {
    constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----";
    std::vector<certificate> all;
    for (auto at = pem.find(begin); at != pem.npos; at = pem.find(begin, at + begin.size())) {
        auto one = certificate::from_pem(pem.substr(at));
        if (!one) return one.error();
        all.push_back(std::move(*one));
    }
    if (all.empty()) return fail(errc::malformed, "no certificate in the PEM text");
    return all;
}

server_use use_of(certificate const& c) {
    error_queue const errors;
    auto* const x509 = c.get().x509.get();
    server_use out;
    names_handle const names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        auto const* const name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
        auto const* const text = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
        std::string const octets(reinterpret_cast<char const*>(ASN1_STRING_get0_data(text)),
            static_cast<std::size_t>(ASN1_STRING_length(text)));
        out.names.push_back(name->type == GEN_DNS ? octets : address_text(octets));
    }
    // Without the extension all bits are set; a certificate that cannot be read has none.
    out.for_servers = (X509_get_extended_key_usage(x509) & (XKU_SSL_SERVER | XKU_ANYEKU)) != 0;
    out.for_signatures = (X509_get_key_usage(x509) & KU_DIGITAL_SIGNATURE) != 0;
    return out;
}

bool is_for_host(certificate const& c, std::string_view host) {
    error_queue const errors;
    std::string const name(host);
    auto* const x509 = c.get().x509.get();
    if (is_address(name)) return X509_check_ip_asc(x509, name.c_str(), 0) == 1;
    return X509_check_host(x509, name.data(), name.size(),
               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
}

bool is_issued_by(certificate const& c, certificate const& issuer) {
    error_queue const errors;
    auto* const own = c.get().x509.get();
    auto* const above = issuer.get().x509.get();
    auto* const key = X509_get0_pubkey(above);
    return X509_check_issued(above, own) == X509_V_OK && key && X509_verify(own, key) == 1;
}

chain_end end_of_chain(std::vector<certificate> const& chain, trust const& t) {
    using kind = chain_end::kind;
    error_queue const errors;
    if (chain.empty()) return {kind::broken, "there is no certificate"};
    auto const store = store_of(t);
    auto* const others = must(sk_X509_new_null(), "sk_X509_new_null");
    // The stack alone is freed: it does not own what it holds.
    handle<STACK_OF(X509), [](STACK_OF(X509) * s) { sk_X509_free(s); }> const owned(others);
    for (std::size_t i = 1; i < chain.size(); ++i)
        must(sk_X509_push(others, chain[i].get().x509.get()) > 0, "sk_X509_push");
    store_context_handle const context(must(X509_STORE_CTX_new(), "X509_STORE_CTX_new"));
    must(X509_STORE_CTX_init(context.get(), store.get(), chain.front().get().x509.get(), others) == 1,
        "X509_STORE_CTX_init");
    X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_NO_CHECK_TIME);
    if (X509_verify_cert(context.get()) == 1) return {kind::trusted, ""};
    auto const* const at = X509_STORE_CTX_get_current_cert(context.get());
    auto const error = X509_STORE_CTX_get_error(context.get());
    switch (error) {
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            return {kind::self_signed, at ? name_text(X509_get_subject_name(at)) : ""};
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return {kind::open, at ? name_text(X509_get_issuer_name(at)) : ""};
        default: return {kind::broken, X509_verify_cert_error_string(error)};
    }
}

}  // namespace mdmd::crypto
