#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mdmd {

// A Windows version of up to four parts, "10.0.22631.3447"; missing parts are 0.
struct os_version {
    std::array<std::uint32_t, 4> parts{};
    auto operator<=>(os_version const&) const = default;
    std::uint32_t build() const { return parts[2]; }
};

std::optional<os_version> parse_os_version(std::string_view);
// The last of those that the text begins: missing parts are as large as can be.
std::optional<os_version> parse_last_os_version(std::string_view);

// Windows' product types by name, "Enterprise" -> 4, in any case; a decimal number is one itself.
// Source: [MS-MDE2] section 2.2.9.6, GetProductInfo
std::optional<int> parse_os_edition(std::string_view);
std::string os_edition_name(int);  // "Enterprise", or the number

}  // namespace mdmd
