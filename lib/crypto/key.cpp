#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/pkcs12.h>
#include <algorithm>
#include <array>

#include "crypto/openssl.hpp"

#include "core/random.hpp"

namespace mdmd::crypto {
namespace {

using pkcs8_handle = handle<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free>;
using sealed_handle = handle<X509_SIG, X509_SIG_free>;
using algorithm_handle = handle<X509_ALGOR, X509_ALGOR_free>;

// Instead of asking on the terminal. `context` is a secret const*.
int give_passphrase(char* into, int size, int, void* context) {
    auto const text = static_cast<secret const*>(context)->reveal();
    if (text.empty() || size < 0 || text.size() > static_cast<std::size_t>(size)) return -1;
    text.copy(into, text.size());
    return static_cast<int>(text.size());
}

std::string objection(EVP_PKEY const* key, std::initializer_list<std::string_view> curves, char const* curve_names) {
    int const bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_is_a(key, "RSA")) {
        if (bits < 2048) return fmt::format("an RSA key of {} bits, under 2048", bits);
        if (bits > 8192) return fmt::format("an RSA key of {} bits, over 8192", bits);
        BIGNUM* e = nullptr;
        BIGNUM* n = nullptr;
        bool const read = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
                          EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1;
        bn_handle const exponent(e);
        bn_handle const modulus(n);
        must(read, "EVP_PKEY_get_bn_param");
        if (!BN_is_odd(n)) return "an RSA key with an even modulus";
        // FIPS 186-4 B.3.1 wants an odd exponent from 2^16 up; a long one only makes each check slow.
        if (!BN_is_odd(e) || BN_num_bits(e) < 17 || BN_num_bits(e) > 64)
            return "an RSA key whose exponent is even, under 65537 or over 64 bits";
        return {};
    }
    if (EVP_PKEY_is_a(key, "EC")) {
        int spelled_out = 0;  // curve parameters in full instead of the curve's name: CVE-2020-0601's way in
        std::array<char, 64> group{};
        bool const read =
            EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
            EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &spelled_out) == 1;
        if (read && !spelled_out && std::find(curves.begin(), curves.end(), group.data()) != curves.end()) return {};
        return fmt::format("an EC key on a curve other than {}", curve_names);
    }
    return "a key that is neither RSA nor EC";
}

}  // namespace

private_key::private_key(std::shared_ptr<impl const> i) : impl_(std::move(i)) {}

private_key private_key::make_rsa(int bits) {
    error_queue const errors;
    pkey_handle key(must(EVP_RSA_gen(static_cast<unsigned>(bits)), "EVP_RSA_gen"));
    return private_key(std::make_shared<impl const>(impl{std::move(key)}));
}

private_key private_key::make_p256() {
    error_queue const errors;
    pkey_handle key(must(EVP_EC_gen("P-256"), "EVP_EC_gen"));
    return private_key(std::make_shared<impl const>(impl{std::move(key)}));
}

result<private_key> private_key::from_pem(secret const& pem) {
    error_queue const errors;
    auto const text = pem.reveal();
    if (text.size() > 64 * 1024) return fail(errc::malformed, "the private key file is over 64 KiB");
    bio_handle const in(must(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), "BIO_new_mem_buf"));
    pkey_handle key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_password, nullptr));
    if (!key) {
        bool const encrypted = text.find("ENCRYPTED") != text.npos;
        return fail(errc::malformed,
            encrypted ? "the private key is encrypted; store it without a pass phrase" : "not a PEM private key");
    }
    return private_key(std::make_shared<impl const>(impl{std::move(key)}));
}

result<private_key> private_key::from_pem(secret const& pem, secret const& passphrase) {
    if (!is_encrypted(pem)) return from_pem(pem);
    error_queue const errors;
    auto const text = pem.reveal();
    if (text.size() > 64 * 1024) return fail(errc::malformed, "the private key file is over 64 KiB");
    if (passphrase.empty())
        return fail(errc::unauthenticated, "the private key is encrypted, and there is no passphrase");
    bio_handle const in(must(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), "BIO_new_mem_buf"));
    pkey_handle key(PEM_read_bio_PrivateKey(in.get(), nullptr, give_passphrase, const_cast<secret*>(&passphrase)));
    if (!key) return fail(errc::unauthenticated, "the passphrase does not open the private key");
    return private_key(std::make_shared<impl const>(impl{std::move(key)}));
}

bool is_encrypted(secret const& pem) { return pem.reveal().find("ENCRYPTED") != std::string_view::npos; }

secret private_key::to_pem() const {
    error_queue const errors;
    bio_handle const out(must(BIO_new(BIO_s_secmem()), "BIO_new"));  // cleared when it is freed
    must(PEM_write_bio_PKCS8PrivateKey(out.get(), impl_->key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
        "PEM_write_bio_PKCS8PrivateKey");
    return secret(text_of(out.get()));
}

secret private_key::to_pem(secret const& passphrase) const {
    error_queue const errors;
    auto const text = passphrase.reveal();
    auto const salt = random_bytes(16);
    pkcs8_handle const open(must(EVP_PKEY2PKCS8(impl_->key.get()), "EVP_PKEY2PKCS8"));
    algorithm_handle how(must(
        PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), bytes(salt), static_cast<int>(salt.size()), nullptr, 1 << 14, 8, 5),
        "PKCS5_pbe2_set_scrypt"));
    sealed_handle const sealed(
        must(PKCS8_set0_pbe(text.data(), static_cast<int>(text.size()), open.get(), how.get()), "PKCS8_set0_pbe"));
    how.release();  // it is the sealed key's now
    bio_handle const out(must(BIO_new(BIO_s_mem()), "BIO_new"));
    must(PEM_write_bio_PKCS8(out.get(), sealed.get()) == 1, "PEM_write_bio_PKCS8");
    return secret(text_of(out.get()));
}

std::string key_objection(EVP_PKEY const* key) { return objection(key, {"prime256v1"}, "P-256"); }

std::string authority_key_objection(EVP_PKEY const* key) {
    return objection(key, {"prime256v1", "secp384r1", "secp521r1"}, "P-256, P-384 and P-521");
}

}  // namespace mdmd::crypto
