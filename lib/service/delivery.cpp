#include "service/delivery.hpp"

#include <algorithm>

#include "core/backoff.hpp"
#include "core/log.hpp"
#include "core/random.hpp"
#include "service/hook.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto delivery_limit = 30s;        // for the program or the web hook
constexpr auto longest_pause = 2h;          // a next_try further ahead was set before the clock was set back
constexpr std::int64_t batch = 100;         // notices delivered in one go
constexpr std::int64_t most_kept = 10'000;  // while nobody takes them

result<void> post(context& c, std::string const& url, std::string const& body) {
    auto const answer = c.call({.method = "POST",
        .url = url,
        .headers = {{"Content-Type", "application/json"}},
        .body = body,
        .timeout = delivery_limit,
        .direct = true});
    if (!answer) return answer.error();
    if (answer->status < 200 || answer->status > 299)
        return fail(errc::unavailable, fmt::format("notify.webhook answers HTTP {}", answer->status));
    return {};
}

owed owed_by(store::notice const& n) { return {n.command_due, n.webhook_due, n.attempts, n.next_try, n.error}; }

}  // namespace

owed owed_to_all(config::settings const& settings, time_point now) {
    return {.to_command = !settings.notify.command.empty(),
        .to_webhook = !settings.notify.webhook.empty(),
        .attempts = 0,
        .next_try = now,
        .error = ""};
}

owed deliver(context& c, std::string const& body, owed before, std::stop_token stop) {
    auto const config = c.config();
    auto const& notify = config->settings.notify;
    auto after = before;
    after.error.clear();
    after.to_command = after.to_command && !notify.command.empty();
    after.to_webhook = after.to_webhook && !notify.webhook.empty();
    auto const by = [&](bool& due, auto deliver_it) {
        if (!due || stop.stop_requested()) return;
        auto const done = deliver_it();
        due = !done;
        if (!done) after.error = done.error().detail;
    };
    by(after.to_command, [&] { return run_hook(notify.command, body, delivery_limit, stop); });
    by(after.to_webhook, [&] { return post(c, notify.webhook, body); });
    if (!after.any()) return after;
    if (stop.stop_requested()) return before;  // tried again after the restart
    backoff retries(10s, 1h);
    ++after.attempts;
    for (auto i = std::min<std::int64_t>(after.attempts, 12); i > 0; --i)
        after.next_try = retries.failed(c.time.now(), random_fraction(), std::nullopt);
    return after;
}

void notices::put(store::connection& db, config::settings const& settings, std::string body, time_point now) {
    auto const owed = owed_to_all(settings, now);
    if (!owed.any()) return;
    if (store::count_notices(db) >= most_kept)
        return log::error("a notice is dropped, since too many wait for notify.command and notify.webhook");
    store::put_notice(db, {.id = new_guid(),
                              .at = now,
                              .body = std::move(body),
                              .command_due = owed.to_command,
                              .webhook_due = owed.to_webhook,
                              .attempts = 0,
                              .next_try = now,
                              .error = ""});
}

void notices::deliver() {
    auto const all = context_.db.read([](store::connection& db) { return store::list_notices(db, batch); });
    for (auto n : all) {
        if (stop_.stop_requested()) return;
        if (!has_come(n.next_try, context_.time.now(), longest_pause)) continue;
        auto const left = service::deliver(context_, n.body, owed_by(n), stop_.get_token());
        if (!left.error.empty()) log::warning("a notice could not be delivered", {{"reason", left.error}});
        context_.db.write([&](store::connection& db) {
            if (!left.any()) return store::remove_notice(db, n.id);
            n.command_due = left.to_command;
            n.webhook_due = left.to_webhook;
            n.attempts = left.attempts;
            n.next_try = left.next_try;
            n.error = left.error;
            store::put_notice(db, n);
        });
    }
}

}  // namespace mdmd::service
