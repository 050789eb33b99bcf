// What the readers of signed CMS messages share. Private to lib/crypto.
// Source: RFC 5652 sections 3 and 5.1 to 5.3
#pragma once
#include <openssl/cms.h>

#include "crypto/openssl.hpp"

namespace mdmd::crypto {

using cms_handle = handle<CMS_ContentInfo, CMS_ContentInfo_free>;

inline constexpr std::size_t largest_cms = 64 * 1024;

enum class signed_with { sha2, sha1_or_sha2 };  // SHA-2 of 256, 384 or 512 bits

struct signed_data {
    cms_handle message;
    CMS_SignerInfo* signer;  // the only one, a part of the message
};
// A SignedData whose signature nobody has checked. `what` begins the text of a refusal: "the signed request". Called
// within an error_queue of the caller's.
//
// Errors: malformed (over 64 KiB, not one SignedData, trailing bytes, not exactly one signer, another digest).
[[nodiscard]] result<signed_data> read_signed_data(std::string_view der, signed_with, std::string_view what);

// Before a signature is checked: a huge key would make that check slow. Errors: unauthenticated (the certificate's key
// is one that we do not work with).
[[nodiscard]] result<void> check_signer_key(X509 const*);

}  // namespace mdmd::crypto
