// What the readers of config.yaml's sections have in common. Private to lib/config.
#pragma once
#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/load.hpp"
#include "config/reader.hpp"
#include "core/text.hpp"

namespace mdmd::config {

// What the sections are read in front of.
struct context {
    std::filesystem::path folder;  // of config.yaml: relative paths start here
    environment const& env;
};

inline std::filesystem::path resolve(context const& in, std::filesystem::path const& p) {
    return (in.folder / p).lexically_normal();  // an absolute one replaces the folder
}

// The place of a word among those that are allowed.
inline auto one_of(std::initializer_list<std::string_view> words) {
    return [all = std::vector<std::string_view>(words)](std::string const& s) -> std::optional<std::size_t> {
        auto const found = std::find(all.begin(), all.end(), s);
        if (found == all.end()) return std::nullopt;
        return static_cast<std::size_t>(found - all.begin());
    };
}

// Lower case.
inline std::optional<std::string> parse_guid(std::string const& s) {
    return is_guid(s) ? std::optional(lower(s)) : std::nullopt;
}

// The path of the file that `f` names; nullopt where absent or reported.
inline std::optional<std::filesystem::path> path_of(section& s, context const& in, field const& f) {
    auto const path = s.convert(f, "the path of a file", parse_text, style::any);
    return path ? std::optional(resolve(in, *path)) : std::nullopt;
}

// The content of the file that `f` names, as `read` gives it; nullopt where absent or reported. Its path goes to `at`.
template <class Read>
auto content(section& s, context const& in, field const& f, Read read, std::filesystem::path* at = nullptr)
    -> std::optional<typename std::invoke_result_t<Read, std::filesystem::path const&>::value_type> {
    auto const path = path_of(s, in, f);
    if (!path) return std::nullopt;
    if (at) *at = *path;
    auto found = read(*path);
    if (found) return std::move(found).value();
    s.report(f, found.error().detail);
    return std::nullopt;
}

// An https URL of host and port; nullopt where absent or reported.
std::optional<url> read_origin(section&, field const&);

inline constexpr std::string_view a_duration = "a duration from 1s to 3650d such as 90s, 15m, 8h or 30d";
std::optional<seconds> parse_setting_duration(std::string const&);
// Leaves `target` as it is where the value is absent or was reported.
void read_duration(section&, seconds& target, std::string_view name);

// The file that systemd put there for us; empty where it did not.
std::filesystem::path systemd_credential(context const&, char const* name);

void read_entra(section, context const&, settings&);
void read_enrollment(section, context const&, settings&);
void read_events(section, settings&);
void read_authority(section, context const&, settings&);
void read_management(section, context const&, settings&);

}  // namespace mdmd::config
