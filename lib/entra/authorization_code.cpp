#include "entra/authorization_code.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "entra/answers.hpp"

namespace mdmd::entra {
namespace {

constexpr std::string_view scope = "openid profile";
constexpr std::size_t longest_query = 16 * 1024;
constexpr std::size_t longest_state = 4 * 1024;
constexpr std::size_t longest_code = 8 * 1024;

bool is_visible_ascii(std::string_view s) {
    return std::all_of(s.begin(), s.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

int aadsts_of(std::string_view description) {
    constexpr std::string_view mark = "AADSTS";
    auto const at = description.find(mark);
    if (at == description.npos) return 0;
    auto const digits = description.substr(at + mark.size(), 8);
    int code = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), code);
    return std::max(code, 0);
}

}  // namespace

std::string authorization_url(application const& app, authorization const& a) {
    auto out = fmt::format("{}/{}/oauth2/v2.0/authorize?client_id={}&response_type=code&response_mode=query",
        without_last_slash(app.login_url), percent_encode(app.tenant_id), percent_encode(app.client_id));
    auto const add = [&](std::string_view name, std::string_view value) {
        out += fmt::format("&{}={}", name, percent_encode(value));
    };
    add("redirect_uri", a.redirect_uri);
    add("scope", scope);
    add("state", a.state);
    add("nonce", a.nonce);
    add("code_challenge", base64url(crypto::sha256(a.verifier)));
    add("code_challenge_method", "S256");
    if (a.login_hint.empty())
        add("prompt", "select_account");
    else
        add("login_hint", a.login_hint);
    return out;
}

result<authorization_answer> parse_authorization_answer(std::string_view query) {
    auto const malformed = [](char const* why) { return fail(errc::malformed, std::string("the answer has ") + why); };
    if (query.size() > longest_query) return malformed("more than 16 KiB");
    auto const all = parse_query(query, true);
    // A second one would be another's for whoever reads it last.
    for (auto const* name : {"state", "code", "error"})
        if (std::count_if(all.begin(), all.end(), [&](auto const& p) { return iequals(p.first, name); }) > 1)
            return malformed("a parameter twice");
    auto const value = [&](char const* name) { return find_parameter(all, name).value_or(""); };
    auto const state = value("state"), code = value("code"), refused = value("error");
    if (state.empty() || state.size() > longest_state || !is_visible_ascii(state)) return malformed("no state");
    if (code.empty() == refused.empty()) return malformed("neither a code nor an error, or both");
    if (code.size() > longest_code || !is_visible_ascii(code)) return malformed("a code that is none");
    return authorization_answer{.state = std::string(state),
        .code = secret(std::string(code)),
        .error = printable(refused, 64),
        .subcode = printable(value("error_subcode"), 64),
        .aadsts = aadsts_of(value("error_description"))};
}

result<http::call> code_request(application const& app, credential const& key, assertion_form kind, secret const& code,
    std::string_view redirect_uri, std::string_view verifier, time_point now) {
    return token_call(app, key, kind,
        {{"scope", scope}, {"code", code.reveal()}, {"redirect_uri", redirect_uri}, {"code_verifier", verifier}},
        "authorization_code", now);
}

code_answer parse_code_answer(http::response const& answer, time_point now) {
    if (answer.status != 200) return {.id_token = {}, .refusal = parse_token_answer(answer, now).refusal};
    auto const body = parse_object(answer.body, largest_answer, "the token endpoint's answer");
    auto const token = body ? find_text(*body, "id_token") : std::nullopt;
    if (token && !token->empty() && token->size() <= largest_access_token && is_visible_ascii(*token))
        return {.id_token = secret(std::string(*token)), .refusal = {}};
    token_refusal r;
    r.http_status = answer.status;
    r.error = "invalid_answer";
    r.meaning = "the token endpoint's answer holds no usable ID token";
    r.remedy = "Check login_url, and that no proxy answers in its place.";
    return {.id_token = {}, .refusal = std::move(r)};
}

}  // namespace mdmd::entra
