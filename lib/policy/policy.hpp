// What a device should look like by its policies, and what must be sent to get there. Pure.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/policy_file.hpp"
#include "omadm/session.hpp"

namespace mdmd::policy {

// A user, as far as policies ask.
struct person {
    std::string id, upn;              // object ID in Entra; both empty: nobody is known, and no group holds them
    std::vector<std::string> groups;  // object IDs, in any case
    bool groups_known = false;        // false: never looked up with success
    bool operator==(person const&) const = default;
};

// What of a device decides which policies are its own, and fills in their values. Empty: not known.
struct device_traits {
    config::ownership ownership = config::ownership::corporate;
    std::string id, entra_device_id, name, os_version, serial, manufacturer, model;
    std::string tenant_id;
    person enrolled_by;
};

// "./Vendor/MSFT/X" and "./Device/Vendor/MSFT/X" are one node; so are %7B and {. The one spelling to compare by,
// which can be sent as well; names of nodes keep their case.
std::string canonical_uri(std::string_view);

// Whether a policy's target holds for a device and a user of it, whatever its scope. `undecided` where that hangs on
// something which is not known: the user's groups, the device's name or version.
enum class fit { no, undecided, yes };
fit target_fit(config::policy_target const&, device_traits const&, person const&);

// The same for a device as such: policies for users do not fit, the user is the one that enrolled it.
fit device_fit(config::policy_file const&, device_traits const&);

struct wanted_setting {
    std::string uri;  // as the policy writes it, filled in
    std::string format;
    std::optional<std::string> value;
    std::string policy;           // whose it is
    int order = 0;                // its place among all settings, in which they are written; not kept, not compared
    std::string withheld{};       // why it is not to be sent, in a sentence; empty: it is. Then there is no value
    bool not_applicable = false;  // withheld because the device's Windows does not have the node
    std::vector<std::string> rivals{};  // policies that want another value
    bool operator==(wanted_setting const& other) const {
        return uri == other.uri && format == other.format && value == other.value && policy == other.policy &&
               withheld == other.withheld && not_applicable == other.not_applicable && rivals == other.rivals;
    }
};

struct desired_state {
    std::map<std::string, wanted_setting> settings;  // by canonical URI
    struct conflict {
        std::string uri;
        std::vector<std::string> policies;
    };
    std::vector<conflict> conflicts;  // one node, several values: the policy first by name has it
    std::set<std::string> undecided;  // policies of which nobody can say whether they fit: what they did stays
};

// The first Windows that has a node, by its canonical URI; nullopt where that is not known.
using first_version = std::function<std::optional<os_version>(std::string const&)>;

// By the policies for devices. A value that needs what is not known is withheld; so is a node that the device's
// Windows does not have yet, going by `first`.
desired_state desired(std::vector<config::policy_file> const&, device_traits const&, first_version const& first = {});
// By the policies for users, for one that is signed in: the nodes below ./User.
desired_state desired_for_user(
    std::vector<config::policy_file> const&, device_traits const&, person const&, first_version const& first = {});

// The settings of one non-empty group are sent in one Atomic (all or nothing): those of the area DeviceLock, as
// Windows wants it. Empty: the setting is sent by itself. By canonical URI.
std::string atomic_group(std::string_view uri);

enum class setting_state {
    pending,  // to be written
    applied,  // the device said 200
    failed,   // the device refused it: not tried again until the wish changes, but for errors of its own (409, 420,
              // 5xx), of which Windows has passing ones: those are tried again in each session, five times in all
    not_applicable,  // the device's Windows does not have the node: not sent, pending once it does
    removing,        // no policy wants it any more, to be deleted
    removal_failed,  // the device refused the Delete: tried again whenever the device is read whole
};
std::string_view name(setting_state);
std::optional<setting_state> parse_setting_state(std::string_view);

// What is known of one setting on one device.
struct setting_record {
    wanted_setting wanted;
    setting_state state = setting_state::pending;
    int status = 0;  // the last SyncML status; 0: none
    std::string original_error;
    std::optional<std::string> reported;  // what a Get returned last
    int attempts = 0;                     // writes since the wish last changed or drift was last found
    bool delivered = false;               // some value of ours was taken by the device and not removed since
    bool operator==(setting_record const&) const = default;
};
using record_map = std::map<std::string, setting_record>;  // by canonical URI

// Brings records in line with the wish: new or changed settings become pending, unwanted ones removing (or vanish,
// if they never reached the device: what was refused from the start is never deleted), wanted ones that were being
// removed pending again. A withheld setting is pending or not applicable and never sent, and what of it is on the
// device stays there until it can be replaced. Records of undecided policies stay as they are, wanted by others or not.
record_map reconcile(desired_state const&, record_map);

// The commands for a session, their keys being "setting:" + canonical URI: the deletes that are owed, children first;
// the writes, in the order of the policies but parents first, and those of one atomic_group() together. A pending
// setting that may be on the device is written with Replace; one that never was with Replace where it is a Policy CSP
// leaf (Windows takes it as an upsert there), with Add elsewhere. `whole`: the device is read whole in this session.
std::vector<omadm::wanted> first_round(record_map const&, bool whole = false);
// A Get of each applied setting with a value, so that drift shows.
std::vector<omadm::wanted> drift_round(record_map const&);
// The writes of those settings that an Atomic took back with it, to be sent once more after what failed in it was
// corrected: of `nodes` those that are pending and were not tried more than three times.
std::vector<omadm::wanted> again(record_map const&, std::set<std::string> const& nodes);

// Takes in one outcome of such a command; returns the follow-up to send in the same session, if any: Replace after
// 418 or 405 on Add, Add after 404 on Replace (but not after both), the write again after a Get that showed another
// value or no node (a setting that is pending already gets no second write: it waits for the next session). 200,
// 201-299 but 215 and 216 are success; for Delete 404 is too. 215, 216, 401, 407, 408, 417, 503 and 506 leave the
// setting pending; other errors are final for a write. The outcome of a write that is no longer what is wanted leaves
// it pending. A Get that fails otherwise than by 404 says nothing. A record whose removal is done, or refused for ever
// (405, 425), is taken out.
std::optional<omadm::wanted> take(record_map&, omadm::outcome const&);

// Whether what a node reports is what was asked for: bool true = 1, int by number, b64 by its bytes, text after
// trimming and with line ends as LF. XML is never compared, since Windows gives it back in another form: always same;
// of the value of an ADMX-backed policy, only whether it is enabled or disabled.
bool same_value(std::string_view format, std::string_view wanted, std::string_view reported);

}  // namespace mdmd::policy
