#include "config/node_uri.hpp"

#include <fmt/format.h>
#include <array>

#include "core/text.hpp"

namespace mdmd::config {
namespace {

constexpr std::size_t most_bytes = 1024;

// RFC 3986 3.3, pchar without its escapes.
constexpr auto plain = [] {
    std::array<bool, 256> table{};
    for (std::string_view const some :
        {"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "-._~!$&'()*+,;=:@"})
        for (char const c : some) table[static_cast<unsigned char>(c)] = true;
    return table;
}();
bool is_plain(char c) { return plain[static_cast<unsigned char>(c)]; }

}  // namespace

std::string canonical_node_uri(std::string_view uri) {
    constexpr std::string_view device = "./Device/";
    while (uri.size() > 1 && uri.ends_with('/')) uri.remove_suffix(1);
    std::string out;
    if (uri.starts_with(device)) {
        out = "./";
        uri.remove_prefix(device.size());
    }
    while (!uri.empty()) {
        std::size_t as_it_is = 0;
        while (as_it_is < uri.size() && (is_plain(uri[as_it_is]) || uri[as_it_is] == '/')) ++as_it_is;
        out += uri.substr(0, as_it_is);
        uri.remove_prefix(as_it_is);
        if (uri.empty()) break;
        char c = uri.front();
        std::size_t taken = 1;
        if (c == '%' && uri.size() >= 3)
            if (auto const byte = unhex(uri.substr(1, 2))) {
                c = byte->front();
                taken = 3;
            }
        if (is_plain(c) || (c == '/' && taken == 1))
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        uri.remove_prefix(taken);
    }
    return out;
}

std::string node_uri_fault(std::string_view uri, uri_for use) {
    auto const below = [&](std::string_view root) { return uri.starts_with(root) && uri.size() > root.size(); };
    bool const of_user = uri.starts_with("./User/") || uri == "./User";
    if (use == uri_for::user_setting) {
        if (!of_user)
            return "expected an address below ./User/ in a policy with the scope user (what is for the device belongs in "
                   "one with the scope device)";
        if (!below("./User/")) return "expected an address below ./User/";
    } else if (of_user) {
        return use == uri_for::rule
                   ? "expected an address of the device (./Device/…): rules are for devices, not for their users"
                   : "expected an address of the device (./Device/…) in a policy with the scope device (what is for users "
                     "belongs in one with the scope user)";
    } else {
        bool const readable = below("./DevDetail/") || below("./DevInfo/");
        if (use == uri_for::device_setting && readable)
            return "expected a node that can be set, below ./Device/ or ./Vendor/";
        if (!below("./Device/") && !below("./Vendor/") && !readable)
            return use == uri_for::device_setting
                       ? "expected an address below ./Device/ or ./Vendor/"
                       : "expected an address below ./Device/, ./Vendor/, ./DevDetail/ or ./DevInfo/";
    }
    if (uri.size() > most_bytes) return fmt::format("expected at most {} bytes", most_bytes);
    for (char const c : uri)
        if (c <= 0x20 || c > 0x7e || c == '?' || c == '#')
            return "expected an address of printable ASCII, other characters percent-encoded";
    auto const segments = split(uri, '/');
    for (std::size_t i = 1; i < segments.size(); ++i) {
        if (segments[i].empty() || segments[i] == "." || segments[i] == "..")
            return "expected an address without empty or dot segments";
        auto const decoded = percent_decode(segments[i]);
        if (!decoded || !is_utf8(*decoded)) return "expected an address with whole escapes of UTF-8 (%7B)";
    }
    return {};
}

}  // namespace mdmd::config
