// The login half of the tenant: what login.microsoftonline.com serves.
#include <charconv>

#include "core/random.hpp"
#include "core/text.hpp"
#include "json_read.hpp"
#include "tenant_state.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

// The application by which Windows asks for tokens on a user's behalf.
constexpr char authentication_broker[] = "29d9ed98-a469-4536-ade2-f981bc1d605e";

constexpr char jwt_bearer[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr std::int64_t assertion_life = 3600;  // seconds

std::string cloud_name(std::string const& login_host) {
    constexpr std::string_view prefix = "login.";
    return login_host.starts_with(prefix) ? login_host.substr(prefix.size()) : "microsoftonline.com";
}

std::int64_t seconds_of(time_point t) { return to_ms(t) / 1000; }

json::object times(std::chrono::seconds lifetime) {
    auto const now = seconds_of(wall_clock());
    return {{"iat", now}, {"nbf", now - 300}, {"exp", now + lifetime.count()}, {"uti", base64url(random_bytes(16))}};
}

}  // namespace

http::response token_refusal(int status, char const* kind, int code, std::string const& text) {
    auto const trace = new_guid(), correlation = new_guid();
    auto const at = rfc3339(wall_clock());
    return json_response(status,
        json::object{{"error", kind},
            {"error_description", fmt::format("AADSTS{}: {} Trace ID: {} Correlation ID: {} Timestamp: {}", code, text,
                                      trace, correlation, at)},
            {"error_codes", json::array{code}}, {"timestamp", at}, {"trace_id", trace}, {"correlation_id", correlation},
            {"error_uri", fmt::format("https://login.microsoftonline.com/error?code={}", code)}});
}

// v1: the old token service's, which only China has one of its own of.
std::string tenant::impl::issuer(bool v2) const {
    if (v2) return fmt::format("{}/{}/v2.0", login_origin, options.tenant_id);
    return fmt::format("https://{}/{}/",
        options.login_host.ends_with(".cn") ? "sts.chinacloudapi.cn" : "sts.windows.net", options.tenant_id);
}

json::array tenant::impl::jwks(bool v2) const {
    json::array all;
    // Entra's order means nothing, and does not begin with the key in use.
    for (auto k = keys.rbegin(); k != keys.rend(); ++k) all.push_back(k->as_jwk(v2 ? issuer(true) : std::string()));
    return all;
}

http::response tenant::impl::login(http::request const& r, std::string_view segment, std::string_view rest) {
    if (rest == "/oauth2/v2.0/token") {
        if (r.method != "POST")
            return token_refusal(400, "invalid_request", 900561, "The endpoint only accepts POST requests.");
        return token_endpoint(r, segment);
    }
    if (rest == "/oauth2/v2.0/authorize") return authorize(r, segment);
    auto const v1 = rest == "/.well-known/openid-configuration", v2 = rest == "/v2.0/.well-known/openid-configuration";
    auto const keys_v1 = rest == "/discovery/keys", keys_v2 = rest == "/discovery/v2.0/keys";
    if (!v1 && !v2 && !keys_v1 && !keys_v2) return json_response(404, json::object{{"error", "not_found"}});
    if (!iequals(segment, options.tenant_id))
        return token_refusal(
            400, "invalid_tenant", 90002, fmt::format("Tenant '{}' not found.", printable(segment, 64)));
    if (r.method != "GET") return json_response(405, json::object{{"error", "method_not_allowed"}});
    if (keys_v1 || keys_v2) {
        std::scoped_lock const lock(mutex);
        return json_response(200, json::object{{"keys", jwks(keys_v2)}});
    }
    auto const base = fmt::format("{}/{}", login_origin, options.tenant_id);
    return json_response(200,
        json::object{{"issuer", issuer(v2)}, {"jwks_uri", base + (v2 ? "/discovery/v2.0/keys" : "/discovery/keys")},
            {"token_endpoint", base + (v2 ? "/oauth2/v2.0/token" : "/oauth2/token")},
            {"authorization_endpoint", base + (v2 ? "/oauth2/v2.0/authorize" : "/oauth2/authorize")},
            {"response_types_supported", json::array{"code", "id_token"}},
            {"subject_types_supported", json::array{"pairwise"}},
            {"id_token_signing_alg_values_supported", json::array{"RS256"}}, {"tenant_region_scope", "EU"},
            {"cloud_instance_name", cloud_name(options.login_host)},
            {"msgraph_host", graph_origin.substr(std::string_view("https://").size())}});
}

http::response tenant::impl::token_endpoint(http::request const& r, std::string_view segment) {
    auto const fields = parse_query(r.body, true);
    auto const field = [&](char const* name) { return std::string(find_parameter(fields, name).value_or("")); };
    auto const id = field("client_id"), key = field("client_secret"), scope = field("scope");
    auto const assertion = field("client_assertion"), assertion_type = field("client_assertion_type");
    credential shown;

    std::scoped_lock const lock(mutex);
    auto const answer = [&]() -> http::response {
        auto const type = r.headers.get("Content-Type").value_or("");
        if (!iequals(trim(split(type, ';').front()), "application/x-www-form-urlencoded"))
            return token_refusal(
                400, "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'.");
        if (!iequals(segment, options.tenant_id))
            return token_refusal(
                400, "invalid_request", 90002, fmt::format("Tenant '{}' not found.", printable(segment, 64)));
        auto const grant = field("grant_type");
        bool const by_code = grant == "authorization_code";
        if (grant != "client_credentials" && !by_code)
            return grant.empty()
                       ? token_refusal(400, "invalid_request", 900144,
                             "The request body must contain the following parameter: 'grant_type'.")
                       : token_refusal(400, "unsupported_grant_type", 70003, "The grant type is not supported.");
        if (!iequals(id, options.client_id))
            return token_refusal(400, "unauthorized_client", 700016,
                fmt::format("Application with identifier '{}' was not found in the directory.", printable(id, 64)));
        if (!by_code && scope != graph_origin + "/.default") {
            // A resource that this tenant does not know, such as another cloud's Graph, or no resource's scope at all.
            if (scope.starts_with("https://") && scope.ends_with("/.default"))
                return token_refusal(400, "invalid_resource", 500011,
                    fmt::format("The resource principal named {} was not found in the tenant named {}.",
                        printable(scope.substr(0, scope.size() - 9), 200), options.tenant_id));
            return token_refusal(400, "invalid_scope", 70011,
                fmt::format(
                    "The provided value for the input parameter 'scope' is not valid. The scope {} is not valid.",
                    printable(scope, 200)));
        }
        if (!assertion.empty() && !key.empty())
            return token_refusal(400, "invalid_request", 7000216,
                "Either 'client_assertion' or 'client_secret' is required for the 'client_credentials' grant type, not "
                "both.");
        if (!assertion.empty() && assertion_type != jwt_bearer)
            return assertion_type.empty()
                       ? token_refusal(400, "invalid_request", 900144,
                             "The request body must contain the following parameter: 'client_assertion_type'.")
                       : token_refusal(400, "invalid_request", 90023, "The 'client_assertion_type' is not supported.");
        if (assertion.empty() && key.empty())
            return token_refusal(401, "invalid_client", 7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.");
        shown = assertion.empty() ? check_secret(key) : check_assertion(assertion);
        if (shown.refused) return *shown.refused;
        if (by_code) return redeem(fields);
        auto claims = times(std::chrono::seconds(3599));
        json::array roles;
        for (auto const& role : what.roles) roles.emplace_back(role);
        overlay(claims,
            {{"aud", graph_origin}, {"iss", issuer(false)}, {"appid", options.client_id},
                {"appidacr", shown.certificate ? "2" : "1"}, {"idtyp", "app"}, {"tid", options.tenant_id},
                {"oid", options.client_id}, {"sub", options.client_id}, {"roles", std::move(roles)}, {"ver", "1.0"}});
        auto reply =
            json_response(200, json::object{{"token_type", "Bearer"}, {"expires_in", 3599}, {"ext_expires_in", 3599},
                                   {"access_token", make_token(keys.front(), claims)}});
        reply.headers.add("Cache-Control", "no-store, no-cache");
        return reply;
    }();
    // A secret that stands in the wrong field is one all the same.
    auto const safe = [&](std::string const& text) {
        auto const secret_in_it = std::any_of(what.secrets.begin(), what.secrets.end(),
            [&](app_secret const& s) { return text.find(s.value) != text.npos; });
        return secret_in_it ? std::string("***") : printable(text, 200);
    };
    entries.push_back({.at = wall_clock(),
        .what = "token",
        .method = r.method,
        .path = r.path,
        .status = answer.status,
        .body =
            json::object{{"client_id", safe(id)}, {"scope", safe(scope)}, {"grant_type", safe(field("grant_type"))}},
        .client_request_id = std::string(r.headers.get("client-request-id").value_or(""))});
    auto& noted = entries.back().body.as_object();
    if (!shown.key_id.empty()) noted["key_id"] = shown.key_id;
    if (shown.repeated) noted["assertion_repeated"] = true;
    if (answer.status != 200) noted["error_codes"] = json::parse(answer.body).at("error_codes");
    return answer;
}

tenant::impl::credential tenant::impl::check_secret(std::string const& value) const {
    auto const known =
        std::find_if(what.secrets.begin(), what.secrets.end(), [&](app_secret const& s) { return s.value == value; });
    credential c;
    if (known != what.secrets.end()) c.key_id = known->key_id;
    if (known == what.secrets.end() || known->refused)
        c.refused = token_refusal(401, "invalid_client", 7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            "not the client secret ID.");
    else if (known->ends <= wall_clock())
        c.refused = token_refusal(401, "invalid_client", 7000222,
            fmt::format("The provided client secret keys for app '{}' are expired.", options.client_id));
    return c;
}

// Entra's own leniency with clocks is left out: an assertion that needs it is not made well.
tenant::impl::credential tenant::impl::check_assertion(std::string const& jwt) {
    credential c{.key_id = {}, .certificate = true, .repeated = false, .refused = {}};
    auto const refused = [&](int status, char const* kind, int code, std::string const& why) {
        c.refused = token_refusal(status, kind, code, why);
        return c;
    };
    auto const opened = open_assertion(jwt);
    if (!opened) return refused(400, "invalid_request", 50027, "JWT token is invalid or malformed.");
    auto const& claims = opened->claims;

    auto const unsigned_by = [&](char const* why) {
        return refused(401, "invalid_client", 700027,
            fmt::format("The certificate with identifier used to sign the client assertion is not registered on "
                        "application, or its signature is wrong. [Reason - {}, Thumbprint of key used by client: '{}'] "
                        "Alternatively, ensure that the certificate has not expired.",
                why, printable(opened->thumbprint, 64)));
    };
    auto const known = std::find_if(what.certificates.begin(), what.certificates.end(),
        [&](app_certificate const& k) { return opened->names(k.own); });
    if (known == what.certificates.end()) return unsigned_by("The key was not found.");
    c.key_id = known->key_id;
    if (known->refused || !opened->signed_by(known->own)) return unsigned_by("The signature is invalid.");
    auto const at = wall_clock();
    if (known->ends <= at || known->own.ends() <= at) return unsigned_by("The key used is expired.");

    if (!iequals(text_or(claims, "iss"), options.client_id) || !iequals(text_or(claims, "sub"), options.client_id))
        return refused(400, "invalid_client", 700021,
            "Client assertion application identifier doesn't match 'client_id' parameter.");
    if (text_or(claims, "aud") != fmt::format("{}/{}/oauth2/v2.0/token", login_origin, options.tenant_id))
        return refused(401, "invalid_client", 700023, "Client assertion audience claim does not match Realm issuer.");
    auto const now = seconds_of(at), from = number_or(claims, "nbf", now + 1), to = number_or(claims, "exp", 0);
    if (from > now || to <= now || to - from > assertion_life)
        return refused(401, "invalid_client", 700024,
            "Client assertion is not within its valid time range. Ensure that 'nbf' and 'exp' are within it and not "
            "too far apart.");
    if (auto const id = text_of(claims, "jti")) c.repeated = !assertion_ids.insert(*id).second;
    return c;
}

result<std::string> tenant::impl::make_locked(token_order const& order) {
    auto const v2 = order.version == "2.0";
    if (!v2 && order.version != "1.0") return fail(errc::malformed, "version: 1.0 or 2.0");
    auto claims = times(order.lifetime);
    overlay(claims,
        {{"aud", v2 ? options.client_id : options.app_id}, {"iss", issuer(v2)}, {"tid", options.tenant_id},
            {"ver", order.version}, {"rh", "0." + base64url(random_bytes(32))}, {"aio", base64url(random_bytes(24))},
            {v2 ? "azp" : "appid", authentication_broker}, {v2 ? "azpacr" : "appidacr", "0"}});
    if (!order.device_id.empty()) claims["deviceid"] = order.device_id;
    switch (order.who) {
        case token_order::kind::user: {
            auto const* const u = what.find_user(order.upn);
            if (!u) return fail(errc::not_found, fmt::format("no user {}", order.upn));
            overlay(claims, {{"oid", u->id}, {"sub", base64url(sha256(u->id + options.client_id))},
                                {"name", u->display_name}, {"scp", "mdm_delegation"}, {"ipaddr", "192.0.2.17"}});
            if (v2)
                claims["preferred_username"] = u->upn;
            else
                overlay(claims,
                    {{"upn", u->upn}, {"unique_name", u->upn}, {"acr", "1"}, {"amr", json::array{"pwd", "rsa"}}});
            break;
        }
        case token_order::kind::device: {
            auto const* const d = what.by_device_id(order.device_id);
            if (!d) return fail(errc::not_found, fmt::format("no device {}", order.device_id));
            overlay(claims, {{"oid", d->object_id}, {"sub", d->object_id}});
            break;
        }
        case token_order::kind::app:
            overlay(claims, {{"oid", options.client_id}, {"sub", options.client_id}, {"idtyp", "app"},
                                {"roles", json::array{"mdm.manage"}}});
            break;
    }
    overlay(claims, order.claims);
    if (order.key == token_order::signer::foreign && !foreign) foreign = make_signing_key();
    auto const& key = order.key == token_order::signer::foreign                       ? *foreign
                      : order.key == token_order::signer::previous && keys.size() > 1 ? keys[1]
                                                                                      : keys.front();
    return make_token(key, claims, order.how, order.header);
}

result<token_order> parse_token_order(json::object const& o) {
    static std::set<std::string> const known{
        "kind", "upn", "device_id", "version", "claims", "header", "lifetime_s", "sign_with"};
    for (auto const& [name, value] : o)
        if (!known.contains(plain(name))) return fail(errc::malformed, fmt::format("unknown field {}", plain(name)));
    token_order order;
    auto const kind = text_or(o, "kind", "user");
    if (kind == "device")
        order.who = token_order::kind::device;
    else if (kind == "app")
        order.who = token_order::kind::app;
    else if (kind != "user")
        return fail(errc::malformed, "kind: user, device or app");
    order.upn = text_or(o, "upn");
    order.device_id = text_or(o, "device_id");
    order.version = text_or(o, "version", "2.0");
    order.claims = object_or_empty(o, "claims");
    order.header = object_or_empty(o, "header");
    order.lifetime = std::chrono::seconds(number_or(o, "lifetime_s", 3600));
    auto const sign = text_or(o, "sign_with", "current");
    if (sign == "previous")
        order.key = token_order::signer::previous;
    else if (sign == "foreign")
        order.key = token_order::signer::foreign;
    else if (sign == "none")
        order.how = signature::none;
    else if (sign == "hs256")
        order.how = signature::hs256;
    else if (sign == "broken")
        order.how = signature::broken;
    else if (sign != "current")
        return fail(errc::malformed, "sign_with: current, previous, foreign, none, hs256 or broken");
    return order;
}

}  // namespace mdmd::sim
