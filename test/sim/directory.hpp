// What the simulated tenant knows: users, groups, devices, and the credentials of the MDM application. Plain data and
// look-ups; whoever shares a directory between threads locks it.
#pragma once
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"
#include "pki.hpp"

namespace mdmd::sim {

struct user {
    std::string id;  // object id, a GUID
    std::string upn;
    std::string display_name;
    bool enabled = true;
};

struct group {
    std::string id;
    std::string name;
    std::set<std::string> members;  // object ids of users and groups
};

struct entra_device {
    std::string object_id;  // Graph's `id`
    std::string device_id;  // what the device knows
    std::string name;
    std::string owner;  // object id of the user
    std::string trust;  // "AzureAd" (joined), "Workplace"
    std::string os = "Windows";
    std::string os_version;
    std::optional<bool> is_managed, is_compliant;  // null until an MDM says something
    time_point registered;
    bool hidden = false;  // from Graph
};

struct app_secret {
    std::string key_id;
    std::string value;
    time_point ends;
    bool refused = false;  // answered as a wrong secret, whatever it is
};

struct app_certificate {
    std::string key_id;
    certificate own;
    time_point ends;       // as registered; the certificate's own end by default
    bool refused = false;  // answered as one that signs wrongly
};

// What the tenant's MDM settings hold of the application.
struct mdm_urls {
    std::string terms_of_use, discovery, compliance;
};

struct directory {
    std::vector<user> users;
    std::vector<group> groups;
    std::vector<entra_device> devices;
    std::vector<app_secret> secrets;
    std::vector<app_certificate> certificates;
    mdm_urls urls;
    // What the application was granted, and its tokens carry.
    std::set<std::string> roles{
        "Device.ReadWrite.All", "Application.Read.All", "GroupMember.Read.All", "Group.Read.All", "User.Read.All"};

    user* find_user(std::string_view id_or_upn);
    group* find_group(std::string_view id_or_name);
    entra_device* by_object_id(std::string_view id);
    entra_device* by_device_id(std::string_view id);
    bool knows_object(std::string_view id);
    // Ids of all groups that the object is in, through other groups too.
    std::set<std::string> groups_of(std::string const& object_id) const;
};

boost::json::object as_json(user const&);
boost::json::object as_json(group const&);
boost::json::object as_json(entra_device const&);

}  // namespace mdmd::sim
