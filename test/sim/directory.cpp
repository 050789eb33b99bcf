#include "directory.hpp"

#include "core/text.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

template <class T, class F> T* find(std::vector<T>& all, F const& fits) {
    auto const at = std::find_if(all.begin(), all.end(), fits);
    return at == all.end() ? nullptr : &*at;
}

json::value maybe(std::optional<bool> b) { return b ? json::value(*b) : json::value(nullptr); }

}  // namespace

user* directory::find_user(std::string_view id_or_upn) {
    return find(users, [&](user const& u) { return iequals(u.id, id_or_upn) || iequals(u.upn, id_or_upn); });
}

group* directory::find_group(std::string_view id_or_name) {
    return find(groups, [&](group const& g) { return iequals(g.id, id_or_name) || g.name == id_or_name; });
}

entra_device* directory::by_object_id(std::string_view id) {
    return find(devices, [&](entra_device const& d) { return iequals(d.object_id, id); });
}

entra_device* directory::by_device_id(std::string_view id) {
    return find(devices, [&](entra_device const& d) { return iequals(d.device_id, id); });
}

bool directory::knows_object(std::string_view id) {
    return find(users, [&](user const& u) { return iequals(u.id, id); }) || by_object_id(id) ||
           find(groups, [&](group const& g) { return iequals(g.id, id); });
}

std::set<std::string> directory::groups_of(std::string const& object_id) const {
    std::set<std::string> found;
    std::vector<std::string> open{object_id};
    while (!open.empty()) {
        auto const member = std::move(open.back());
        open.pop_back();
        for (auto const& g : groups)
            if (g.members.contains(member) && found.insert(g.id).second) open.push_back(g.id);
    }
    return found;
}

json::object as_json(user const& u) {
    return {{"id", u.id}, {"userPrincipalName", u.upn}, {"displayName", u.display_name}, {"accountEnabled", u.enabled},
        {"mail", u.upn}};
}

json::object as_json(group const& g) {
    return {{"id", g.id}, {"displayName", g.name}, {"securityEnabled", true}, {"mailEnabled", false}};
}

json::object as_json(entra_device const& d) {
    return {{"id", d.object_id}, {"deviceId", d.device_id}, {"displayName", d.name}, {"accountEnabled", true},
        {"operatingSystem", d.os}, {"operatingSystemVersion", d.os_version}, {"trustType", d.trust},
        {"isManaged", maybe(d.is_managed)}, {"isCompliant", maybe(d.is_compliant)},
        {"registrationDateTime", rfc3339(d.registered)}};
}

}  // namespace mdmd::sim
