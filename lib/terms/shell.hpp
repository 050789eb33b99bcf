// The frame of every page. Private to lib/terms.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/http_message.hpp"
#include "terms/theme.hpp"

namespace mdmd::terms {

struct asset;

// Nothing from elsewhere, and no script but one that has the nonce: Windows' web view shows the page before the device
// has any policy, on Windows 11 inside a frame, so there is neither X-Frame-Options nor frame-ancestors.
struct shell {
    int status = 200;
    std::string_view language;  // BCP 47; its direction is the page's
    theme look = theme::automatic;
    std::vector<asset const*> style_sheets{};  // none: mdmd's own
    std::string_view form_action = "'none'";   // sources of the Content-Security-Policy
    std::string_view script_nonce = {};        // empty: no script
    std::string_view title;                    // plain text
    std::string_view content;                  // HTML, inside of <main>
};
http::response in_shell(shell const&);

}  // namespace mdmd::terms
