// The signed request of a renewal: a PKCS#10 for a new key inside a CMS SignedData by the certificate that is to be
// renewed.
// Source: RFC 5652 sections 5.1 to 5.4; [MS-MDE2] section 3.5
#pragma once
#include "crypto/crypto.hpp"

namespace mdmd::crypto {

struct renewal_request {
    certificate signer;   // came with the message: whose it is, is the caller's to judge
    std::string request;  // the PKCS#10 inside, DER, not looked at
};
// Errors: malformed (over 64 KiB; not one SignedData with its content inside, or trailing bytes; not exactly one
// signer; its certificate is not there; a digest other than SHA-1, 256, 384 or 512), unauthenticated (the signature is
// not the certificate's, or its key is one that we do not work with).
//
// SHA-1 is taken here as it is for the PKCS#10 itself: Windows' enrollment client signs with it where it does not
// follow the policy's hash algorithm, and a collision helps nobody, since all that is signed is the signer's own
// making.
[[nodiscard]] result<renewal_request> read_renewal_request(std::string_view der);

// The UPN of the certificate's subject alternative name (otherName 1.3.6.1.4.1.311.20.2.3), where it has one.
std::optional<std::string> principal_name(certificate const&);

}  // namespace mdmd::crypto
