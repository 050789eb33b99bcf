// What stands in config.yaml where an address is wanted. Private to lib/config.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.hpp"

namespace mdmd::config {

// "0.0.0.0:443", "[::]:443": a numeric address and a port from 0 to 65535.
std::optional<endpoint> parse_endpoint(std::string const&);

// "https://mdm.contoso.com", with a port or not: no user, no path but "/", no query, no fragment. The text that
// comes of it is the one spelling: host in lower case, no port 443, no slash at its end.
std::optional<url> parse_origin(std::string const&);

// Whether it is what HTTP's Basic scheme takes [RFC 7617 2]: "user:password", the user not empty, in UTF-8 without
// control characters.
bool is_basic_credentials(std::string_view);

// "http://proxy.contoso.com:3128", the port included, with "user:password@" in front of the host or not, both of them
// percent-encoded.
std::optional<proxy> parse_proxy(std::string const&);

// An https URL, or an http one of this machine, with path and query, without user name and fragment. The text that
// comes of it has scheme and host in lower case, no default port, and always a path.
std::optional<std::string> parse_webhook(std::string const&);

// An application ID URI as Entra has it: https://host/… or api://…, without query and fragment.
std::optional<std::string> parse_app_id(std::string const&);

}  // namespace mdmd::config
