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
    constexpr std::string_view scheme = "https://";
    auto rest = lower(s);
    if (!rest.starts_with(scheme)) return std::nullopt;
    rest.erase(0, scheme.size());
    if (rest.ends_with('/')) rest.pop_back();

    url out;
    auto const colon = rest.rfind(':');
    auto const bracket = rest.rfind(']');
    if (colon != rest.npos && (bracket == rest.npos || colon > bracket)) {
        auto const port = parse_port(std::string_view(rest).substr(colon + 1), 1);
        if (!port) return std::nullopt;
        out.port = *port;
        rest.erase(colon);
    }
    if (rest.starts_with('[') && rest.ends_with(']')) {
        auto const address = numeric(AF_INET6, rest.substr(1, rest.size() - 2));
        if (!address) return std::nullopt;
        out.host = "[" + *address + "]";
    } else if (auto const address = numeric(AF_INET, rest)) {
        out.host = *address;
    } else if (is_host_name(rest)) {
        out.host = rest;
    } else {
        return std::nullopt;
    }
    out.text = std::string(scheme) + out.host + (out.port == 443 ? "" : fmt::format(":{}", out.port));
    return out;
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
