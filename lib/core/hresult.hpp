#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace mdmd {

// An error of Windows' as it is shown: "0x80180013", "80180013" as event logs have it, "2149056531", "-2145910765".
std::optional<std::uint32_t> parse_hresult(std::string_view);

}  // namespace mdmd
