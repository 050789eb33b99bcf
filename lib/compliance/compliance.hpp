// Is a device as the rules want it? Pure.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compliance/rules.hpp"
#include "config/policy_file.hpp"
#include "core/time.hpp"
#include "policy/policy.hpp"

namespace mdmd::compliance {

// "Until something changes": 9999-12-31T23:59:59Z, which every calendar and store can say.
inline constexpr time_point never{std::chrono::seconds(253'402'300'799)};

// The rules of all policies, made ready once.
class rulebook {
public:
    explicit rulebook(std::vector<config::policy_file> const&);

    struct chapter {
        config::policy_file policy;  // without its settings, apps and rules
        std::vector<rule> rules;     // not empty
    };
    std::vector<chapter> const& chapters() const { return chapters_; }

    // Two rules of which no device that both are for can keep both.
    struct contradiction {
        std::size_t chapter, rule, other_chapter, other_rule;
    };
    std::vector<contradiction> const& contradictions() const { return contradictions_; }

    // The nodes that the rules need for this device, canonical, each once.
    std::vector<std::string> needed_facts(policy::device_traits const&) const;

private:
    std::vector<chapter> chapters_;
    std::vector<contradiction> contradictions_;
};

enum class state { unknown, compliant, noncompliant, conflict, error, in_grace_period };
std::string_view name(state);  // as Graph has it: "inGracePeriod"
std::optional<state> parse_state(std::string_view);

// One thing that keeps a device from being compliant, or from being known to be.
struct reason {
    std::string policy;                       // empty for last_seen and no_policy
    std::string rule;                         // "encryption", "uri", "last_seen", "no_policy"
    std::string uri;                          // empty for last_seen and no_policy
    std::string wanted;                       // "ge 10.0.19045.3803"
    std::string found;                        // the value, "unknown (404)", "never asked"
    outcome result = outcome::failed;         // failed, unknown, error or conflict
    time_point since{};                       // when it began
    std::optional<time_point> grace_until{};  // of a failure: when its policy's patience ends, or has ended
    bool operator==(reason const&) const = default;
};

struct verdict {
    state now = state::unknown;
    time_point since;                           // when `now` began
    std::optional<time_point> grace_until;      // while in_grace_period
    std::map<std::string, time_point> failing;  // policy -> since when some rule of it has failed, without a break
    std::optional<time_point> unclear_since;    // since when the device's answers do not suffice, without a break
    std::set<std::string> acted;                // actions that this failure has led to: "policy/lock/86400"
    std::vector<reason> reasons;                // why it is not compliant; for unknown: what is missing
    std::optional<time_point> next_check;       // when the verdict changes by time alone
    bool operator==(verdict const&) const = default;
};

struct subject {
    policy::device_traits traits;
    time_point enrolled;
    std::optional<time_point> last_seen;
};
struct terms {
    std::chrono::seconds stale_after = std::chrono::days(30);
    std::chrono::seconds keep_last = std::chrono::days(7);
    bool compliant_without_policy = true;
};

// A rule that was never asked, or not answered so that it can be judged, is *unknown* (or an *error*), never failed.
// One that failed and is now unknown counts as failed still, so that nobody passes by silence. With no failed rule and
// some unknown a compliant device stays compliant, any other is unknown (or error). When a device's answers have not
// sufficed for `keep_last` it is noncompliant without grace; rules that it was never asked do not count for that.
//
// Each policy's grace counts from the first failure of any of its rules, and anew once all have passed. A device is
// in_grace_period until the first such period ends. Rules of which no answer can satisfy both (rulebook) are in
// conflict, and not judged. Not seen for stale_after (counted from enrollment where never seen): noncompliant, no
// grace. The device's state is the worst of noncompliant > conflict > error > in_grace_period > unknown > compliant,
// but an error does not end a grace period that stands. No policy with rules: as `compliant_without_policy` says.
//
// `acted` of the result holds the actions that are due by now, those of `before` included. A clock that was set back
// prolongs no grace. Source: windows10CompliancePolicy and complianceState of Microsoft Graph.
verdict evaluate(
    rulebook const&, subject const&, facts const&, terms const&, std::optional<verdict> const& before, time_point now);

// All rules that are for this device, with what they come to: {policy, rule, …, result, since}. `since` is the
// verdict's where that has it.
std::vector<reason> judge_all(rulebook const&, policy::device_traits const&, facts const&);

// What an entry of `acted` says.
struct action {
    std::string policy;
    config::action_kind what;
};
std::optional<action> parse_action(std::string_view);

// What Entra is told: compliant and in_grace_period report true, noncompliant false; unknown, conflict and error
// have nothing to tell.
std::optional<bool> reported_as(state);

}  // namespace mdmd::compliance
