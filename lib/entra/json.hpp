// JSON from peers and callers, read strictly.
#pragma once
#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace mdmd::entra {

// One JSON object and nothing after it, nested at most 8 deep, at most `most` bytes, no member named twice at any
// depth (the library alone would silently keep the last one). Errors: malformed, naming `what`.
[[nodiscard]] result<boost::json::object> parse_object(std::string_view text, std::size_t most, std::string_view what);

// The member's text; nullopt where it is absent or no string.
std::optional<std::string_view> find_text(boost::json::object const&, std::string_view name);
// The member's object; nullptr where it is absent or no object.
boost::json::object const* find_object(boost::json::object const&, std::string_view name);

}  // namespace mdmd::entra
