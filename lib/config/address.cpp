#include "config/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <algorithm>
#include <charconv>

#include "core/text.hpp"

namespace mdmd::config {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view s, int least) {
    int port = 0;
    auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), port);
    if (ec != std::errc{} || end != s.data() + s.size() || port < least || port > 65535) return std::nullopt;
    if (s.size() > 1 && s.front() == '0') return std::nullopt;
    return static_cast<std::uint16_t>(port);
}

// The one spelling of a numeric address; nullopt for anything else, zones included.
std::optional<std::string> numeric(int family, std::string const& s) {
    in6_addr address{};
    char out[INET6_ADDRSTRLEN] = {};
    if (inet_pton(family, s.c_str(), &address) != 1) return std::nullopt;
    if (!inet_ntop(family, &address, out, sizeof out)) return std::nullopt;
    return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

// A host name by RFC 1123 in lower case. One whose last label is a number could only be a broken IPv4 address.
bool is_host_name(std::string_view host) {
    if (host.empty() || host.size() > 253) return false;
    auto const labels = split(host, '.');
    for (auto const label : labels) {
        if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
        if (!std::all_of(label.begin(), label.end(), [](char c) { return is_digit(c) || is_letter(c) || c == '-'; }))
            return false;
    }
    return !std::all_of(labels.back().begin(), labels.back().end(), is_digit);
}

struct authority {
    std::string host;  // lower case; an IPv6 address in brackets
    std::optional<std::uint16_t> port;
    bool this_machine = false;  // localhost or a loopback address
};

// "host", "host:port", "[::1]:port": no user name, a port from 1 to 65535.
std::optional<authority> parse_authority(std::string_view text) {
    auto host = lower(text);
    authority out;
    auto const colon = host.rfind(':');
    auto const bracket = host.rfind(']');
    if (colon != host.npos && (bracket == host.npos || colon > bracket)) {
        out.port = parse_port(std::string_view(host).substr(colon + 1), 1);
        if (!out.port) return std::nullopt;
        host.erase(colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) {
        auto const address = numeric(AF_INET6, host.substr(1, host.size() - 2));
        if (!address) return std::nullopt;
        out.host = "[" + *address + "]";
        out.this_machine = *address == "::1";
    } else if (auto const address = numeric(AF_INET, host)) {
        out.host = *address;
        out.this_machine = address->starts_with("127.");
    } else if (is_host_name(host)) {
        out.this_machine = host == "localhost";
        out.host = std::move(host);
    } else {
        return std::nullopt;
    }
    return out;
}

// What stands behind "scheme://", whatever the scheme's case; nullopt for another scheme.
std::optional<std::string_view> behind(std::string_view scheme, std::string_view text) {
    if (!iequals(text.substr(0, scheme.size()), scheme)) return std::nullopt;
    return text.substr(scheme.size());
}

// "user:password", percent-encoded each, decoded.
std::optional<secret> parse_user_info(std::string_view text) {
    auto const colon = text.find(':');
    if (colon == text.npos || text.find_first_of(":/?#[]", colon + 1) != text.npos) return std::nullopt;
    auto const user = percent_decode(text.substr(0, colon));
    auto const password = percent_decode(text.substr(colon + 1));
    if (!user || !password || user->find(':') != user->npos) return std::nullopt;  // RFC 7617 2: no colon in a user-id
    secret out(*user + ":" + *password);
    return is_basic_credentials(out.reveal()) ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace

std::string endpoint::text() const {
    return address.find(':') == address.npos ? fmt::format("{}:{}", address, port)
                                             : fmt::format("[{}]:{}", address, port);
}

bool endpoint::loopback() const {
    return address == "::1" || address.starts_with("127.") || address.starts_with("::ffff:127.");
}

std::optional<endpoint> parse_endpoint(std::string const& s) {
    auto const colon = s.rfind(':');
    if (colon == s.npos) return std::nullopt;
    auto const port = parse_port(std::string_view(s).substr(colon + 1), 0);
    bool const bracketed = colon >= 2 && s.front() == '[' && s[colon - 1] == ']';
    auto const address = bracketed ? numeric(AF_INET6, s.substr(1, colon - 2)) : numeric(AF_INET, s.substr(0, colon));
    if (!port || !address) return std::nullopt;
    return endpoint{*address, *port};
}

std::optional<url> parse_origin(std::string const& s) {
    auto rest = behind("https://", s);
    if (!rest) return std::nullopt;
    if (rest->ends_with('/')) rest->remove_suffix(1);
    auto const at = parse_authority(*rest);
    if (!at) return std::nullopt;
    auto const port = at->port.value_or(std::uint16_t{443});
    return url{"https://" + at->host + (port == 443 ? "" : fmt::format(":{}", port)), at->host, port};
}

bool is_basic_credentials(std::string_view text) {
    auto const colon = text.find(':');
    return colon != text.npos && colon > 0 && is_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
}

std::optional<proxy> parse_proxy(std::string const& s) {
    auto rest = behind("http://", s);
    if (!rest) return std::nullopt;
    if (rest->ends_with('/')) rest->remove_suffix(1);
    proxy out;
    if (auto const sign = rest->find('@'); sign != rest->npos) {
        auto credentials = parse_user_info(rest->substr(0, sign));
        if (!credentials) return std::nullopt;
        out.credentials = std::move(*credentials);
        rest->remove_prefix(sign + 1);
    }
    auto const at = parse_authority(*rest);
    if (!at || !at->port) return std::nullopt;
    out.host = at->host.starts_with('[') ? at->host.substr(1, at->host.size() - 2) : at->host;
    out.port = *at->port;
    return out;
}

std::optional<std::string> parse_webhook(std::string const& s) {
    bool const plain = behind("http://", s).has_value();
    auto const rest = behind(plain ? "http://" : "https://", s);
    if (!rest) return std::nullopt;
    auto const end = std::min(rest->find_first_of("/?#"), rest->size());
    auto const at = parse_authority(rest->substr(0, end));
    auto const target = rest->substr(end);
    if (!at || (plain && !at->this_machine)) return std::nullopt;
    for (char const c : target)
        if (c <= 0x20 || c > 0x7e || std::string_view("#\"<>\\^`{|}").find(c) != std::string_view::npos)
            return std::nullopt;
    std::uint16_t const usual = plain ? 80 : 443;
    auto const port = at->port.value_or(usual);
    return fmt::format("{}://{}{}{}{}", plain ? "http" : "https", at->host,
        port == usual ? "" : fmt::format(":{}", port), target.starts_with('/') ? "" : "/", target);
}

std::optional<std::string> parse_app_id(std::string const& s) {
    auto const scheme_end = s.find("://");
    if (s.size() > 255 || scheme_end == s.npos) return std::nullopt;
    auto const scheme = lower(std::string_view(s).substr(0, scheme_end));
    auto const rest = std::string_view(s).substr(scheme_end + 3);
    if ((scheme != "https" && scheme != "api") || rest.empty() || rest.front() == '/') return std::nullopt;
    for (char const c : rest)
        if (c <= 0x20 || c > 0x7e || std::string_view("?#\"<>\\^`{|}@").find(c) != std::string_view::npos)
            return std::nullopt;
    return s;
}

}  // namespace mdmd::config
