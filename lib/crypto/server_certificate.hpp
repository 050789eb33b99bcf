// What a TLS server's certificate and the chain that is sent with it are worth to those who connect.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "crypto/crypto.hpp"

namespace mdmd::crypto {

// All certificates of a PEM text, in its order. Errors: malformed (none, or one that cannot be read).
[[nodiscard]] result<std::vector<certificate>> certificates_of(std::string_view pem);

struct server_use {
    std::vector<std::string> names;  // the subject alternative names that hosts have: DNS names as they are written,
                                     // addresses in numbers
    bool for_servers = false;        // the extended key usage, where there is one, has serverAuth or any
    bool for_signatures = false;     // the key usage, where there is one, has digitalSignature: (EC)DHE needs it
};
server_use use_of(certificate const&);

// By the alternative names alone, as browsers and Windows do; "*" stands for one whole label. `host` is a DNS name or a
// numeric address without brackets. [RFC 6125 6.4]
bool is_for_host(certificate const&, std::string_view host);

// Issuer name, key identifier and signature fit.
bool is_issued_by(certificate const&, certificate const& issuer);

struct trust {
    bool system_roots = true;
    std::string_view roots_pem;  // besides those
};
// Where the way from the first certificate up through the others leads, whatever their order and their times.
struct chain_end {
    enum class kind {
        trusted,      // a root of `trust`
        self_signed,  // a root that is not among them: `about` is its name
        open,         // a certificate whose issuer is neither in the chain nor trusted: `about` is the issuer's name
        broken,       // a certificate that cannot stand there: `about` says why
    } what = kind::broken;
    std::string about;
};
chain_end end_of_chain(std::vector<certificate> const& chain, trust const&);

}  // namespace mdmd::crypto
