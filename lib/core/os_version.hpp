#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mdmd {

// A Windows version of up to four parts, "10.0.22631.3447"; missing parts are 0.
struct os_version {
    std::array<std::uint32_t, 4> parts{};
    auto operator<=>(os_version const&) const = default;
    std::uint32_t build() const { return parts[2]; }
};

std::optional<os_version> parse_os_version(std::string_view);

}  // namespace mdmd
