// policies.d/*.yaml as typed values.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/os_version.hpp"

namespace mdmd::config {

enum class ownership { corporate, personal };

struct policy_setting {
    std::string uri;                   // "./Device/Vendor/MSFT/…" or "./Vendor/MSFT/…"
    std::string format;                // int, chr, bool, b64, xml, node, null
    std::optional<std::string> value;  // as text, checked against the format; none for node and null
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

struct policy_file {
    std::string name;
    std::string file;
    std::vector<ownership> ownerships;  // empty: every device
    std::vector<policy_setting> settings;
    std::vector<app> apps;
    std::chrono::seconds grace_period{0};
    std::vector<compliance_rule> rules;
};

}  // namespace mdmd::config
