// How this module holds OpenSSL's objects. Private to lib/crypto.
#pragma once
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/crypto.hpp"

namespace mdmd::crypto {

template <auto Free> struct freed_by {
    template <class T> void operator()(T* p) const noexcept { Free(p); }
};
template <class T, auto Free> using handle = std::unique_ptr<T, freed_by<Free>>;

using bio_handle = handle<BIO, BIO_free_all>;
using bn_handle = handle<BIGNUM, BN_free>;
using integer_handle = handle<ASN1_INTEGER, ASN1_INTEGER_free>;
using name_handle = handle<X509_NAME, X509_NAME_free>;
using pkey_handle = handle<EVP_PKEY, EVP_PKEY_free>;
using x509_handle = handle<X509, X509_free>;

// Around every use of OpenSSL: nothing that an earlier caller left in this thread's error queue is taken for ours,
// and nothing of ours is left there, where it would make the next SSL_get_error of a TLS connection lie.
class error_queue {
public:
    error_queue() { ERR_clear_error(); }
    error_queue(error_queue const&) = delete;
    error_queue& operator=(error_queue const&) = delete;
    ~error_queue() { ERR_clear_error(); }

    // The oldest error's reason, without the data that OpenSSL attaches to it: that may quote the input.
    static std::string reason() {
        char const* text = ERR_reason_error_string(ERR_peek_error());
        return text ? text : "unknown reason";
    }
};

[[noreturn]] inline void throw_crypto_error(char const* what) {
    throw crypto_error(std::string(what) + " failed: " + error_queue::reason());
}
inline void must(bool ok, char const* what) {
    if (!ok) throw_crypto_error(what);
}
template <class T> T* must(T* p, char const* what) {
    if (!p) throw_crypto_error(what);
    return p;
}

inline unsigned char const* bytes(std::string_view s) { return reinterpret_cast<unsigned char const*>(s.data()); }
inline unsigned char* bytes(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }

// The DER of an object, written by its i2d function.
template <class T, class Write> std::string to_der(T* object, Write write, char const* what) {
    int const size = write(object, nullptr);
    must(size > 0, what);
    std::string out(static_cast<std::size_t>(size), '\0');
    auto* at = bytes(out);
    must(write(object, &at) == size, what);
    return out;
}

inline std::string text_of(BIO* bio) {
    char* data = nullptr;
    auto const size = BIO_get_mem_data(bio, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

// "CN=…", RFC 2253: what is not printable ASCII is escaped.
std::string name_text(X509_NAME const*);

// Why a public key is not one that we work with (RSA of 2048 to 8192 bits with a sane exponent, or named P-256);
// empty where it is. Of an authority that others made, P-384 and P-521 serve as well.
std::string key_objection(EVP_PKEY const*);
std::string authority_key_objection(EVP_PKEY const*);

// PEM files may ask for a pass phrase; OpenSSL's default would read it from the terminal.
inline int no_password(char*, int, int, void*) { return -1; }

struct private_key::impl {
    pkey_handle key;
};

struct certificate::impl {
    x509_handle x509;
    std::string der;
    time_point not_before;
    time_point not_after;
};

struct rsa_public_key::impl {
    pkey_handle key;
};

}  // namespace mdmd::crypto
