// csp.tsv as it is. Private to lib/catalogue.
#pragma once
#include <string_view>

namespace mdmd::catalogue {

std::string_view data();

}  // namespace mdmd::catalogue
