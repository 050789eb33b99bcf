#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "entra/answers.hpp"

namespace mdmd::entra {
namespace {

namespace json = boost::json;

constexpr std::size_t longest_url = 2048;
constexpr std::size_t hint_length = 3;  // characters of a secret that Graph tells

// The answer's object. Errors: as parse_application's.
result<json::object> read_answer(http::response const& answer, std::string_view what) {
    if (answer.status == 200) return parse_object(answer.body, largest_answer, what);
    auto const e = parse_graph_error(answer);
    auto const code = answer.status == 403   ? errc::forbidden
                      : answer.status == 404 ? errc::not_found
                                             : errc::unavailable;
    return fail(code,
        fmt::format("Graph answered the request for {} with {} {} {}", what, answer.status, e.code, e.request_id));
}

// The array of that name, which was asked for and must be there. Errors: malformed.
result<json::array> find_array(json::object const& o, std::string_view name) {
    auto const* value = o.if_contains({name.data(), name.size()});
    if (!value || value->is_null()) return json::array();
    if (!value->is_array()) return fail(errc::malformed, fmt::format("the application's {} is no array", name));
    return value->get_array();
}

bool is_thumbprint(std::string_view hex_digits) {
    return (hex_digits.size() == 40 || hex_digits.size() == 64) && unhex(hex_digits).has_value();
}

// The certificate's own digest where Graph gives the certificate, else what whoever added it wrote for its
// identifier, where that is a digest: the bytes, their hex digits, or the hex digits' bytes, in base64 or plain.
std::string thumbprint_of(json::object const& key) {
    if (auto const text = find_text(key, "key"))
        if (auto const der = unbase64(*text))
            if (auto const own = crypto::certificate::from_der(*der)) return own->thumbprint();
    auto const id = find_text(key, "customKeyIdentifier");
    if (!id) return {};
    auto const upper = [](std::string_view digits) { return hex_upper(unhex(digits).value()); };
    if (is_thumbprint(*id)) return upper(*id);
    auto const bytes = unbase64(*id);
    if (!bytes) return {};
    if (is_thumbprint(*bytes)) return upper(*bytes);
    return bytes->size() == 20 || bytes->size() == 32 ? hex_upper(*bytes) : std::string();
}

// Appends the credentials of one list. Errors: malformed.
result<void> take_keys(json::object const& from, std::string_view list, bool certificates, registration& into) {
    auto const entries = find_array(from, list);
    if (!entries) return entries.error();
    for (auto const& entry : *entries) {
        auto const* key = entry.if_object();
        if (!key) return fail(errc::malformed, fmt::format("the application's {} hold what is no object", list));
        auto const ends = parse_rfc3339(find_text(*key, "endDateTime").value_or(""));
        if (!ends) continue;
        // A certificate for signing tokens (SAML) is not one for signing in.
        if (certificates && find_text(*key, "usage").value_or("Verify") != "Verify") continue;
        into.keys.push_back({.certificate = certificates,
            .key_id = printable_text(*key, "keyId", 64),
            .name = printable_text(*key, "displayName"),
            .hint = certificates ? "" : printable_text(*key, "hint", 16),
            .thumbprint = certificates ? thumbprint_of(*key) : "",
            .ends = *ends});
    }
    return {};
}

}  // namespace

http::call read_application(application const& app, access_token const& token, std::string client_request_id) {
    std::string literal;  // in an OData text a quote is written twice
    for (char const c : app.client_id) literal.append(c == '\'' ? 2 : 1, c);
    return {.method = "GET",
        .url = fmt::format("{}/v1.0/applications(appId='{}')?$select=id,appId,displayName,identifierUris,"
                           "passwordCredentials,keyCredentials",
            without_last_slash(app.graph_url), percent_encode(literal)),
        .headers = graph_headers(token, std::move(client_request_id)),
        .body = {}};
}

result<registration> parse_application(http::response const& answer) {
    auto const body = read_answer(answer, "the application");
    if (!body) return body.error();
    auto const has = [&](char const* list) {
        auto const* value = body->if_contains(list);
        return value && !value->is_null();
    };
    if (!has("passwordCredentials") && !has("keyCredentials"))
        return fail(errc::malformed, "Graph's answer does not say which keys the application has");
    registration out;
    auto const uris = find_array(*body, "identifierUris");
    if (!uris) return uris.error();
    for (auto const& uri : *uris) {
        auto const* text = uri.if_string();
        if (!text) return fail(errc::malformed, "the application's identifierUris hold what is no text");
        out.identifier_uris.push_back(printable({text->data(), text->size()}, longest_url));
    }
    if (auto const taken = take_keys(*body, "passwordCredentials", false, out); !taken) return taken.error();
    if (auto const taken = take_keys(*body, "keyCredentials", true, out); !taken) return taken.error();
    return out;
}

std::optional<time_point> end_of(credential const& held, registration const& known, time_point now) {
    std::string sha1;
    std::string sha256;
    if (held.is_certificate()) {
        auto const own = crypto::certificate::from_pem(held.certificate_pem);
        if (!own) return std::nullopt;
        sha1 = own->thumbprint();
        sha256 = hex_upper(crypto::sha256(own->der()));
    }
    auto const is_held = [&](application_key const& key) {
        if (key.certificate != held.is_certificate()) return false;
        if (key.certificate) return key.thumbprint == sha1 || key.thumbprint == sha256;
        return key.hint.size() == hint_length && held.text.reveal().substr(0, hint_length) == key.hint;
    };
    std::optional<time_point> next;  // the first end to come
    std::optional<time_point> last;  // the last end that is over
    for (auto const& key : known.keys) {
        if (!is_held(key)) continue;
        if (key.ends > now)
            next = std::min(next.value_or(key.ends), key.ends);
        else
            last = std::max(last.value_or(key.ends), key.ends);
    }
    return next ? next : last;
}

std::set<std::string> roles_of(access_token const& token) {
    std::set<std::string> out;
    auto const text = token.text.reveal();
    if (text.size() > largest_access_token) return out;
    auto const parts = split(text, '.');
    if (parts.size() != 3) return out;
    auto const payload = unbase64url(parts[1]);
    if (!payload) return out;
    auto const claims = parse_object(*payload, largest_access_token, "the token's claims");
    if (!claims) return out;
    auto const* roles = claims->if_contains("roles");
    if (!roles || !roles->is_array()) return out;
    for (auto const& role : roles->get_array())
        if (auto const* name = role.if_string()) out.insert(printable({name->data(), name->size()}, 128));
    return out;
}

http::call read_mdm_policy(application const& app, access_token const& token, std::string client_request_id) {
    return {.method = "GET",
        .url = fmt::format("{}/beta/policies/mobileDeviceManagementPolicies/{}", without_last_slash(app.graph_url),
            percent_encode(app.client_id)),
        .headers = graph_headers(token, std::move(client_request_id)),
        .body = {}};
}

result<mdm_urls> parse_mdm_policy(http::response const& answer) {
    auto const body = read_answer(answer, "the MDM application's addresses");
    if (!body) return body.error();
    mdm_urls out;
    for (auto const& [name, into] : {std::pair("termsOfUseUrl", &out.terms_of_use_url),
             std::pair("discoveryUrl", &out.discovery_url), std::pair("complianceUrl", &out.compliance_url)}) {
        auto const* value = body->if_contains(name);
        if (value && !value->is_null() && !value->is_string())
            return fail(errc::malformed, fmt::format("the MDM application's {} is no text", name));
        *into = printable_text(*body, name, longest_url);
    }
    return out;
}

}  // namespace mdmd::entra
