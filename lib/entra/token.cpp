#include "entra/token.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"
#include "entra/issuer.hpp"
#include "entra/json.hpp"

namespace mdmd::entra {
namespace {

namespace json = boost::json;

constexpr std::size_t largest_token = 64 * 1024;  // bytes
constexpr std::chrono::hours oldest_keys(24);
constexpr std::int64_t end_of_time = 253'402'300'799;  // 9999-12-31T23:59:59Z: no overflow in milliseconds

error malformed(std::string why) { return fail(errc::malformed, "token: " + std::move(why)); }
error unsupported(std::string why) { return fail(errc::unsupported, "token: " + std::move(why)); }
error unauthenticated(std::string why) { return fail(errc::unauthenticated, "token: " + std::move(why)); }
error forbidden(std::string why) { return fail(errc::forbidden, "token: " + std::move(why)); }

std::string in_quotes(std::string_view s) { return "'" + printable(s, 200) + "'"; }

bool has_control(std::string_view s) {
    return std::any_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// The claims by name, with the first one that is of the wrong type remembered: callers read on and ask once.
class claims {
public:
    explicit claims(json::object const& all) : all_(all) {}

    std::string_view text(std::string_view name) {  // empty where absent
        auto const* value = find(name);
        if (!value) return {};
        auto const text = find_text(all_, name);
        if (!text || has_control(*text)) {
            note(name, "is not plain text");
            return std::string_view{};
        }
        return *text;
    }
    std::string_view required_text(std::string_view name) {
        auto const value = text(name);
        if (value.empty()) note(name, "is missing");
        return value;
    }
    std::string guid(std::string_view name) {  // lower case; empty where absent
        auto const value = text(name);
        if (find(name) && !is_guid(value)) {
            note(name, "is not a GUID");
            return std::string{};
        }
        return lower(value);
    }
    // Seconds since 1970. RFC 7519 would allow fractions; Entra writes none.
    std::optional<std::int64_t> time(std::string_view name) {
        auto const* value = find(name);
        if (!value) return std::nullopt;
        auto const* seconds = value->if_int64();
        if (!seconds || *seconds < 0 || *seconds > end_of_time) {
            note(name, "is not a time");
            return std::nullopt;
        }
        return *seconds;
    }
    std::int64_t required_time(std::string_view name) {
        auto const value = time(name);
        if (!value) note(name, "is missing");
        return value.value_or(0);
    }
    // `aud`: one text, or an array of at least one and nothing but texts. RFC 7519 section 4.1.3.
    std::vector<std::string_view> audiences() {
        auto const* list = find("aud") ? find("aud")->if_array() : nullptr;
        if (!list) return {required_text("aud")};
        std::vector<std::string_view> out;
        for (auto const& item : *list) {
            auto const* one = item.if_string();
            if (!one || one->empty() || has_control({one->data(), one->size()})) {
                note("aud", "is not a list of plain texts");
                return out;
            }
            out.emplace_back(one->data(), one->size());
        }
        if (out.empty()) note("aud", "is empty");
        return out;
    }

    // `roles`: an array of texts, or absent.
    std::vector<std::string> roles() {
        auto const* const value = find("roles");
        if (!value) return {};
        std::vector<std::string> out;
        if (auto const* const list = value->if_array())
            for (auto const& item : *list)
                if (auto const* const one = item.if_string(); one && !has_control({one->data(), one->size()}))
                    out.emplace_back(one->data(), one->size());
        if (!value->is_array() || out.size() != value->get_array().size())
            note("roles", "is not a list of plain texts");
        return out;
    }

    std::string const& complaint() const { return complaint_; }

private:
    json::value const* find(std::string_view name) const { return all_.if_contains({name.data(), name.size()}); }
    void note(std::string_view name, std::string_view why) {
        if (complaint_.empty()) complaint_ = fmt::format("the claim {} {}", name, why);
    }

    json::object const& all_;
    std::string complaint_;
};

struct parts {
    std::string_view signed_text;  // header and payload as they came, with the dot between them
    std::string header;
    std::string payload;
    std::string signature;
};

result<parts> take_apart(std::string_view token) {
    if (token.size() > largest_token) return malformed("over 64 KiB");
    auto const all = split(token, '.');
    if (all.size() != 3) return malformed("not three parts");
    auto header = unbase64url(all[0]);
    auto payload = unbase64url(all[1]);
    auto signature = unbase64url(all[2]);
    if (!header || !payload || !signature) return malformed("a part is not canonical base64url");
    return parts{token.substr(0, all[0].size() + 1 + all[1].size()), *std::move(header), *std::move(payload),
        *std::move(signature)};
}

// The key's id. `jku`, `jwk`, `x5u` and `x5c` are not looked at: what a token brings along proves nothing about it.
result<std::string> read_header(std::string_view text) {
    auto const header = parse_object(text, largest_token, "token: the header");
    if (!header) return header.error();
    auto const algorithm = find_text(*header, "alg");
    if (!algorithm) return malformed("the header names no algorithm");
    if (*algorithm != "RS256") return unsupported("signed by " + in_quotes(*algorithm) + ", not by RS256");
    // Extensions that must be understood (RFC 7515 section 4.1.11): we understand none.
    if (header->contains("crit")) return unsupported("the header has `crit`");
    if (header->contains("typ")) {
        auto const type = find_text(*header, "typ");
        if (!type) return malformed("the header's typ is not text");
        if (!iequals(*type, "JWT") && !iequals(*type, "at+jwt")) return unsupported("of type " + in_quotes(*type));
    }
    auto const kid = find_text(*header, "kid");
    if (!kid || kid->empty()) return malformed("the header names no key");
    return std::string(*kid);
}

// The keys of that id that made the signature: normally one, listed once for v1 and once for v2.
result<std::vector<signing_key const*>> signers(parts const& token, std::string const& kid, key_set const& keys) {
    auto const found = keys.keys.find(kid);
    if (found == keys.keys.end() || found->second.empty())
        return fail(errc::not_found, "token: no key " + in_quotes(kid));
    std::vector<signing_key const*> out;
    for (auto const& candidate : found->second)
        if (candidate.key.verify_rs256(token.signed_text, token.signature)) out.push_back(&candidate);
    if (out.empty()) return unauthenticated("not signed by the key that it names");
    return out;
}

// An App ID URI with scheme and host in lower case and without one last slash.
std::string normal_app_id(std::string_view uri) {
    if (uri.ends_with('/')) uri.remove_suffix(1);
    auto const scheme = uri.find("://");
    if (scheme == uri.npos) return std::string(uri);
    auto const path = std::min(uri.find('/', scheme + 3), uri.size());
    return lower(uri.substr(0, path)) + std::string(uri.substr(path));
}

bool is_for(std::string_view aud, audience const& us, bool v1) {
    if (!us.client_id.empty() && iequals(aud, us.client_id)) return true;
    return v1 && !us.app_id.empty() && normal_app_id(aud) == normal_app_id(us.app_id);
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out;
    for (auto const word : split(text, ' '))
        if (!trim(word).empty()) out.emplace_back(trim(word));
    return out;
}

// A key that is listed for certain issuers signs for those alone; Entra lists them in v2 only.
bool may_sign_for(std::vector<signing_key const*> const& keys, std::string_view issuer, std::string_view tenant_id) {
    bool restricted = false;
    for (auto const* key : keys) {
        if (key->issuer.empty()) continue;
        if (with_tenant(key->issuer, tenant_id) == issuer) return true;
        restricted = true;
    }
    return !restricted;
}

// What a genuine token of ours says, and of what kind it claims to be (`idtyp`; empty where absent).
struct genuine {
    identity who;
    std::string kind, nonce;
    std::size_t audiences = 0;
    std::int64_t not_before = 0, expires = 0;  // seconds since 1970
};
// Whenever it is good: that is for read_genuine() to say.
result<genuine> read_ours(std::string_view token, key_set const& keys, audience const& us, time_point now) {
    auto const got = take_apart(token);
    if (!got) return got.error();
    auto const kid = read_header(got->header);
    if (!kid) return kid.error();
    if (now - keys.fetched > oldest_keys) return fail(errc::not_found, "token: the signing keys are over 24 h old");
    auto const signed_by = signers(*got, *kid, keys);
    if (!signed_by) return signed_by.error();

    auto const payload = parse_object(got->payload, largest_token, "token: the payload");
    if (!payload) return payload.error();
    claims in(*payload);
    auto const version = in.required_text("ver");
    auto const tenant = in.guid("tid");
    auto const issuer = in.required_text("iss");
    auto const audiences = in.audiences();
    auto const expires = in.required_time("exp");
    auto const not_before = in.required_time("nbf");
    in.time("iat");
    auto const user = in.guid("oid");
    auto const scopes = in.text("scp");
    auto roles = in.roles();
    auto const kind = in.text("idtyp");
    auto const device = in.guid("deviceid");
    auto const upn = in.text("upn");
    auto const preferred_name = in.text("preferred_username");
    auto const token_id = in.text("uti");
    auto const nonce = in.text("nonce");
    bool const v1 = version == "1.0";
    auto const client = in.text(v1 ? "appid" : "azp");
    if (!in.complaint().empty()) return malformed(in.complaint());

    if (!v1 && version != "2.0") return unsupported("of version " + in_quotes(version));
    if (tenant.empty() || !iequals(tenant, us.tenant_id)) return unauthenticated("of tenant " + in_quotes(tenant));
    auto const expected = with_tenant(v1 ? keys.issuer_v1 : keys.issuer_v2, tenant);
    if (expected.empty() || issuer != expected) return unauthenticated("issued by " + in_quotes(issuer));
    // A key that names its issuer signs for that one: version 1.0's name for our tenant or version 2.0's.
    if (!may_sign_for(*signed_by, issuer, tenant) &&
        !(v1 && may_sign_for(*signed_by, with_tenant(keys.issuer_v2, tenant), tenant)))
        return unauthenticated("signed by a key of another issuer than " + in_quotes(issuer));
    if (std::none_of(audiences.begin(), audiences.end(), [&](auto aud) { return is_for(aud, us, v1); }))
        return unauthenticated("for " + in_quotes(audiences.front()));

    return genuine{.who = {.version = std::string(version),
                       .tenant_id = tenant,
                       .user_id = user,
                       .upn = std::string(upn.empty() ? preferred_name : upn),
                       .upn_is_certain = !upn.empty(),
                       .device_id = device,
                       .client = std::string(client),
                       .token_id = std::string(token_id),
                       .scopes = words_of(scopes),
                       .roles = std::move(roles),
                       .expires = from_ms(expires * 1000)},
        .kind = std::string(kind),
        .nonce = std::string(nonce),
        .audiences = audiences.size(),
        .not_before = not_before,
        .expires = expires};
}

result<genuine> read_genuine(
    std::string_view token, key_set const& keys, audience const& us, time_point now, std::chrono::seconds leeway) {
    auto got = read_ours(token, keys, us, now);
    if (!got) return got;
    auto const begin = from_ms(got->not_before * 1000);
    auto const end = got->who.expires;
    if (begin > now + leeway) return unauthenticated("not valid before " + rfc3339(begin));
    if (end <= now - leeway) return unauthenticated("expired at " + rfc3339(end));
    // Otherwise the leeway at both ends would let in what never was valid.
    if (got->expires <= got->not_before) return unauthenticated("ends before it begins");
    return got;
}

// An optional claim of Entra's, `idtyp`: "user", "app" or "device".
bool is_of_user(genuine const& t) {
    return !t.who.user_id.empty() && !t.who.scopes.empty() && (t.kind.empty() || t.kind == "user");
}

bool is_of_device(genuine const& t) {
    if (!t.who.roles.empty() || t.who.device_id.empty()) return false;
    return t.kind == "device" || (t.kind.empty() && t.who.scopes.empty() && t.who.upn.empty());
}

}  // namespace

result<identity> verify(std::string_view token, key_set const& keys, audience const& us, time_point now,
    std::chrono::seconds leeway, bearer may_be) {
    auto got = read_genuine(token, keys, us, now, leeway);
    if (!got) return got.error();
    if (may_be == bearer::user_or_device && is_of_device(*got)) {
        got->who.user_id.clear();  // its oid is the device's object
        got->who.upn.clear();
        return std::move(got->who);
    }
    auto const& scopes = got->who.scopes;
    if (got->who.user_id.empty()) return forbidden("names no user");
    if (!is_of_user(*got)) return forbidden("of an application or a device, not of a user");
    if (!us.required_scope.empty() && std::find(scopes.begin(), scopes.end(), us.required_scope) == scopes.end())
        return forbidden("without the scope " + in_quotes(us.required_scope));
    return std::move(got->who);
}

std::optional<identity> user_of_refused(
    std::string_view token, key_set const& keys, audience const& us, time_point now) {
    auto got = read_ours(token, keys, us, now);
    return got && is_of_user(*got) ? std::optional(std::move(got->who)) : std::nullopt;
}

result<identity> verify_id_token(std::string_view token, key_set const& keys, audience const& us,
    std::string_view nonce, time_point now, std::chrono::seconds leeway) {
    auto got = read_genuine(token, keys, us, now, leeway);
    if (!got) return got.error();
    if (got->who.version != "2.0") return unsupported("an ID token of version " + in_quotes(got->who.version));
    if (got->audiences != 1) return unauthenticated("for others too");
    if (nonce.empty() || got->nonce != nonce) return unauthenticated("of another sign-in: its nonce is another");
    if (got->who.user_id.empty()) return forbidden("names no user");
    return std::move(got->who);
}

result<identity> verify_caller(
    std::string_view token, key_set const& keys, audience const& us, time_point now, std::chrono::seconds leeway) {
    auto got = read_genuine(token, keys, us, now, leeway);
    if (!got) return got.error();
    // An ID token says who has signed in, for the one who asked; it is nobody's right to call.
    if (got->who.client.empty() || !got->nonce.empty()) return forbidden("not an access token");
    return std::move(got->who);
}

}  // namespace mdmd::entra
