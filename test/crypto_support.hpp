// Requests and certificates as tests want them, good and bad, made with OpenSSL itself.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "crypto/openssl.hpp"

namespace mdmd::test {

using namespace mdmd::crypto;
using request_handle = handle<X509_REQ, X509_REQ_free>;

inline EVP_PKEY* raw(private_key const& key) { return key.get().key.get(); }

inline void set_common_name(X509_NAME* name, std::string const& value, int type = MBSTRING_UTF8) {
    must(X509_NAME_add_entry_by_NID(name, NID_commonName, type, reinterpret_cast<unsigned char const*>(value.data()),
             static_cast<int>(value.size()), -1, 0) == 1,
        "X509_NAME_add_entry_by_NID");
}

// A PKCS#10 request for `key`, signed by `signer`.
inline std::string make_request(EVP_PKEY* key, EVP_PKEY* signer, EVP_MD const* digest = EVP_sha256()) {
    request_handle const request(must(X509_REQ_new(), "X509_REQ_new"));
    set_common_name(X509_REQ_get_subject_name(request.get()), "device");
    must(X509_REQ_set_pubkey(request.get(), key) == 1, "X509_REQ_set_pubkey");
    must(X509_REQ_sign(request.get(), signer, digest) > 0, "X509_REQ_sign");
    return to_der(request.get(), i2d_X509_REQ, "i2d_X509_REQ");
}
inline std::string make_request(private_key const& key, EVP_MD const* digest = EVP_sha256()) {
    return make_request(raw(key), raw(key), digest);
}

// One key and one authority for a whole test program: making them takes most of a second.
inline private_key const& device_key() {
    static auto const key = private_key::make_rsa(2048);
    return key;
}
inline time_point const noon = parse_rfc3339("2026-06-15T12:00:00Z").value();
inline new_authority const& contoso() {
    static auto const made = make_authority("Contoso", noon);
    return made;
}
inline authority contoso_authority() { return {contoso().root, contoso().issuing, contoso().issuing_key}; }

// A certificate under `issuer`, with extensions in the words of openssl's configuration files.
struct leaf_options {
    std::vector<std::pair<int, std::string>> extensions = {{NID_basic_constraints, "CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature,keyEncipherment"}, {NID_ext_key_usage, "clientAuth"}};
    std::string common_name = "forged";
    EVP_MD const* digest = EVP_sha256();
    std::chrono::seconds from = std::chrono::hours(-1);
    std::chrono::seconds to = std::chrono::hours(24);
};
inline certificate make_leaf(
    certificate const& issuer, private_key const& issuer_key, private_key const& key, leaf_options const& o) {
    x509_handle const x(must(X509_new(), "X509_new"));
    must(X509_set_version(x.get(), X509_VERSION_3) == 1, "X509_set_version");
    must(ASN1_INTEGER_set(X509_get_serialNumber(x.get()), 77) == 1, "ASN1_INTEGER_set");
    set_common_name(X509_get_subject_name(x.get()), o.common_name);
    must(X509_set_issuer_name(x.get(), X509_get_subject_name(issuer.get().x509.get())) == 1, "X509_set_issuer_name");
    must(ASN1_TIME_set(X509_getm_notBefore(x.get()), to_ms(noon + o.from) / 1000) != nullptr, "ASN1_TIME_set");
    must(ASN1_TIME_set(X509_getm_notAfter(x.get()), to_ms(noon + o.to) / 1000) != nullptr, "ASN1_TIME_set");
    must(X509_set_pubkey(x.get(), raw(key)) == 1, "X509_set_pubkey");
    for (auto const& [nid, value] : o.extensions) {
        auto* extension = must(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()), "X509V3_EXT_conf_nid");
        must(X509_add_ext(x.get(), extension, -1) == 1, "X509_add_ext");
        X509_EXTENSION_free(extension);
    }
    must(X509_sign(x.get(), raw(issuer_key), o.digest) > 0, "X509_sign");
    return certificate::from_der(to_der(x.get(), i2d_X509, "i2d_X509")).value();
}

}  // namespace mdmd::test
