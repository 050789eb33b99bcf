#pragma once
#include <string_view>

namespace mdmd {

// Whether the whole text fits a pattern in which * is any text and ? one byte; letters in any case.
bool fits_glob(std::string_view pattern, std::string_view text);

}  // namespace mdmd
