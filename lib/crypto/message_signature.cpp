#include "crypto/message_signature.hpp"

#include <fmt/format.h>
#include <ctime>

#include "core/text.hpp"
#include "crypto/cms.hpp"

namespace mdmd::crypto {
namespace {

using digest_handle = handle<EVP_MD, EVP_MD_free>;

std::string md5(std::string_view text) {
    error_queue const errors;
    // Where only approved algorithms are the default, this use asks for one that is not.
    digest_handle const algorithm(must(EVP_MD_fetch(nullptr, "MD5", "-fips"), "EVP_MD_fetch"));
    std::string out(16, '\0');
    unsigned size = 0;
    must(EVP_Digest(text.data(), text.size(), bytes(out), &size, algorithm.get(), nullptr) == 1, "EVP_Digest");
    return out;
}

// None where it is not signed, or there more than once, or no time.
std::optional<time_point> signing_time(CMS_SignerInfo* signer) {
    int const at = CMS_signed_get_attr_by_NID(signer, NID_pkcs9_signingTime, -1);
    if (at < 0 || CMS_signed_get_attr_by_NID(signer, NID_pkcs9_signingTime, at) >= 0) return std::nullopt;
    X509_ATTRIBUTE* const attribute = CMS_signed_get_attr(signer, at);
    ASN1_TYPE const* const value =
        X509_ATTRIBUTE_count(attribute) == 1 ? X509_ATTRIBUTE_get0_type(attribute, 0) : nullptr;
    if (!value || (value->type != V_ASN1_UTCTIME && value->type != V_ASN1_GENERALIZEDTIME)) return std::nullopt;
    std::tm parts{};
    if (ASN1_TIME_to_tm(value->value.asn1_string, &parts) != 1) return std::nullopt;
    return from_ms(std::int64_t{timegm(&parts)} * 1000);
}

// Does the message come with a certificate that the signer's name fits, and that is not the signer's?
bool holds_another(CMS_ContentInfo* message, CMS_SignerInfo* one, certificate const& signer) {
    struct certificates_free {
        void operator()(STACK_OF(X509) * s) const noexcept { sk_X509_pop_free(s, X509_free); }
    };
    std::unique_ptr<STACK_OF(X509), certificates_free> const all(CMS_get1_certs(message));
    for (int i = 0; all && i < sk_X509_num(all.get()); ++i) {
        X509* const held = sk_X509_value(all.get(), i);
        if (CMS_SignerInfo_cert_cmp(one, held) == 0 && to_der(held, i2d_X509, "i2d_X509") != signer.der()) return true;
    }
    return false;
}

}  // namespace

std::string md5_credential(std::string_view name, secret const& password, std::string_view nonce) {
    secret const named(std::string(name) + ":" + std::string(password.reveal()));
    secret const salted(base64(md5(named.reveal())) + ":" + std::string(nonce));
    return base64(md5(salted.reveal()));
}

result<message_signature> check_message_signature(
    std::string_view header, std::string_view body, certificate const& signer) {
    error_queue const errors;
    constexpr std::string_view what = "the message's signature";
    if (header.size() > largest_cms) return fail(errc::malformed, fmt::format("{} is over 64 KiB", what));
    auto const der = unbase64(header);
    if (!der) return fail(errc::malformed, fmt::format("{} is not in base64", what));
    auto const read = read_signed_data(*der, signed_with::sha2, what);
    if (!read) return read.error();
    auto const& [message, one] = *read;
    if (CMS_is_detached(message.get()) != 1)
        return fail(errc::malformed, fmt::format("{} holds a content of its own", what));

    X509* const x509 = signer.get().x509.get();
    if (CMS_SignerInfo_cert_cmp(one, x509) != 0 || holds_another(message.get(), one, signer))
        return fail(errc::unauthenticated, "the message's signature names another certificate");
    if (auto const good = check_signer_key(x509); !good) return good.error();
    // Only the certificate that is given counts, whatever others the message has, and no chain is built.
    CMS_SignerInfo_set1_signer_cert(one, x509);
    // Behind a filter: of a memory BIO itself CMS_verify makes a copy, which it leaks where it knows no digest of the
    // message's list.
    bio_handle const content(must(BIO_new(BIO_f_null()), "BIO_new"));
    auto* const memory = BIO_new_mem_buf(body.empty() ? "" : body.data(), static_cast<int>(body.size()));
    BIO_push(content.get(), must(memory, "BIO_new_mem_buf"));
    constexpr unsigned how = CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY | CMS_DETACHED | CMS_NOINTERN;
    if (CMS_verify(message.get(), nullptr, nullptr, content.get(), nullptr, how) != 1)
        return fail(errc::unauthenticated, "the message's signature is not its signer's, or of another body");
    return message_signature{.signing_time = signing_time(one)};
}

}  // namespace mdmd::crypto
