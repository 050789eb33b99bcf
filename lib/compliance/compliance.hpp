// Is a device as the rules want it? Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/policy_file.hpp"
#include "core/time.hpp"
#include "policy/policy.hpp"

namespace mdmd::compliance {

// "Until something changes": 9999-12-31T23:59:59Z, which every calendar and store can say.
inline constexpr time_point never{std::chrono::seconds(253'402'300'799)};

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

}  // namespace mdmd::compliance
