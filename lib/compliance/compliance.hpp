// Is a device as the rules want it, and what of that is still to be reported. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/policy_file.hpp"
#include "core/time.hpp"
#include "policy/policy.hpp"

namespace mdmd::compliance {

// What a device last answered for one node.
struct fact {
    int status = 0;                    // the SyncML status of the Get
    std::optional<std::string> value;  // with status 200
    time_point at;
};
using facts = std::map<std::string, fact>;  // by canonical URI

inline constexpr std::string_view os_version_uri = "./DevDetail/SwV";

// The nodes that the rules of these policies need for this device, canonical, each once.
std::vector<std::string> needed_facts(std::vector<config::policy_file> const&, policy::device_traits const&);

enum class state { unknown, compliant, noncompliant, conflict, error, in_grace_period };
std::string_view name(state);  // as Graph has it: "inGracePeriod"
std::optional<state> parse_state(std::string_view);

struct reason {
    std::string policy;
    std::string rule;    // "min_os_version", "uri", "last_seen"
    std::string uri;     // empty for last_seen
    std::string wanted;  // "ge 10.0.19045.3803"
    std::string found;   // the value, "unknown (404)", "never asked"
    bool operator==(reason const&) const = default;
};

struct verdict {
    state now = state::unknown;
    time_point since;                         // when `now` began
    std::optional<time_point> grace_until;    // while in_grace_period
    std::optional<time_point> failing_since;  // when the first rule failed, while any does
    std::vector<reason> reasons;              // why it is not compliant; for unknown: what is missing
    std::optional<time_point> next_check;     // when the verdict changes by time alone (grace ends, goes stale)
    bool operator==(verdict const&) const = default;
};

struct subject {
    policy::device_traits traits;
    time_point enrolled;
    std::optional<time_point> last_seen;
};
struct terms {
    std::chrono::seconds stale_after;
};

// Rules. Values are compared trimmed: two whole numbers by number, two versions of two to four parts by version, two of
// true, false, 1, 0 by truth (eq, ne, in), anything else as text. Order (lt, le, gt, ge) between what is neither is not
// known. `matches` finds a POSIX extended expression anywhere. `exists` is known from 200 and 404.
//
// A fact that was never asked or did not come with 200 and a value makes its rule *unknown*, never failed. A rule that
// failed and is now unknown counts as failed still, so that nobody passes by silence. With no failed rule and some
// unknown the device is unknown, unless it was compliant, which it stays.
//
// A failed rule counts from failing_since, which the end of all failures clears; within its policy's grace period the
// device is in_grace_period. Not seen for stale_after (counted from enrollment where never seen): noncompliant, no
// grace. No rules at all: compliant. Several policies: the worst of them, noncompliant > in_grace_period > unknown >
// compliant.
verdict evaluate(std::vector<config::policy_file> const&, subject const&, facts const&, terms const&,
    std::optional<verdict> const& before, time_point now);

// What Entra is told: compliant and in_grace_period report true, noncompliant false; unknown, conflict and error
// have nothing to tell.
std::optional<bool> reported_as(state);

// --- The report of one device to Graph -------------------------------------------------------------------------
// "Parked until something changes": 9999-12-31T23:59:59Z, which every calendar and store can say.
inline constexpr time_point never{std::chrono::seconds(253'402'300'799)};

struct report {
    bool is_managed = true;
    bool is_compliant = false;
    enum class phase {
        waiting,  // nothing to tell, or the device's Entra ID is not known
        due,      // to be sent at next_try
        done,     // Graph has it
        parked,   // Graph refuses it: tried again at next_try, or when something changes
    } phase = phase::waiting;
    std::string object_id;  // Graph's id of the device, once resolved
    int attempts = 0;
    time_point next_try;
    std::string error;  // why it is not done: "403 Authorization_RequestDenied: …"
    std::optional<time_point> last_success;
    bool resolved_again = false;  // a 404 has been answered by one new look-up already
    bool operator==(report const&) const = default;
};
std::string_view name(enum report::phase);
std::optional<enum report::phase> parse_phase(std::string_view);

// The pair to tell has been decided (again). A changed pair, and one that Graph does not have, becomes due now.
report decided(report, bool is_managed, bool is_compliant, bool entra_id_known, time_point now);
// Everything reported is reported again after `refresh`; what is parked becomes due when its time has come.
report refreshed(report, std::chrono::seconds refresh, time_point now);

// What Graph answered, as the reporter must act on it.
struct told {
    bool is_managed = false;
    bool is_compliant = false;
    bool operator==(told const&) const = default;
};
struct graph_answer {
    int status = 0;       // HTTP; 0: no answer at all
    std::string code;     // error.code
    std::string message;  // error.message
    std::optional<std::chrono::milliseconds> retry_after;
    std::optional<told> sent;  // what was sent; where the report has changed since, it is due still. None: no change
};
// 204 done; 400 parked until something changes; 401 due again at once, once; 403 parked for an hour; 404 object id
// dropped and due at once, the second time parked until the refresh; 408, 409, 412, 423, 424, 429, 5xx and silence due
// again after Retry-After (at most a day), else exponentially with jitter from 1 s to 5 min (`jitter` is 0..1); any
// other answer parked for an hour.
report answered(report, graph_answer const&, double jitter, time_point now, std::chrono::seconds refresh);

}  // namespace mdmd::compliance
