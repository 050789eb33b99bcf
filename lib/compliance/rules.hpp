// One rule, judged by what the device answered. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/pattern.hpp"
#include "config/policy_file.hpp"
#include "core/time.hpp"

namespace mdmd::compliance {

// What a device last answered for one node.
struct fact {
    int status = 0;                    // the SyncML status of the Get
    std::optional<std::string> value;  // with status 200
    time_point at;
};
using facts = std::map<std::string, fact>;  // by canonical URI

inline constexpr std::string_view os_version_uri = "./DevDetail/SwV";

enum class outcome {
    passed,
    not_applicable,  // Windows says that there is nothing of the kind on this device
    failed,
    unknown,   // never asked, not answered, or answered by what passes by itself: Windows does not know yet
    error,     // answered by what this rule can make nothing of
    conflict,  // another rule wants what this one forbids
};
std::string_view name(outcome);  // "failed"
std::optional<outcome> parse_outcome(std::string_view);

struct finding {
    outcome result = outcome::unknown;
    std::string found;   // the value with what it means: "2 (disabled)"; "unknown (404)", "never asked"
    bool asked = false;  // the device has been asked, whatever it answered
};

// A rule of a policy, ready to be judged often.
class rule {
public:
    explicit rule(config::compliance_rule const&);

    std::string name;                // "encryption"; of a rule for any node "uri"
    std::string uri;                 // the node that decides, as the policy writes it
    std::string wanted;              // "required", "ge 10.0.19045.3803"
    std::vector<std::string> nodes;  // all that it needs, canonical, the one that decides first

    // By the outcomes above. A rule with a short name goes by what the values of its node mean
    // (docs/compliance.md lists them all); a version that is not one, or a number that is not one, is an error.
    //
    // A rule for any node compares values trimmed, by its type. Without one: two whole numbers by number, two
    // versions of two to four parts by version, two of true, false, 1, 0 by truth (eq, ne, in), anything else as
    // text; order (lt, le, gt, ge) between what is neither is an error. `matches` finds a POSIX extended expression
    // anywhere. `exists` is known from 200 and 404. Of the nodes that say for a while after a start that Windows does
    // not know (DeviceStatus/Antivirus/Status 3 and its like) that value is unknown, unless the rule names it.
    finding judge(facts const&) const;

    // No answer could satisfy both. Where that cannot be said, as between two regular expressions, they do not.
    bool contradicts(rule const& other) const;

private:
    finding judge_value(std::string_view value, facts const&) const;
    finding judge_named(config::named_rule const&, std::string_view value, facts const&) const;
    finding judge_uri(config::uri_rule const&, std::string_view value) const;
    std::vector<fact> candidates() const;
    bool is_pattern() const;

    std::variant<config::named_rule, config::uri_rule> what_;
    std::optional<config::pattern> pattern_;
};

}  // namespace mdmd::compliance
