// What stands in config.yaml where an address is wanted. Private to lib/config.
#pragma once
#include <optional>
#include <string>

#include "config/settings.hpp"

namespace mdmd::config {

// "0.0.0.0:443", "[::]:443": a numeric address and a port from 0 to 65535.
std::optional<endpoint> parse_endpoint(std::string const&);

// "https://mdm.contoso.com", with a port or not: no user, no path but "/", no query, no fragment. The text that
// comes of it is the one spelling: host in lower case, no port 443, no slash at its end.
std::optional<url> parse_origin(std::string const&);

// An application ID URI as Entra has it: https://host/… or api://…, without query and fragment.
std::optional<std::string> parse_app_id(std::string const&);

}  // namespace mdmd::config
