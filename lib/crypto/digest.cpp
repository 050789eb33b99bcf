#include <openssl/crypto.h>

#include "crypto/openssl.hpp"

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

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace mdmd::crypto
