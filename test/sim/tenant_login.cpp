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

http::response refusal(int status, char const* kind, int code, std::string const& text) {
    auto const trace = new_guid(), correlation = new_guid();
    auto const at = rfc3339(wall_clock());
    return json_response(status,
        json::object{{"error", kind},
            {"error_description", fmt::format("AADSTS{}: {} Trace ID: {} Correlation ID: {} Timestamp: {}", code, text,
                                      trace, correlation, at)},
            {"error_codes", json::array{code}}, {"timestamp", at}, {"trace_id", trace}, {"correlation_id", correlation},
            {"error_uri", fmt::format("https://login.microsoftonline.com/error?code={}", code)}});
}

std::int64_t seconds_of(time_point t) { return to_ms(t) / 1000; }

json::object times(std::chrono::seconds lifetime) {
    auto const now = seconds_of(wall_clock());
    return {{"iat", now}, {"nbf", now - 300}, {"exp", now + lifetime.count()}, {"uti", base64url(random_bytes(16))}};
}

}  // namespace

json::array tenant::impl::jwks(bool v2) const {
    json::array all;
    // Entra's order means nothing, and does not begin with the key in use.
    for (auto k = keys.rbegin(); k != keys.rend(); ++k)
        all.push_back(k->as_jwk(v2 ? fmt::format("{}/{}/v2.0", origin, options.tenant_id) : std::string()));
    return all;
}

http::response tenant::impl::login(http::request const& r, std::string_view segment, std::string_view rest) {
    if (rest == "/oauth2/v2.0/token") {
        if (r.method != "POST")
            return refusal(400, "invalid_request", 900561, "The endpoint only accepts POST requests.");
        return token_endpoint(r, segment);
    }
    auto const v1 = rest == "/.well-known/openid-configuration", v2 = rest == "/v2.0/.well-known/openid-configuration";
    auto const keys_v1 = rest == "/discovery/keys", keys_v2 = rest == "/discovery/v2.0/keys";
    if (!v1 && !v2 && !keys_v1 && !keys_v2) return json_response(404, json::object{{"error", "not_found"}});
    if (!iequals(segment, options.tenant_id))
        return refusal(400, "invalid_tenant", 90002, fmt::format("Tenant '{}' not found.", printable(segment, 64)));
    if (r.method != "GET") return json_response(405, json::object{{"error", "method_not_allowed"}});
    if (keys_v1 || keys_v2) {
        std::scoped_lock const lock(mutex);
        return json_response(200, json::object{{"keys", jwks(keys_v2)}});
    }
    auto const base = fmt::format("{}/{}", origin, options.tenant_id);
    auto const issuer = v2 ? base + "/v2.0" : fmt::format("https://sts.windows.net/{}/", options.tenant_id);
    return json_response(
        200, json::object{{"issuer", issuer}, {"jwks_uri", base + (v2 ? "/discovery/v2.0/keys" : "/discovery/keys")},
                 {"token_endpoint", base + (v2 ? "/oauth2/v2.0/token" : "/oauth2/token")},
                 {"authorization_endpoint", base + (v2 ? "/oauth2/v2.0/authorize" : "/oauth2/authorize")},
                 {"response_types_supported", json::array{"code", "id_token"}},
                 {"subject_types_supported", json::array{"pairwise"}},
                 {"id_token_signing_alg_values_supported", json::array{"RS256"}}, {"tenant_region_scope", "EU"},
                 {"cloud_instance_name", "microsoftonline.com"}});
}

http::response tenant::impl::token_endpoint(http::request const& r, std::string_view segment) {
    auto const fields = parse_query(r.body, true);
    auto const field = [&](char const* name) { return std::string(find_parameter(fields, name).value_or("")); };
    auto const id = field("client_id"), key = field("client_secret"), scope = field("scope");

    std::scoped_lock const lock(mutex);
    auto const answer = [&]() -> http::response {
        auto const type = r.headers.get("Content-Type").value_or("");
        if (!iequals(trim(split(type, ';').front()), "application/x-www-form-urlencoded"))
            return refusal(
                400, "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'.");
        if (!iequals(segment, options.tenant_id))
            return refusal(
                400, "invalid_request", 90002, fmt::format("Tenant '{}' not found.", printable(segment, 64)));
        if (auto const grant = field("grant_type"); grant != "client_credentials")
            return grant.empty() ? refusal(400, "invalid_request", 900144,
                                       "The request body must contain the following parameter: 'grant_type'.")
                                 : refusal(400, "unsupported_grant_type", 70003, "The grant type is not supported.");
        if (!iequals(id, options.client_id))
            return refusal(400, "unauthorized_client", 700016,
                fmt::format("Application with identifier '{}' was not found in the directory.", printable(id, 64)));
        if (scope != origin + "/.default")
            return refusal(400, "invalid_scope", 70011,
                fmt::format(
                    "The provided value for the input parameter 'scope' is not valid. The scope {} is not valid.",
                    printable(scope, 200)));
        if (key.empty())
            return refusal(401, "invalid_client", 7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.");
        auto const known = std::find_if(what.secrets.begin(), what.secrets.end(),
            [&](app_secret const& s) { return s.value == key && !s.refused; });
        if (known == what.secrets.end())
            return refusal(401, "invalid_client", 7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
                "not the client secret ID.");
        if (known->ends <= wall_clock())
            return refusal(401, "invalid_client", 7000222,
                fmt::format("The provided client secret keys for app '{}' are expired.", options.client_id));
        auto claims = times(std::chrono::seconds(3599));
        json::array roles;
        for (auto const& role : what.roles) roles.emplace_back(role);
        overlay(claims,
            {{"aud", origin}, {"iss", fmt::format("https://sts.windows.net/{}/", options.tenant_id)},
                {"appid", options.client_id}, {"appidacr", "1"}, {"idtyp", "app"}, {"tid", options.tenant_id},
                {"oid", options.client_id}, {"sub", options.client_id}, {"roles", std::move(roles)}, {"ver", "1.0"}});
        auto reply =
            json_response(200, json::object{{"token_type", "Bearer"}, {"expires_in", 3599}, {"ext_expires_in", 3599},
                                   {"access_token", make_token(keys.front(), claims)}});
        reply.headers.add("Cache-Control", "no-store, no-cache");
        return reply;
    }();
    entries.push_back({.at = wall_clock(),
        .what = "token",
        .method = r.method,
        .path = r.path,
        .status = answer.status,
        .body = json::object{{"client_id", printable(id, 100)}, {"scope", printable(scope, 200)},
            {"grant_type", printable(field("grant_type"), 100)}},
        .client_request_id = std::string(r.headers.get("client-request-id").value_or(""))});
    if (answer.status != 200)
        entries.back().body.as_object()["error_codes"] = json::parse(answer.body).at("error_codes");
    return answer;
}

result<std::string> tenant::impl::make_locked(token_order const& order) {
    auto const v2 = order.version == "2.0";
    if (!v2 && order.version != "1.0") return fail(errc::malformed, "version: 1.0 or 2.0");
    auto claims = times(order.lifetime);
    overlay(claims, {{"aud", v2 ? options.client_id : options.app_id},
                        {"iss", v2 ? fmt::format("{}/{}/v2.0", origin, options.tenant_id)
                                   : fmt::format("https://sts.windows.net/{}/", options.tenant_id)},
                        {"tid", options.tenant_id}, {"ver", order.version}, {"rh", "0." + base64url(random_bytes(32))},
                        {"aio", base64url(random_bytes(24))}, {v2 ? "azp" : "appid", authentication_broker},
                        {v2 ? "azpacr" : "appidacr", "0"}});
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
