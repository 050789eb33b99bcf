// What a policy's values may leave open, to be filled in for each device and user: "{{device.name}}". "{{{{" stands
// for "{{" itself.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace mdmd::config {

enum class placeholder {
    device_name,
    device_id,
    device_entra_id,
    device_serial,
    device_manufacturer,
    device_model,
    device_os_version,
    user_upn,
    user_id,
    user_name,    // of the UPN what is before the @
    user_domain,  // and what is behind it
    tenant_id,
};
std::string_view name(placeholder);  // "device.name"

struct piece {
    std::string text;
    std::optional<placeholder> open;  // what stands here instead of text
};

// Errors: malformed, "expected …, got …".
[[nodiscard]] result<std::vector<piece>> parse_template(std::string_view);

}  // namespace mdmd::config
