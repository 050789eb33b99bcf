// The repository of sign-ins on our own page, each good for one enrollment.
#pragma once
#include <string_view>

#include "store/connection.hpp"

namespace mdmd::store {

bool use_sign_in(connection&, std::string_view id, std::string_view device_id, time_point now);  // false: used before

}  // namespace mdmd::store
