// Entra ID access tokens: is it genuine, is it for us, whose is it. Never goes to the network.
// Source: RFC 7515 section 5.2, RFC 7519 section 7.2, Microsoft identity platform "Access tokens".
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/time.hpp"
#include "crypto/crypto.hpp"

namespace mdmd::entra {

struct signing_key {
    std::string kid;
    crypto::rsa_public_key key;
    std::string issuer;  // as the JWKS gives it, may hold "{tenantid}"; empty where it gives none
};

// What the OpenID metadata under the tenant's two endpoints said, as one immutable snapshot.
struct key_set {
    std::string issuer_v1;  // from {login}/{tenant}/.well-known/openid-configuration
    std::string issuer_v2;  // from {login}/{tenant}/v2.0/.well-known/openid-configuration
    std::map<std::string, std::vector<signing_key>> keys;  // by kid; v1 and v2 sets together
    time_point fetched;
};

struct metadata {
    std::string issuer;
    std::string jwks_uri;
};
// Errors: malformed. jwks_uri must be https; `issuer` may hold "{tenantid}", which is replaced.
[[nodiscard]] result<metadata> parse_metadata(std::string_view json, std::string_view tenant_id);
// Keys that are not RSA signature keys of 2048 bits or more are left out. Errors: malformed (not a JWKS, or not one
// usable key in it).
[[nodiscard]] result<std::vector<signing_key>> parse_jwks(std::string_view json);

// What our tokens must say.
struct audience {
    std::string tenant_id;  // lower case
    std::string client_id;
    std::string app_id;          // application ID URI: `aud` of v1 tokens, or the client ID
    std::string required_scope;  // must be among `scp`; empty: any
};

struct identity {
    std::string version;  // "1.0" or "2.0"
    std::string tenant_id;
    std::string user_id;              // oid, lower case; empty where a device stands for itself
    std::string upn;                  // upn, else preferred_username, else empty: for display, never for authorization
    bool upn_is_certain = false;      // it is the claim upn
    std::string device_id;            // deviceid claim, lower case; empty where absent
    std::string client;               // appid or azp
    std::string token_id;             // uti
    std::vector<std::string> scopes;  // scp: what a user lets an application do; empty of an application's own token
    std::vector<std::string> roles;   // what an application or a user was assigned
    time_point expires;
};

// Whom a token may stand for. A device by itself: `idtyp` of device, or neither that nor `scp` nor a user's name, but
// always a deviceid and never `roles`, which applications have.
enum class bearer { user, user_or_device };

// Errors: malformed        not three canonical base64url parts, not JSON objects inside, a claim of the wrong type,
//                          alg, kid, ver, iss, aud, exp or nbf missing, a member twice, over 64 KiB, nested over 8 deep
//         unsupported      alg other than RS256, a `crit` header, typ other than JWT, ver other than 1.0 and 2.0
//         not_found        no key of that kid, or keys fetched over 24 h ago: refresh the keys and try again
//         unauthenticated  bad signature, expired, not valid yet, ending before it begins, wrong issuer, audience or
//                          tenant
//         forbidden        genuine, but without the user (oid) or the scope: an app-only token; `idtyp` other than
//                          user; a device's, unless `may_be` allows for it
// Of an `aud` that is an array, one must be ours and all must be texts (RFC 7519 section 4.1.3). What a header brings
// along as a key (jwk, jku, x5u, x5c) is not looked at.
// `now` is UTC; exp and nbf get `leeway` either way. Source: RFC 7519 section 7.2.
[[nodiscard]] result<identity> verify(std::string_view token, key_set const& keys, audience const&, time_point now,
    std::chrono::seconds leeway = std::chrono::seconds(300), bearer may_be = bearer::user);

// The user of a token that verify() refuses although Entra made it for us: it has ended, or not begun, or is without
// the scope. For the record alone: whoever sends it has shown nothing. nullopt: it is no such token, or names no user.
std::optional<identity> user_of_refused(std::string_view token, key_set const& keys, audience const&, time_point now);

// An ID token: who has signed in on a page that we sent to Entra with this nonce. Version 2.0 alone; `aud` is the
// client ID and nothing else; scopes are not looked at. Errors: as verify()'s; unauthenticated too for another nonce.
// Source: OpenID Connect Core 1.0 section 3.1.3.7
[[nodiscard]] result<identity> verify_id_token(std::string_view token, key_set const& keys, audience const&,
    std::string_view nonce, time_point now, std::chrono::seconds leeway = std::chrono::seconds(300));

// As verify(), for whoever calls us: a user or an application by itself, with whatever scopes and roles. What these
// allow is the caller's to judge. `user_id` may be empty. Errors: as verify()'s, but forbidden for what is no access
// token alone: it names no client, or it has a nonce.
[[nodiscard]] result<identity> verify_caller(std::string_view token, key_set const& keys, audience const&,
    time_point now, std::chrono::seconds leeway = std::chrono::seconds(300));

// When keys may be fetched. An unknown kid triggers one refresh at once, then at most one every 5 minutes; the
// steady refresh is every hour give or take 10 %; a failed one is tried again after 10 s doubling to 5 min, give or
// take 20 %, or as long after as Entra asks for, at most 1 h. Keys older than 24 h are not used. [RFC 7517;
// OpenID Connect Core 1.0 section 10.1.1]
class refresh_policy {
public:
    bool due(time_point now) const;                 // the steady refresh
    bool unknown_kid_allows(time_point now);        // true: refresh now (and it is counted)
    void succeeded(time_point now, double jitter);  // jitter 0..1
    void failed(time_point now, double jitter, std::optional<std::chrono::milliseconds> retry_after);

private:
    std::optional<time_point> next_;
    std::optional<time_point> last_forced_;
    backoff retries_{std::chrono::seconds(10), std::chrono::minutes(5)};
};

}  // namespace mdmd::entra
