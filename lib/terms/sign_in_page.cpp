#include "terms/sign_in_page.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"
#include "terms/library.hpp"
#include "terms/shell.hpp"
#include "terms/sign_in_words.hpp"
#include "terms/uri.hpp"
#include "terms/words.hpp"

namespace mdmd::terms {
namespace {

constexpr std::size_t longest_uri = 512;

words const& words_of(appearance const& a) { return a.speak ? *a.speak : english; }

sign_in_words const& sign_in_words_of(words const& w) {
    auto const at = std::find_if(
        all_sign_in_words.begin(), all_sign_in_words.end(), [&](sign_in_words const& s) { return s.tag == w.tag; });
    return at == all_sign_in_words.end() ? all_sign_in_words.front() : *at;
}

shell shell_of(appearance const& a) {
    auto const& say = words_of(a);
    return {.language = say.tag,
        .look = a.look,
        .style_sheets = a.texts ? a.texts->style_sheets(a.look) : std::vector<asset const*>{},
        .title = say.management,
        .content = {}};
}

std::string paragraph(std::string_view text) { return fmt::format("<p>{}</p>\n", html_escape(text)); }

}  // namespace

bool is_app_uri(std::string_view uri) {
    constexpr std::string_view allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&()*+,;=%";
    constexpr std::string_view scheme = "ms-app://";
    return uri.size() > scheme.size() && uri.size() <= longest_uri && iequals(uri.substr(0, scheme.size()), scheme) &&
           uri.find_first_not_of(allowed) == uri.npos;
}

http::response signed_in_page(appearance const& a, handover const& h) {
    auto const& say = words_of(a);
    auto const& more = sign_in_words_of(say);
    auto content = fmt::format("<h1>{}</h1>\n", html_escape(more.signed_in));
    if (!h.upn.empty())
        content += fmt::format("<p class=\"who\">{}</p>\n", fill_in(say.signed_in, a.organization, h.upn));
    content += paragraph(more.goes_on);
    content += fmt::format(
        "<form id=\"handover\" method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"wresult\" value=\"{}\">\n"
        "<div class=\"actions\">\n<button class=\"first\" type=\"submit\">{}</button>\n</div>\n</form>\n"
        "<script nonce=\"{}\">document.getElementById('handover').submit();</script>\n",
        html_escape(h.app_uri), html_escape(h.token), html_escape(say.next), html_escape(h.nonce));
    auto page = shell_of(a);
    page.form_action = "ms-app:";
    page.script_nonce = h.nonce;
    page.content = content;
    return in_shell(page);
}

http::response not_signed_in_page(appearance const& a, not_signed_in_because why, std::string_view reference) {
    auto const& say = words_of(a);
    auto const& more = sign_in_words_of(say);
    auto const because = [&] {
        switch (why) {
            case not_signed_in_because::off: return more.off;
            case not_signed_in_because::enrollment_off: return say.enrollment_off;
            case not_signed_in_because::maintenance: return say.maintenance;
            case not_signed_in_because::cancelled: return more.cancelled;
            case not_signed_in_because::not_assigned: return more.not_assigned;
            case not_signed_in_because::refused: return more.refused;
            case not_signed_in_because::unavailable: return more.unavailable;
        }
        return std::string_view();
    }();
    auto content = fmt::format("<h1>{}</h1>\n", html_escape(more.not_signed_in)) + paragraph(because);
    content += paragraph(say.start_again);
    if (!reference.empty())
        content +=
            fmt::format("<p class=\"version\"><bdi dir=\"ltr\">{}</bdi></p>\n", html_escape(printable(reference, 200)));
    auto page = shell_of(a);
    page.content = content;
    return in_shell(page);
}

}  // namespace mdmd::terms
