// A device's management tree: nodes by LocURI, and what Add, Replace, Delete, Get and Exec do to them on Windows.
// Source: [MS-MDM] 2.2, OMA-TS-DM-StdObj, the configuration service providers' documents.
#pragma once
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mdmd::sim {

struct csp_node {
    std::string format = "chr";  // chr int bool b64 xml node null …
    std::string value;
    std::string access = "G";  // letters of A D G R E
};

struct csp_result {
    int status = 200;           // SyncML
    std::string value, format;  // of a Get
};

// What a device is, for the nodes it is born with.
struct device_facts {
    std::string device_id;  // 32 hex digits: DevId, and Source of its messages
    std::string name = "DESKTOP-SIM";
    std::string os_version = "10.0.22631.3447";
    std::string hardware_id;  // 64 hex digits
    std::string serial;
    std::string manufacturer = "Contoso", model = "Simulated 14";
};

class csp_tree {
public:
    csp_tree() = default;
    explicit csp_tree(device_facts const&);
    static csp_tree from_json(boost::json::object const&);
    boost::json::object to_json() const;  // what is reached at the moment: the device's nodes and the user's

    // Whose ./User nodes these are from now on; empty: nobody's, and there are none. Each user's are kept apart.
    void set_user(std::string user);
    std::string const& user() const { return user_; }
    boost::json::object users_to_json() const;  // {"alice@contoso.test": {URI: node}}, of all users
    void users_from_json(boost::json::object const&);

    // Commands, with the SyncML status that Windows gives. `format` empty: chr.
    csp_result get(std::string_view uri) const;
    int add(std::string_view uri, std::string_view format, std::string_view value);
    int replace(std::string_view uri, std::string_view format, std::string_view value);
    int remove(std::string_view uri);
    int exec(std::string_view uri) const;

    // The owner's access, without rules: what the user or the firmware changes.
    void set(std::string_view uri, csp_node);
    void unset(std::string_view uri);  // with what is below
    csp_node const* find(std::string_view uri) const;
    std::map<std::string, csp_node> const& nodes() const { return nodes_; }

    // "./Vendor/MSFT/X" and "./Device/Vendor/MSFT/X" are one node; the long form.
    static std::string canonical(std::string_view uri);

private:
    bool has_children(std::string const& uri) const;
    using node_map = std::map<std::string, csp_node>;
    node_map nodes_;  // by canonical URI; interior nodes that have children need no entry
    std::string user_;
    std::map<std::string, node_map> others_;  // ./User nodes of whoever is not user_
};

// A LocURI as a server may send it: relative, from the root, no empty, dot or overlong segment, no broken escape.
// Returns what is wrong.
std::optional<std::string> locuri_failure(std::string_view uri);

}  // namespace mdmd::sim
