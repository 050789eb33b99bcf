// Tokens as Entra issues them, and wrong ones on order. [RFC 7515, RFC 7519]
#pragma once
#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "pki.hpp"

namespace mdmd::sim {

// A tenant's signing key, as it stands in the JWKS.
struct signing_key {
    std::string kid;
    private_key key;
    certificate own;
    std::string x5t() const;                                           // base64url(SHA-1(DER))
    boost::json::object as_jwk(std::string const& issuer = {}) const;  // with "issuer" where one is given
};
signing_key make_signing_key();

enum class signature { rs256, none, hs256, broken };  // broken: RS256 over something else

// Compact JWS. The header is typ, alg, kid and x5t with `header` laid over it; null there removes a member.
// `hs256` takes the public key's DER as the secret: the classic confusion of algorithms.
std::string make_token(signing_key const&, boost::json::object const& claims, signature = signature::rs256,
    boost::json::object const& header = {});

// Lays the members of `over` over `base`; null removes.
void overlay(boost::json::object& base, boost::json::object const& over);

// The claims of a token that this key signed with RS256. Errors: malformed, unauthenticated.
[[nodiscard]] result<boost::json::object> open_token(std::string_view token, signing_key const&);
// A client's assertion that a certificate signed: PS256 under x5t#S256, or RS256 under x5t.
struct assertion {
    boost::json::object claims;
    std::string thumbprint;  // of what its header names: upper-case hex, SHA-256 for PS256, else SHA-1
    bool names(certificate const&) const;
    bool signed_by(certificate const&) const;

    bool pss = false;
    std::string signed_part, signature;
};
// Errors: malformed (not three parts of base64url with JSON inside, another alg, typ not JWT, no thumbprint, a crit).
[[nodiscard]] result<assertion> open_assertion(std::string_view jwt);
// The kid of its header, or "".
std::string kid_of(std::string_view token);

}  // namespace mdmd::sim
