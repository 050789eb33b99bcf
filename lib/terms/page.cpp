// The pages. No script and nothing from elsewhere: Windows' web view shows them before the device has any policy, on
// Windows 11 inside a frame, so there is neither X-Frame-Options nor frame-ancestors.
#include <fmt/format.h>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "terms/uri.hpp"

namespace mdmd::terms {
namespace {

// Contrast is 4.5:1 or better in both schemes; forced colours replace it all. Sizes in rem follow the user's own.
constexpr std::string_view style = R"(
:root{color-scheme:light dark;--back:#fff;--text:#1b1b1b;--quiet:#4a4a4a;--line:#6b6b6b;--act:#0a5aa8;--on-act:#fff}
@media (prefers-color-scheme:dark){:root{--back:#1f1f1f;--text:#f5f5f5;--quiet:#c8c8c8;--line:#9a9a9a;--act:#7ec0ff;--on-act:#0b1a28}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:1rem/1.5 "Segoe UI",system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:42rem;margin:0 auto;padding:1.5rem 1.25rem}
h1{font-size:1.6rem;line-height:1.25;font-weight:600;margin:0 0 1rem}
h2{font-size:1.1rem;font-weight:600;margin:1.25rem 0 .25rem}
ul{margin:.25rem 0;padding-inline-start:1.4rem}
.who{color:var(--quiet)}
.actions{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:1.75rem}
button,.button{font:inherit;min-height:2.75rem;min-width:8rem;padding:.5rem 1.25rem;border:2px solid var(--line);border-radius:.25rem;background:var(--back);color:var(--text);cursor:pointer;text-align:center;text-decoration:none}
.first{background:var(--act);border-color:var(--act);color:var(--on-act)}
:focus-visible{outline:3px solid var(--text);outline-offset:3px}
@media (forced-colors:active){button,.button{border-color:ButtonText}:focus-visible{outline-color:Highlight}}
@media (max-width:30rem){.actions>*{flex:1 1 100%}}
)";

std::string const& style_source() {
    static std::string const source = fmt::format("'sha256-{}'", base64(crypto::sha256(style)));
    return source;
}

http::response html(int status, std::string_view form_action, std::string_view title, std::string_view content) {
    http::response r{.status = status, .headers = {}, .body = {}};
    r.headers.add("Content-Type", "text/html; charset=UTF-8");
    r.headers.add("Content-Security-Policy",
        fmt::format("default-src 'none'; style-src {}; form-action {}; base-uri 'none'", style_source(), form_action));
    r.headers.add("Cache-Control", "no-store");
    r.headers.add("Referrer-Policy", "no-referrer");
    r.headers.add("X-Content-Type-Options", "nosniff");
    r.body = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n"
        "<style>{}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        title, style, content);
    return r;
}

constexpr std::string_view corporate_terms =
    R"(<p>This device belongs to {0}. Joining it places it under {0}'s management.</p>
<h2>{0} can</h2>
<ul>
<li>see the device's name, model, serial number, version of Windows and state of protection</li>
<li>see which apps are installed on it</li>
<li>change settings, install and remove apps, and require a password and encryption</li>
<li>lock the device, restart it, or erase everything on it</li>
</ul>
<h2>{0} cannot</h2>
<ul>
<li>read your mail, documents, photos or browsing history through this management</li>
</ul>
<p>Management lasts as long as the device belongs to {0}.</p>
)";

constexpr std::string_view personal_terms =
    R"(<p>Connecting your own device lets {0} manage it, so that it may be used for work.</p>
<h2>{0} can</h2>
<ul>
<li>see the device's name, model, serial number, version of Windows and state of protection</li>
<li>see which apps are installed on it</li>
<li>require settings such as a password and encryption, and install apps for work</li>
<li>remove what it has set up, or erase the device if it is lost</li>
</ul>
<h2>{0} cannot</h2>
<ul>
<li>read your mail, documents, photos or browsing history through this management</li>
</ul>
<p>You can end this at any time in Settings, Accounts, Access work or school. If you decline, the device is not managed
and may not open work resources.</p>
)";

}  // namespace

http::response page(form_state const& s, std::string_view sealed, std::string_view organization) {
    bool const corporate = s.from.owner == ownership::corporate;
    auto const name = html_escape(organization);
    std::string content = fmt::format("<h1>Terms of use of {}</h1>\n", name);
    if (!s.upn.empty()) content += fmt::format("<p class=\"who\">Signed in as {}</p>\n", html_escape(s.upn));
    content += fmt::format(fmt::runtime(corporate ? corporate_terms : personal_terms), name);
    content += fmt::format(
        "<form method=\"post\" action=\"/TermsOfUse\">\n<input type=\"hidden\" name=\"state\" value=\"{}\">\n"
        "<div class=\"actions\">\n<button class=\"first\" type=\"submit\" name=\"decision\" value=\"accept\">Accept</button>\n",
        html_escape(sealed));
    if (!corporate) content += "<button type=\"submit\" name=\"decision\" value=\"decline\">Decline</button>\n";
    content += "</div>\n</form>\n";
    // Chromium holds a form's redirects to form-action too, so the scheme that the decision goes to is named.
    auto const scheme = scheme_of(s.from.redirect_uri);
    return html(200, scheme.empty() ? "'self'" : fmt::format("'self' {}:", scheme),
        fmt::format("Terms of use of {}", name), content);
}

http::response refusal_page(std::string_view what) {
    return html(400, "'none'", "Device management",
        fmt::format(
            "<h1>This page cannot be shown</h1>\n<p>{}</p>\n"
            "<p>Close this window and start again from Settings. If it happens again, tell your administrator.</p>\n",
            html_escape(what)));
}

http::response turned_away_page(query const& q, std::string_view why, std::string_view organization) {
    auto const redirect = failed(q, failure::unauthorized_user_or_tenant);
    auto const next = redirect.headers.get("Location").value_or("");
    return html(200, "'none'", "Device management",
        fmt::format("<h1>This device cannot be managed by {}</h1>\n<p>{}</p>\n"
                    "<div class=\"actions\"><a class=\"button first\" href=\"{}\">Continue</a></div>\n",
            html_escape(organization), html_escape(why), html_escape(next)));
}

}  // namespace mdmd::terms
