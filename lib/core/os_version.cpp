#include "core/os_version.hpp"

#include <charconv>

#include "core/text.hpp"

namespace mdmd {

std::optional<os_version> parse_os_version(std::string_view s) {
    auto const parts = split(trim(s), '.');
    if (parts.size() > 4) return std::nullopt;
    os_version v;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto const p = parts[i];
        auto const [end, ec] = std::from_chars(p.data(), p.data() + p.size(), v.parts[i]);
        if (p.empty() || ec != std::errc{} || end != p.data() + p.size()) return std::nullopt;
    }
    return v;
}

}  // namespace mdmd
