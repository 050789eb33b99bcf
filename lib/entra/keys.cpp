#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"
#include "entra/issuer.hpp"
#include "entra/json.hpp"
#include "entra/token.hpp"

namespace mdmd::entra {
namespace {

namespace json = boost::json;

constexpr std::size_t largest_document = 1024 * 1024;  // bytes; Microsoft's JWKS has about 20 KiB
constexpr std::size_t most_keys = 1000;

bool is_https_url(std::string_view url) {
    constexpr std::string_view scheme = "https://";
    if (!iequals(url.substr(0, scheme.size()), scheme)) return false;
    auto const rest = url.substr(scheme.size());
    auto const graphic = [](char c) { return c > ' ' && c < 0x7f; };
    return !rest.empty() && rest.front() != '/' && std::all_of(rest.begin(), rest.end(), graphic);
}

// One entry of a JWKS; nullopt for keys of other kinds and uses, and for damaged or weak ones.
std::optional<signing_key> read_key(json::object const& entry) {
    if (find_text(entry, "kty") != "RSA") return std::nullopt;
    if (entry.contains("use") && find_text(entry, "use") != "sig") return std::nullopt;
    if (entry.contains("alg") && find_text(entry, "alg") != "RS256") return std::nullopt;
    auto const kid = find_text(entry, "kid");
    auto const n = find_text(entry, "n");
    auto const e = find_text(entry, "e");
    if (!kid || kid->empty() || !n || !e) return std::nullopt;
    if (entry.contains("issuer") && !find_text(entry, "issuer")) return std::nullopt;
    auto const modulus = unbase64url(*n);
    auto const exponent = unbase64url(*e);
    if (!modulus || !exponent) return std::nullopt;
    auto key = crypto::rsa_public_key::from_jwk(*modulus, *exponent);
    if (!key) return std::nullopt;
    return signing_key{std::string(*kid), *std::move(key), std::string(find_text(entry, "issuer").value_or(""))};
}

}  // namespace

std::string with_tenant(std::string_view issuer, std::string_view tenant_id) {
    constexpr std::string_view placeholder = "{tenantid}";
    std::string out(issuer);
    if (auto const at = out.find(placeholder); at != out.npos) out.replace(at, placeholder.size(), tenant_id);
    return out;
}

result<metadata> parse_metadata(std::string_view text, std::string_view tenant_id) {
    auto const document = parse_object(text, largest_document, "the OpenID metadata");
    if (!document) return document.error();
    auto const issuer = find_text(*document, "issuer");
    auto const uri = find_text(*document, "jwks_uri");
    if (!issuer || issuer->empty()) return fail(errc::malformed, "the OpenID metadata names no issuer");
    if (!uri || !is_https_url(*uri))
        return fail(errc::malformed, "the OpenID metadata names no https address of signing keys");
    return metadata{with_tenant(*issuer, tenant_id), std::string(*uri)};
}

result<std::vector<signing_key>> parse_jwks(std::string_view text) {
    auto const document = parse_object(text, largest_document, "the set of signing keys");
    if (!document) return document.error();
    auto const* keys = document->if_contains("keys");
    auto const* entries = keys ? keys->if_array() : nullptr;
    if (!entries) return fail(errc::malformed, "the set of signing keys has no array `keys`");
    if (entries->size() > most_keys)
        return fail(errc::malformed, fmt::format("the set of signing keys has over {} keys", most_keys));
    std::vector<signing_key> usable;
    for (auto const& entry : *entries) {
        if (!entry.is_object()) return fail(errc::malformed, "the set of signing keys holds what is no key");
        if (auto key = read_key(entry.get_object())) usable.push_back(*std::move(key));
    }
    if (usable.empty()) return fail(errc::malformed, "the set of signing keys has no usable RSA key");
    return usable;
}

}  // namespace mdmd::entra
