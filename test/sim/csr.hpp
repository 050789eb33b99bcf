// The certificate request a Windows device makes.
#pragma once
#include <string>

#include "pki.hpp"

namespace mdmd::sim {

// A PKCS#10 (DER) as Windows' enrollment client builds it: the subject is CN="{text}!{device id}" in a PrintableString
// that holds the '!' and a trailing NUL, which X.680 forbids there; the device id stands once more, NUL included, in
// the extension 1.3.6.1.4.1.311.66.1.0. Signed with SHA-256, or with SHA-1 as by a client that had no policy.
std::string make_request(
    private_key const&, std::string const& text, std::string const& device_id, bool with_sha1 = false);

}  // namespace mdmd::sim
