#include "core/hresult.hpp"

#include <charconv>
#include <limits>

#include "core/text.hpp"

namespace mdmd {
namespace {

std::optional<std::int64_t> number(std::string_view digits, int base) {
    std::int64_t value = 0;
    auto const [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    bool const whole = !digits.empty() && failed == std::errc{} && end == digits.data() + digits.size();
    return whole ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> parse_hresult(std::string_view text) {
    text = trim(text);
    bool const prefixed = text.size() > 2 && iequals(text.substr(0, 2), "0x");
    auto value = number(prefixed ? text.substr(2) : text, prefixed ? 16 : 10);
    if (!prefixed && (!value || (text.size() == 8 && *value > 0))) value = number(text, 16);
    if (!value || *value < std::numeric_limits<std::int32_t>::min() ||
        *value > std::numeric_limits<std::uint32_t>::max())
        return std::nullopt;
    return static_cast<std::uint32_t>(*value);
}

}  // namespace mdmd
