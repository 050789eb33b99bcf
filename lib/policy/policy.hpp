// What a device should look like by its policies, and what must be sent to get there. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/policy_file.hpp"
#include "omadm/session.hpp"

namespace mdmd::policy {

// What of a device decides which policies are its own.
struct device_traits {
    config::ownership ownership = config::ownership::corporate;
};

// "./Vendor/MSFT/X" and "./Device/Vendor/MSFT/X" are one node; so are %7B and {. The one spelling to compare by,
// which can be sent as well; names of nodes keep their case.
std::string canonical_uri(std::string_view);

// Whether the policy is for such a device.
bool applies(config::policy_file const&, device_traits const&);

struct wanted_setting {
    std::string uri;  // as the policy writes it
    std::string format;
    std::optional<std::string> value;
    std::string policy;  // whose it is
    int order = 0;       // its place among all settings, in which they are written; not kept, not compared
    bool operator==(wanted_setting const& other) const {
        return uri == other.uri && format == other.format && value == other.value && policy == other.policy;
    }
};

struct desired_state {
    std::map<std::string, wanted_setting> settings;  // by canonical URI
    struct conflict {
        std::string uri;
        std::vector<std::string> policies;
    };
    std::vector<conflict> conflicts;  // one node, several values: the policy first by name has it
};
desired_state desired(std::vector<config::policy_file> const&, device_traits const&);

enum class setting_state {
    pending,   // to be written
    applied,   // the device said 200
    failed,    // the device refused it: not tried again until the wish changes, but for errors of its own (409, 420,
               // 5xx), of which Windows has passing ones: those are tried again in each session, five times in all
    removing,  // no policy wants it any more, to be deleted; a Delete that fails is tried again in each session
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
// removed pending again.
record_map reconcile(desired_state const&, record_map);

// The commands for a session, their keys being "setting:" + canonical URI. First round: the deletes that are owed,
// children first; the writes, in the order of the policies but parents first; a Get of each applied setting with a
// value, so that drift shows. A pending setting that may be on the device is written with Replace; one that never was
// with Replace where it is a Policy CSP leaf (Windows takes it as an upsert there), with Add elsewhere.
std::vector<omadm::wanted> first_round(record_map const&);

// Takes in one outcome of such a command; returns the follow-up to send in the same session, if any: Replace after
// 418 on Add, Add after 404 on Replace (but not after both), the write again after a Get that showed another value or
// no node (a setting that is pending already gets no second write: it waits for the next session). 200, 201-299 but
// 215 and 216 are success; for Delete 404 is too. 215, 216, 401, 407, 408, 417, 503 and 506 leave the setting pending;
// other errors are final for a write. The outcome of a write that is no longer what is wanted leaves it pending. A Get
// that fails otherwise than by 404 says nothing. A record whose removal is done or refused (405, 425) is taken out.
std::optional<omadm::wanted> take(record_map&, omadm::outcome const&);

// Whether what a node reports is what was asked for: bool true = 1, int by number, b64 by its bytes, text after
// trimming and with line ends as LF. XML is never compared, since Windows gives it back in another form: always same.
bool same_value(std::string_view format, std::string_view wanted, std::string_view reported);

}  // namespace mdmd::policy
