// The sign-in page of the tenant, and what its codes are good for. [RFC 6749 4.1, RFC 7636, OpenID Connect Core 3.1]
#include "core/random.hpp"
#include "core/text.hpp"
#include "tenant_state.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

constexpr auto code_life = std::chrono::minutes(10);

// What stays in the browser: nobody is sent anywhere.
http::response page(int status, int code, std::string const& text) {
    return {.status = status,
        .headers = {{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}},
        .body = fmt::format("<!DOCTYPE html>\n<title>Sign in</title>\n<p>Sorry, but we're having trouble signing you "
                            "in.</p>\n<p>AADSTS{}: {}</p>\n",
            code, html_escape(text))};
}

}  // namespace

http::response tenant::impl::authorize(http::request const& r, std::string_view segment) {
    auto const query = parse_query(r.query, true);
    auto const field = [&](char const* name) { return std::string(find_parameter(query, name).value_or("")); };
    if (r.method != "GET") return json_response(405, json::object{{"error", "method_not_allowed"}});
    if (!iequals(segment, options.tenant_id)) return page(400, 90002, "Tenant not found.");
    if (!iequals(field("client_id"), options.client_id))
        return page(400, 700016, "Application was not found in the directory.");
    auto const back_to = field("redirect_uri");
    auto const& known = options.redirect_uris;
    if (std::find(known.begin(), known.end(), back_to) == known.end())
        return page(400, 50011,
            fmt::format(
                "The redirect URI '{}' does not match those configured for the application.", printable(back_to, 200)));
    auto const redirect = [&](std::string const& pairs) {
        auto const state = field("state");
        return http::response{.status = 302,
            .headers = {{"Location", fmt::format("{}?{}{}", back_to, pairs,
                                         state.empty() ? "" : "&state=" + percent_encode(state))},
                {"Cache-Control", "no-store"}},
            .body = {}};
    };
    auto const refused = [&](std::string const& error, int code, std::string const& text) {
        return redirect(fmt::format("error={}&error_description={}", percent_encode(error),
            percent_encode(fmt::format("AADSTS{}: {}\r\nTrace ID: {}", code, text, new_guid()))));
    };
    if (field("response_type") != "code")
        return refused("unsupported_response_type", 700051, "response_type is not enabled for the application.");
    if (auto const mode = field("response_mode"); !mode.empty() && mode != "query")
        return refused("invalid_request", 9002305, "response_mode is not supported.");
    auto const wanted = field("scope");
    auto const words = split(wanted, ' ');
    if (std::find(words.begin(), words.end(), "openid") == words.end())
        return refused("invalid_request", 70011, "The scope openid is missing.");
    auto const challenge = field("code_challenge");
    if (challenge.size() != 43 || field("code_challenge_method") != "S256")
        return refused("invalid_request", 9002325, "Proof Key for Code Exchange is required.");
    if (field("nonce").empty()) return refused("invalid_request", 900144, "The nonce is missing.");

    std::scoped_lock const lock(mutex);
    if (!sign_in_error.empty()) return refused(sign_in_error, sign_in_aadsts, "The sign-in was refused.");
    auto const hint = field("login_hint");
    if (hint.empty()) return page(200, 50058, "A user has to be chosen.");
    auto const* const u = what.find_user(hint);
    if (!u) return page(200, 50034, fmt::format("The user account {} does not exist.", printable(hint, 100)));
    if (!u->enabled) return page(200, 50057, "The user account is disabled.");
    auto const code = "0." + base64url(random_bytes(48));
    codes[code] = {.user_id = u->id,
        .redirect_uri = back_to,
        .nonce = field("nonce"),
        .challenge = challenge,
        .ends = wall_clock() + code_life};
    return redirect("code=" + percent_encode(code) + "&session_state=" + new_guid());
}

http::response tenant::impl::redeem(parameters const& fields) {
    auto const field = [&](char const* name) { return std::string(find_parameter(fields, name).value_or("")); };
    auto const refused = [](int code, char const* text) { return token_refusal(400, "invalid_grant", code, text); };
    auto const found = codes.find(field("code"));
    if (found == codes.end()) return refused(70000, "The provided authorization code is not valid.");
    auto& s = found->second;
    if (s.redeemed) return refused(54005, "OAuth2 Authorization code was already redeemed.");
    if (s.ends <= wall_clock()) return refused(70008, "The provided authorization code has expired.");
    if (field("redirect_uri") != s.redirect_uri)
        return refused(500112, "The reply address does not match that of the authorization code.");
    auto const verifier = field("code_verifier");
    if (verifier.size() < 43 || verifier.size() > 128 || base64url(sha256(verifier)) != s.challenge)
        return refused(501481, "The Code_Verifier does not match the code_challenge.");
    s.redeemed = true;
    auto const* const u = what.find_user(s.user_id);
    if (!u) return refused(50034, "The user account does not exist.");
    auto const now = to_ms(wall_clock()) / 1000;
    json::object const claims{{"aud", options.client_id}, {"iss", issuer(true)}, {"iat", now}, {"nbf", now},
        {"exp", now + 3600}, {"name", u->display_name}, {"nonce", s.nonce}, {"oid", u->id},
        {"preferred_username", u->upn}, {"rh", "0." + base64url(random_bytes(24))},
        {"sub", base64url(sha256(u->id + options.client_id))}, {"tid", options.tenant_id},
        {"uti", base64url(random_bytes(16))}, {"ver", "2.0"}};
    auto reply =
        json_response(200, json::object{{"token_type", "Bearer"}, {"scope", "openid profile"}, {"expires_in", 3599},
                               {"ext_expires_in", 3599}, {"access_token", base64url(random_bytes(64))},
                               {"id_token", make_token(keys.front(), claims)}});
    reply.headers.add("Cache-Control", "no-store, no-cache");
    return reply;
}

}  // namespace mdmd::sim
