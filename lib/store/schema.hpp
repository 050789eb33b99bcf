#pragma once
#include <span>

namespace mdmd::store {

// The steps from an empty database to today's schema, in order. A step that was released never changes.
std::span<char const* const> migrations();

}  // namespace mdmd::store
