#include "service/accounts.hpp"

#include "core/backoff.hpp"
#include "core/log.hpp"
#include "core/random.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto lifetime = 30s;  // the messages of one enrollment
constexpr auto patience = 5s;
constexpr auto pause = 2s, longest_pause = 60s;  // after Graph failed
constexpr std::size_t most_users = 1'000;

}  // namespace

result<entra::account_state> accounts::of(std::string_view user_id) {
    auto const id = lower(user_id);
    auto const now = context_.time.now();
    {
        std::scoped_lock const lock(mutex_);
        std::erase_if(known_, [&](auto const& k) { return now - k.second.at >= lifetime || now < k.second.at; });
        if (auto const found = known_.find(id); found != known_.end()) return found->second.state;
        if (!has_come(not_before_, now, longest_pause)) return fail(errc::unavailable, problem_);
    }
    auto const asked = ask(id);
    if (!asked) {
        log::warning("a user's account is not known", {{"user_id", id}, {"reason", asked.error().detail}});
        return fail(errc::unavailable, asked.error().detail);
    }
    std::scoped_lock const lock(mutex_);
    if (known_.size() < most_users) known_[id] = {*asked, now};
    return asked;
}

result<entra::account_state> accounts::ask(std::string const& user_id) {
    auto const config = context_.config();
    auto const failed = [&](error e, std::chrono::milliseconds wait) {
        std::scoped_lock const lock(mutex_);
        not_before_ = context_.time.now() + std::clamp<std::chrono::milliseconds>(wait, pause, longest_pause);
        problem_ = e.detail;
        return e;
    };
    auto const token = token_.get();
    if (!token) return failed(token.error(), pause);
    auto call = entra::read_account(application_of(config->settings), *token, user_id, new_guid());
    call.timeout = patience;
    auto const answer = context_.call(call);
    if (!answer) return failed(answer.error(), pause);
    auto const state = entra::parse_account(*answer);
    if (state) return state;
    // A new token has the permissions that were given meanwhile.
    if (answer->status == 401 || answer->status == 403) token_.drop();
    return failed(state.error(), answer->status == 403
                                     ? std::chrono::milliseconds(longest_pause)
                                     : entra::retry_after(*answer, context_.time.now()).value_or(pause));
}

void accounts::forget() {
    std::scoped_lock const lock(mutex_);
    known_.clear();
    not_before_ = {};
}

}  // namespace mdmd::service
