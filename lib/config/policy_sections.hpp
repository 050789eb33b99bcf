// The sections of a policy file. Private to lib/config.
#pragma once
#include <fmt/format.h>
#include <map>
#include <string>

#include "config/node_uri.hpp"
#include "config/policy_file.hpp"
#include "config/reader.hpp"

namespace mdmd::config {

// Calls `each` with a section for every item of the list `name`.
template <class Each> void read_items(section& s, std::string_view name, Each each) {
    auto const f = s.get(name);
    if (!f) return;
    if (f.value->what != yaml::node::kind::list)
        return s.report(f, fmt::format("expected a list, got {}", got_kind(*f.value)));
    for (std::size_t i = 0; i < f.value->items.size(); ++i) {
        auto const& item = f.value->items[i];
        auto const path = fmt::format("{}[{}]", f.key, i);
        if (item.what == yaml::node::kind::nothing)
            s.out().report(f.at, path, "expected a mapping, got nothing");
        else
            each(section(&item, item.at, path, s.out()), item.at.line);
    }
}

inline position to_position(yaml::place at) { return {at.line, at.column}; }

// The address of a node; nullopt where it is absent or was reported.
std::optional<std::string> read_uri(section&, uri_for);

policy_target read_target(section);
// `seen` and `products`: the canonical URIs and the product codes so far, with their lines.
void read_setting(section, int line, policy_file& into, std::map<std::string, int>& seen);
void read_app(section, int line, policy_file& into, std::map<std::string, int>& products);
void read_rule(section, int line, policy_file& into);
void read_action(section, policy_file& into);

inline constexpr std::string_view a_delay = "a duration from 0s to 365d such as 24h";
std::optional<std::chrono::seconds> parse_delay(std::string const&);

}  // namespace mdmd::config
