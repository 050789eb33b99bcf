// policies.d/*.yaml as typed values.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/position.hpp"
#include "core/os_version.hpp"

namespace mdmd::config {

enum class ownership { corporate, personal };
enum class scope { device, user };

// Whom a policy is for: all that is said must hold, and nothing said is everybody.
struct policy_target {
    scope for_whom = scope::device;
    std::vector<ownership> ownerships;                         // one of them
    std::vector<std::string> groups;                           // one of them, Entra object IDs in lower case
    std::vector<std::string> users;                            // one of them, UPNs and object IDs in lower case
    std::vector<std::string> device_names;                     // one of them, with * and ?
    std::optional<os_version> min_os_version, max_os_version;  // both inclusive; of the latter every revision
    position min_os_version_at;
};

struct policy_setting {
    std::string uri;     // "./Device/Vendor/MSFT/…", "./Vendor/MSFT/…" or "./User/Vendor/MSFT/…"; {{tenant.id}}
    std::string format;  // int, chr, bool, b64, xml, node, null
    std::optional<std::string> value;  // as text, checked against the format; none for node and null. Of chr and xml a
                                       // template (config/substitution.hpp)
    int line = 0;
    bool markup = false;              // the value is XML: what is put into it is escaped
    std::optional<os_version> since;  // the first Windows that has the node, where the policy says so
    std::string key;                  // "settings[0]"
    position uri_at, format_at, value_at;
};

enum class app_intent { install, uninstall };

// An MSI package. Source: EnterpriseDesktopAppManagement CSP.
struct app {
    std::string product_code;  // "{GUID}", upper case
    std::string url;           // https://…; empty: we serve `file`, or there is nothing to download
    std::string file;          // "name.msi"
    std::string sha256;        // 64 hexadecimal digits, lower case; may be empty where `url` is
    std::string version;       // "1.2.3"; may be empty with uninstall
    std::string upgrade_code;  // "{GUID}", upper case, or empty
    std::string arguments;     // of msiexec
    app_intent intent = app_intent::install;
    std::chrono::minutes timeout{30};
    int retries = 3;
    int line = 0;
};

enum class comparison { eq, ne, lt, le, gt, ge, in, matches, exists };

struct min_os_version_rule {
    os_version version;
    std::string text;  // as written
};
struct uri_rule {
    std::string uri;
    comparison op = comparison::eq;
    std::vector<std::string> values;  // one; several with `in`; "true" or "false" with `exists`
};
struct compliance_rule {
    std::variant<min_os_version_rule, uri_rule> what;
    int line = 0;
    std::string key;  // "compliance.rules[0]"
    position uri_at;
};

struct policy_file {
    std::string name;
    std::string file;
    policy_target target;
    std::vector<policy_setting> settings;
    std::vector<app> apps;
    std::chrono::seconds grace_period{0};
    std::vector<compliance_rule> rules;
};

}  // namespace mdmd::config
