// Fields of JSON objects by type; what is absent or of another type is nullopt or the fallback.
#pragma once
#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace mdmd::sim {

inline std::optional<std::string> text_of(boost::json::object const& o, std::string_view name) {
    auto const* const v = o.if_contains(name);
    return v && v->is_string() ? std::optional(std::string(v->as_string())) : std::nullopt;
}
inline std::string text_or(boost::json::object const& o, std::string_view name, std::string fallback = {}) {
    return text_of(o, name).value_or(std::move(fallback));
}
inline std::int64_t number_or(boost::json::object const& o, std::string_view name, std::int64_t fallback) {
    auto const* const v = o.if_contains(name);
    return v && v->is_int64() ? v->as_int64() : fallback;
}
inline bool flag_or(boost::json::object const& o, std::string_view name, bool fallback) {
    auto const* const v = o.if_contains(name);
    return v && v->is_bool() ? v->as_bool() : fallback;
}
inline boost::json::object object_or_empty(boost::json::object const& o, std::string_view name) {
    auto const* const v = o.if_contains(name);
    return v && v->is_object() ? v->as_object() : boost::json::object{};
}
inline boost::json::array array_or_empty(boost::json::object const& o, std::string_view name) {
    auto const* const v = o.if_contains(name);
    return v && v->is_array() ? v->as_array() : boost::json::array{};
}
// Errors: malformed.
[[nodiscard]] inline result<boost::json::object> parse_object(std::string_view text) {
    boost::system::error_code ec;
    auto v = boost::json::parse(text, ec);
    if (ec || !v.is_object()) return fail(errc::malformed, "not a JSON object");
    return std::move(v.as_object());
}
inline std::string plain(boost::json::string_view s) { return {s.data(), s.size()}; }

}  // namespace mdmd::sim
