// The query of the first request, and the redirects that answer it.
#include <fmt/format.h>
#include <algorithm>

#include "core/random.hpp"
#include "core/text.hpp"
#include "terms/uri.hpp"

namespace mdmd::terms {
namespace {

constexpr std::size_t longest_redirect_uri = 2048;
constexpr std::size_t longest_request_id = 64;

// A GUID, or what another client may use as one: nothing that needs escaping anywhere.
bool is_request_id(std::string_view s) {
    return !s.empty() && s.size() <= longest_request_id && std::all_of(s.begin(), s.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
    });
}

}  // namespace

std::string scheme_of(std::string_view uri) {
    auto const colon = uri.find(':');
    if (colon == uri.npos || colon == 0) return {};
    auto const scheme = lower(uri.substr(0, colon));
    bool const valid = std::all_of(scheme.begin(), scheme.end(),
        [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'; });
    return valid && scheme.front() >= 'a' && scheme.front() <= 'z' ? scheme : std::string{};
}

std::string with_parameters(
    std::string_view uri, std::vector<std::pair<std::string_view, std::string_view>> const& all) {
    std::string out;
    // Decoding left blanks and letters beyond ASCII where they were escaped twice or not at all; none may stand in a
    // URI.
    for (char const c : uri) {
        bool const legal = c > ' ' && c < '\x7f' && std::string_view("\"<>\\^`{|}").find(c) == std::string_view::npos;
        if (legal)
            out += c;
        else
            out += "%" + hex_upper({&c, 1});
    }
    char separator = uri.find('?') == uri.npos ? '?' : '&';
    if (uri.ends_with('?') || (separator == '&' && uri.ends_with('&'))) separator = '\0';
    for (auto const& [name, value] : all) {
        if (separator) out += separator;
        out += fmt::format("{}={}", name, percent_encode(value));
        separator = '&';
    }
    return out;
}

result<query> parse_query(std::string_view query_text, std::vector<std::string> const& schemes) {
    // Not a form: a '+' in a redirect_uri that came unescaped is a '+'.
    auto const all = mdmd::parse_query(query_text, false);
    auto const value = [&all](std::string_view name) { return find_parameter(all, name).value_or(""); };
    auto const given =
        std::count_if(all.begin(), all.end(), [](auto const& p) { return iequals(p.first, "redirect_uri"); });
    if (given != 1) return fail(errc::malformed, fmt::format("redirect_uri is there {} times", given));
    auto const uri = value("redirect_uri");
    if (uri.size() > longest_redirect_uri) return fail(errc::malformed, "redirect_uri is too long");
    if (!is_utf8(uri)) return fail(errc::malformed, "redirect_uri is not UTF-8");
    bool const control =
        std::any_of(uri.begin(), uri.end(), [](char c) { return (c >= '\0' && c < ' ') || c == '\x7f'; });
    if (control) return fail(errc::malformed, "redirect_uri holds control characters");
    if (uri.find('#') != uri.npos) return fail(errc::malformed, "redirect_uri has a fragment");
    auto const scheme = scheme_of(uri);
    bool const allowed = !scheme.empty() && std::any_of(schemes.begin(), schemes.end(),
                                                [&scheme](auto const& s) { return iequals(s, scheme); });
    if (!allowed || uri.size() == scheme.size() + 1)
        return fail(errc::malformed, fmt::format("redirect_uri '{}' is not one of ours", printable(uri, 160)));

    auto const request_id = value("client-request-id");
    auto const mode = value("mode");
    bool const join = iequals(mode, "azureadjoin");
    return query{
        .redirect_uri = std::string(uri),
        .client_request_id = is_request_id(request_id) ? std::string(request_id) : new_guid(),
        .api_version = std::string(value("api-version")),
        .owner = join ? ownership::corporate : ownership::personal,
        .unknown_mode = join ? std::string() : printable(mode, 64),
    };
}

bool version_supported(query const& q) { return q.api_version == "1.0"; }

namespace {

http::response redirect(query const& to, std::vector<std::pair<std::string_view, std::string_view>> parameters) {
    if (!to.client_request_id.empty()) parameters.emplace_back("client-request-id", to.client_request_id);
    http::response r{.status = 302, .headers = {}, .body = {}};
    r.headers.add("Location", with_parameters(to.redirect_uri, parameters));
    r.headers.add("Cache-Control", "no-store");
    r.headers.add("Referrer-Policy", "no-referrer");
    return r;
}

struct failure_words {
    std::string_view error, description;
};

// The literal values of the document's error table.
failure_words words_of(failure why) {
    switch (why) {
        case failure::unsupported_version: return {"invalid_request", "unsupported version"};
        case failure::unauthorized_user_or_tenant: return {"unauthorized_client", "unauthorized user or tenant"};
        case failure::token_refused: return {"unauthorized_client", "unauthorized_client"};
        case failure::internal: break;
    }
    return {"server_error", "internal service error"};
}

}  // namespace

http::response accepted(query const& q, std::string_view opaque_blob) {
    return redirect(q, {{"IsAccepted", "true"}, {"OpaqueBlob", opaque_blob}});
}

http::response declined(query const& q) { return redirect(q, {{"IsAccepted", "false"}}); }

http::response failed(query const& q, failure why) {
    auto const [error, description] = words_of(why);
    return redirect(q, {{"error", error}, {"error_description", description}});
}

}  // namespace mdmd::terms
