// What surrounds the page on the screen, which it looks like: Windows' setup or Settings.
// Source: Microsoft Entra integration with MDM, "Terms of Use endpoint", themes; docs/protocol-coverage.md
#pragma once
#include <array>
#include <string_view>

#include "core/http_message.hpp"

namespace mdmd::terms {

enum class theme {
    automatic,   // not inside of Windows' own pages: what the user prefers
    oobe_dark,   // Windows 10's setup: white on blue, from edge to edge
    oobe_light,  // Windows 11's setup: a frame
    settings,    // Settings, at any time after
};
inline constexpr std::array all_themes{theme::automatic, theme::oobe_dark, theme::oobe_light, theme::settings};
std::string_view name_of(theme);  // "automatic", "oobe-dark", "oobe-light", "settings"

// CXH-HOST (or CXH-HOSTHTTP): FRX is the setup, MOSET is Settings. Which Windows it is says cxh-osVersionInfo, in a
// form that is not documented; without it the setup is Windows 10's.
theme theme_of(http::fields const&);

// The first build number in a text, whatever is around it: of "10.0.22631.3447", of a number of five digits that is
// 10000 or more, or of a packed 64-bit version such as 2814751208894465; 0 where there is none.
int windows_build_in(std::string_view);

// mdmd's own style sheet for a theme.
std::string_view style_of(theme);

}  // namespace mdmd::terms
