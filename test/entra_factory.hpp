// A tenant of its own for tests: a signing key, its JWKS, and tokens, good or forged.
#pragma once
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/text.hpp"
#include "entra/token.hpp"

namespace mdmd::test {

inline std::string const tenant = "11111111-2222-3333-4444-555555555555";
inline std::string const client_id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
inline std::string const app_id = "https://mdm.contoso.com";
inline std::string const user_id = "99999999-8888-7777-6666-555555555555";
inline std::string const device_id = "12345678-aaaa-bbbb-cccc-1234567890ab";
inline std::string const issuer_v1 = "https://sts.windows.net/" + tenant + "/";
inline std::string const issuer_v2 = "https://login.microsoftonline.com/" + tenant + "/v2.0";
inline std::string const issuer_template = "https://login.microsoftonline.com/{tenantid}/v2.0";
inline time_point const token_noon = from_ms(1'800'000'000'000);  // 2027-01-15T08:00:00Z

// An RSA key that signs as Entra does.
class token_signer {
public:
    token_signer() : key_(EVP_RSA_gen(2048u), &EVP_PKEY_free) {
        if (!key_) throw std::runtime_error("EVP_RSA_gen failed");
    }
    std::string modulus() const { return number(OSSL_PKEY_PARAM_RSA_N); }
    std::string exponent() const { return number(OSSL_PKEY_PARAM_RSA_E); }
    crypto::rsa_public_key public_key() const {
        return crypto::rsa_public_key::from_jwk(modulus(), exponent()).value();
    }
    std::string sign(std::string_view text, EVP_MD const* digest = EVP_sha256()) const {
        std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> const context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
        auto const* data = reinterpret_cast<unsigned char const*>(text.data());
        std::size_t size = 0;
        std::string out(256, '\0');
        size = out.size();
        if (EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) != 1 ||
            EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, data, text.size()) != 1)
            throw std::runtime_error("EVP_DigestSign failed");
        return out;
    }
    EVP_PKEY* raw() const { return key_.get(); }
    std::string token(std::string_view header, std::string_view payload) const {
        auto const text = base64url(header) + "." + base64url(payload);
        return text + "." + base64url(sign(text));
    }

private:
    std::string number(char const* which) const {
        BIGNUM* n = nullptr;
        if (EVP_PKEY_get_bn_param(key_.get(), which, &n) != 1) throw std::runtime_error("EVP_PKEY_get_bn_param failed");
        std::string out(static_cast<std::size_t>(BN_num_bytes(n)), '\0');
        BN_bn2bin(n, reinterpret_cast<unsigned char*>(out.data()));
        BN_free(n);
        return out;
    }

    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

inline token_signer const& signer() {
    static token_signer const one;
    return one;
}

// Keys as fetched an hour ago: "k1" is listed for v1 without an issuer and for v2 with the template.
inline entra::key_set tenant_keys() {
    auto const key = signer().public_key();
    entra::key_set out;
    out.issuer_v1 = issuer_v1;
    out.issuer_v2 = issuer_v2;
    out.keys["k1"] = {{"k1", key, ""}, {"k1", key, issuer_template}};
    out.fetched = token_noon - std::chrono::hours(1);
    return out;
}

inline entra::audience our_audience() {
    return {.tenant_id = tenant, .client_id = client_id, .app_id = app_id, .required_scope = "mdm_delegation"};
}

inline std::string const good_header = R"({"typ":"JWT","alg":"RS256","kid":"k1"})";
inline std::string const good_v1 =
    R"({"aud":"https://mdm.contoso.com","iss":")" + issuer_v1 +
    R"(","iat":1799999700,"nbf":1799999700,"exp":1800003600,"appid":"29d9ed98-a469-4536-ade2-f981bc1d605e",)"
    R"("deviceid":"12345678-AAAA-BBBB-CCCC-1234567890AB","oid":"99999999-8888-7777-6666-555555555555",)"
    R"("scp":"other mdm_delegation","tid":")" +
    tenant + R"(","upn":"user@contoso.com","uti":"abc","ver":"1.0","groups":["x"],"amr":[]})";
inline std::string const good_v2 =
    R"({"aud":")" + client_id + R"(","iss":")" + issuer_v2 +
    R"(","iat":1799999700,"nbf":1799999700,"exp":1800003600,"azp":"29d9ed98-a469-4536-ade2-f981bc1d605e",)"
    R"("oid":"99999999-8888-7777-6666-555555555555","preferred_username":"user@contoso.com",)"
    R"("scp":"mdm_delegation","tid":")" +
    tenant + R"(","uti":"abc","ver":"2.0"})";

}  // namespace mdmd::test
