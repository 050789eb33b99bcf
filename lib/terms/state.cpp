// The form's state, sealed: percent-encoded pairs, base64url, and an HMAC over that text.
#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "terms/terms.hpp"

namespace mdmd::terms {
namespace {

constexpr std::size_t longest_sealed = 16 * 1024;

// The purpose stands before the text, so that no other use of the same key can make a seal of ours.
std::string signature_of(std::string_view payload, std::string_view key) {
    return crypto::hmac_sha256(key, fmt::format("mdmd terms of use form, version 2\n{}", payload));
}

void need(std::string_view key) {
    if (key.empty()) throw std::logic_error("sealing the Terms of Use needs a key");
}

error broken() { return fail(errc::malformed, "the form's state is not one of ours"); }

}  // namespace

std::string seal(form_state const& s, std::string_view key) {
    need(key);
    std::string text;
    auto const add = [&text](std::string_view name, std::string_view value) {
        text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, percent_encode(value));
    };
    add("id", s.id);
    add("user", s.user_id);
    add("upn", s.upn);
    add("tenant", s.tenant_id);
    add("redirect", s.from.redirect_uri);
    add("request", s.from.client_request_id);
    add("version", s.from.api_version);
    add("owner", s.from.owner == ownership::corporate ? "corporate" : "personal");
    add("text", s.text_version);
    add("language", s.language);
    add("theme", name_of(s.look));
    add("expires", std::to_string(to_ms(s.expires)));
    auto const payload = base64url(text);
    return fmt::format("{}.{}", payload, base64url(signature_of(payload, key)));
}

result<form_state> open(std::string_view sealed, std::string_view key, time_point now) {
    need(key);
    if (sealed.size() > longest_sealed) return broken();
    auto const parts = split(sealed, '.');
    if (parts.size() != 2) return broken();
    auto const text = unbase64url(parts[0]);
    auto const signature = unbase64url(parts[1]);
    if (!text || !signature) return broken();
    if (!crypto::equal_in_constant_time(*signature, signature_of(parts[0], key)))
        return fail(errc::unauthenticated, "the form's state has another signature");

    auto const pairs = mdmd::parse_query(*text, false);
    constexpr std::array<std::string_view, 12> names{"id", "user", "upn", "tenant", "redirect", "request", "version",
        "owner", "text", "language", "theme", "expires"};
    if (pairs.size() != names.size()) return broken();
    for (std::size_t i = 0; i < names.size(); ++i)
        if (pairs[i].first != names[i]) return broken();
    auto const& expires = pairs.back().second;
    std::int64_t ms = 0;
    auto const [end, bad] = std::from_chars(expires.data(), expires.data() + expires.size(), ms);
    if (bad != std::errc{} || end != expires.data() + expires.size()) return broken();
    if (now >= from_ms(ms)) return fail(errc::conflict, "the form's state has expired");
    auto const look = std::find_if(
        all_themes.begin(), all_themes.end(), [&pairs](theme t) { return name_of(t) == pairs[10].second; });
    if (look == all_themes.end()) return broken();
    return form_state{
        .id = pairs[0].second,
        .user_id = pairs[1].second,
        .upn = pairs[2].second,
        .tenant_id = pairs[3].second,
        .from = {.redirect_uri = pairs[4].second,
            .client_request_id = pairs[5].second,
            .api_version = pairs[6].second,
            .owner = pairs[7].second == "corporate" ? ownership::corporate : ownership::personal,
            .unknown_mode = {}},
        .text_version = pairs[8].second,
        .language = pairs[9].second,
        .look = *look,
        .expires = from_ms(ms),
    };
}

}  // namespace mdmd::terms
