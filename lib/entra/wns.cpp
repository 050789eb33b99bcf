#include "entra/wns.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

#include "core/text.hpp"
#include "entra/answers.hpp"

namespace mdmd::entra {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t longest_channel = 1024;
constexpr std::chrono::seconds longest_token = 24h;

bool is_visible_ascii(std::string_view s) {
    return std::all_of(s.begin(), s.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool is_host_name(std::string_view s) {
    return std::all_of(s.begin(), s.end(),
        [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; });
}

std::string said(http::response const& r) {
    auto out = fmt::format("HTTP {}", r.status);
    for (auto const* name : {"X-WNS-Status", "X-WNS-Error-Description", "X-WNS-Msg-ID"})
        if (auto const v = r.headers.get(name)) out += fmt::format(", {}: {}", name, printable(*v, 200));
    return out;
}

}  // namespace

http::call push_token_request(std::string_view login_url, std::string_view package_sid, secret const& key) {
    http::call out{.method = "POST",
        .url = std::string(without_last_slash(login_url)) + "/accesstoken.srf",
        .headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}},
        .body = {}};
    auto const text = key.reveal();
    // Taken once, so that no copy of the key stays behind in what a growing text left.
    out.body.reserve(128 + 3 * (package_sid.size() + text.size()));
    out.body.append("grant_type=client_credentials&client_id=").append(percent_encode(package_sid));
    out.body.append("&scope=notify.windows.com&client_secret=");
    for (std::size_t i = 0; i < text.size(); ++i) out.body += percent_encode(text.substr(i, 1));
    return out;
}

result<access_token> parse_push_token(http::response const& r, time_point now) {
    auto const body = parse_object(r.body, largest_answer, "the token answer of Windows' push service");
    if (r.status == 400 || r.status == 401 || r.status == 403)
        return fail(
            errc::forbidden, fmt::format("Windows' push service refuses management.push.package_sid or its secret ({})",
                                 body ? printable_text(*body, "error", 64) : fmt::format("HTTP {}", r.status)));
    if (r.status != 200)
        return fail(
            errc::unavailable, fmt::format("the token endpoint of Windows' push service answers HTTP {}", r.status));
    if (!body) return body.error();
    auto const token = find_text(*body, "access_token").value_or("");
    auto const type = find_text(*body, "token_type").value_or("");
    if (token.empty() || token.size() > largest_access_token || !is_visible_ascii(token) || !iequals(type, "bearer"))
        return fail(errc::malformed, "the answer of Windows' push service holds no usable token");
    auto const* const lifetime = body->if_contains("expires_in");
    auto const seconds = lifetime && lifetime->is_int64() ? lifetime->as_int64() : longest_token.count();
    return access_token{secret(std::string(token)),
        now + std::chrono::seconds(std::clamp<std::int64_t>(seconds, 60, longest_token.count()))};
}

bool is_push_channel(std::string_view uri) {
    constexpr std::string_view scheme = "https://";
    if (uri.size() > longest_channel || !is_visible_ascii(uri) || !iequals(uri.substr(0, scheme.size()), scheme))
        return false;
    auto const rest = uri.substr(scheme.size());
    // Characters that URL parsers read in different ways make it none.
    if (rest.find_first_of("\\#\"<>^`{|}") != rest.npos) return false;
    auto const authority = lower(rest.substr(0, rest.find_first_of("/?")));
    auto host = std::string_view(authority);
    if (host.ends_with(":443")) host.remove_suffix(4);
    if (!is_host_name(host) || host.starts_with('.') || host.starts_with('-') || host.find("..") != host.npos)
        return false;
    return host.ends_with(".notify.windows.com") || host.ends_with(".wns.windows.com");
}

http::call push_request(std::string channel, access_token const& token) {
    http::call out{.method = "POST", .url = std::move(channel), .headers = {}, .body = "mdmd"};
    out.headers.add("Authorization", "Bearer " + std::string(token.text.reveal()));
    out.headers.add("Content-Type", "application/octet-stream");
    out.headers.add("X-WNS-Type", "wns/raw");
    out.headers.add("X-WNS-Cache-Policy", "cache");  // raw ones are not kept for a device that is offline otherwise
    out.headers.add("X-WNS-RequestForStatus", "true");
    return out;
}

push_answer parse_push_answer(http::response const& r, time_point now) {
    push_answer out{.what = push_outcome::refused, .retry_after = {}, .detail = said(r)};
    switch (r.status) {
        case 200: {
            auto const status = trim(r.headers.get("X-WNS-Status").value_or(""));
            out.what = status.empty() || iequals(status, "received") ? push_outcome::delivered : push_outcome::dropped;
            if (iequals(status, "channelthrottled")) out.what = push_outcome::later;
            break;
        }
        case 401: out.what = push_outcome::token_ended; break;
        case 403: out.what = push_outcome::foreign; break;
        case 404:
        case 410: out.what = push_outcome::channel_gone; break;
        case 406:
        case 429: out.what = push_outcome::throttled; break;
        case 500:
        case 502:
        case 503:
        case 504: out.what = push_outcome::later; break;
        default: break;
    }
    if (out.what == push_outcome::later || out.what == push_outcome::throttled) out.retry_after = retry_after(r, now);
    return out;
}

std::string_view push_status_text(int status) {
    switch (status) {
        case 0: return "ok";
        case 1: return "the package family name is not valid";
        case 2: return "the device cannot sign in to Windows' push service";
        case 3: return "the package family name was revoked";
        case 4: return "it has no channel";
        case 5: return "its channel has ended";
        case 6: return "its channel could not be revoked";
        case 7: return "it was woken, and could not begin a session";
        default: return "unknown";
    }
}

}  // namespace mdmd::entra
