// The page that Entra ID sends the users of noncompliant devices to, and the links that open it for one device. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http_message.hpp"
#include "core/time.hpp"

namespace mdmd::terms {

// What a link opens, and until when. Whoever has the link may see it: there is no sign-in.
struct device_link {
    std::string device_id;
    time_point expires;
};
// "payload.signature", base64url both, HMAC-SHA-256. Both functions throw std::logic_error for an empty key.
std::string seal_link(device_link const&, std::string_view key);
// Errors: malformed, unauthenticated (signature), conflict (expired).
[[nodiscard]] result<device_link> open_link(std::string_view sealed, std::string_view key, time_point now);

// One reason why a device is not compliant, or not known to be.
struct shortfall {
    std::string rule;  // "min_os_version", "last_seen", "encryption"…: one without words of its own has general ones
    std::string policy;         // its name; shown by the general words
    std::string wanted, found;  // shown for min_os_version alone: versions
    bool operator==(shortfall const&) const = default;
};

struct device_health {
    enum class state { compliant, in_grace_period, noncompliant, unknown };
    std::string name;  // empty: "this device"
    state now = state::unknown;
    std::optional<time_point> grace_until;
    std::optional<time_point> last_seen;
    std::vector<shortfall> shortfalls;
};

// Complete responses with their security headers, in the best of our languages for what is asked for, best first.
// `without_link` gets 200, `with_invalid_link` 404; neither page says anything of any device.
enum class visitor { without_link, with_invalid_link };
http::response compliance_page(visitor, std::vector<std::string> const& languages);
http::response compliance_page(device_health const&, std::vector<std::string> const& languages, time_point now);

}  // namespace mdmd::terms
