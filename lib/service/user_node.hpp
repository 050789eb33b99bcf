#pragma once
#include <string_view>

#include "core/text.hpp"

namespace mdmd::service {

// Whether a node is of the user who is signed in, and not of the device.
inline bool is_user_node(std::string_view uri) { return iequals(uri.substr(0, 7), "./User/"); }

}  // namespace mdmd::service
