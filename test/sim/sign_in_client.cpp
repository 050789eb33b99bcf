#include "sign_in_client.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"
#include "terms_client.hpp"

namespace mdmd::sim {
namespace {

constexpr int most_redirects = 10;
constexpr std::uint32_t page_failed = 0x8018000F;

// The page must post the form by itself, and be allowed to.
std::string page_failure(http::response const& r) {
    auto const type = r.headers.get("Content-Type").value_or("");
    if (!iequals(trim(type), "text/html; charset=UTF-8"))
        return fmt::format("its Content-Type is '{}'", printable(type, 100));
    if (lower(r.headers.get("Cache-Control").value_or("")).find("no-store") == std::string::npos)
        return "it may be stored";
    std::string nonce;
    if (auto const at = r.body.find("<script nonce=\""); at != r.body.npos)
        nonce = r.body.substr(at + 15, r.body.find('"', at + 15) - at - 15);
    if (nonce.empty() || r.body.find(".submit()") == std::string::npos) return "it has no script that posts the form";
    bool script = false, form = false;
    for (auto const part : split(r.headers.get("Content-Security-Policy").value_or(""), ';')) {
        auto const rule = trim(part);
        if (rule.starts_with("script-src")) script = rule.find("'nonce-" + nonce + "'") != rule.npos;
        if (rule.starts_with("form-action")) form = rule.find("ms-app:") != rule.npos;
    }
    return !script ? "its policy does not allow its script" : !form ? "its policy does not allow its form" : "";
}

}  // namespace

sign_in_outcome visit_sign_in(sign_in_visit const& v, http::transport const& send) {
    sign_in_outcome out;
    auto const fails = [&](std::string text, int status) {
        out.failure.step = "sign-in";
        out.failure.text = std::move(text);
        out.failure.http_status = status;
        out.failure.hresult = page_failed;
        return out;
    };
    out.address = fmt::format("{}{}appru={}&login_hint={}", v.url, v.url.find('?') == v.url.npos ? "?" : "&",
        percent_encode(v.app_uri), percent_encode(v.user));
    for (int redirects = 0; redirects <= most_redirects; ++redirects) {
        auto const r = send({.method = "GET", .url = out.address, .headers = {{"Accept", "text/html"}}, .body = {}});
        if (!r) return fails(r.error().detail, 0);
        if (r->status == 302 || r->status == 303) {
            out.address = std::string(r->headers.get("Location").value_or(""));
            if (!out.address.starts_with("https://"))
                return fails(fmt::format("a redirect to '{}'", printable(out.address, 200)), r->status);
            continue;
        }
        out.page = r->body;
        if (r->status != 200) return fails(fmt::format("HTTP status {}", r->status), r->status);
        auto const forms = read_forms(r->body);
        auto const field = [&](html_form const& f) {
            return std::find_if(f.fields.begin(), f.fields.end(), [](auto const& x) { return x.name == "wresult"; });
        };
        auto const at =
            std::find_if(forms.begin(), forms.end(), [&](html_form const& f) { return field(f) != f.fields.end(); });
        if (at == forms.end()) return fails("the page has no form with a token", 200);
        if (at->method != "post" || at->action != v.app_uri)
            return fails(fmt::format("the form goes to '{}' by {}", printable(at->action, 200), at->method), 200);
        if (std::none_of(at->fields.begin(), at->fields.end(), [](auto const& f) { return f.type == "submit"; }))
            return fails("the form has no button", 200);
        if (auto const why = page_failure(*r); !why.empty()) return fails("of the last page: " + why, 200);
        out.token = field(*at)->value;
        if (out.token.empty()) return fails("the token is empty", 200);
        return out;
    }
    return fails("redirects without an end", 302);
}

}  // namespace mdmd::sim
