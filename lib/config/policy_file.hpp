// policies.d/*.yaml as typed values.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/position.hpp"
#include "config/rule_kinds.hpp"
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

// A rule with a short name (config/rule_kinds.hpp) and what it takes.
struct named_rule {
    rule_id id = rule_id::min_os_version;
    std::string text;  // as written: "required", "10.0.19045.3803", "8"; of os_builds "A to B, C to D"
    os_version
        version{};  // of version and tpm; zero for tpm: required. Of max_os_version the last that the text begins
    std::int64_t number = 0;
    struct range {
        os_version lowest, highest;  // both inclusive
    };
    std::vector<range> ranges;
};

enum class comparison { eq, ne, lt, le, gt, ge, in, matches, exists };
// What the values are; `automatic`: by what they look like.
enum class value_type { automatic, boolean, integer, number, text, date_time, version };

struct uri_rule {
    std::string uri;
    comparison op = comparison::eq;
    std::vector<std::string> values;  // one; several with `in`; "true" or "false" with `exists`
    value_type type = value_type::automatic;
};
struct compliance_rule {
    std::variant<named_rule, uri_rule> what;
    int line = 0;
    std::string key;  // "compliance.rules[0]"
    position uri_at;
};

// What is done about a device that fails a rule of the policy, so long after the first failure.
enum class action_kind { notify, lock };
struct compliance_action {
    action_kind what = action_kind::notify;
    std::chrono::seconds after{0};
};
inline constexpr std::string_view action_name(action_kind a) { return a == action_kind::notify ? "notify" : "lock"; }

struct policy_file {
    std::string name;
    std::string file;
    policy_target target;
    std::vector<policy_setting> settings;
    std::vector<app> apps;
    std::chrono::seconds grace_period{0};
    std::vector<compliance_rule> rules;
    std::vector<compliance_action> actions;
};

}  // namespace mdmd::config
