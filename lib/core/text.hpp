// Small text and encoding functions that more than one module needs. ASCII only where letters are compared.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mdmd {

std::string_view trim(std::string_view);  // blanks, tabs, CR and LF off both ends
std::string lower(std::string_view);      // A-Z to a-z
bool iequals(std::string_view, std::string_view);
std::vector<std::string_view> split(std::string_view, char separator);  // "a,,b" has three parts; "" has one

// RFC 4648. Decoding ignores white space (SOAP messages wrap lines) and is strict in everything else: alphabet,
// padding (optional in base64url, forbidden there as the JWS compact form has none), unused bits zero.
std::string base64(std::string_view bytes);
std::string base64url(std::string_view bytes);  // no padding
std::optional<std::string> unbase64(std::string_view);
std::optional<std::string> unbase64url(std::string_view);

std::string hex(std::string_view bytes);        // lower case
std::string hex_upper(std::string_view bytes);  // as Windows names certificates
std::optional<std::string> unhex(std::string_view);

// Percent-encodes everything but A-Z a-z 0-9 - _ ~ (RFC 3986's unreserved characters without the dot, which the
// Terms of Use redirect encodes as %2E).
std::string percent_encode(std::string_view);
// Decodes %XX once; nullopt for a broken escape. `plus_is_blank` for application/x-www-form-urlencoded.
std::optional<std::string> percent_decode(std::string_view, bool plus_is_blank = false);

// The name=value pairs of a query or a form body, decoded, in order. A pair that cannot be decoded is left out.
using parameters = std::vector<std::pair<std::string, std::string>>;
parameters parse_query(std::string_view, bool plus_is_blank = true);
// The first value of that name, compared without regard to case.
std::optional<std::string_view> find_parameter(parameters const&, std::string_view name);

bool is_utf8(std::string_view);  // well formed, no surrogates, no overlong forms
// The first `most` bytes at the most, not ending within a character.
std::string cut_utf8(std::string_view, std::size_t most);
// For a log line or an operator's terminal: control characters and broken UTF-8 escaped, cut at `most` bytes.
std::string printable(std::string_view, std::size_t most = 1024);

std::string html_escape(std::string_view);  // & < > " '

// xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, either case.
bool is_guid(std::string_view);

}  // namespace mdmd
