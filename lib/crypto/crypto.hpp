// Keys, certificates, requests, signatures and digests over OpenSSL, as values. DER and digests are byte strings.
// A broken OpenSSL or exhausted memory is an exception (crypto_error); what a peer sent wrong is a result.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"

namespace mdmd::crypto {

struct crypto_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string sha1(std::string_view);    // 20 bytes; for Windows' certificate names only
std::string sha256(std::string_view);  // 32 bytes
// The same of what comes piece by piece.
class sha256_stream {
public:
    sha256_stream();
    sha256_stream(sha256_stream const&) = delete;
    sha256_stream& operator=(sha256_stream const&) = delete;
    ~sha256_stream();
    void add(std::string_view);
    std::string finish();  // 32 bytes; once, at the end

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};
std::string hmac_sha256(std::string_view key, std::string_view text);
// 32 bytes of scrypt (RFC 7914) with N 2^14, r 8, p 1: 16 MiB and tens of milliseconds, so that a stolen hash of a
// short secret costs something to guess.
std::string scrypt(std::string_view password, std::string_view salt);
bool equal_in_constant_time(std::string_view, std::string_view);

enum class key_kind { rsa, p256 };

class private_key {
public:
    static private_key make_rsa(int bits);
    static private_key make_p256();
    // PKCS#8 or traditional PEM, not encrypted. Errors: malformed (never quoting the text).
    static result<private_key> from_pem(secret const&);
    // The same, encrypted or not. Errors: malformed; unauthenticated (encrypted, and the passphrase is empty or
    // another).
    static result<private_key> from_pem(secret const&, secret const& passphrase);
    secret to_pem() const;  // PKCS#8
    // PKCS#8 encrypted by PBES2: scrypt (N 2^14, r 8, p 5; 16 MiB and some tenths of a second) and AES-256-CBC.
    // [RFC 8018 6.2, RFC 7914 7]
    secret to_pem(secret const& passphrase) const;

    struct impl;
    impl const& get() const { return *impl_; }
    explicit private_key(std::shared_ptr<impl const>);

private:
    std::shared_ptr<impl const> impl_;
};

// Is the key in this PEM text encrypted?
bool is_encrypted(secret const& pem);

class certificate {
public:
    static result<certificate> from_der(std::string_view);  // exactly one, nothing after it
    static result<certificate> from_pem(std::string_view);  // the first one
    std::string const& der() const;
    std::string pem() const;
    std::string thumbprint() const;   // SHA-1 of the DER, 40 upper-case hex digits: Windows' name for it
    std::string fingerprint() const;  // SHA-256 of the DER, 64 lower-case hex digits: our name for it
    std::string serial() const;       // upper-case hex
    std::string subject() const;      // "CN=…", RFC 2253
    std::string issuer() const;
    std::string common_name() const;
    time_point not_before() const;
    time_point not_after() const;
    std::string public_key_digest() const;  // SHA-256 of the SubjectPublicKeyInfo, hex
    std::string key_type() const;           // "RSA 2048", "P-256"; other curves by OpenSSL's name for them

    struct impl;
    impl const& get() const { return *impl_; }
    explicit certificate(std::shared_ptr<impl const>);

private:
    std::shared_ptr<impl const> impl_;
};

// A PKCS#10 request whose own signature was checked. Only its public key is for use: Windows writes a subject with
// '!' and a trailing NUL inside a PrintableString, and some sign with SHA-1; both are accepted.
struct signing_request {
    std::string public_key;         // SubjectPublicKeyInfo, DER
    std::string public_key_digest;  // SHA-256 of that, hex
    std::string subject;            // for the log, printable
    int bits = 0;
    bool rsa = false;
};
// Errors: malformed (not one PKCS#10, or trailing bytes), forbidden (bad self-signature, RSA under 2048 or over
// 8192 bits, a key that is neither RSA nor P-256).
[[nodiscard]] result<signing_request> parse_signing_request(std::string_view der);

// --- The device authority --------------------------------------------------------------------------------------
// A root that signs issuing intermediates, and an intermediate that signs devices.
struct authority {
    certificate root;
    certificate issuing;
    private_key issuing_key;
};
struct new_authority {
    certificate root;
    private_key root_key;
    certificate issuing;
    private_key issuing_key;
};
// A root for 25 years (RSA-3072 or P-256) and an intermediate under it.
// CN "<organization> Root CA" with a random suffix, pathlen 1, keyCertSign and cRLSign critical, SKI and AKI.
new_authority make_authority(std::string_view organization, time_point now, key_kind = key_kind::rsa);

struct new_intermediate {
    certificate issuing;
    private_key issuing_key;
};
// An intermediate for 10 years, but not beyond the root's end: RSA-2048, whose signatures are the cheapest to check in
// each handshake, or P-256. CN "<organization> Device CA" with a random suffix, pathlen 0, otherwise as the root.
// Throws where the root has ended.
new_intermediate make_intermediate(
    std::string_view organization, certificate const& root, private_key const& root_key, key_kind, time_point now);

// An authority that was made elsewhere: its issuing certificate, then its root, as PEM, and the issuing certificate's
// key, encrypted or not. Exactly these two: Windows takes one root and one intermediate when it enrolls.
//
// Errors, as "expected …, got …": malformed, forbidden (certificates that cannot be read, or cannot be this: no CA, no
// chain to a self-signed root, over, too weak…); of the key unauthenticated (as private_key::from_pem), unsupported
// (unreadable), conflict (of another certificate).
[[nodiscard]] result<authority> import_authority(
    std::string_view chain_pem, secret const& key_pem, secret const& passphrase, time_point now);

// When the first of its two certificates ends: no device certificate of it is good for longer.
time_point end_of(authority const&);

struct device_profile {
    std::string common_name;         // the device's id
    std::optional<std::string> upn;  // SAN otherName 1.3.6.1.4.1.311.20.2.3, UTF8String
    std::chrono::seconds validity;   // never beyond end_of() its authority
};
// v3, 128-bit random positive serial, single RDN CN, keyUsage digitalSignature (and keyEncipherment, where the device's
// key is RSA) critical, EKU clientAuth alone, CA:FALSE, SKI, AKI, SHA-256 with RSA or ECDSA as the authority's key is
// (ECDSA on larger curves: SHA-384, SHA-512), not_before one hour back. [MS-MDE2] 3.4 Throws where the authority has
// ended.
certificate issue_device_certificate(authority const&, signing_request const&, device_profile const&, time_point now);

// Was it issued by this authority's intermediate, for client authentication, and is it valid at `now`?
// Errors: unauthenticated (with the reason).
[[nodiscard]] result<void> check_device_certificate(
    certificate const& root, certificate const& issuing, certificate const& device, time_point now);
[[nodiscard]] result<void> check_device_certificate(authority const&, certificate const&, time_point now);

// Is the certificate's public key that of the private key?
bool is_pair(certificate const&, private_key const&);

// --- JWS ---------------------------------------------------------------------------------------------------------
// The signature's bytes: RSASSA-PKCS1-v1_5 with SHA-256, and RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of
// 32 bytes (RFC 7518 sections 3.3 and 3.5). Errors: unsupported (not an RSA key of 2048 to 8192 bits).
[[nodiscard]] result<std::string> sign_rs256(private_key const&, std::string_view text);
[[nodiscard]] result<std::string> sign_ps256(private_key const&, std::string_view text);

// RSASSA-PKCS1-v1_5 with SHA-256 (RS256). Modulus and exponent are big-endian bytes as a JWK has them.
class rsa_public_key {
public:
    // Errors: malformed (no RSA key), forbidden (under 2048 or over 8192 bits, even or tiny exponent).
    static result<rsa_public_key> from_jwk(std::string_view n, std::string_view e);
    bool verify_rs256(std::string_view signed_text, std::string_view signature) const;

    struct impl;
    explicit rsa_public_key(std::shared_ptr<impl const>);

private:
    std::shared_ptr<impl const> impl_;
};

}  // namespace mdmd::crypto
