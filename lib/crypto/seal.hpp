// Encryption by a passphrase, as values.
#pragma once
#include "crypto/crypto.hpp"

namespace mdmd::crypto {

// As scrypt() of crypto.hpp, with N 2^cost: it takes 2^cost KiB, and at 16 some tenths of a second.
std::string scrypt(std::string_view password, std::string_view salt, int cost);

// AES-256-GCM (NIST SP 800-38D): the text encrypted, then a tag of 16 bytes. A key of 32 bytes, a nonce of 12 that no
// other text is sealed with under that key, and what is authenticated beside it.
constexpr std::size_t seal_bytes = 16;
std::string seal(std::string_view key, std::string_view nonce, std::string_view beside, std::string_view text);
// Its text. Errors: unauthenticated (another key, nonce or text).
[[nodiscard]] result<std::string> unseal(
    std::string_view key, std::string_view nonce, std::string_view beside, std::string_view sealed);

}  // namespace mdmd::crypto
