// Keys and certificates of the simulation, on OpenSSL alone: what the daemon does with certificates is judged by code
// that is not the daemon's.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/time.hpp"

// OpenSSL's types, as its own headers declare them.
struct evp_pkey_st;
struct x509_st;

namespace mdmd::sim {

std::string sha1(std::string_view bytes);    // 20 raw bytes
std::string sha256(std::string_view bytes);  // 32 raw bytes
std::string md5(std::string_view bytes);     // 16 raw bytes
std::string hmac_sha256(std::string_view key, std::string_view bytes);

// A private key; copies share it. Functions throw std::runtime_error where OpenSSL fails, which is not a peer's doing.
class private_key {
public:
    static private_key rsa(unsigned bits);
    static private_key p256();
    static private_key from_pem(std::string_view pem);

    std::string pem() const;                                                   // PKCS#8, unencrypted
    std::string public_der() const;                                            // SubjectPublicKeyInfo
    std::string sign_sha256(std::string_view bytes) const;                     // RSASSA-PKCS1-v1_5 or ECDSA
    std::string sign_sha1(std::string_view bytes) const;                       // likewise
    std::string sign_pss_sha256(std::string_view bytes, int salt = 32) const;  // RSASSA-PSS, MGF1 with SHA-256
    std::string modulus() const;                                               // big endian, no leading zero; RSA only
    std::string exponent() const;
    evp_pkey_st* get() const { return key_.get(); }

private:
    explicit private_key(evp_pkey_st* key);
    std::shared_ptr<evp_pkey_st> key_;
};

// A certificate; copies share it.
class certificate {
public:
    [[nodiscard]] static result<certificate> from_der(std::string_view der);  // malformed, with nothing after it
    [[nodiscard]] static result<certificate> from_pem(std::string_view pem);  // the first one

    std::string const& der() const { return der_; }
    std::string pem() const;
    std::string thumbprint() const;   // SHA-1 of the DER, 40 upper-case hex digits, as Windows names certificates
    std::string subject() const;      // "CN=0f1e…": RFC 2253 text, as search criteria have it
    std::string common_name() const;  // empty where there is none
    std::string public_der() const;   // SubjectPublicKeyInfo
    bool is_self_signed() const;      // issuer is subject, and the signature is by its own key
    bool for_client_authentication() const;                                   // the extended key usage names clientAuth
    bool is_authority() const;                                                // basic constraints say CA
    bool verifies(std::string_view bytes, std::string_view signature) const;  // SHA-256, by this certificate's key
    // RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes: PS256. [RFC 7518 3.5]
    bool verifies_pss(std::string_view bytes, std::string_view signature) const;
    time_point starts() const;
    time_point ends() const;
    x509_st* get() const { return x509_.get(); }

private:
    certificate(x509_st* x509, std::string der);
    std::shared_ptr<x509_st> x509_;
    std::string der_;
};

// root -> intermediate -> leaf as Windows builds it, for client authentication, now. Returns what is wrong, or nothing.
std::optional<std::string> chain_failure(
    certificate const& leaf, std::vector<certificate> const& intermediates, certificate const& root);

struct identity {
    certificate own;
    private_key key;
};
identity make_authority(std::string const& common_name);
// A server certificate of two years; names that are IPv4 addresses become address entries.
identity make_server(identity const& authority, std::vector<std::string> const& names);
// A client certificate of a year, as a management server would issue it for a public key.
certificate issue_client(identity const& authority, std::string_view public_key_der, std::string const& common_name);
// A self-signed certificate around a signing key, for x5c and x5t. Of 0 days: it has ended.
certificate self_signed(private_key const& key, std::string const& common_name, int days = 3650);

// CMS SignedData (DER) with the content inside and the signer's certificate, SHA-256. [RFC 5652]
std::string cms_sign(std::string_view content, identity const& signer);
// Likewise with the content outside: what MDM-Signature holds of a message's body.
std::string cms_sign_detached(std::string_view content, identity const& signer);

}  // namespace mdmd::sim
