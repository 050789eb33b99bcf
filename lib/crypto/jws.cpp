#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "crypto/openssl.hpp"

namespace mdmd::crypto {
namespace {

using context_handle = handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using digest_handle = handle<EVP_MD_CTX, EVP_MD_CTX_free>;
using builder_handle = handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using params_handle = handle<OSSL_PARAM, OSSL_PARAM_free>;

constexpr std::size_t longest = 8192 / 8 + 1;  // bytes of a number: 8192 bits and one leading zero

enum class padding { pkcs1, pss };

result<std::string> sign(EVP_PKEY* key, std::string_view text, padding how) {
    error_queue const errors;
    if (!EVP_PKEY_is_a(key, "RSA")) return fail(errc::unsupported, "the key is not an RSA key");
    if (auto const objection = key_objection(key); !objection.empty()) return fail(errc::unsupported, objection);
    digest_handle const context(must(EVP_MD_CTX_new(), "EVP_MD_CTX_new"));
    EVP_PKEY_CTX* options = nullptr;  // the digest context's own
    must(EVP_DigestSignInit(context.get(), &options, EVP_sha256(), nullptr, key) == 1, "EVP_DigestSignInit");
    if (how == padding::pss) {  // the mask's digest is the message's unless another is set
        must(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1, "EVP_PKEY_CTX_set_rsa_padding");
        must(
            EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1, "EVP_PKEY_CTX_set_rsa_pss_saltlen");
    }
    std::string out(static_cast<std::size_t>(EVP_PKEY_get_size(key)), '\0');
    std::size_t size = out.size();
    // Checks a little more of a private key than reading it does: a damaged one fails here.
    if (EVP_DigestSign(context.get(), bytes(out), &size, bytes(text), text.size()) != 1)
        return fail(errc::unsupported, "the key does not sign: " + error_queue::reason());
    out.resize(size);
    return out;
}

}  // namespace

result<std::string> sign_rs256(private_key const& key, std::string_view text) {
    return sign(key.get().key.get(), text, padding::pkcs1);
}
result<std::string> sign_ps256(private_key const& key, std::string_view text) {
    return sign(key.get().key.get(), text, padding::pss);
}

rsa_public_key::rsa_public_key(std::shared_ptr<impl const> i) : impl_(std::move(i)) {}

result<rsa_public_key> rsa_public_key::from_jwk(std::string_view n, std::string_view e) {
    error_queue const errors;
    if (n.empty() || e.empty()) return fail(errc::malformed, "an RSA key without modulus or exponent");
    if (n.size() > longest || e.size() > longest) return fail(errc::forbidden, "an RSA key of over 8192 bits");
    bn_handle const modulus(must(BN_bin2bn(bytes(n), static_cast<int>(n.size()), nullptr), "BN_bin2bn"));
    bn_handle const exponent(must(BN_bin2bn(bytes(e), static_cast<int>(e.size()), nullptr), "BN_bin2bn"));
    if (BN_is_zero(modulus.get()) || BN_is_zero(exponent.get()))
        return fail(errc::malformed, "an RSA key whose modulus or exponent is 0");

    builder_handle const builder(must(OSSL_PARAM_BLD_new(), "OSSL_PARAM_BLD_new"));
    must(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) == 1, "OSSL_PARAM_BLD_push_BN");
    must(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) == 1, "OSSL_PARAM_BLD_push_BN");
    params_handle const params(must(OSSL_PARAM_BLD_to_param(builder.get()), "OSSL_PARAM_BLD_to_param"));
    context_handle const context(
        must(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), "EVP_PKEY_CTX_new_from_name"));
    must(EVP_PKEY_fromdata_init(context.get()) == 1, "EVP_PKEY_fromdata_init");
    EVP_PKEY* made = nullptr;
    if (EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
        return fail(errc::malformed, "not an RSA key: " + error_queue::reason());
    pkey_handle key(made);
    if (auto const objection = key_objection(key.get()); !objection.empty()) return fail(errc::forbidden, objection);
    return rsa_public_key(std::make_shared<impl const>(impl{std::move(key)}));
}

bool rsa_public_key::verify_rs256(std::string_view signed_text, std::string_view signature) const {
    error_queue const errors;
    EVP_PKEY* const key = impl_->key.get();
    // RFC 8017 section 8.2.2, step 1: as long as the modulus, leading zeros included.
    if (signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(key))) return false;
    digest_handle const context(must(EVP_MD_CTX_new(), "EVP_MD_CTX_new"));
    must(EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1, "EVP_DigestVerifyInit");
    return EVP_DigestVerify(
               context.get(), bytes(signature), signature.size(), bytes(signed_text), signed_text.size()) == 1;
}

}  // namespace mdmd::crypto
