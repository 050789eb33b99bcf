#include "terms/theme.hpp"

#include <charconv>
#include <cstdint>
#include <string>

#include "core/text.hpp"

namespace mdmd::terms {
namespace {

constexpr int first_build_of_windows_11 = 22000;

// Contrast is 4.5:1 or better in every scheme. Colours are: back, text, quiet text, lines, the first button, what is
// written on it.
constexpr std::string_view automatic_colours = R"(
:root{color-scheme:light dark;--back:#fff;--text:#1b1b1b;--quiet:#4a4a4a;--line:#6b6b6b;--act:#0a5aa8;--on-act:#fff;--wrong:#a80000}
@media (prefers-color-scheme:dark){:root{--back:#1f1f1f;--text:#f5f5f5;--quiet:#c8c8c8;--line:#9a9a9a;--act:#7ec0ff;--on-act:#0b1a28;--wrong:#ff9f9f}}
)";
constexpr std::string_view oobe_dark_colours = R"(
:root{color-scheme:dark;--back:#005a9e;--text:#fff;--quiet:#e3f0fb;--line:#e3f0fb;--act:#fff;--on-act:#004578;--wrong:#ffe08a}
)";
constexpr std::string_view oobe_light_colours = R"(
:root{color-scheme:light;--back:#f3f3f3;--text:#1b1b1b;--quiet:#4a4a4a;--line:#6b6b6b;--act:#0062b1;--on-act:#fff;--wrong:#a80000}
)";
constexpr std::string_view settings_colours = R"(
:root{color-scheme:light;--back:#fff;--text:#1b1b1b;--quiet:#4a4a4a;--line:#6b6b6b;--act:#0062b1;--on-act:#fff;--wrong:#a80000}
)";

// Windows 10's setup shows pages with the old Edge, which knows neither clamp() nor :focus-visible nor logical
// properties: what it reads stands first, or sides are said for each direction. Sizes are in rem, which follow the
// user's own; wide screens get larger type.
constexpr std::string_view layout = R"(
*{box-sizing:border-box}
html{font-size:100%;font-size:clamp(100%,.5rem + .52vw,200%);background:var(--back)}
body{margin:0;background:var(--back);color:var(--text);font:1rem/1.5 "Segoe UI",system-ui,sans-serif;overflow-wrap:anywhere;word-wrap:break-word}
main{max-width:42rem;margin:0 auto;padding:1.5rem 1.25rem}
h1{font-size:1.6rem;line-height:1.25;font-weight:600;margin:0 0 1rem}
h2{font-size:1.1rem;font-weight:600;margin:1.25rem 0 .25rem}
h3,h4,h5,h6{font-size:1rem;font-weight:600;margin:1rem 0 .25rem}
ul,ol{margin:.25rem 0;padding:0 0 0 1.4rem}
[dir=rtl] ul,[dir=rtl] ol{padding:0 1.4rem 0 0}
dd,blockquote{margin:.25rem 1.4rem}
table{border-collapse:collapse;max-width:100%}
th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:start;vertical-align:top}
pre{white-space:pre-wrap}
mark{background:none;color:inherit;font-weight:600}
.who,.version,.hint{color:var(--quiet)}
.version{font-size:.875rem}
.pin{margin-top:1.5rem}
label{display:block;font-weight:600}
.hint{margin:0 0 .25rem}
.wrong{margin:.25rem 0;color:var(--wrong);font-weight:600}
input[type=text]{font:inherit;font-size:1.25rem;letter-spacing:.1em;width:100%;max-width:14rem;min-height:2.75rem;padding:.25rem .75rem;border:2px solid var(--line);border-radius:.25rem;background:var(--back);color:var(--text)}
.actions{display:flex;flex-wrap:wrap;margin:1.5rem -.375rem 0}
button,.button{display:block;margin:.375rem;font:inherit;min-height:2.75rem;min-width:8rem;max-width:100%;padding:.5rem 1.25rem;border:2px solid var(--line);border-radius:.25rem;background:var(--back);color:var(--text);cursor:pointer;text-align:center;text-decoration:none}
.first{background:var(--act);border-color:var(--act);color:var(--on-act)}
:focus{outline:3px solid var(--text);outline-offset:3px}
:focus:not(:focus-visible){outline:none}
@media (forced-colors:active){button,.button,input[type=text]{border-color:ButtonText}:focus{outline-color:Highlight}}
@media (max-width:30rem){.actions>*{flex:1 1 100%}}
)";

}  // namespace

std::string_view name_of(theme t) {
    switch (t) {
        case theme::automatic: return "automatic";
        case theme::oobe_dark: return "oobe-dark";
        case theme::oobe_light: return "oobe-light";
        case theme::settings: return "settings";
    }
    return {};
}

int windows_build_in(std::string_view text) {
    auto const is_digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
    constexpr std::size_t longest = 512;
    text = text.substr(0, longest);
    for (std::size_t at = 0; at < text.size();) {
        if (!is_digit(at)) {
            ++at;
            continue;
        }
        auto end = at;
        while (is_digit(end)) ++end;
        std::uint64_t number = 0;
        bool const fits = std::from_chars(text.data() + at, text.data() + end, number).ec == std::errc{};
        if (fits && end - at == 5 && number >= 10'000) return static_cast<int>(number);
        // Four parts of 16 bits: major, minor, build, revision.
        if (fits && number >> 48 == 10) return static_cast<int>(number >> 16 & 0xffff);
        at = end;
    }
    return 0;
}

theme theme_of(http::fields const& headers) {
    auto host = headers.get("CXH-HOST");
    if (!host) host = headers.get("CXH-HOSTHTTP");
    auto const where = trim(host.value_or(""));
    if (iequals(where, "MOSET")) return theme::settings;
    if (!iequals(where, "FRX")) return theme::automatic;
    return windows_build_in(headers.get("cxh-osVersionInfo").value_or("")) >= first_build_of_windows_11
               ? theme::oobe_light
               : theme::oobe_dark;
}

std::string_view style_of(theme t) {
    auto const with = [](std::string_view colours) {
        return std::string(colours.substr(1)) + std::string(layout.substr(1));
    };
    static std::array<std::string, all_themes.size()> const sheets{
        with(automatic_colours), with(oobe_dark_colours), with(oobe_light_colours), with(settings_colours)};
    return sheets[static_cast<std::size_t>(t)];
}

}  // namespace mdmd::terms
