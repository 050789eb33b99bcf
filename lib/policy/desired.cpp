// Which policies are for a device or a user, and what they come to there.
#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <utility>

#include "config/node_uri.hpp"
#include "config/substitution.hpp"
#include "core/glob.hpp"
#include "core/text.hpp"
#include "policy/policy.hpp"

namespace mdmd::policy {
namespace {

template <class Range, class Holds> fit any(Range const& all, bool known, Holds holds) {
    if (all.empty()) return fit::yes;
    if (!known) return fit::undecided;
    return std::any_of(all.begin(), all.end(), holds) ? fit::yes : fit::no;
}

fit version_fit(config::policy_target const& t, std::string const& text) {
    if (!t.min_os_version && !t.max_os_version) return fit::yes;
    auto const v = parse_os_version(text);
    if (!v) return fit::undecided;
    bool const holds = !(t.min_os_version && *v < *t.min_os_version) && !(t.max_os_version && *t.max_os_version < *v);
    return holds ? fit::yes : fit::no;
}

bool is_known(person const& who) { return !who.id.empty() || !who.upn.empty(); }

// What a placeholder stands for; empty where that is not known.
std::string_view known_value(config::placeholder p, device_traits const& d, person const& who) {
    auto const at = who.upn.find('@');
    auto const upn = std::string_view(who.upn);
    switch (p) {
        case config::placeholder::device_name: return d.name;
        case config::placeholder::device_id: return d.id;
        case config::placeholder::device_entra_id: return d.entra_device_id;
        case config::placeholder::device_serial: return d.serial;
        case config::placeholder::device_manufacturer: return d.manufacturer;
        case config::placeholder::device_model: return d.model;
        case config::placeholder::device_os_version: return d.os_version;
        case config::placeholder::user_upn: return upn;
        case config::placeholder::user_id: return who.id;
        case config::placeholder::user_name: return upn.substr(0, at);
        case config::placeholder::user_domain: return at == upn.npos ? "" : upn.substr(at + 1);
        case config::placeholder::tenant_id: return d.tenant_id;
    }
    return {};
}

struct filled {
    std::string text;
    std::optional<config::placeholder> missing;  // the first that is not known
};

template <class Encode> filled fill(std::string const& open, device_traits const& d, person const& who, Encode encode) {
    filled out;
    if (open.find("{{") == open.npos) return {open, {}};
    auto const pieces = config::parse_template(open);
    if (!pieces) return {open, {}};  // not of a policy file, which has none such
    for (auto const& one : *pieces) {
        auto const value = one.open ? known_value(*one.open, d, who) : std::string_view(one.text);
        if (one.open && value.empty() && !out.missing) out.missing = one.open;
        out.text += one.open ? encode(value) : one.text;
    }
    return out;
}

bool is_open(std::string_view format) { return format == "chr" || format == "xml"; }

wanted_setting fill(config::policy_setting const& s, device_traits const& d, person const& who) {
    wanted_setting out;
    auto uri = fill(s.uri, d, who, percent_encode);
    out.uri = std::move(uri.text);
    out.format = s.format;
    out.value = s.value;
    auto missing = uri.missing;
    if (s.value && is_open(s.format)) {
        auto value = fill(
            *s.value, d, who, [&](std::string_view text) { return s.markup ? html_escape(text) : std::string(text); });
        out.value = std::move(value.text);
        if (!missing) missing = value.missing;
    }
    if (missing) {
        out.withheld = fmt::format("{} is not known yet", config::name(*missing));
        out.value.reset();
    }
    return out;
}

// Whether two policies want the same. Markup counts as it is written: what a device makes of it is not known.
bool same(wanted_setting const& a, wanted_setting const& b) {
    if (a.format != b.format || a.withheld != b.withheld) return false;
    if (a.value == b.value) return true;
    bool const markup = a.format == "xml" || (a.value && a.value->starts_with('<'));
    return !markup && same_value(a.format, a.value.value_or(""), b.value.value_or(""));
}

// Withholds what the device's Windows does not have yet.
void judge_version(wanted_setting& w, std::optional<os_version> const& since, device_traits const& d) {
    auto const have = parse_os_version(d.os_version);
    if (!since || !have || *since <= *have) return;
    auto const& p = since->parts;
    w.withheld = fmt::format("Windows has it from {}.{}.{}{} on, the device has {}", p[0], p[1], p[2],
        p[3] ? fmt::format(".{}", p[3]) : "", printable(d.os_version, 64));
    w.not_applicable = true;
    w.value.reset();
}

using versions = std::map<std::string, os_version>;  // what policies say of nodes, by canonical URI

void add_settings(desired_state& out, versions& since, int& order, config::policy_file const& policy,
    device_traits const& device, person const& who) {
    for (auto const& s : policy.settings) {
        auto wish = fill(s, device, who);
        wish.policy = policy.name;
        wish.order = order++;
        auto const canonical = canonical_uri(wish.uri);
        auto const [known, added] = out.settings.try_emplace(canonical, wish);
        if (added && s.since) since[canonical] = *s.since;
        if (added || same(known->second, wish)) continue;
        auto& rivals = known->second.rivals;
        if (std::find(rivals.begin(), rivals.end(), policy.name) == rivals.end()) rivals.push_back(policy.name);
    }
}

desired_state desired_of(config::scope scope, std::vector<config::policy_file> const& policies,
    device_traits const& device, person const& who, first_version const& first) {
    std::vector<config::policy_file const*> mine;
    desired_state out;
    for (auto const& p : policies) {
        if (p.target.for_whom != scope) continue;
        auto const how = target_fit(p.target, device, who);
        if (how == fit::yes) mine.push_back(&p);
        if (how == fit::undecided) out.undecided.insert(p.name);
    }
    std::stable_sort(mine.begin(), mine.end(), [](auto const* a, auto const* b) { return a->name < b->name; });
    int order = 0;
    versions since;
    for (auto const* policy : mine) add_settings(out, since, order, *policy, device, who);
    for (auto& [uri, wish] : out.settings) {
        auto const said = since.find(uri);
        auto const from = said != since.end() ? std::optional(said->second) : first ? first(uri) : std::nullopt;
        judge_version(wish, from, device);
        if (wish.rivals.empty()) continue;
        out.conflicts.push_back({uri, {wish.policy}});
        auto& all = out.conflicts.back().policies;
        all.insert(all.end(), wish.rivals.begin(), wish.rivals.end());
    }
    return out;
}

}  // namespace

std::string canonical_uri(std::string_view uri) { return config::canonical_node_uri(uri); }

fit target_fit(config::policy_target const& t, device_traits const& device, person const& who) {
    auto const group_holds = [&](std::string const& id) {
        return std::any_of(who.groups.begin(), who.groups.end(), [&](auto const& g) { return iequals(g, id); });
    };
    auto const user_holds = [&](std::string const& u) { return iequals(u, who.id) || iequals(u, who.upn); };
    std::array const parts{
        any(t.ownerships, true, [&](config::ownership o) { return o == device.ownership; }),
        any(t.users, true, user_holds),
        any(t.groups, who.groups_known || !is_known(who), group_holds),
        any(t.device_names, !device.name.empty(), [&](auto const& name) { return fits_glob(name, device.name); }),
        version_fit(t, device.os_version),
    };
    return *std::min_element(parts.begin(), parts.end());
}

fit device_fit(config::policy_file const& policy, device_traits const& device) {
    return policy.target.for_whom == config::scope::device ? target_fit(policy.target, device, device.enrolled_by)
                                                           : fit::no;
}

desired_state desired(
    std::vector<config::policy_file> const& policies, device_traits const& device, first_version const& first) {
    return desired_of(config::scope::device, policies, device, device.enrolled_by, first);
}

desired_state desired_for_user(std::vector<config::policy_file> const& policies, device_traits const& device,
    person const& who, first_version const& first) {
    return desired_of(config::scope::user, policies, device, who, first);
}

std::string atomic_group(std::string_view uri) {
    return uri.starts_with("./Vendor/MSFT/Policy/Config/DeviceLock/") ? "DeviceLock" : "";
}

}  // namespace mdmd::policy
