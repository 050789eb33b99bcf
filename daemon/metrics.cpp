#include "daemon/metrics.hpp"

#include "core/log.hpp"
#include "service/operate.hpp"

namespace mdmd::daemon {
namespace {

// One page of numbers, family by family.
class page {
public:
    void family(std::string_view name, std::string_view type, std::string_view help) {
        text_ += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
        name_ = name;
    }
    void value(std::int64_t v) { text_ += fmt::format("{} {}\n", name_, v); }
    void value(std::string_view label, std::string_view of, std::int64_t v) {
        text_ += fmt::format("{}{{{}=\"{}\"}} {}\n", name_, label, of, v);
    }
    std::string text() && { return std::move(text_); }

private:
    std::string text_;
    std::string_view name_;
};

void appliance_itself(page& p, service::status_view const& s) {
    p.family("mdmd_expiry_timestamp_seconds", "gauge", "When something ends, in seconds since 1970.");
    for (auto const& e : s.ends)
        if (e.ends) p.value("what", e.what, to_ms(*e.ends) / 1000);
    p.family("mdmd_entra_key_ok", "gauge", "1 where Entra ID took the application's key when it was last used.");
    p.value(s.key.state == "ok" ? 1 : 0);
    p.family("mdmd_reminders_undelivered", "gauge", "Reminders that wait for another try of their delivery.");
    p.value(std::count_if(s.reminders.begin(), s.reminders.end(),
        [](store::reminder const& r) { return r.command_due || r.webhook_due; }));
}

void devices(page& p, service::status_view const& s) {
    p.family("mdmd_devices", "gauge", "Enrolled devices by compliance state.");
    p.value("state", "compliant", s.devices.compliant);
    p.value("state", "noncompliant", s.devices.noncompliant);
    p.value("state", "in_grace_period", s.devices.in_grace_period);
    p.value("state", "unknown", s.devices.unknown);
    p.value("state", "conflict", s.devices.conflict);
    p.value("state", "error", s.devices.error);
}

void reports(page& p, service::status_view const& s, service::appliance& a) {
    p.family("mdmd_reports_queued", "gauge", "Compliance reports that Graph does not have yet.");
    p.value(s.report.queued);
    p.family("mdmd_reports_parked", "gauge", "Queued compliance reports that Graph refuses.");
    p.value(s.report.parked);
    p.family("mdmd_report_lag_seconds", "gauge",
        "Age of the oldest decision that Graph does not have and does not refuse; 0: it has all of them.");
    auto const lag = s.report.oldest ? a.ctx.time.now() - *s.report.oldest : std::chrono::milliseconds(0);
    p.value(std::max<std::int64_t>(0, lag.count() / 1000));
    p.family("mdmd_report_last_success_timestamp_seconds", "gauge",
        "When Graph last took a compliance report, in seconds since 1970.");
    if (s.report.last_success) p.value(to_ms(*s.report.last_success) / 1000);
    p.family("mdmd_graph_answers_total", "counter",
        "Answers of Graph to calls that report compliance and to the requests in them; none: silence.");
    for (auto const& [status, count] : a.report.answers())
        p.value("code", status == 0 ? "none" : std::to_string(status), static_cast<std::int64_t>(count));
}

void management(page& p, service::appliance& a) {
    auto const done = a.manage.done();
    p.family("mdmd_sessions_total", "counter", "Management sessions that began.");
    p.value(static_cast<std::int64_t>(done.sessions));
    p.family("mdmd_messages_total", "counter", "Messages of devices that were answered.");
    p.value(static_cast<std::int64_t>(done.messages));
    auto const now = a.tally.now();
    p.family("mdmd_commands", "gauge", "Commands of administrators by state.");
    for (auto const& [state, count] : now.commands) p.value("state", state, count);
    p.family("mdmd_settings", "gauge", "Settings of policies on enrolled devices by state.");
    for (auto const& [state, count] : now.settings) p.value("state", state, count);
}

}  // namespace

http::response sent_away::answer(http::request const& head, int status) {
    if (status != 429) return {status, {}, ""};
    auto const count = ++count_;
    using namespace std::chrono;
    auto const now = duration_cast<seconds>(steady_clock::now().time_since_epoch()).count();
    auto next = next_warning_.load();
    if (now >= next && next_warning_.compare_exchange_strong(next, now + 60))
        log::warning("requests are sent away: more wait than can be served",
            {{"path", printable(head.path, 64)}, {"so_far", std::to_string(count)}});
    return {status, {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}},
        "Too many wait already. Please come back later.\n"};
}

http::response metrics(service::appliance& a, sent_away_by_listener const& away) {
    auto const s = service::status(a);
    page p;
    appliance_itself(p, s);
    devices(p, s);
    reports(p, s, a);
    management(p, a);
    p.family("mdmd_requests_refused_total", "counter", "Requests answered by 429, as more waited than can be served.");
    p.value("listener", "public", static_cast<std::int64_t>(away.enrollment.count()));
    p.value("listener", "management", static_cast<std::int64_t>(away.management.count()));
    return {200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, std::move(p).text()};
}

}  // namespace mdmd::daemon
