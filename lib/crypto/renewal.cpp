#include "crypto/renewal.hpp"

#include "core/text.hpp"
#include "crypto/cms.hpp"

namespace mdmd::crypto {
namespace {

using names_handle = handle<GENERAL_NAMES, GENERAL_NAMES_free>;
struct stack_free {  // sk_X509_free is a macro; the certificates in the stack are the message's
    void operator()(STACK_OF(X509) * s) const noexcept { sk_X509_free(s); }
};
using stack_handle = std::unique_ptr<STACK_OF(X509), stack_free>;

}  // namespace

result<renewal_request> read_renewal_request(std::string_view der) {
    error_queue const errors;
    auto const read = read_signed_data(der, signed_with::sha1_or_sha2, "the signed request");
    if (!read) return read.error();
    auto const& message = read->message;
    if (OBJ_obj2nid(CMS_get0_eContentType(message.get())) != NID_pkcs7_data)
        return fail(errc::malformed, "what the signed request signs is not plain data");
    ASN1_OCTET_STRING** const content = CMS_get0_content(message.get());
    if (!content || !*content || ASN1_STRING_length(*content) == 0)
        return fail(errc::malformed, "the signed request does not hold what it signs");
    if (CMS_set1_signers_certs(message.get(), nullptr, 0) != 1)
        return fail(errc::malformed, "the signed request does not hold its signer's certificate");
    stack_handle const found(must(CMS_get0_signers(message.get()), "CMS_get0_signers"));
    X509* const x509 = must(sk_X509_value(found.get(), 0), "sk_X509_value");
    auto signer = certificate::from_der(to_der(x509, i2d_X509, "i2d_X509"));
    if (!signer) return fail(errc::malformed, "the signer's certificate: " + signer.error().detail);

    if (auto const good = check_signer_key(x509); !good) return good.error();
    // No chain is built: the caller knows the certificates that it issued.
    constexpr unsigned how = CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY;
    if (CMS_verify(message.get(), nullptr, nullptr, nullptr, nullptr, how) != 1)
        return fail(errc::unauthenticated, "the signed request's signature is not its signer's");

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
