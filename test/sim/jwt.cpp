#include "jwt.hpp"

#include "core/random.hpp"
#include "core/text.hpp"
#include "json_read.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

std::string part(json::object const& o) { return base64url(json::serialize(o)); }

result<json::object> opened(std::string_view encoded) {
    auto const text = unbase64url(encoded);
    if (!text) return fail(errc::malformed, "not base64url");
    boost::system::error_code ec;
    auto value = json::parse(*text, ec);
    if (ec || !value.is_object()) return fail(errc::malformed, "not a JSON object");
    return std::move(value.as_object());
}

}  // namespace

std::string signing_key::x5t() const { return base64url(sha1(own.der())); }

json::object signing_key::as_jwk(std::string const& issuer) const {
    json::object o{{"kty", "RSA"}, {"use", "sig"}, {"kid", kid}, {"x5t", x5t()}, {"n", base64url(key.modulus())},
        {"e", base64url(key.exponent())}, {"x5c", json::array{base64(own.der())}}};
    if (!issuer.empty()) o["issuer"] = issuer;
    return o;
}

signing_key make_signing_key() {
    auto key = private_key::rsa(2048);
    auto own = self_signed(key, "accounts.accesscontrol.windows.net");
    signing_key made{{}, std::move(key), std::move(own)};
    made.kid = made.x5t();  // as Entra does
    return made;
}

void overlay(json::object& base, json::object const& over) {
    for (auto const& [name, value] : over) {
        if (value.is_null())
            base.erase(name);
        else
            base[name] = value;
    }
}

std::string make_token(signing_key const& key, json::object const& claims, signature how, json::object const& header) {
    json::object head{{"typ", "JWT"}, {"alg", "RS256"}, {"kid", key.kid}, {"x5t", key.x5t()}};
    if (how == signature::none) head["alg"] = "none";
    if (how == signature::hs256) head["alg"] = "HS256";
    overlay(head, header);
    auto const signed_part = part(head) + "." + part(claims);
    switch (how) {
        case signature::none: return signed_part + ".";
        case signature::hs256: return signed_part + "." + base64url(hmac_sha256(key.key.public_der(), signed_part));
        case signature::broken: return signed_part + "." + base64url(key.key.sign_sha256(signed_part + "x"));
        case signature::rs256: break;
    }
    return signed_part + "." + base64url(key.key.sign_sha256(signed_part));
}

result<json::object> open_token(std::string_view token, signing_key const& key) {
    auto const parts = split(token, '.');
    if (parts.size() != 3) return fail(errc::malformed, "not three parts");
    auto const head = opened(parts[0]);
    if (!head) return head.error();
    auto const* const alg = head->if_contains("alg");
    if (!alg || *alg != "RS256") return fail(errc::unauthenticated, "alg is not RS256");
    auto const sig = unbase64url(parts[2]);
    auto const signed_part = token.substr(0, token.rfind('.'));
    if (!sig || !key.own.verifies(signed_part, *sig)) return fail(errc::unauthenticated, "bad signature");
    return opened(parts[1]);
}

bool assertion::names(certificate const& c) const {
    return thumbprint == hex_upper(pss ? sha256(c.der()) : sha1(c.der()));
}

bool assertion::signed_by(certificate const& c) const {
    return pss ? c.verifies_pss(signed_part, signature) : c.verifies(signed_part, signature);
}

result<assertion> open_assertion(std::string_view jwt) {
    auto const parts = split(jwt, '.');
    if (parts.size() != 3) return fail(errc::malformed, "not three parts");
    auto const head = opened(parts[0]);
    if (!head) return head.error();
    auto claims = opened(parts[1]);
    if (!claims) return claims.error();
    auto const alg = text_or(*head, "alg");
    if (alg != "PS256" && alg != "RS256") return fail(errc::malformed, "alg is neither PS256 nor RS256");
    if (!iequals(text_or(*head, "typ", "JWT"), "JWT") || head->contains("crit"))
        return fail(errc::malformed, "typ is not JWT, or there is a crit");
    assertion a{.claims = std::move(*claims), .thumbprint = {}, .signed_part = {}, .signature = {}};
    a.pss = alg == "PS256";
    auto const thumbprint = unbase64url(text_or(*head, a.pss ? "x5t#S256" : "x5t"));
    if (!thumbprint || thumbprint->size() != (a.pss ? 32u : 20u)) return fail(errc::malformed, "no thumbprint");
    a.thumbprint = hex_upper(*thumbprint);
    auto const sig = unbase64url(parts[2]);
    if (!sig) return fail(errc::malformed, "not base64url");
    a.signed_part = std::string(jwt.substr(0, jwt.rfind('.')));
    a.signature = *sig;
    return a;
}

std::string kid_of(std::string_view token) {
    auto const head = opened(split(token, '.').front());
    if (!head) return {};
    auto const* const kid = head->if_contains("kid");
    return kid && kid->is_string() ? std::string(kid->as_string()) : std::string();
}

}  // namespace mdmd::sim
