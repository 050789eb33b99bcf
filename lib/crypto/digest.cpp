#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "crypto/openssl.hpp"
#include "crypto/seal.hpp"

namespace mdmd::crypto {
namespace {

std::string digest(std::string_view text, EVP_MD const* algorithm) {
    error_queue const errors;
    std::string out(static_cast<std::size_t>(EVP_MD_get_size(algorithm)), '\0');
    unsigned size = 0;
    must(EVP_Digest(text.data(), text.size(), bytes(out), &size, algorithm, nullptr) == 1, "EVP_Digest");
    return out;
}

}  // namespace

std::string sha1(std::string_view text) { return digest(text, EVP_sha1()); }
std::string sha256(std::string_view text) { return digest(text, EVP_sha256()); }

struct sha256_stream::impl {
    handle<EVP_MD_CTX, EVP_MD_CTX_free> context{must(EVP_MD_CTX_new(), "EVP_MD_CTX_new")};
};
sha256_stream::sha256_stream() : impl_(std::make_unique<impl>()) {
    error_queue const errors;
    must(EVP_DigestInit_ex(impl_->context.get(), EVP_sha256(), nullptr) == 1, "EVP_DigestInit_ex");
}
sha256_stream::~sha256_stream() = default;
void sha256_stream::add(std::string_view piece) {
    error_queue const errors;
    must(EVP_DigestUpdate(impl_->context.get(), piece.data(), piece.size()) == 1, "EVP_DigestUpdate");
}
std::string sha256_stream::finish() {
    error_queue const errors;
    std::string out(32, '\0');
    unsigned size = 0;
    must(EVP_DigestFinal_ex(impl_->context.get(), bytes(out), &size) == 1, "EVP_DigestFinal_ex");
    return out;
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
    error_queue const errors;
    if (key.empty()) key = "";  // a null pointer means "the key of last time" to OpenSSL
    std::string out(32, '\0');
    std::size_t size = 0;
    must(EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.data(), key.size(), bytes(text), text.size(),
             bytes(out), out.size(), &size) != nullptr,
        "EVP_Q_mac");
    return out;
}

std::string scrypt(std::string_view password, std::string_view salt, int cost) {
    error_queue const errors;
    handle<EVP_KDF, EVP_KDF_free> const kdf(must(EVP_KDF_fetch(nullptr, "SCRYPT", nullptr), "EVP_KDF_fetch"));
    handle<EVP_KDF_CTX, EVP_KDF_CTX_free> const ctx(must(EVP_KDF_CTX_new(kdf.get()), "EVP_KDF_CTX_new"));
    std::uint64_t n = std::uint64_t{1} << cost;
    std::uint32_t r = 8, p = 1;
    std::uint64_t most = 2 * 128 * r * n;  // bytes; OpenSSL's own limit is 32 MiB
    // OpenSSL only reads what these point to, and a null pointer means "not given" to it.
    auto const text = [](char const* name, std::string_view s) {
        return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(s.empty() ? "" : s.data()), s.size());
    };
    OSSL_PARAM const parameters[] = {text(OSSL_KDF_PARAM_PASSWORD, password), text(OSSL_KDF_PARAM_SALT, salt),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &most), OSSL_PARAM_construct_end()};
    std::string out(32, '\0');
    must(EVP_KDF_derive(ctx.get(), bytes(out), out.size(), parameters) == 1, "scrypt");
    return out;
}

std::string scrypt(std::string_view password, std::string_view salt) { return scrypt(password, salt, 14); }

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace mdmd::crypto
