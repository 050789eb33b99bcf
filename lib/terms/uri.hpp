// The two things the Terms of Use do with a redirect_uri. Private to lib/terms.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "terms/terms.hpp"

namespace mdmd::terms {

// The scheme in lower case, without the colon; empty where there is none of RFC 3986 section 3.1's form.
std::string scheme_of(std::string_view uri);

// The URI with name=value pairs appended to its query, values percent-encoded. The result is ASCII without blanks,
// fit for a Location header.
std::string with_parameters(
    std::string_view uri, std::vector<std::pair<std::string_view, std::string_view>> const& all);

}  // namespace mdmd::terms
