#include "crypto/cms.hpp"

#include <fmt/format.h>

namespace mdmd::crypto {
namespace {

bool digest_is_known(CMS_SignerInfo* signer, signed_with known) {
    X509_ALGOR* digest = nullptr;
    CMS_SignerInfo_get0_algs(signer, nullptr, nullptr, &digest, nullptr);
    ASN1_OBJECT const* oid = nullptr;
    X509_ALGOR_get0(&oid, nullptr, nullptr, digest);
    int const nid = OBJ_obj2nid(oid);
    if (nid == NID_sha1) return known == signed_with::sha1_or_sha2;
    return nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512;
}

}  // namespace

result<signed_data> read_signed_data(std::string_view der, signed_with known, std::string_view what) {
    auto const malformed = [&](std::string_view why) { return fail(errc::malformed, fmt::format("{} {}", what, why)); };
    if (der.size() > largest_cms) return malformed("is over 64 KiB");
    auto const* at = bytes(der);
    cms_handle message(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
    if (!message) return malformed("is not a CMS message: " + error_queue::reason());
    if (at != bytes(der) + der.size()) return malformed("has something behind it");
    if (OBJ_obj2nid(CMS_get0_type(message.get())) != NID_pkcs7_signed) return malformed("is no SignedData");
    STACK_OF(CMS_SignerInfo)* const signers = CMS_get0_SignerInfos(message.get());
    if (!signers || sk_CMS_SignerInfo_num(signers) != 1) return malformed("has not exactly one signer");
    auto* const signer = sk_CMS_SignerInfo_value(signers, 0);
    if (!digest_is_known(signer, known))
        return malformed(fmt::format(
            "is not signed with {}SHA-256, SHA-384 or SHA-512", known == signed_with::sha1_or_sha2 ? "SHA-1, " : ""));
    return signed_data{std::move(message), signer};
}

result<void> check_signer_key(X509 const* signer) {
    EVP_PKEY const* const key = X509_get0_pubkey(signer);
    if (!key) return fail(errc::unauthenticated, "the signer's key is of a kind that is not known, or damaged");
    if (auto const objection = key_objection(key); !objection.empty())
        return fail(errc::unauthenticated, "the signer's certificate holds " + objection);
    return {};
}

}  // namespace mdmd::crypto
