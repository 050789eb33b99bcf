#include "compliance/compliance.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <compare>
#include <set>

#include "config/pattern.hpp"
#include "core/text.hpp"

namespace mdmd::compliance {
namespace {

using config::comparison;

constexpr std::size_t most_shown = 256;  // bytes of a device's value in a reason

std::string_view name(comparison op) {
    switch (op) {
        case comparison::eq: return "eq";
        case comparison::ne: return "ne";
        case comparison::lt: return "lt";
        case comparison::le: return "le";
        case comparison::gt: return "gt";
        case comparison::ge: return "ge";
        case comparison::in: return "in";
        case comparison::matches: return "matches";
        case comparison::exists: return "exists";
    }
    return "eq";
}

std::optional<std::int64_t> integer(std::string_view s) {
    std::int64_t v = 0;
    auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
    return ec == std::errc{} && end == s.data() + s.size() ? std::optional(v) : std::nullopt;
}

std::optional<os_version> dotted(std::string_view s) {
    return s.find('.') == s.npos ? std::nullopt : parse_os_version(s);
}

std::optional<bool> truth(std::string_view s) {
    if (s == "1" || iequals(s, "true")) return true;
    if (s == "0" || iequals(s, "false")) return false;
    return std::nullopt;
}

// How the two stand to each other by number or version; nullopt where they are neither.
std::optional<std::strong_ordering> order(std::string_view a, std::string_view b) {
    if (auto const x = integer(a), y = integer(b); x && y) return *x <=> *y;
    if (auto const x = dotted(a), y = dotted(b); x && y) return *x <=> *y;
    return std::nullopt;
}

bool equal(std::string_view a, std::string_view b) {
    if (auto const by_number = order(a, b)) return std::is_eq(*by_number);
    if (auto const x = truth(a), y = truth(b); x && y) return *x == *y;
    return a == b;
}

// Whether the value is as the rule wants it; nullopt where that cannot be said.
std::optional<bool> holds(config::uri_rule const& rule, std::string_view found) {
    if (rule.values.empty()) return std::nullopt;
    auto const wanted = trim(rule.values.front());
    auto const ordered = [&](auto wants) -> std::optional<bool> {
        auto const o = order(found, wanted);
        return o ? std::optional(wants(*o)) : std::nullopt;
    };
    switch (rule.op) {
        case comparison::eq: return equal(found, wanted);
        case comparison::ne: return !equal(found, wanted);
        case comparison::lt: return ordered([](std::strong_ordering o) { return std::is_lt(o); });
        case comparison::le: return ordered([](std::strong_ordering o) { return std::is_lteq(o); });
        case comparison::gt: return ordered([](std::strong_ordering o) { return std::is_gt(o); });
        case comparison::ge: return ordered([](std::strong_ordering o) { return std::is_gteq(o); });
        case comparison::in:
            return std::any_of(
                rule.values.begin(), rule.values.end(), [&](std::string const& v) { return equal(found, trim(v)); });
        case comparison::matches: {
            auto const expression = config::pattern::compile(rule.values.front());
            return expression ? std::optional(expression->found_in(std::string(found))) : std::nullopt;
        }
        case comparison::exists: break;
    }
    return std::nullopt;
}

enum class outcome { passed, failed, unknown };

struct finding {
    outcome result;
    reason why;
};

// A fact that cannot be judged, in words; empty where it has a value.
std::string missing(fact const* f) {
    if (!f || f->status == 0) return "never asked";
    if (f->status != 200) return fmt::format("unknown ({})", f->status);
    return f->value ? "" : "unknown (no value)";
}

fact const* find(facts const& known, std::string_view uri) {
    auto const found = known.find(policy::canonical_uri(uri));
    return found == known.end() ? nullptr : &found->second;
}

finding judge(config::min_os_version_rule const& rule, facts const& known) {
    finding out{outcome::unknown, {"", "min_os_version", std::string(os_version_uri), "ge " + rule.text, ""}};
    auto const* const f = find(known, os_version_uri);
    out.why.found = missing(f);
    if (!out.why.found.empty()) return out;
    auto const shown = printable(trim(*f->value), most_shown);
    auto const version = parse_os_version(*f->value);
    out.why.found = version ? shown : "not comparable: " + shown;
    if (version) out.result = *version >= rule.version ? outcome::passed : outcome::failed;
    return out;
}

finding judge(config::uri_rule const& rule, facts const& known) {
    finding out{
        outcome::unknown, {"", "uri", rule.uri, fmt::format("{} {}", name(rule.op), fmt::join(rule.values, ", ")), ""}};
    auto const* const f = find(known, rule.uri);
    if (rule.op == comparison::exists) {
        if (f && (f->status == 200 || f->status == 404)) {
            bool const there = f->status == 200;
            out.why.found = there ? "there" : "not there";
            bool const wanted = rule.values.empty() || rule.values.front() == "true";
            out.result = there == wanted ? outcome::passed : outcome::failed;
        } else {
            out.why.found = missing(f);
        }
        return out;
    }
    out.why.found = missing(f);
    if (!out.why.found.empty()) return out;
    auto const value = trim(*f->value);
    auto const held = holds(rule, value);
    out.why.found = (held ? "" : "not comparable: ") + printable(value, most_shown);
    if (held) out.result = *held ? outcome::passed : outcome::failed;
    return out;
}

// Two reasons of one rule, whatever was found.
bool same_rule(reason const& a, reason const& b) {
    return a.policy == b.policy && a.rule == b.rule && a.uri == b.uri && a.wanted == b.wanted;
}

// The reason for which this rule failed last, if the device is failing still.
reason const* failed_before(std::optional<verdict> const& before, reason const& rule) {
    if (!before || (before->now != state::noncompliant && before->now != state::in_grace_period)) return nullptr;
    auto const found = std::find_if(
        before->reasons.begin(), before->reasons.end(), [&](reason const& r) { return same_rule(r, rule); });
    return found == before->reasons.end() ? nullptr : &*found;
}

// A deadline that does not overflow, however long the policy's patience.
time_point after(time_point t, std::chrono::seconds d) { return t > never - d ? never : t + d; }

}  // namespace

std::vector<std::string> needed_facts(
    std::vector<config::policy_file> const& policies, policy::device_traits const& device) {
    std::set<std::string> uris;
    for (auto const& p : policies) {
        if (policy::device_fit(p, device) == policy::fit::no) continue;
        for (auto const& rule : p.rules) {
            auto const* const by_uri = std::get_if<config::uri_rule>(&rule.what);
            uris.insert(policy::canonical_uri(by_uri ? std::string_view(by_uri->uri) : os_version_uri));
        }
    }
    return {uris.begin(), uris.end()};
}

std::string_view name(state s) {
    switch (s) {
        case state::unknown: return "unknown";
        case state::compliant: return "compliant";
        case state::noncompliant: return "noncompliant";
        case state::conflict: return "conflict";
        case state::error: return "error";
        case state::in_grace_period: return "inGracePeriod";
    }
    return "unknown";
}

std::optional<state> parse_state(std::string_view text) {
    for (auto const s :
        {state::unknown, state::compliant, state::noncompliant, state::conflict, state::error, state::in_grace_period})
        if (name(s) == text) return s;
    return std::nullopt;
}

verdict evaluate(std::vector<config::policy_file> const& policies, subject const& device, facts const& known,
    terms const& how, std::optional<verdict> const& before, time_point now) {
    verdict out;
    std::vector<reason> unknown;
    std::optional<std::chrono::seconds> least_grace;  // of the policies with a failed rule
    for (auto const& p : policies) {
        auto const fit = policy::device_fit(p, device.traits);
        if (fit == policy::fit::no) continue;
        for (auto const& rule : p.rules) {
            auto found = std::visit([&](auto const& r) { return judge(r, known); }, rule.what);
            found.why.policy = p.name;
            if (found.result == outcome::passed) continue;
            // Whether a policy counts that nobody can say fits is not known either.
            if (found.result == outcome::unknown || fit == policy::fit::undecided) {
                auto const* const earlier = failed_before(before, found.why);
                if (!earlier) {
                    unknown.push_back(std::move(found.why));
                    continue;
                }
                found.why = *earlier;
            }
            out.reasons.push_back(std::move(found.why));
            least_grace = std::min(least_grace.value_or(p.grace_period), p.grace_period);
        }
    }

    out.now = state::compliant;
    if (least_grace) {
        out.failing_since = before && before->failing_since ? before->failing_since : now;
        auto const deadline = after(*out.failing_since, *least_grace);
        out.now = now < deadline ? state::in_grace_period : state::noncompliant;
        if (now < deadline) out.grace_until = deadline;
    } else if (!unknown.empty() && !(before && before->now == state::compliant)) {
        out.now = state::unknown;
        out.reasons = std::move(unknown);
    }

    auto const stale_at = after(device.last_seen.value_or(device.enrolled), how.stale_after);
    if (now >= stale_at) {
        if (out.now == state::unknown) out.reasons.clear();
        out.now = state::noncompliant;
        out.grace_until.reset();
        out.reasons.push_back({"", "last_seen", "", "within " + format_duration(how.stale_after),
            device.last_seen ? rfc3339(*device.last_seen) : "never seen"});
    } else {
        out.next_check = out.grace_until ? std::min(*out.grace_until, stale_at) : stale_at;
    }
    out.since = before && before->now == out.now ? before->since : now;
    return out;
}

std::optional<bool> reported_as(state s) {
    switch (s) {
        case state::compliant:
        case state::in_grace_period: return true;
        case state::noncompliant: return false;
        case state::unknown:
        case state::conflict:
        case state::error: break;
    }
    return std::nullopt;
}

}  // namespace mdmd::compliance
