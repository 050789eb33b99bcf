#include "core/http_content.hpp"

#include <fmt/format.h>
#include <array>
#include <charconv>
#include <ctime>
#include <limits>

#include "core/text.hpp"

namespace mdmd::http {
namespace {

// 1*DIGIT; a number that is too large to be a place in a file is the largest one there is.
std::optional<std::uint64_t> parse_place(std::string_view digits) {
    std::uint64_t v = 0;
    auto const [end, e] = std::from_chars(digits.data(), digits.data() + digits.size(), v);
    if (digits.empty() || end != digits.data() + digits.size() || e == std::errc::invalid_argument) return std::nullopt;
    return e == std::errc::result_out_of_range ? std::numeric_limits<std::uint64_t>::max() : v;
}

}  // namespace

byte_range choose_range(std::string_view field, std::uint64_t size) {
    using kind = byte_range::kind;
    byte_range const whole{kind::whole, 0, size};
    constexpr std::string_view unit = "bytes=";
    field = trim(field);
    if (!iequals(field.substr(0, unit.size()), unit)) return whole;
    auto const spec = trim(field.substr(unit.size()));
    auto const dash = spec.find('-');
    if (dash == spec.npos || spec.find(',') != spec.npos) return whole;
    auto const first_text = spec.substr(0, dash), last_text = spec.substr(dash + 1);
    auto const last = parse_place(last_text);
    if (!last && !last_text.empty()) return whole;
    if (first_text.empty()) {  // the last bytes
        if (!last) return whole;
        if (*last == 0) return {kind::unsatisfiable, 0, 0};
        auto const length = std::min(*last, size);
        return length == size ? whole : byte_range{kind::part, size - length, length};
    }
    auto const first = parse_place(first_text);
    if (!first || (last && *last < *first)) return whole;
    if (*first >= size) return {kind::unsatisfiable, 0, 0};
    auto const end = last && *last < size - 1 ? *last + 1 : size;
    return {kind::part, *first, end - *first};
}

std::string content_range(byte_range const& r, std::uint64_t size) {
    if (r.what == byte_range::kind::unsatisfiable) return fmt::format("bytes */{}", size);
    return fmt::format("bytes {}-{}/{}", r.offset, r.offset + r.length - 1, size);
}

bool has_tag(std::string_view list, std::string_view tag) {
    if (trim(list) == "*") return true;
    for (auto one : split(list, ',')) {
        one = trim(one);
        if (one.starts_with("W/")) one.remove_prefix(2);
        if (one == tag) return true;
    }
    return false;
}

std::string http_date(time_point at) {
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    auto const seconds = std::chrono::floor<std::chrono::seconds>(at);
    std::time_t const t = seconds.time_since_epoch().count();
    std::tm parts{};
    gmtime_r(&t, &parts);
    return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", days[static_cast<std::size_t>(parts.tm_wday)],
        parts.tm_mday, months[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour,
        parts.tm_min, parts.tm_sec);
}

}  // namespace mdmd::http
