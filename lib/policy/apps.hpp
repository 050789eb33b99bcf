// MSI packages by EnterpriseDesktopAppManagement: which a device should have, and what must be sent to get there. Pure.
// Device scope. [EnterpriseDesktopAppManagement CSP]
#pragma once
#include <compare>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/policy_file.hpp"
#include "core/time.hpp"
#include "omadm/session.hpp"

namespace mdmd::policy {

// What the keys of commands begin with, and the type of the alert that tells the end of an installation.
constexpr std::string_view app_prefix = "app:";
constexpr std::string_view app_alert_type = "com.microsoft.mdm.win32csp_install";

struct wanted_app {
    config::app what;  // with url and sha256
    std::string policy;
};
struct desired_apps {
    std::map<std::string, wanted_app> apps;  // by product code
    struct conflict {
        std::string product_code;
        std::vector<std::string> policies;
    };
    std::vector<conflict> conflicts;  // one product, several wishes: the policy first by name has it
};
// By the policies that are for the device.
desired_apps wanted_apps(std::vector<config::policy_file const*>);

enum class app_state {
    pending,         // to be installed or removed
    sent,            // the installation was asked for, and whether the device took the order is not known
    installing,      // it has it, and the end is not known
    installed,       // in the version that is wanted, or a later one, by us or by others
    failed,          // tried again at next_try, up to most_app_attempts times in all
    removing,        // the removal was asked for
    removed,         // it is not there
    not_applicable,  // this Windows takes no such packages
};
std::string_view name(app_state);
std::optional<app_state> parse_app_state(std::string_view);

constexpr int most_app_attempts = 5;

// What is known of one app on one device.
struct app_record {
    std::string policy;
    config::app_intent intent = config::app_intent::install;
    std::string job;      // the package's SHA-256, version and arguments: another text is another job
    std::string version;  // that is wanted; empty: any
    app_state state = app_state::pending;
    int status = 0;                 // the last SyncML status; 0: none
    int msi_status = 0;             // the last Status of the node, 10 to 70; 0: none
    std::string last_error;         // of the installer, "0x80070643"; empty: none
    std::string detail;             // for the operator: what Windows says of the failure, what is waited for
    std::string installed_version;  // as the device said
    int attempts = 0;               // jobs that were begun since the wish changed
    time_point since;               // of the state
    time_point next_try;            // of failed, removing: not before; of installed, removed: looked at again then
    bool operator==(app_record const&) const = default;
};
using app_map = std::map<std::string, app_record>;  // by product code

// Brings records in line with the wish: what is wanted and was not becomes pending, so does what is wanted in another
// version, from another package or the other way round. The record of an app that no policy has any more goes; the app
// itself stays on the device: it goes by intent `uninstall` alone.
app_map reconcile(desired_apps const&, app_map, time_point now);

// The commands that begin a session, keys "app:…": questions only. Of what is pending, or due again, which version of
// it is there; of what is being installed, LastError and Status. Of what is done, nothing for a day.
std::vector<omadm::wanted> first_round(desired_apps const&, app_map const&, time_point now);

// Takes in one outcome of such a command; returns what is to be sent next in the same session: whether another product
// of the family (upgrade code) is there, the Add of DownloadInstall and then its Exec, a Delete. An Exec is never sent
// again because its answer got lost: the next session asks for the Status.
std::vector<omadm::wanted> take(desired_apps const&, app_map&, omadm::outcome const&, time_point now);

// An alert of app_alert_type: an installation has ended. `source` is the node that it is about, `data` the HRESULT.
// Returns what is to be asked next. What is not about an app of ours is ignored.
std::vector<omadm::wanted> take_alert(
    desired_apps const&, app_map&, std::string_view source, std::string_view data, time_point now);

// The node whose Exec installs a product: what Windows' status page tracks.
std::string app_node(std::string_view product_code);
// The job that the Exec hands over: XML.
std::string install_job(config::app const&);

// Numbers of one to eight parts, "1.2" being "1.2.0.0"; nullopt where one of them is no version.
std::optional<std::strong_ordering> compare_versions(std::string_view, std::string_view);

}  // namespace mdmd::policy
