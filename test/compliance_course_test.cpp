// The state machine against a model that is written in another way: it looks at the whole history anew each time.
#include <random>

#include "compliance/compliance.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::compliance;
using namespace std::chrono_literals;

namespace {

using std::chrono::seconds;

time_point const t0 = *parse_rfc3339("2026-03-01T00:00:00Z");

// What a rule came to at one moment.
enum class seen { good, bad, silent, nonsense, unasked };

struct moment {
    time_point at;
    bool here = false;                     // the device checked in
    std::vector<std::vector<seen>> rules;  // by policy and rule
};

struct scene {
    std::vector<seconds> grace;                // of each policy
    std::vector<std::optional<seconds>> lock;  // its action
    seconds stale_after, keep_last;
};

bool is_asked_and_unclear(seen s) { return s == seen::silent || s == seen::nonsense; }
bool is_unclear(seen s) { return is_asked_and_unclear(s) || s == seen::unasked; }

// What the device should be after this history, by the words of the documentation.
struct expected {
    state now = state::compliant;
    std::optional<time_point> grace_until;
    std::size_t locks = 0;  // actions that are done in this failure
};
std::vector<expected> model(scene const& s, std::vector<moment> const& history) {
    std::vector<expected> all;
    auto const policies = s.grace.size();
    // A rule is failed from when it was seen bad until it is seen good; silence changes nothing.
    std::vector<std::vector<bool>> failed(policies);
    std::vector<std::optional<time_point>> failing(policies);
    std::optional<time_point> unclear;
    time_point last_seen = t0;
    for (auto const& m : history) {
        if (m.here) last_seen = m.at;
        bool any_unclear = false, any_asked = false, any_nonsense = false;
        expected e;
        for (std::size_t p = 0; p < policies; ++p) {
            failed[p].resize(m.rules[p].size());
            bool fails = false;
            for (std::size_t r = 0; r < m.rules[p].size(); ++r) {
                auto const now = m.rules[p][r];
                if (now == seen::good) failed[p][r] = false;
                if (now == seen::bad) failed[p][r] = true;
                if (is_unclear(now) && !failed[p][r]) {
                    any_unclear = true;
                    any_asked = any_asked || is_asked_and_unclear(now);
                    any_nonsense = any_nonsense || now == seen::nonsense;
                }
                fails = fails || failed[p][r];
            }
            if (!fails) failing[p].reset();
            if (fails && !failing[p]) failing[p] = m.at;
            if (failing[p]) {
                auto const until = *failing[p] + s.grace[p];
                e.grace_until = std::min(e.grace_until.value_or(until), until);
                if (s.lock[p] && m.at >= *failing[p] + *s.lock[p]) ++e.locks;
            }
        }
        if (!any_asked) unclear.reset();
        if (any_asked && !unclear) unclear = m.at;
        auto const before = all.empty() ? state::unknown : all.back().now;
        if (e.grace_until) {
            bool const stood = before == state::in_grace_period || before == state::compliant;
            e.now = m.at >= *e.grace_until   ? state::noncompliant
                    : any_nonsense && !stood ? state::error
                                             : state::in_grace_period;
        } else if (any_unclear && before != state::compliant) {
            e.now = any_nonsense ? state::error : state::unknown;
        }
        if (unclear && m.at >= *unclear + s.keep_last) e.now = state::noncompliant;
        if (m.at >= last_seen + s.stale_after) e.now = state::noncompliant;
        if (e.now != state::in_grace_period) e.grace_until.reset();
        all.push_back(e);
    }
    return all;
}

std::string node(std::size_t policy, std::size_t rule) {
    return "./Vendor/MSFT/P" + std::to_string(policy) + "/R" + std::to_string(rule);
}

}  // namespace

TEST_CASE("whatever happens, in whatever order, the verdict is what its history makes it", "[compliance]") {
    auto const seed = GENERATE(range(0, 80));
    CAPTURE(seed);
    std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
    auto const below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    auto const pick = [&](std::vector<seconds> const& of) {
        return of[static_cast<std::size_t>(below(int(of.size())))];
    };

    scene s{{}, {}, pick({48h, 24h * 30}), pick({12h, 24h * 7})};
    std::vector<config::policy_file> policies;
    for (auto n = 1 + below(3); n > 0; --n) {
        s.grace.push_back(pick({0s, 1h, 24h, 24h * 3}));
        s.lock.push_back(below(2) ? std::optional(pick({0s, 6h, 24h * 2})) : std::nullopt);
        config::policy_file p;
        p.name = "policy " + std::to_string(n);
        p.grace_period = s.grace.back();
        if (s.lock.back()) p.actions = {{config::action_kind::lock, *s.lock.back()}};
        for (auto rules = 1 + below(3); rules > 0; --rules)
            p.rules.push_back({config::uri_rule{node(policies.size(), p.rules.size()), config::comparison::ge, {"1"}}});
        policies.push_back(std::move(p));
    }
    rulebook const rules(policies);

    std::vector<moment> history;
    std::optional<verdict> last;
    facts known;
    subject device{{}, t0, std::nullopt};
    auto now = t0;
    for (int step = 0; step < 60; ++step) {
        // Time only moves forward; most of the time to a moment at which something is due.
        auto next = now + pick({0s, 1s, 30min, 5h, 24h, 24h * 4});
        if (last && last->next_check && *last->next_check > now && below(3) == 0)
            next = *last->next_check - (below(2) ? 1s : 0s);
        now = std::max(now, next);
        moment m{now, below(4) != 0, {}};
        if (m.here) device.last_seen = now;
        for (std::size_t p = 0; p < policies.size(); ++p) {
            m.rules.emplace_back();
            for (std::size_t r = 0; r < policies[p].rules.size(); ++r) {
                auto const same = history.empty() ? seen::unasked : history.back().rules[p][r];
                // Only a device that is here answers anything new, and most of the time it answers as before.
                auto const what = m.here && below(5) < 2 ? static_cast<seen>(below(4)) : same;
                m.rules[p].push_back(what);
                switch (what) {
                    case seen::good: known[node(p, r)] = {200, "1", now}; break;
                    case seen::bad: known[node(p, r)] = {200, "0", now}; break;
                    case seen::silent: known[node(p, r)] = {below(2) ? 404 : 500, std::nullopt, now}; break;
                    case seen::nonsense: known[node(p, r)] = {200, "?", now}; break;
                    case seen::unasked: break;
                }
            }
        }
        history.push_back(m);
        auto const before = last;
        last = evaluate(rules, device, known, {s.stale_after, s.keep_last, true}, before, now);
        auto const want = model(s, history).back();
        CAPTURE(step, rfc3339(now));
        CHECK(name(last->now) == name(want.now));
        CHECK(last->grace_until == want.grace_until);
        CHECK(last->acted.size() == want.locks);
        // It explains itself, and begins when it says.
        if (last->now == state::noncompliant || last->now == state::in_grace_period) CHECK_FALSE(last->reasons.empty());
        for (auto const& r : last->reasons) CHECK(r.since <= now);
        CHECK(last->since == (before && before->now == last->now ? before->since : now));
        // Nothing changes before next_check by time alone.
        CHECK((!last->next_check || *last->next_check > now));
        auto const quiet_until = last->next_check ? *last->next_check - 1ms : now + 24h * 365;
        auto const later = evaluate(rules, device, known, {s.stale_after, s.keep_last, true}, last, quiet_until);
        CHECK(later.now == last->now);
        CHECK(later.acted == last->acted);
        // Judging twice at one moment changes nothing.
        CHECK(evaluate(rules, device, known, {s.stale_after, s.keep_last, true}, last, now) == *last);
    }
}
