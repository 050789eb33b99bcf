// How a device proves at message level who it is: digest credentials and signatures over a message's body.
// Source: OMA-TS-DM_Security-V1_2_1 5.3; [MS-MDM] 2.1; RFC 5652 sections 5.1 to 5.6 and 11.3
#pragma once
#include "crypto/crypto.hpp"

namespace mdmd::crypto {

// What a Cred of the scheme syncml:auth-md5 holds: base64(MD5(base64(MD5(name ":" password)) ":" nonce)). The nonce is
// octets. Throws where MD5 is not to be had.
std::string md5_credential(std::string_view name, secret const& password, std::string_view nonce);

struct message_signature {
    std::optional<time_point> signing_time;  // as the device told it: fresh or not is the caller's to judge
};
// Checks the header MDM-Signature (or MS-Signature): base64 of a detached CMS SignedData over `body` by `signer`, whose
// certificate it may hold as well.
//
// Errors: malformed (no base64, over 64 KiB; not one SignedData without its content, or trailing bytes; not exactly one
// signer; a digest other than SHA-256, 384 or 512), unauthenticated (another signer, the signature is not that of this
// body, or the signer's key is one that we do not work with).
[[nodiscard]] result<message_signature> check_message_signature(
    std::string_view header, std::string_view body, certificate const& signer);

}  // namespace mdmd::crypto
