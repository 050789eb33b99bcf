// What tests of management share: sessions of signed-in users, and devices and commands as mdmctl shows them.
#pragma once
#include "e2e/appliance.hpp"

namespace mdmd::e2e {

// A member as text; numbers in decimal; empty where it is null.
inline std::string text(boost::json::value const& v, std::string_view key) {
    auto const& member = v.at(key);
    if (member.is_null()) return "";
    return member.is_string() ? std::string(member.as_string()) : boost::json::serialize(member);
}

// The one of a list that has that member. Throws, with the list, where there is none.
inline boost::json::value row(boost::json::value const& list, std::string_view key, std::string_view value) {
    for (auto const& one : list.as_array())
        if (text(one, key) == value) return one;
    throw std::runtime_error(fmt::format("no {} {} in {}", key, value, boost::json::serialize(list)));
}

inline boost::json::value shown(world const& w, std::string const& device) {
    return w.app->ask({"devices", "show", device});
}

// The last command of that kind; throws where there is none.
inline boost::json::value last_command(world const& w, std::string const& device, std::string_view kind) {
    auto const all = w.app->ask({"commands", "list", device}).at("value").as_array();
    for (auto at = all.rbegin(); at != all.rend(); ++at)
        if (text(*at, "kind") == kind) return *at;
    throw std::runtime_error(fmt::format("no {} for {}", kind, device));
}

// A session with the token of that user, or of who enrolled the device.
inline sim::sync_options signed_in(world const& w, std::string const& upn = {}) {
    auto o = w.sync();
    o.tenant = w.access();
    o.user = upn;
    return o;
}

inline sim::session_report session(sim::device& d, sim::sync_options const& o) {
    auto r = d.sync(o);
    require_clean(r);
    return r;
}

// What a session wrote, deleted or executed, as "exec ./Device/…".
inline std::vector<std::string> changes(sim::session_report const& r) {
    std::vector<std::string> all;
    for (auto const& c : r.commands)
        if (c.verb != "Get") all.push_back(lower(c.verb) + " " + c.uri);
    return all;
}

inline bool has(std::vector<std::string> const& all, std::string_view part) {
    return std::any_of(all.begin(), all.end(), [&](auto const& one) { return one.find(part) != one.npos; });
}

}  // namespace mdmd::e2e
