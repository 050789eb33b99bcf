// Certificates for the HTTP tests, made when they are needed.
#pragma once
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <memory>
#include <stdexcept>
#include <string>

#include "core/secret.hpp"

namespace mdmd::test {

struct key_pair {
    std::string certificate_pem;
    std::string certificate_der;
    std::string key_pem_text;
    std::shared_ptr<X509> certificate;
    std::shared_ptr<EVP_PKEY> key;
    secret key_pem() const { return secret(key_pem_text); }
};

struct certificate_wish {
    std::string name;                    // common name
    std::string alternative_names = {};  // OpenSSL's syntax: "DNS:a.test,IP:127.0.0.1"
    std::string usage = {};              // extended key usage: "serverAuth", "clientAuth"
    bool authority = false;
    long from_days = -1;  // from now
    long to_days = 30;
};

// Signed by `issuer`, or by itself. P-256 keys: they cost nothing to make.
inline key_pair make_certificate(certificate_wish const& wish, key_pair const* issuer = nullptr) {
    auto const must = [](bool done) {
        if (!done) throw std::runtime_error("OpenSSL refuses to make a test certificate");
    };
    key_pair made;
    made.key.reset(EVP_EC_gen("P-256"), EVP_PKEY_free);
    made.certificate.reset(X509_new(), X509_free);
    must(made.key && made.certificate);
    auto* const c = made.certificate.get();
    static long serial = 0;
    must(X509_set_version(c, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial) == 1);
    must(X509_time_adj_ex(X509_getm_notBefore(c), static_cast<int>(wish.from_days), 0, nullptr) != nullptr);
    must(X509_time_adj_ex(X509_getm_notAfter(c), static_cast<int>(wish.to_days), 0, nullptr) != nullptr);
    must(X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_UTF8,
             reinterpret_cast<unsigned char const*>(wish.name.c_str()), -1, -1, 0) == 1);
    auto* const by = issuer != nullptr ? issuer->certificate.get() : c;
    must(X509_set_issuer_name(c, X509_get_subject_name(by)) == 1 && X509_set_pubkey(c, made.key.get()) == 1);

    X509V3_CTX context;
    X509V3_set_ctx(&context, by, c, nullptr, nullptr, 0);
    auto const extend = [&](int nid, std::string const& value) {
        std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> const e(
            X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), X509_EXTENSION_free);
        must(e && X509_add_ext(c, e.get(), -1) == 1);
    };
    extend(NID_basic_constraints, wish.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(NID_key_usage, wish.authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    extend(NID_subject_key_identifier, "hash");
    if (!wish.usage.empty()) extend(NID_ext_key_usage, wish.usage);
    if (!wish.alternative_names.empty()) extend(NID_subject_alt_name, wish.alternative_names);
    must(X509_sign(c, issuer != nullptr ? issuer->key.get() : made.key.get(), EVP_sha256()) > 0);

    auto const pem = [&](auto write) {
        std::unique_ptr<BIO, decltype(&BIO_free)> const out(BIO_new(BIO_s_mem()), BIO_free);
        must(out && write(out.get()) == 1);
        char* data = nullptr;
        auto const size = BIO_get_mem_data(out.get(), &data);
        return std::string(data, static_cast<std::size_t>(size));
    };
    made.certificate_pem = pem([&](BIO* b) { return PEM_write_bio_X509(b, c); });
    made.certificate_der = pem([&](BIO* b) { return i2d_X509_bio(b, c); });
    made.key_pem_text = pem([&](BIO* b) {
        return PEM_write_bio_PKCS8PrivateKey(b, made.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    return made;
}

inline key_pair make_authority(std::string const& name) { return make_certificate({.name = name, .authority = true}); }

}  // namespace mdmd::test
