#include "service/reminders.hpp"

#include <boost/json.hpp>

#include "core/log.hpp"
#include "service/delivery.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

struct text {
    char const* what;
    char const* name;
    char const* renew;
    char const* docs;
};
constexpr char docs_folder[] = "file:///usr/share/doc/mdmd/";
constexpr text texts[] = {
    {"entra_key", "The application's key for Entra ID",
        "Create a new client secret or certificate in the Entra portal, put it into entra.next_key_file, and run "
        "`mdmctl key promote`.",
        "key-rollover.md"},
    {"entra_next_key", "The application's next key for Entra ID",
        "Create a new client secret or certificate in the Entra portal and put it into entra.next_key_file.",
        "key-rollover.md"},
    {"tls_certificate", "The TLS certificate of the appliance",
        "Replace server.tls_certificate and server.tls_key, and run `systemctl reload mdmd`.", "operations.md"},
    {"admin_tls_certificate", "The TLS certificate of the admin listener",
        "Replace admin.tls_certificate and admin.tls_key, and run `systemctl reload mdmd`.", "operations.md"},
    {"authority", "The device authority's certificate",
        "Run `mdmctl ca rollover`, or renew the authority in authority.certificate_file: devices get a certificate of the "
        "new one when they renew theirs.",
        "authority.md"},
    {"ca_file", "A certificate in entra.ca_file",
        "Get the new root certificate from who runs your proxy, and replace it in entra.ca_file.", "operations.md"},
};

text const& text_of(std::string_view what) {
    for (auto const& t : texts)
        if (what == t.what) return t;
    return texts[0];
}

std::string days_text(std::int64_t n) { return n == 1 ? "1 day" : fmt::format("{} days", n); }

}  // namespace

std::optional<std::chrono::seconds> threshold_reached(
    std::vector<std::chrono::seconds> const& thresholds, time_point ends, time_point now) {
    if (now >= ends) return 0s;
    std::optional<std::chrono::seconds> smallest;
    for (auto const t : thresholds)
        if (ends - now <= t && (!smallest || t < *smallest)) smallest = t;
    return smallest;
}

notice notice_of(std::string const& what, time_point ends, time_point now) {
    auto const& t = text_of(what);
    auto const days = std::chrono::floor<std::chrono::days>(ends - now).count();
    auto const when = rfc3339(ends).substr(0, 10);
    std::string message;
    if (now >= ends)
        message = fmt::format("{} has ended, on {}.", t.name, when);
    else if (days == 0)
        message = fmt::format("{} ends within a day, at {}.", t.name, rfc3339(ends));
    else
        message = fmt::format("{} ends in {}, on {}.", t.name, days_text(days), when);
    return {what, days, ends, std::move(message), t.renew, std::string(docs_folder) + t.docs};
}

std::string as_json(notice const& n) {
    return boost::json::serialize(boost::json::object{{"event", "expiry"}, {"what", n.what}, {"days_left", n.days_left},
        {"ends", rfc3339(n.ends)}, {"message", n.message}, {"renew", n.renew}, {"docs", n.docs}});
}

std::vector<store::reminder> reminders::list() const {
    return context_.db.read([](store::connection& db) { return store::list_reminders(db); });
}

void reminders::tell(expiry const& e, std::chrono::seconds threshold, time_point now) {
    auto const owed = owed_to_all(context_.config()->settings, now);
    context_.db.write([&](store::connection& db) {
        store::put_reminder(db, {.what = e.what,
                                    .ends = *e.ends,
                                    .threshold_s = threshold.count(),
                                    .at = now,
                                    .command_due = owed.to_command,
                                    .webhook_due = owed.to_webhook,
                                    .attempts = 0,
                                    .next_try = now,
                                    .error = ""});
    });
    auto const n = notice_of(e.what, *e.ends, now);
    log::write(n.days_left < 7 ? log::level::error : log::level::warning, n.message,
        {{"event", "expiry"}, {"what", n.what}, {"days_left", std::to_string(n.days_left)}, {"ends", rfc3339(n.ends)},
            {"renew", n.renew}, {"docs", n.docs}});
}

void reminders::deliver(store::reminder const& told) {
    auto const body = as_json(notice_of(told.what, told.ends, context_.time.now()));
    auto const left = service::deliver(context_, body,
        {told.command_due, told.webhook_due, told.attempts, told.next_try, told.error}, stop_.get_token());
    if (!left.error.empty())
        log::warning("a reminder could not be delivered", {{"what", told.what}, {"reason", left.error}});
    auto r = told;
    r.command_due = left.to_command;
    r.webhook_due = left.to_webhook;
    r.attempts = left.attempts;
    r.next_try = left.next_try;
    r.error = left.error;
    context_.db.write([&](store::connection& db) {
        for (auto const& now_told : store::list_reminders(db))  // meanwhile a later threshold may have been told
            if (now_told.what == r.what && now_told.ends == r.ends && now_told.threshold_s == r.threshold_s)
                store::put_reminder(db, r);
    });
}

void reminders::deliver() {
    for (auto const& r : list())
        if ((r.command_due || r.webhook_due) && has_come(r.next_try, context_.time.now(), 2h)) deliver(r);
}

void reminders::tick() {
    if (!expiries_.attempted()) return;  // the key's real end may be known in a moment
    auto const config = context_.config();
    auto told = list();
    auto const last = [&](std::string const& what) -> store::reminder const* {
        for (auto const& r : told)
            if (r.what == what) return &r;
        return nullptr;
    };
    auto const all = expiries_.list();
    for (auto const& e : all) {
        auto const now = context_.time.now();
        auto const reached = e.ends ? threshold_reached(config->settings.key_reminders, *e.ends, now) : std::nullopt;
        auto const* before = last(e.what);
        if (before && (!reached || before->ends != *e.ends))
            context_.db.write([&](store::connection& db) { store::remove_reminder(db, e.what); });
        bool const is_told = before && reached && before->ends == *e.ends && before->threshold_s <= reached->count();
        if (reached && !is_told) tell(e, *reached, now);
    }
    for (auto const& r : told)  // of what there is no more
        if (std::none_of(all.begin(), all.end(), [&](expiry const& e) { return e.what == r.what; }))
            context_.db.write([&](store::connection& db) { store::remove_reminder(db, r.what); });
}

}  // namespace mdmd::service
