#include "service/operate.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "core/random.hpp"
#include "omadm/syncml.hpp"
#include "service/evaluation.hpp"

namespace mdmd::service {
namespace {

std::string source_name(config::key_source s) {
    switch (s) {
        case config::key_source::file: return "file";
        case config::key_source::inline_value: return "inline";
        case config::key_source::systemd_credential: return "systemd credential";
        case config::key_source::certificate: return "certificate";
    }
    return "";
}

// Why a key is not ok, in one line.
std::string text_of(key_view const& k) {
    auto const& e = k.error;
    return (e.code != 0 ? fmt::format("AADSTS{}: ", e.code) : std::string()) + e.meaning + ". " + e.remedy;
}

device_view view_of(store::connection& db, store::device device) {
    auto const verdict = store::find_verdict(db, device.id);
    auto const seen = store::last_seen(db, device.id);
    return {.device = std::move(device), .last_seen = seen, .compliance = verdict ? verdict->state : "unknown"};
}

}  // namespace

status_view status(appliance& a) {
    status_view s;
    a.ctx.db.read([&](store::connection& db) {
        for (auto const& c : store::count_verdicts(db)) {
            s.devices.total += c.devices;
            if (c.state == "compliant")
                s.devices.compliant += c.devices;
            else if (c.state == "noncompliant")
                s.devices.noncompliant += c.devices;
            else if (c.state == "inGracePeriod")
                s.devices.in_grace_period += c.devices;
            else if (c.state == "conflict")
                s.devices.conflict += c.devices;
            else if (c.state == "error")
                s.devices.error += c.devices;
            else
                s.devices.unknown += c.devices;
        }
        auto const totals = store::total_reports(db);
        s.report = {.last_success = totals.last_success,
            .queued = totals.queued,
            .parked = totals.parked,
            .oldest = totals.oldest,
            .last_error = totals.last_error,
            .held_up = a.report.held_up()};
    });
    if (auto refused = a.report.refused(); !refused.empty()) s.report.last_error = std::move(refused);
    auto const k = keys(a);
    s.key = k.next_in_use ? k.next : k.current;
    if (!s.key.error.meaning.empty()) s.report.last_error = text_of(s.key);
    s.ends = a.ends.list();
    s.reminders = a.remind.list();
    s.store_healthy = a.ctx.db.healthy();
    s.maintenance = a.ctx.maintenance();
    s.push = a.push.configured();
    s.push_problem = a.push.problem();
    return s;
}

std::vector<store::report_reason> why_queued(appliance& a) {
    constexpr std::int64_t most = 1000;
    std::map<std::string, std::int64_t> sums;
    for (auto const& r : a.ctx.db.read([](store::connection& db) { return store::queued_reasons(db, most); })) {
        auto const before_details = r.error.substr(0, r.error.find(": "));
        sums[before_details.empty() ? "to be sent" : before_details] += r.reports;
    }
    std::vector<store::report_reason> all;
    for (auto const& [why, reports] : sums) all.push_back({why, reports});
    std::stable_sort(all.begin(), all.end(), [](auto const& x, auto const& y) { return x.reports > y.reports; });
    return all;
}

std::string status_line(appliance& a) {
    auto const s = status(a);
    std::vector<std::string> said;
    if (!s.store_healthy) said.emplace_back("the store cannot be written");
    if (!s.key.error.meaning.empty()) said.push_back("Entra: " + text_of(s.key));
    if (!a.report.refused().empty()) said.push_back("Graph refuses every report: " + a.report.refused());
    if (!s.push_problem.empty()) said.push_back("devices cannot be woken: " + s.push_problem);
    if (s.maintenance) said.emplace_back("maintenance: no device enrolls");
    auto const now = a.ctx.time.now();
    for (auto const& r : s.reminders) said.push_back(notice_of(r.what, r.ends, now).message);
    auto const first = std::min_element(s.ends.begin(), s.ends.end(), [](expiry const& x, expiry const& y) {
        return x.ends.value_or(time_point::max()) < y.ends.value_or(time_point::max());
    });
    if (s.reminders.empty() && first != s.ends.end() && first->ends)
        said.push_back(notice_of(first->what, *first->ends, now).message);
    auto line = fmt::format("Serving {} {}, {} {} queued", s.devices.total, s.devices.total == 1 ? "device" : "devices",
        s.report.queued, s.report.queued == 1 ? "report" : "reports");
    for (auto const& one : said) line += "; " + one;
    return line;
}

keys_view keys(appliance& a) {
    auto const tokens = a.token.current();
    auto const config = a.ctx.config();
    auto const view = [&](application_token::key_view const& k, std::string source, bool next) {
        key_view v{.source = std::move(source),
            .present = k.present,
            .certificate = k.certificate,
            .state = std::string(name(k.state)),
            .ends = {},
            .end_source = "",
            .error = {}};
        if (auto const e = a.ends.of_key(next)) {
            v.ends = e->ends;
            v.end_source = e->source;
        }
        if (!k.problem.empty())
            v.error = {
                0, k.problem, k.present ? "Run `mdmctl doctor`." : "Mend the file that entra.next_key_file names."};
        else if (k.refusal)
            v.error = {k.refusal->code, k.refusal->meaning, k.refusal->remedy};
        return v;
    };
    return {.current = view(tokens.current, source_name(config->settings.entra.source), false),
        .next = view(tokens.next, config->settings.entra.next_key_file.string(), true),
        .next_in_use = tokens.next_in_use,
        .end_problem = a.ends.problem()};
}

keys_view test_keys(appliance& a) {
    a.token.test();
    a.ends.ask_again();
    a.ends.refresh_if_due();
    return keys(a);
}

result<keys_view> promote_key(appliance& a) {
    if (auto const done = a.token.promote(); !done) return done.error();
    a.ends.refresh_if_due();
    return keys(a);
}

std::vector<device_view> devices(appliance& a) {
    return a.ctx.db.read([](store::connection& db) {
        std::vector<device_view> all;
        for (auto& d : store::list_devices(db)) all.push_back(view_of(db, std::move(d)));
        return all;
    });
}

result<store::device> find(appliance& a, std::string_view id_or_name) {
    if (trim(id_or_name).empty()) return fail(errc::malformed, "expected a device's id or name, got nothing");
    auto found = a.ctx.db.read([&](store::connection& db) {
        auto all = store::find_devices(db, id_or_name);
        return all.empty() && is_guid(id_or_name) ? store::find_devices(db, lower(id_or_name)) : all;
    });
    auto const asked = printable(id_or_name, 64);
    if (found.empty()) return fail(errc::not_found, fmt::format("there is no device '{}'", asked));
    if (found.size() > 1)
        return fail(errc::conflict, fmt::format("{} devices are called '{}': name it by its id", found.size(), asked));
    return std::move(found.front());
}

result<device_details> details(appliance& a, std::string_view id_or_name) {
    auto device = find(a, id_or_name);
    if (!device) return device.error();
    return a.ctx.db.read([&](store::connection& db) {
        auto const id = device->id;
        auto const last = store::find_session(db, id);
        return device_details{.summary = view_of(db, std::move(*device)),
            .settings = store::list_settings(db, id),
            .apps = store::list_apps(db, id),
            .facts = store::list_facts(db, id),
            .certificates = store::list_certificates(db, id),
            .report = store::find_report(db, id),
            .claim = store::find_entra_claim(db, id),
            .users = store::list_device_users(db, id),
            .refreshed = last && to_ms(last->refreshed) != 0 ? std::optional(last->refreshed) : std::nullopt};
    });
}

result<store::device> remove(appliance& a, std::string_view id_or_name) {
    auto device = find(a, id_or_name);
    if (!device) return device;
    a.ctx.db.write([&](store::connection& db) {
        if (device->state == "enrolled") report_unmanaged(db, *device, a.ctx.time.now());
        store::end_attempts_of(db, device->id);
        store::remove_device(db, device->id);
    });
    log::warning("device deleted", {{"device_id", device->id}, {"name", device->name}, {"user_id", device->user_id},
                                       {"entra_device_id", device->entra_device_id}});
    return device;
}

std::vector<compliance_view> compliance_states(appliance& a) {
    return a.ctx.db.read([](store::connection& db) {
        std::vector<compliance_view> all;
        for (auto& d : store::list_devices(db)) {
            if (d.state != "enrolled") continue;
            auto const verdict = store::find_verdict(db, d.id);
            auto report = store::find_report(db, d.id);
            all.push_back({.device = std::move(d),
                .verdict = verdict ? std::optional(to_verdict(*verdict)) : std::nullopt,
                .report = std::move(report)});
        }
        return all;
    });
}

result<compliance_details> compliance_of(appliance& a, std::string_view id_or_name) {
    auto device = find(a, id_or_name);
    if (!device) return device.error();
    auto const config = a.ctx.config();
    return a.ctx.db.read([&](store::connection& db) {
        auto const verdict = store::find_verdict(db, device->id);
        auto const facts = facts_of(store::list_facts(db, device->id));
        auto const who = subject_of(db, *config, *device, facts);
        compliance_details all{.view = {.device = *device,
                                   .verdict = verdict ? std::optional(to_verdict(*verdict)) : std::nullopt,
                                   .report = store::find_report(db, device->id)},
            .last_seen = who.last_seen,
            .rules = compliance::judge_all(*config->rules, who.traits, facts)};
        if (all.view.verdict)
            for (auto& r : all.rules)
                for (auto const& known : all.view.verdict->reasons)
                    if (known.policy == r.policy && known.rule == r.rule && known.uri == r.uri &&
                        known.wanted == r.wanted)
                        r = known;
        return all;
    });
}

result<std::vector<compliance_event>> compliance_history(appliance& a, std::string_view id_or_name) {
    auto const device = find(a, id_or_name);
    if (!device) return device.error();
    return a.ctx.db.read([&](store::connection& db) {
        std::vector<compliance_event> all;
        for (auto const& v : store::list_past_verdicts(db, device->id))
            all.push_back(
                {.at = v.at, .what = "state", .state = v.state, .reasons = reasons_from(v.reasons), .report = {}});
        for (auto& r : store::list_told_reports(db, device->id)) {
            auto const at = r.at;
            all.push_back({.at = at, .what = "report", .state = "", .reasons = {}, .report = std::move(r)});
        }
        std::stable_sort(
            all.begin(), all.end(), [](compliance_event const& x, compliance_event const& y) { return x.at < y.at; });
        return all;
    });
}

std::vector<store::consent> consents(appliance& a, std::string_view user) {
    return a.ctx.db.read([&](store::connection& db) { return store::list_consents(db, lower(user)); });
}

std::vector<store::event> events(appliance& a) {
    return a.ctx.db.read([](store::connection& db) { return store::list_events(db); });
}

result<store::event> event(appliance& a, std::string_view id) {
    auto found = a.ctx.db.read([&](store::connection& db) { return store::find_event(db, id); });
    if (!found) return fail(errc::not_found, fmt::format("there is no event '{}'", printable(id, 64)));
    return std::move(*found);
}

}  // namespace mdmd::service
