#include "crypto/renewal.hpp"

#include <openssl/cms.h>

#include "core/text.hpp"
#include "crypto/openssl.hpp"

namespace mdmd::crypto {
namespace {

using cms_handle = handle<CMS_ContentInfo, CMS_ContentInfo_free>;
using names_handle = handle<GENERAL_NAMES, GENERAL_NAMES_free>;
struct stack_free {  // sk_X509_free is a macro; the certificates in the stack are the message's
    void operator()(STACK_OF(X509) * s) const noexcept { sk_X509_free(s); }
};
using stack_handle = std::unique_ptr<STACK_OF(X509), stack_free>;

constexpr std::size_t longest = 64 * 1024;

bool digest_is_known(CMS_SignerInfo* signer) {
    X509_ALGOR* digest = nullptr;
    CMS_SignerInfo_get0_algs(signer, nullptr, nullptr, &digest, nullptr);
    ASN1_OBJECT const* oid = nullptr;
    X509_ALGOR_get0(&oid, nullptr, nullptr, digest);
    int const nid = OBJ_obj2nid(oid);
    return nid == NID_sha1 || nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512;
}

}  // namespace

result<renewal_request> read_renewal_request(std::string_view der) {
    error_queue const errors;
    if (der.size() > longest) return fail(errc::malformed, "the signed request is over 64 KiB");
    auto const* at = bytes(der);
    cms_handle const message(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
    if (!message) return fail(errc::malformed, "not a CMS message: " + error_queue::reason());
    if (at != bytes(der) + der.size()) return fail(errc::malformed, "something follows the CMS message");
    if (OBJ_obj2nid(CMS_get0_type(message.get())) != NID_pkcs7_signed)
        return fail(errc::malformed, "the CMS message is no SignedData");
    if (OBJ_obj2nid(CMS_get0_eContentType(message.get())) != NID_pkcs7_data)
        return fail(errc::malformed, "what the CMS message signs is not plain data");
    ASN1_OCTET_STRING** const content = CMS_get0_content(message.get());
    if (!content || !*content || ASN1_STRING_length(*content) == 0)
        return fail(errc::malformed, "the CMS message does not hold what it signs");

    STACK_OF(CMS_SignerInfo)* const signers = CMS_get0_SignerInfos(message.get());
    if (!signers || sk_CMS_SignerInfo_num(signers) != 1)
        return fail(errc::malformed, "the CMS message has not exactly one signer");
    if (!digest_is_known(sk_CMS_SignerInfo_value(signers, 0)))
        return fail(errc::malformed, "the CMS message is not signed with SHA-1, SHA-256, SHA-384 or SHA-512");
    if (CMS_set1_signers_certs(message.get(), nullptr, 0) != 1)
        return fail(errc::malformed, "the CMS message does not hold its signer's certificate");
    stack_handle const found(must(CMS_get0_signers(message.get()), "CMS_get0_signers"));
    X509* const x509 = must(sk_X509_value(found.get(), 0), "sk_X509_value");
    auto signer = certificate::from_der(to_der(x509, i2d_X509, "i2d_X509"));
    if (!signer) return fail(errc::malformed, "the signer's certificate: " + signer.error().detail);

    // Before the signature is checked: a huge key would make that check slow.
    EVP_PKEY const* const key = X509_get0_pubkey(x509);
    if (!key) return fail(errc::unauthenticated, "the signer's key is of a kind that is not known, or damaged");
    if (auto const objection = key_objection(key); !objection.empty())
        return fail(errc::unauthenticated, "the signer's certificate holds " + objection);
    // No chain is built: the caller knows the certificates that it issued.
    constexpr unsigned how = CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY;
    if (CMS_verify(message.get(), nullptr, nullptr, nullptr, nullptr, how) != 1)
        return fail(errc::unauthenticated, "the CMS message's signature is not its signer's");

    auto const* const data = reinterpret_cast<char const*>(ASN1_STRING_get0_data(*content));
    return renewal_request{std::move(*signer), {data, static_cast<std::size_t>(ASN1_STRING_length(*content))}};
}

std::optional<std::string> principal_name(certificate const& c) {
    error_queue const errors;
    names_handle const names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(c.get().x509.get(), NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        ASN1_OBJECT* type = nullptr;
        ASN1_TYPE* value = nullptr;
        if (GENERAL_NAME_get0_otherName(sk_GENERAL_NAME_value(names.get(), i), &type, &value) != 1) continue;
        if (OBJ_obj2nid(type) != NID_ms_upn || ASN1_TYPE_get(value) != V_ASN1_UTF8STRING) continue;
        auto const* const text = value->value.utf8string;
        return std::string(reinterpret_cast<char const*>(ASN1_STRING_get0_data(text)),
            static_cast<std::size_t>(ASN1_STRING_length(text)));
    }
    return std::nullopt;
}

}  // namespace mdmd::crypto
