#include "service/groups.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto lifetime = 1h;
constexpr auto least_age = 10s;  // before a user who is refused is looked up again
constexpr std::size_t most_users = 10'000;
constexpr int most_pages = 20;
constexpr auto patience = 5s;
constexpr auto pause = 2s, longest_pause = 60s;  // after Graph failed
constexpr auto tick_pause = 5s;
constexpr std::int64_t most_at_once = 200;

bool uses_groups(std::vector<config::policy_file> const& policies) {
    return std::any_of(policies.begin(), policies.end(), [](auto const& p) { return !p.target.groups.empty(); });
}

}  // namespace

result<std::set<std::string>> user_groups::of(std::string_view user_id) { return of(user_id, lifetime); }

result<std::set<std::string>> user_groups::of(std::string_view user_id, std::chrono::seconds most_age) {
    auto const id = lower(user_id);
    auto const now = context_.time.now();
    {
        std::scoped_lock const lock(mutex_);
        auto const found = known_.find(id);
        bool const known = found != known_.end();
        bool const wait = now < not_before_;
        if (known && (wait || now - found->second.at < most_age)) return found->second.groups;
        if (wait) return fail(errc::unavailable, problem_);
    }
    auto asked = ask(id);
    if (asked)
        keep(id, *asked);
    else if (asked.error().code == errc::not_found)
        keep(id, {});
    std::scoped_lock const lock(mutex_);
    if (asked) {
        if (known_.size() >= most_users && !known_.contains(id))
            known_.erase(std::min_element(
                known_.begin(), known_.end(), [](auto const& a, auto const& b) { return a.second.at < b.second.at; }));
        known_[id] = {*asked, now};
        return asked;
    }
    log::warning("a user's groups are not known", {{"user_id", id}, {"reason", asked.error().detail}});
    if (asked.error().code == errc::not_found) {
        known_.erase(id);
        return asked;
    }
    if (auto const found = known_.find(id); found != known_.end()) return found->second.groups;
    return fail(errc::unavailable, asked.error().detail);
}

result<std::set<std::string>> user_groups::ask(std::string const& user_id) {
    auto const config = context_.config();
    auto const app = application_of(config->settings);
    auto const failed = [&](error e, std::chrono::milliseconds wait) {
        std::scoped_lock const lock(mutex_);
        not_before_ = context_.time.now() + std::clamp<std::chrono::milliseconds>(wait, pause, longest_pause);
        problem_ = e.detail;
        return e;
    };
    auto const token = token_.get();
    if (!token) return failed(token.error(), pause);
    auto const flow = new_guid();
    std::set<std::string> groups;
    auto call = entra::member_groups(app, *token, user_id, flow);
    auto const asked_at = std::chrono::steady_clock::now();
    for (int pages = 0; pages < most_pages; ++pages) {
        auto const left = std::chrono::duration_cast<std::chrono::milliseconds>(
            patience - (std::chrono::steady_clock::now() - asked_at));
        if (left <= 0ms) return failed(fail(errc::unavailable, "Graph did not tell all groups in time"), pause);
        call.timeout = left;
        auto const answer = context_.call(call);
        if (!answer) return failed(answer.error(), pause);
        auto page = entra::parse_member_groups(app, *answer);
        if (!page) {
            if (page.error().code == errc::not_found) return page.error();
            // A new token has the permissions that were given meanwhile.
            if (answer->status == 401 || answer->status == 403) token_.drop();
            return failed(page.error(), answer->status == 403
                                            ? std::chrono::milliseconds(10s)
                                            : entra::retry_after(*answer, context_.time.now()).value_or(pause));
        }
        groups.insert(page->groups.begin(), page->groups.end());
        if (page->next.empty()) {
            log::debug("a user's groups were read", {{"user_id", user_id}, {"groups", std::to_string(groups.size())}});
            return groups;
        }
        call = entra::next_member_groups(*token, page->next, flow);
    }
    return failed(fail(errc::unavailable, "Graph's list of a user's groups does not end"), longest_pause);
}

result<bool> user_groups::may_enroll(std::string_view user_id) {
    auto const config = context_.config();
    auto const& allowed = config->settings.enrollment.allowed_groups;
    if (allowed.empty()) return true;
    bool inside = false;
    for (auto const age : {std::chrono::seconds(lifetime), std::chrono::seconds(least_age)}) {
        auto const groups = of(user_id, age);
        if (!groups) return groups.error();
        inside = std::any_of(allowed.begin(), allowed.end(), [&](auto const& g) { return groups->contains(g); });
        if (inside) break;
    }
    return inside;
}

// Only what somebody goes by is kept: where no policy is for groups, nothing.
void user_groups::keep(std::string const& user_id, std::set<std::string> const& groups) {
    if (!uses_groups(context_.config()->policies)) return;
    auto const now = context_.time.now();
    context_.db.write([&](store::connection& db) {
        store::put_user_groups(db, {.user_id = user_id, .groups = {groups.begin(), groups.end()}, .fetched = now});
    });
}

void user_groups::tick() {
    auto const now = context_.time.now();
    {
        std::scoped_lock const lock(mutex_);
        if (now < next_tick_ && next_tick_ - now <= tick_pause) return;  // a clock that was set back waits for nothing
        next_tick_ = now + tick_pause;
        if (now < not_before_) return;
    }
    if (!uses_groups(context_.config()->policies)) return;
    auto const due = context_.db.read(
        [&](store::connection& db) { return store::users_to_look_up(db, now - lifetime, most_at_once); });
    for (auto const& user : due) {
        auto const got = of(user, lifetime);
        if (!got && got.error().code != errc::not_found) return;
        // What another use of the same groups had asked for already is kept all the same.
        if (got) keep(user, *got);
    }
    // A fleet that is new, or whose hour is over, is not kept waiting: the rest has its turn in the next second.
    std::scoped_lock const lock(mutex_);
    if (due.size() == most_at_once) next_tick_ = now;
}

void user_groups::forget() {
    context_.db.write([](store::connection& db) { store::forget_user_groups(db); });
    std::scoped_lock const lock(mutex_);
    known_.clear();
    not_before_ = {};
}

}  // namespace mdmd::service
