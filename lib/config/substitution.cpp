#include "config/substitution.hpp"

#include <fmt/format.h>
#include <array>

#include "core/text.hpp"

namespace mdmd::config {
namespace {

constexpr std::array names{std::string_view("device.name"), std::string_view("device.id"),
    std::string_view("device.entra_id"), std::string_view("device.serial"), std::string_view("device.manufacturer"),
    std::string_view("device.model"), std::string_view("device.os_version"), std::string_view("user.upn"),
    std::string_view("user.id"), std::string_view("user.name"), std::string_view("user.domain"),
    std::string_view("tenant.id")};
static_assert(names.size() == static_cast<std::size_t>(placeholder::tenant_id) + 1);

}  // namespace

std::string_view name(placeholder p) { return names[static_cast<std::size_t>(p)]; }

result<std::vector<piece>> parse_template(std::string_view s) {
    std::vector<piece> out;
    auto const add_text = [&](std::string_view text) {
        if (text.empty()) return;
        if (out.empty() || out.back().open) out.emplace_back();
        out.back().text += text;
    };
    while (!s.empty()) {
        auto const open = s.find("{{");
        add_text(s.substr(0, open));
        if (open == s.npos) break;
        s.remove_prefix(open + 2);
        if (s.starts_with("{{")) {
            add_text("{{");
            s.remove_prefix(2);
            continue;
        }
        auto const close = s.find("}}");
        auto const inside = s.substr(0, close);
        std::size_t i = 0;
        while (i < names.size() && names[i] != inside) ++i;
        if (close == s.npos || i == names.size())
            return fail(errc::malformed,
                fmt::format(
                    "expected one of {{{{{}}}}} behind {{{{ (of which itself is written {{{{{{{{), got '{{{{{}'",
                    fmt::join(names, "}}, {{"), printable(inside.substr(0, 40))));
        out.push_back({"", static_cast<placeholder>(i)});
        s.remove_prefix(close + 2);
    }
    return out;
}

}  // namespace mdmd::config
