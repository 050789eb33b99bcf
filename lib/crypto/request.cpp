#include "core/text.hpp"
#include "crypto/openssl.hpp"

namespace mdmd::crypto {
namespace {

using request_handle = handle<X509_REQ, X509_REQ_free>;

// The signature only shows that the sender holds the key, for which SHA-1 still serves; MD5 and older do not.
bool digest_is_known(X509_REQ const* request) {
    int digest = NID_undef;
    int key = NID_undef;
    if (OBJ_find_sigid_algs(X509_REQ_get_signature_nid(request), &digest, &key) != 1) return false;
    return digest == NID_sha1 || digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512;
}

}  // namespace

result<signing_request> parse_signing_request(std::string_view der) {
    error_queue const errors;
    if (der.size() > 64 * 1024) return fail(errc::malformed, "the signing request is over 64 KiB");
    auto const* at = bytes(der);
    request_handle const request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
    if (!request) return fail(errc::malformed, "not a PKCS#10 request: " + error_queue::reason());
    if (at != bytes(der) + der.size()) return fail(errc::malformed, "something follows the PKCS#10 request");

    EVP_PKEY* const key = X509_REQ_get0_pubkey(request.get());
    if (!key) return fail(errc::forbidden, "the request's key is of a kind that is not known, or damaged");
    // Before the signature is checked: a huge key would make that check slow.
    if (auto const objection = key_objection(key); !objection.empty())
        return fail(errc::forbidden, "the request holds " + objection);
    if (!digest_is_known(request.get()))
        return fail(errc::forbidden, "the request is not signed with SHA-1, SHA-256, SHA-384 or SHA-512");
    if (X509_REQ_verify(request.get(), key) != 1)
        return fail(errc::forbidden, "the request is not signed by the key that it holds");

    signing_request out;
    out.public_key = to_der(key, i2d_PUBKEY, "i2d_PUBKEY");
    out.public_key_digest = hex(sha256(out.public_key));
    out.subject = printable(name_text(X509_REQ_get_subject_name(request.get())), 256);
    out.bits = EVP_PKEY_get_bits(key);
    out.rsa = EVP_PKEY_is_a(key, "RSA") == 1;
    return out;
}

}  // namespace mdmd::crypto
