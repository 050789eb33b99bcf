#include <fmt/format.h>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "terms/language.hpp"
#include "terms/library.hpp"
#include "terms/shell.hpp"
#include "terms/uri.hpp"
#include "terms/words.hpp"

namespace mdmd::terms {
namespace {

std::string digest_source(std::string_view style) { return fmt::format("'sha256-{}'", base64(crypto::sha256(style))); }

std::string replaced(std::string_view pattern, std::string_view what, std::string_view by) {
    std::string out(pattern);
    if (auto const at = out.find(what); at != out.npos) out.replace(at, what.size(), by);
    return out;
}

words const& words_of(appearance const& a) { return a.speak ? *a.speak : english; }

std::vector<asset const*> sheets_of(appearance const& a) {
    return a.texts ? a.texts->style_sheets(a.look) : std::vector<asset const*>{};
}

http::response notice(appearance const& a, int status, std::string_view content) {
    auto const& say = words_of(a);
    return in_shell({.status = status,
        .language = say.tag,
        .look = a.look,
        .style_sheets = sheets_of(a),
        .title = say.management,
        .content = content});
}

std::string pin_html(words const& say, pin_field pin) {
    if (pin == pin_field::none) return {};
    bool const failed = pin == pin_field::missing || pin == pin_field::wrong;
    std::string out =
        fmt::format("<div class=\"pin\">\n<label for=\"pin\">{}</label>\n<p class=\"hint\" id=\"pin-hint\">{}</p>\n",
            html_escape(say.pin), html_escape(say.pin_hint));
    if (failed)
        out += fmt::format("<p class=\"wrong\" id=\"pin-error\">{}</p>\n",
            html_escape(pin == pin_field::missing ? say.pin_missing : say.pin_wrong));
    // Text, so that nobody's password manager offers to keep it or fills in the password.
    out += fmt::format(
        "<input type=\"text\" id=\"pin\" name=\"pin\" inputmode=\"numeric\" autocomplete=\"one-time-code\" "
        "maxlength=\"32\" spellcheck=\"false\" dir=\"ltr\" aria-required=\"true\" aria-describedby=\"{}pin-hint\"{}>\n</div>\n",
        failed ? "pin-error " : "", failed ? " aria-invalid=\"true\" autofocus" : "");
    return out;
}

}  // namespace

http::response in_shell(shell const& s) {
    http::response r{.status = s.status, .headers = {}, .body = {}};
    bool const own = s.style_sheets.empty();
    auto const style = style_of(s.look);
    r.headers.add("Content-Type", "text/html; charset=UTF-8");
    r.headers.add("Content-Security-Policy",
        fmt::format("default-src 'none'; style-src {}; {}form-action {}; base-uri 'none'",
            own ? digest_source(style) : "'self'; img-src 'self'; font-src 'self'",
            s.script_nonce.empty() ? "" : fmt::format("script-src 'nonce-{}'; ", s.script_nonce), s.form_action));
    r.headers.add("Cache-Control", "no-store");
    r.headers.add("Referrer-Policy", "no-referrer");
    r.headers.add("X-Content-Type-Options", "nosniff");
    std::string styles;
    if (own) styles = fmt::format("<style>{}</style>\n", style);
    for (auto const* sheet : s.style_sheets)
        styles += fmt::format("<link rel=\"stylesheet\" href=\"/TermsOfUse/{}\">\n", html_escape(sheet->path));
    r.body = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"{}\" dir=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n{}"
        "</head>\n<body class=\"{}\">\n<main>\n{}</main>\n</body>\n</html>\n",
        html_escape(s.language), direction_of(s.language), html_escape(s.title), styles, name_of(s.look), s.content);
    return r;
}

http::response page(
    appearance const& a, form_state const& s, std::string_view sealed, text const& shown, pin_field pin) {
    bool const corporate = s.from.owner == ownership::corporate;
    auto const& say = words_for({shown.language});
    // The text may be in a language that has no words here: then they are English on a page that is not.
    auto const other = lower(shown.language) != lower(say.tag) &&
                       split(lower(shown.language), '-')[0] != split(lower(say.tag), '-')[0];
    auto const in = other ? fmt::format(" lang=\"{}\" dir=\"{}\"", say.tag, direction_of(say.tag)) : std::string();
    std::string content;
    if (!shown.has_title) content += fmt::format("<h1{}>{}</h1>\n", in, fill_in(say.title, a.organization, s.upn));
    if (!s.upn.empty())
        content += fmt::format("<p class=\"who\"{}>{}</p>\n", in, fill_in(say.signed_in, a.organization, s.upn));
    content += fmt::format("<div class=\"text\">\n{}</div>\n", fill_in(shown.html, a.organization, s.upn));
    content += fmt::format(
        "<form method=\"post\" action=\"/TermsOfUse\"{}>\n<input type=\"hidden\" name=\"state\" value=\"{}\">\n{}"
        "<div class=\"actions\">\n<button class=\"first\" type=\"submit\" name=\"decision\" value=\"accept\">{}</button>\n",
        in, html_escape(sealed), pin_html(say, pin), html_escape(say.accept));
    if (!corporate)
        content += fmt::format(
            "<button type=\"submit\" name=\"decision\" value=\"decline\">{}</button>\n", html_escape(say.decline));
    content += "</div>\n</form>\n";
    content += fmt::format(
        "<p class=\"version\"{}>{}</p>\n", in, html_escape(replaced(say.version, "{version}", shown.version)));
    // Chromium holds a form's redirects to form-action too, so the scheme that the decision goes to is named.
    auto const scheme = scheme_of(s.from.redirect_uri);
    auto const action = scheme.empty() ? std::string("'self'") : fmt::format("'self' {}:", scheme);
    return in_shell({.language = shown.language,
        .look = a.look,
        .style_sheets = sheets_of(a),
        .form_action = action,
        .title = replaced(say.title, "{organization}", a.organization),
        .content = content});
}

http::response refusal_page(appearance const& a, refused_because why) {
    auto const& say = words_of(a);
    return notice(a, 400,
        fmt::format("<h1>{}</h1>\n<p>{}</p>\n<p>{}</p>\n", html_escape(say.refused), html_escape(say.because(why)),
            html_escape(say.start_again)));
}

http::response turned_away_page(appearance const& a, query const& q, turned_away_because why) {
    auto const& say = words_of(a);
    auto const redirect = failed(q, failure::unauthorized_user_or_tenant);
    auto const next = redirect.headers.get("Location").value_or("");
    return notice(a, 200,
        fmt::format(
            "<h1>{}</h1>\n<p>{}</p>\n<div class=\"actions\"><a class=\"button first\" href=\"{}\">{}</a></div>\n",
            fill_in(say.turned_away, a.organization, ""), html_escape(say.because(why)), html_escape(next),
            html_escape(say.next)));
}

std::string typed_pin(std::string_view typed) {
    constexpr std::size_t longest = 64;
    // UTF-8 of the first digit of: Arabic-Indic, Extended Arabic-Indic (two bytes), full-width (three).
    static constexpr std::string_view zeros[] = {"\xd9\xa0", "\xdb\xb0", "\xef\xbc\x90"};
    std::string out;
    while (!typed.empty() && out.size() < longest) {
        std::size_t used = 0;
        for (auto const zero : zeros) {
            if (!typed.starts_with(zero.substr(0, zero.size() - 1)) || typed.size() < zero.size()) continue;
            auto const digit =
                static_cast<unsigned char>(typed[zero.size() - 1]) - static_cast<unsigned char>(zero.back());
            if (digit < 0 || digit > 9) continue;
            out += static_cast<char>('0' + digit);
            used = zero.size();
        }
        constexpr std::string_view wide_blank = "\xe3\x80\x80";
        if (!used && typed.starts_with(wide_blank)) used = wide_blank.size();
        if (!used) {
            if (std::string_view(" \t\r\n-").find(typed[0]) == std::string_view::npos) out += typed[0];
            used = 1;
        }
        typed.remove_prefix(used);
    }
    return out;
}

}  // namespace mdmd::terms
