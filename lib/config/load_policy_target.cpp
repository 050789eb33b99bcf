// Whom a policy is for.
#include <algorithm>

#include "config/policy_sections.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

constexpr std::size_t most_name = 256;  // bytes

template <class T> void sort_unique(std::vector<T>& all) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
}

std::optional<std::string> parse_group(std::string const& text) {
    return is_guid(text) ? std::optional(lower(text)) : std::nullopt;
}

// A UPN or an object ID.
std::optional<std::string> parse_user(std::string const& text) {
    if (is_guid(text)) return lower(text);
    auto const at = text.find('@');
    bool const upn = at != text.npos && at > 0 && at + 1 < text.size() && text.find('@', at + 1) == text.npos &&
                     text.find(' ') == text.npos;
    return upn && text.size() <= most_name && parse_text(text) ? std::optional(lower(text)) : std::nullopt;
}

std::optional<std::string> parse_name_pattern(std::string const& text) {
    return text.size() <= most_name && text.find(' ') == text.npos ? parse_text(text) : std::nullopt;
}

template <class Parse>
void read_names(
    section& s, std::vector<std::string>& into, std::string_view name, std::string_view expected, Parse parse) {
    if (auto names = s.read_list(name, expected, parse)) {
        sort_unique(*names);
        into = std::move(*names);
    }
}

}  // namespace

policy_target read_target(section s) {
    policy_target into;
    s.assign(into.for_whom, "scope", "device or user", [](std::string const& text) -> std::optional<scope> {
        if (text == "device") return scope::device;
        if (text == "user") return scope::user;
        return std::nullopt;
    });
    if (auto owners =
            s.read_list("ownership", "corporate and personal", [](std::string const& text) -> std::optional<ownership> {
                if (text == "corporate") return ownership::corporate;
                if (text == "personal") return ownership::personal;
                return std::nullopt;
            })) {
        sort_unique(*owners);
        into.ownerships = std::move(*owners);
    }
    read_names(s, into.groups, "groups", "object IDs of groups (GUIDs)", parse_group);
    read_names(s, into.users, "users", "user names (user@contoso.com) and object IDs (GUIDs)", parse_user);
    read_names(s, into.device_names, "device_names", "names of devices, with * and ?", parse_name_pattern);
    auto const min = s.get("min_os_version");
    into.min_os_version_at = to_position(min.at);
    if (auto v = s.convert(
            min, "a Windows version such as 10.0.19045", [](std::string const& text) { return parse_os_version(text); },
            style::any))
        into.min_os_version = v;
    auto const max = s.get("max_os_version");
    if (auto v = s.convert(
            max, "a Windows version such as 10.0.22631 (all of its revisions are meant)",
            [](std::string const& text) { return parse_last_os_version(text); }, style::any))
        into.max_os_version = v;
    if (into.min_os_version && into.max_os_version && *into.max_os_version < *into.min_os_version)
        s.report(max, fmt::format("expected a version not below min_os_version, got {}", got(*max.value)));
    s.done();
    return into;
}

}  // namespace mdmd::config
