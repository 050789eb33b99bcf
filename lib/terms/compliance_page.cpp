#include "terms/compliance_page.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "terms/compliance_words.hpp"
#include "terms/language.hpp"
#include "terms/theme.hpp"

namespace mdmd::terms {
namespace {

constexpr std::size_t longest_link = 1024;

// The purpose stands before the text, so that no other use of the same key can make a seal of ours.
std::string signature_of(std::string_view payload, std::string_view key) {
    return crypto::hmac_sha256(key, fmt::format("mdmd compliance page link, version 1\n{}", payload));
}

void need(std::string_view key) {
    if (key.empty()) throw std::logic_error("sealing the compliance page's links needs a key");
}

error broken() { return fail(errc::malformed, "the link is not one of ours"); }

compliance_words const& words_of(std::vector<std::string> const& languages) {
    static auto const all = [] {
        std::vector<compliance_words const*> list;
        for (auto const& w : latin_compliance_words) list.push_back(&w);
        for (auto const& w : other_compliance_words) list.push_back(&w);
        return list;
    }();
    static auto const tags = [] {
        std::vector<std::string> list;
        for (auto const* w : all) list.emplace_back(w->locale);
        return list;
    }();
    return *all[best_language(languages, tags).value_or(0)];
}

// A pattern of ours with values that are HTML already.
template <class... Values> std::string put(std::string_view pattern, Values const&... values) {
    return fmt::format(fmt::runtime(html_escape(pattern)), values...);
}

// A value as HTML, whose direction does not change that of the text around it.
std::string isolated(std::string_view value) { return fmt::format("<bdi>{}</bdi>", html_escape(value)); }

std::string time_text(compliance_words const& w, time_point t) {
    auto const day = std::chrono::floor<std::chrono::days>(t);
    std::chrono::year_month_day const date(day);
    std::chrono::hh_mm_ss const clock(std::chrono::floor<std::chrono::minutes>(t - day));
    return fmt::format("<time datetime=\"{}\"><bdi>{}</bdi></time>", rfc3339(t),
        put(w.time, static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
            static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count()));
}

std::string const& style() {
    static std::string const text = std::string(style_of(theme::automatic)) + R"(
.notice{border:2px solid var(--line);border-radius:.25rem;padding:.5rem .75rem}
.shortfalls{list-style:none;padding:0}
.shortfalls li{border:1px solid var(--line);border-radius:.25rem;padding:.5rem .75rem;margin:.75rem 0}
.shortfalls h3{margin:0}
.shortfalls p{margin:.25rem 0}
[dir=rtl] .shortfalls{padding:0}
)";
    return text;
}

// Unlike the Terms of Use this page is never inside of another's: a browser opens it by itself.
http::response frame(
    compliance_words const& w, int status, std::string_view title, std::string_view heading, std::string_view content) {
    static std::string const policy = fmt::format(
        "default-src 'none'; style-src 'sha256-{}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
        base64(crypto::sha256(style())));
    http::response r{.status = status, .headers = {}, .body = {}};
    r.headers.add("Content-Type", "text/html; charset=UTF-8");
    r.headers.add("Content-Security-Policy", policy);
    r.headers.add("Cache-Control", "no-store");
    r.headers.add("Referrer-Policy", "no-referrer");
    r.headers.add("X-Content-Type-Options", "nosniff");
    r.headers.add("Content-Language", std::string(w.locale));
    r.headers.add("Vary", "Accept-Language");
    r.body = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"{}\" dir=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n"
        "<style>{}</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n{}</main>\n</body>\n</html>\n",
        w.locale, direction_of(w.locale), title, style(), heading, content);
    return r;
}

std::string steps(compliance_words const& w) {
    std::string out = fmt::format("<h2>{}</h2>\n<ol>\n", html_escape(w.steps_title));
    for (auto const step : {w.step_network, w.step_sync, w.step_wait, w.step_ask})
        out += fmt::format("<li>{}</li>\n", html_escape(step));
    return out + "</ol>\n";
}

std::string paragraph(std::string_view words) { return fmt::format("<p>{}</p>\n", html_escape(words)); }

// What is said of a rule: a title and a text, as HTML.
struct said {
    std::string title, text;
    bool operator==(said const&) const = default;
};

said say(compliance_words const& w, shortfall const& s, std::optional<time_point> const& last_seen, time_point now) {
    static constexpr std::array<std::pair<std::string_view, rule_words compliance_words::*>, 5> fixed{{
        {"encryption", &compliance_words::encryption},
        {"secure_boot", &compliance_words::secure_boot},
        {"antivirus", &compliance_words::antivirus},
        {"firewall", &compliance_words::firewall},
        {"tpm", &compliance_words::tpm},
    }};
    if (s.rule == "min_os_version")
        return {html_escape(w.os_version.title), put(w.os_version.text, isolated(s.found), isolated(s.wanted))};
    if (s.rule == "last_seen") {
        auto const title = html_escape(w.last_seen.title);
        if (!last_seen) return {title, html_escape(w.never_seen)};
        auto const days = std::chrono::floor<std::chrono::days>(now - *last_seen).count();
        return {title, days < 1 ? html_escape(w.seen_today) : put(w.last_seen.text, html_escape(w.days(days)))};
    }
    for (auto const& [rule, member] : fixed)
        if (rule == s.rule) return {html_escape((w.*member).title), html_escape((w.*member).text)};
    return {html_escape(w.other.title), put(w.other.text, isolated(s.policy))};
}

std::string shortfalls(compliance_words const& w, device_health const& d, time_point now) {
    // Two rules of which the same is said are said once.
    std::vector<said> all;
    for (auto const& s : d.shortfalls) {
        auto one = say(w, s, d.last_seen, now);
        if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(std::move(one));
    }
    if (all.empty()) return {};
    auto out = fmt::format("<h2>{}</h2>\n<ul class=\"shortfalls\">\n", html_escape(w.shortfalls_title));
    for (auto const& one : all) out += fmt::format("<li>\n<h3>{}</h3>\n<p>{}</p>\n</li>\n", one.title, one.text);
    return out + "</ul>\n";
}

}  // namespace

std::string seal_link(device_link const& l, std::string_view key) {
    need(key);
    auto const payload = base64url(fmt::format("device={}&expires={}", percent_encode(l.device_id), to_ms(l.expires)));
    return fmt::format("{}.{}", payload, base64url(signature_of(payload, key)));
}

result<device_link> open_link(std::string_view sealed, std::string_view key, time_point now) {
    need(key);
    if (sealed.size() > longest_link) return broken();
    auto const parts = split(sealed, '.');
    if (parts.size() != 2) return broken();
    auto const text = unbase64url(parts[0]);
    auto const signature = unbase64url(parts[1]);
    if (!text || !signature) return broken();
    if (!crypto::equal_in_constant_time(*signature, signature_of(parts[0], key)))
        return fail(errc::unauthenticated, "the link has another signature");

    auto const pairs = mdmd::parse_query(*text, false);
    if (pairs.size() != 2 || pairs[0].first != "device" || pairs[1].first != "expires") return broken();
    auto const& expires = pairs[1].second;
    std::int64_t ms = 0;
    auto const [end, bad] = std::from_chars(expires.data(), expires.data() + expires.size(), ms);
    if (bad != std::errc{} || end != expires.data() + expires.size()) return broken();
    if (now >= from_ms(ms)) return fail(errc::conflict, "the link has expired");
    return device_link{.device_id = pairs[0].second, .expires = from_ms(ms)};
}

http::response compliance_page(visitor who, std::vector<std::string> const& languages) {
    auto const& w = words_of(languages);
    bool const invalid = who == visitor::with_invalid_link;
    std::string content;
    if (invalid) content += fmt::format("<p class=\"notice\">{}</p>\n", html_escape(w.link_invalid));
    content += paragraph(w.general_what) + steps(w);
    if (!invalid) content += paragraph(w.link_hint);
    auto const title = html_escape(w.general_title);
    return frame(w, invalid ? 404 : 200, title, title, content);
}

http::response compliance_page(device_health const& d, std::vector<std::string> const& languages, time_point now) {
    using state = device_health::state;
    auto const& w = words_of(languages);
    auto const title = d.now == state::compliant         ? w.compliant_title
                       : d.now == state::in_grace_period ? w.grace_title
                       : d.now == state::noncompliant    ? w.noncompliant_title
                                                         : w.unknown_title;
    auto const name = std::string_view(d.name).empty() ? std::string(w.this_device) : d.name;
    std::string content;
    switch (d.now) {
        case state::compliant: content = paragraph(w.compliant_what); break;
        case state::noncompliant: content = paragraph(w.noncompliant_what); break;
        case state::unknown: content = paragraph(w.unknown_what); break;
        case state::in_grace_period:
            content = d.grace_until ? fmt::format("<p>{}</p>\n", put(w.grace_what, time_text(w, *d.grace_until)))
                                    : paragraph(w.noncompliant_what);
            break;
    }
    // What a device has not answered yet is no fault that its user could mend.
    if (d.now == state::noncompliant || d.now == state::in_grace_period) content += shortfalls(w, d, now);
    if (d.now != state::compliant) content += steps(w);
    return frame(w, 200, put(title, html_escape(name)), put(title, isolated(name)), content);
}

}  // namespace mdmd::terms
