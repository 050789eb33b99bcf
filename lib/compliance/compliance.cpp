#include "compliance/compliance.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"

namespace mdmd::compliance {
namespace {

// Two reasons of one rule, whatever was found.
bool same_rule(reason const& a, reason const& b) {
    return a.policy == b.policy && a.rule == b.rule && a.uri == b.uri && a.wanted == b.wanted;
}

// A deadline that does not overflow, however long the patience.
time_point after(time_point t, std::chrono::seconds d) { return t > never - d ? never : t + d; }

std::string action_id(std::string const& policy, config::compliance_action const& a) {
    return fmt::format("{}/{}/{}", policy, config::action_name(a.what), a.after.count());
}

// The judgement of one device, as it comes to be.
class judgement {
public:
    judgement(rulebook const& rules, subject const& device, facts const& known, terms const& how,
        std::optional<verdict> const& before, time_point now)
        : rules_(rules), device_(device), known_(known), how_(how), before_(before), now_(now) {}

    verdict reached() && {
        judge_rules();
        judge_patience();
        judge_silence();
        judge_absence();
        out_.since = before_ && before_->now == out_.now ? earlier(before_->since) : now_;
        return std::move(out_);
    }

private:
    // What was noted by a clock that has been set back since began now at the latest.
    time_point earlier(time_point noted) const { return std::min(noted, now_); }

    // This rule's reason of last time.
    reason const* last_of(reason const& rule) const {
        if (!before_) return nullptr;
        auto const found = std::find_if(
            before_->reasons.begin(), before_->reasons.end(), [&](reason const& r) { return same_rule(r, rule); });
        return found == before_->reasons.end() ? nullptr : &*found;
    }

    time_point failing_since(std::string const& policy) const {
        if (!before_) return now_;
        auto const began = before_->failing.find(policy);
        return began == before_->failing.end() ? now_ : earlier(began->second);
    }

    bool failed_before(reason const* last) const {
        return last && last->result == outcome::failed && before_->failing.contains(last->policy);
    }

    void judge_rules() {
        auto const& chapters = rules_.chapters();
        std::vector<policy::fit> fits;
        for (auto const& c : chapters) fits.push_back(policy::device_fit(c.policy, device_.traits));
        std::set<std::pair<std::size_t, std::size_t>> in_conflict;
        for (auto const& c : rules_.contradictions())
            if (fits[c.chapter] == policy::fit::yes && fits[c.other_chapter] == policy::fit::yes) {
                in_conflict.emplace(c.chapter, c.rule);
                in_conflict.emplace(c.other_chapter, c.other_rule);
            }
        for (std::size_t i = 0; i < chapters.size(); ++i) {
            if (fits[i] == policy::fit::no) continue;
            has_policy_ = true;
            for (std::size_t k = 0; k < chapters[i].rules.size(); ++k)
                judge_rule(chapters[i], chapters[i].rules[k], fits[i], in_conflict.contains({i, k}));
        }
    }

    void judge_rule(rulebook::chapter const& of, rule const& r, policy::fit fit, bool conflict) {
        auto const found = r.judge(known_);
        reason why{of.policy.name, r.name, r.uri, r.wanted, found.found, found.result, now_, {}};
        auto const* const last = last_of(why);
        if (conflict) {
            why.result = outcome::conflict;
        } else if (found.result == outcome::passed || found.result == outcome::not_applicable) {
            return;
        } else if (found.result != outcome::failed || fit == policy::fit::undecided) {
            // Whether a policy counts that nobody can say fits is not known either.
            if (failed_before(last)) {
                why.found = last->found;
                why.result = outcome::failed;
            } else {
                if (found.result == outcome::failed) why.result = outcome::unknown;
                unanswered_ = unanswered_ || (found.asked && fit == policy::fit::yes);
            }
        }
        if (last && last->result == why.result) why.since = earlier(last->since);
        if (why.result == outcome::failed) {
            auto const since = failing_since(of.policy.name);
            out_.failing[of.policy.name] = since;
            why.grace_until = after(since, of.policy.grace_period);
            for (auto const& a : of.policy.actions) note_action(of.policy.name, a, after(since, a.after));
            failed_.push_back(std::move(why));
        } else {
            (why.result == outcome::conflict ? conflicts_ : unclear_).push_back(std::move(why));
        }
    }

    void note_action(std::string const& policy, config::compliance_action const& a, time_point due) {
        auto id = action_id(policy, a);
        if (now_ >= due || (before_ && before_->acted.contains(id)))
            out_.acted.insert(std::move(id));
        else
            soonest(due);
    }

    // What failed, what is in conflict, and what is not known, each with its weight.
    void judge_patience() {
        std::optional<time_point> deadline;
        for (auto const& f : failed_) deadline = std::min(deadline.value_or(*f.grace_until), *f.grace_until);
        bool const errors =
            std::any_of(unclear_.begin(), unclear_.end(), [](reason const& r) { return r.result == outcome::error; });
        auto const stands = [&](state s) { return before_ && before_->now == s; };
        out_.reasons = failed_;
        if (deadline && now_ >= *deadline) {
            out_.now = state::noncompliant;
        } else if (!conflicts_.empty()) {
            out_.now = state::conflict;
            out_.reasons.insert(out_.reasons.end(), conflicts_.begin(), conflicts_.end());
        } else if (deadline) {
            bool const in_grace = !errors || stands(state::in_grace_period) || stands(state::compliant);
            out_.now = in_grace ? state::in_grace_period : state::error;
            if (!in_grace) out_.reasons.insert(out_.reasons.end(), unclear_.begin(), unclear_.end());
        } else if (unclear_.empty() || stands(state::compliant)) {
            out_.now = state::compliant;
        } else {
            out_.now = errors ? state::error : state::unknown;
            out_.reasons = unclear_;
        }
        if (out_.now == state::in_grace_period) out_.grace_until = deadline;
        if (deadline && now_ < *deadline) soonest(*deadline);
        if (!has_policy_ && !how_.compliant_without_policy) fail("no_policy", "a policy with rules", "none");
    }

    void judge_silence() {
        if (!unanswered_) return;
        out_.unclear_since = before_ && before_->unclear_since ? earlier(*before_->unclear_since) : now_;
        auto const deadline = after(*out_.unclear_since, how_.keep_last);
        if (now_ < deadline) return soonest(deadline);
        out_.now = state::noncompliant;
        out_.grace_until.reset();
        out_.reasons = failed_;
        out_.reasons.insert(out_.reasons.end(), unclear_.begin(), unclear_.end());
    }

    void judge_absence() {
        auto const stale_at = after(device_.last_seen.value_or(device_.enrolled), how_.stale_after);
        if (now_ < stale_at) return soonest(stale_at);
        if (out_.now == state::unknown || out_.now == state::error) out_.reasons.clear();
        fail("last_seen", "within " + format_duration(how_.stale_after),
            device_.last_seen ? rfc3339(*device_.last_seen) : "never seen");
    }

    // The device as such is not compliant, without grace.
    void fail(std::string rule, std::string wanted, std::string found) {
        out_.now = state::noncompliant;
        out_.grace_until.reset();
        reason why{"", std::move(rule), "", std::move(wanted), std::move(found), outcome::failed, now_, {}};
        if (auto const* const last = last_of(why)) why.since = earlier(last->since);
        out_.reasons.push_back(std::move(why));
    }

    void soonest(time_point t) { out_.next_check = std::min(out_.next_check.value_or(t), t); }

    rulebook const& rules_;
    subject const& device_;
    facts const& known_;
    terms const& how_;
    std::optional<verdict> const& before_;
    time_point now_;
    verdict out_;
    std::vector<reason> failed_, unclear_, conflicts_;
    bool unanswered_ = false;  // some rule was asked, and what came does not suffice
    bool has_policy_ = false;
};

}  // namespace

rulebook::rulebook(std::vector<config::policy_file> const& policies) {
    std::map<std::string, std::vector<std::pair<std::size_t, std::size_t>>> by_node;
    for (auto const& p : policies) {
        if (p.rules.empty()) continue;
        chapter c{{.name = p.name,
                      .file = p.file,
                      .target = p.target,
                      .settings = {},
                      .apps = {},
                      .grace_period = p.grace_period,
                      .rules = {},
                      .actions = p.actions},
            {}};
        for (auto const& written : p.rules) {
            c.rules.emplace_back(written);
            by_node[c.rules.back().nodes.front()].emplace_back(chapters_.size(), c.rules.size() - 1);
        }
        chapters_.push_back(std::move(c));
    }
    for (auto const& [_, all] : by_node)
        for (std::size_t i = 0; i < all.size(); ++i)
            for (std::size_t k = 0; k < i; ++k)
                if (chapters_[all[k].first].rules[all[k].second].contradicts(
                        chapters_[all[i].first].rules[all[i].second]))
                    contradictions_.push_back({all[k].first, all[k].second, all[i].first, all[i].second});
}

std::vector<std::string> rulebook::needed_facts(policy::device_traits const& device) const {
    std::set<std::string> all;
    for (auto const& c : chapters_)
        if (policy::device_fit(c.policy, device) != policy::fit::no)
            for (auto const& r : c.rules) all.insert(r.nodes.begin(), r.nodes.end());
    return {all.begin(), all.end()};
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

verdict evaluate(rulebook const& rules, subject const& device, facts const& known, terms const& how,
    std::optional<verdict> const& before, time_point now) {
    return judgement(rules, device, known, how, before, now).reached();
}

std::vector<reason> judge_all(rulebook const& rules, policy::device_traits const& device, facts const& known) {
    std::vector<reason> all;
    for (auto const& c : rules.chapters()) {
        if (policy::device_fit(c.policy, device) == policy::fit::no) continue;
        for (auto const& r : c.rules) {
            auto found = r.judge(known);
            all.push_back({c.policy.name, r.name, r.uri, r.wanted, std::move(found.found), found.result, {}, {}});
        }
    }
    return all;
}

std::optional<action> parse_action(std::string_view id) {
    // A policy's name may hold slashes.
    auto const delay = id.rfind('/');
    if (delay == id.npos || delay == 0) return std::nullopt;
    auto const word = id.rfind('/', delay - 1);
    if (word == id.npos) return std::nullopt;
    auto const what = id.substr(word + 1, delay - word - 1);
    for (auto const a : {config::action_kind::notify, config::action_kind::lock})
        if (config::action_name(a) == what) return action{std::string(id.substr(0, word)), a};
    return std::nullopt;
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
