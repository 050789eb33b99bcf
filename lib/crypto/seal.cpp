#include "crypto/seal.hpp"

#include <cassert>

#include "crypto/openssl.hpp"

namespace mdmd::crypto {
namespace {

using context = handle<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

constexpr std::size_t key_bytes = 32, nonce_bytes = 12;

context begin(std::string_view key, std::string_view nonce, std::string_view beside, int encrypt) {
    assert(key.size() == key_bytes && nonce.size() == nonce_bytes);
    context c(must(EVP_CIPHER_CTX_new(), "EVP_CIPHER_CTX_new"));
    must(
        EVP_CipherInit_ex2(c.get(), EVP_aes_256_gcm(), bytes(key), bytes(nonce), encrypt, nullptr) == 1, "AES-256-GCM");
    int size = 0;
    must(EVP_CipherUpdate(c.get(), nullptr, &size, bytes(beside), static_cast<int>(beside.size())) == 1, "AES-256-GCM");
    return c;
}

std::string run(EVP_CIPHER_CTX* c, std::string_view text) {
    std::string out(text.size(), '\0');
    int size = 0;
    if (!text.empty())
        must(EVP_CipherUpdate(c, bytes(out), &size, bytes(text), static_cast<int>(text.size())) == 1, "AES-256-GCM");
    return out;
}

}  // namespace

std::string seal(std::string_view key, std::string_view nonce, std::string_view beside, std::string_view text) {
    error_queue const errors;
    auto const c = begin(key, nonce, beside, 1);
    auto out = run(c.get(), text);
    std::string tag(seal_bytes, '\0');
    int none = 0;
    must(EVP_CipherFinal_ex(c.get(), bytes(tag), &none) == 1, "AES-256-GCM");
    must(EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(seal_bytes), tag.data()) == 1,
        "AES-256-GCM");
    return out + tag;
}

result<std::string> unseal(
    std::string_view key, std::string_view nonce, std::string_view beside, std::string_view sealed) {
    error_queue const errors;
    auto const wrong = fail(errc::unauthenticated, "not sealed with this key");
    if (sealed.size() < seal_bytes) return wrong;
    std::string tag(sealed.substr(sealed.size() - seal_bytes));
    sealed.remove_suffix(seal_bytes);
    auto const c = begin(key, nonce, beside, 0);
    auto out = run(c.get(), sealed);
    must(EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(seal_bytes), tag.data()) == 1,
        "AES-256-GCM");
    int none = 0;
    unsigned char nothing[seal_bytes];
    if (EVP_CipherFinal_ex(c.get(), nothing, &none) != 1) return wrong;
    return out;
}

}  // namespace mdmd::crypto
