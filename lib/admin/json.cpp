#include "admin/json.hpp"

#include "admin/graph_event.hpp"
#include "omadm/blank.hpp"

namespace mdmd::admin {
namespace {

namespace json = boost::json;

json::value time(std::optional<time_point> const& t) { return t ? json::value(rfc3339(*t)) : json::value(nullptr); }
json::value text(std::string const& s) { return s.empty() ? json::value(nullptr) : json::value(s); }
json::value text(std::optional<std::string> const& s) { return s ? json::value(*s) : json::value(nullptr); }
// What a policy or an order writes, or a device reports: passwords and keys are not for everybody who may look.
json::value value(std::string const& uri, std::optional<std::string> const& s) {
    return s ? json::value(omadm::shown_value(uri, *s)) : json::value(nullptr);
}
json::value number(std::optional<std::int64_t> const& n) { return n ? json::value(*n) : json::value(nullptr); }

// What ends: when, and in how many whole days.
json::object end(std::optional<time_point> const& t, time_point now) {
    auto const left = t ? json::value(std::chrono::floor<std::chrono::days>(*t - now).count()) : json::value(nullptr);
    return {{"ends", time(t)}, {"days_left", left}};
}

json::object key_json(service::key_view const& k, time_point now) {
    auto o = end(k.ends, now);
    o["source"] = text(k.source);
    o["kind"] = k.present ? json::value(k.certificate ? "certificate" : "secret") : json::value(nullptr);
    o["state"] = k.present ? json::value(k.state) : json::value(nullptr);
    o["end_source"] = text(k.end_source);
    o["error"] = k.error.meaning.empty()
                     ? json::value(nullptr)
                     : json::value{{"code", k.error.code != 0 ? json::value(k.error.code) : json::value(nullptr)},
                           {"meaning", k.error.meaning}, {"remedy", k.error.remedy}};
    return o;
}

json::value report_json(std::optional<store::report> const& r) {
    if (!r) return {{"state", "waiting"}, {"error", nullptr}, {"last_success", nullptr}};
    return {{"state", r->phase}, {"error", text(r->error)}, {"last_success", time(r->last_success)},
        {"is_managed", r->is_managed}, {"is_compliant", r->is_compliant}, {"attempts", r->attempts},
        {"next_try", r->phase == "due" || r->phase == "parked" ? time(r->next_try) : json::value(nullptr)}};
}

// Of a rule that is kept there is no beginning.
json::value time_or_null(time_point t) { return t == time_point{} ? json::value(nullptr) : json::value(rfc3339(t)); }

json::array reasons_json(std::vector<compliance::reason> const& reasons) {
    json::array all;
    for (auto const& r : reasons)
        all.push_back({{"policy", text(r.policy)}, {"rule", r.rule}, {"uri", text(r.uri)}, {"wanted", r.wanted},
            {"found", r.found}, {"result", compliance::name(r.result)}, {"since", time_or_null(r.since)},
            {"grace_until", time(r.grace_until)}});
    return all;
}

}  // namespace

json::object to_json(service::status_view const& s, about const& us, time_point now) {
    auto const ends = [&](std::string_view what) {
        for (auto const& e : s.ends)
            if (e.what == what) return end(e.ends, now);
        return end(std::nullopt, now);
    };
    json::array reminders;
    for (auto const& r : s.reminders) {
        auto const n = service::notice_of(r.what, r.ends, now);
        reminders.push_back({{"what", r.what}, {"ends", rfc3339(r.ends)}, {"days_left", n.days_left},
            {"threshold", format_duration(std::chrono::seconds(r.threshold_s))}, {"since", rfc3339(r.at)},
            {"message", n.message}, {"renew", n.renew}, {"docs", n.docs},
            {"delivered", !r.command_due && !r.webhook_due}, {"error", text(r.error)}});
    }
    return {{"version", us.version}, {"uptime_s", std::chrono::floor<std::chrono::seconds>(now - us.started).count()},
        {"devices", {{"total", s.devices.total}, {"compliant", s.devices.compliant},
                        {"noncompliant", s.devices.noncompliant}, {"in_grace_period", s.devices.in_grace_period},
                        {"unknown", s.devices.unknown}, {"conflict", s.devices.conflict}, {"error", s.devices.error}}},
        {"report", {{"last_success", time(s.report.last_success)}, {"queued", s.report.queued},
                       {"parked", s.report.parked}, {"waiting_since", time(s.report.oldest)},
                       {"last_error", text(s.report.last_error)}, {"held_up", text(s.report.held_up)}}},
        {"key", key_json(s.key, now)}, {"tls_certificate", ends("tls_certificate")}, {"authority", ends("authority")},
        {"reminders", std::move(reminders)}, {"maintenance", s.maintenance},
        {"push", {{"configured", s.push}, {"problem", text(s.push_problem)}}},
        {"store", s.store_healthy ? "ok" : "failing"}};
}

json::object to_json(service::keys_view const& k, time_point now) {
    auto all = key_json(k.current, now);
    all["next"] = key_json(k.next, now);
    all["in_use"] = k.next_in_use ? "next" : "current";
    all["end_problem"] = text(k.end_problem);
    return all;
}

json::object to_json(service::device_view const& v) {
    auto const& d = v.device;
    return {{"id", d.id}, {"entra_device_id", text(d.entra_device_id)}, {"name", text(d.name)}, {"user", text(d.upn)},
        {"ownership", d.ownership}, {"os_version", text(d.os_version)}, {"enrolled", rfc3339(d.enrolled)},
        {"last_seen", time(v.last_seen)}, {"compliance", v.compliance}, {"state", d.state}};
}

json::object to_json(service::device_details const& d) {
    auto all = to_json(d.summary);
    all["user_id"] = d.summary.device.user_id;
    all["mdm_device_id"] = d.summary.device.mdm_device_id;
    all["hardware_id"] = text(d.summary.device.hardware_id);
    all["client_request_id"] = d.summary.device.correlation_id;
    all["entra_claim"] = !d.claim ? json::value(nullptr)
                                  : json::value({{"entra_device_id", d.claim->entra_device_id},
                                        {"since", rfc3339(d.claim->since)}, {"problem", text(d.claim->problem)}});
    // Whose a setting is: the user's name where it is known, else the object ID.
    auto const user_name = [&](std::string const& id) -> json::value {
        if (id == d.summary.device.user_id && !d.summary.device.upn.empty()) return json::value(d.summary.device.upn);
        for (auto const& u : d.users)
            if (u.user_id == id && !u.upn.empty()) return json::value(u.upn);
        return text(id);
    };
    json::array users;
    for (auto const& u : d.users)
        users.push_back({{"user", text(u.upn)}, {"user_id", u.user_id}, {"first_seen", rfc3339(u.first_seen)}});
    all["users"] = std::move(users);
    json::array settings;
    for (auto const& s : d.settings)
        settings.push_back({{"uri", s.uri}, {"user", user_name(s.user_id)}, {"policy", s.policy}, {"state", s.state},
            {"status", s.status ? json::value(s.status) : json::value(nullptr)},
            {"original_error", text(s.original_error)}, {"wanted", value(s.uri, s.value)},
            {"reported", value(s.uri, s.reported)}, {"note", text(s.note)}});
    all["settings"] = std::move(settings);
    json::array apps;
    for (auto const& a : d.apps)
        apps.push_back({{"product_code", a.product_code}, {"policy", a.policy}, {"intent", a.intent},
            {"version", text(a.version)}, {"state", a.state},
            {"status", a.status ? json::value(a.status) : json::value(nullptr)},
            {"msi_status", a.msi_status ? json::value(a.msi_status) : json::value(nullptr)},
            {"last_error", text(a.last_error)}, {"detail", text(a.detail)},
            {"installed_version", text(a.installed_version)}, {"attempts", a.attempts}, {"since", rfc3339(a.since)}});
    all["apps"] = std::move(apps);
    all["report"] = report_json(d.report);
    json::array certificates;
    for (auto const& c : d.certificates)
        certificates.push_back({{"fingerprint", c.fingerprint}, {"serial", c.serial},
            {"not_before", rfc3339(c.not_before)}, {"not_after", rfc3339(c.not_after)}, {"revoked", time(c.revoked)}});
    all["certificates"] = std::move(certificates);
    json::object inventory, since;
    for (auto const& f : d.facts) {
        if (f.status != 200) continue;
        inventory[f.node] = value(f.node, f.value);
        since[f.node] = rfc3339(f.since);
    }
    all["inventory"] = std::move(inventory);
    all["inventory_since"] = std::move(since);
    all["inventory_read"] = time(d.refreshed);
    return all;
}

json::object to_json(store::command const& c) {
    return {{"id", c.id}, {"device_id", c.device_id}, {"kind", c.kind}, {"user_id", text(c.user_id)},
        {"verb", text(c.verb)}, {"uri", text(c.uri)}, {"format", text(c.format)}, {"value", value(c.uri, c.value)},
        {"queued", rfc3339(c.queued)}, {"expires", time(c.expires)}, {"state", c.state}, {"status", number(c.status)},
        {"original_error", text(c.original_error)}, {"result", text(c.result)}, {"detail", text(c.detail)},
        {"updated", rfc3339(c.updated)}};
}

json::object to_json(service::planned_command const& c) {
    return {{"verb", c.verb}, {"uri", c.uri}, {"format", text(c.format)}, {"value", value(c.uri, c.value)},
        {"what", c.what}};
}

json::object to_json(store::trace const& t) {
    return {{"began", rfc3339_ms(t.began)}, {"session", t.session_id}, {"idle", t.idle},
        {"messages", json::parse(t.messages)}};
}

json::object to_json(service::compliance_view const& v) {
    json::object all{{"device", v.device.name.empty() ? v.device.id : v.device.name}, {"id", v.device.id},
        {"entra_device_id", text(v.device.entra_device_id)}};
    all["state"] = v.verdict ? json::value(compliance::name(v.verdict->now)) : json::value("unknown");
    all["since"] = v.verdict ? json::value(rfc3339(v.verdict->since)) : json::value(nullptr);
    all["grace_until"] = v.verdict ? time(v.verdict->grace_until) : json::value(nullptr);
    all["reasons"] = v.verdict ? reasons_json(v.verdict->reasons) : json::array();
    all["reported"] = report_json(v.report);
    return all;
}

json::object to_json(service::compliance_details const& d) {
    auto all = to_json(d.view);
    all["last_seen"] = time(d.last_seen);
    all["next_check"] = d.view.verdict ? time(d.view.verdict->next_check) : json::value(nullptr);
    all["rules"] = reasons_json(d.rules);
    json::array failing;
    json::array acted;
    if (d.view.verdict) {
        for (auto const& [policy, since] : d.view.verdict->failing)
            failing.push_back({{"policy", policy}, {"since", rfc3339(since)}});
        for (auto const& id : d.view.verdict->acted)
            if (auto const a = compliance::parse_action(id))
                acted.push_back({{"policy", a->policy}, {"action", config::action_name(a->what)}});
    }
    all["failing"] = std::move(failing);
    all["actions"] = std::move(acted);
    return all;
}

json::object to_json(service::compliance_event const& e) {
    json::object all{{"at", rfc3339(e.at)}, {"what", e.what}};
    if (!e.report) {
        all["state"] = e.state;
        all["reasons"] = reasons_json(e.reasons);
        return all;
    }
    all["decided"] = rfc3339(e.report->decided);
    all["entra_device_id"] = text(e.report->entra_device_id);
    all["is_managed"] = e.report->is_managed;
    all["is_compliant"] = e.report->is_compliant;
    all["result"] = e.report->result;
    return all;
}

json::object to_json(service::pins::created const& p) {
    return {{"pin", p.pin}, {"upn", p.upn}, {"expires", rfc3339(p.expires)}};
}

json::object to_json(store::pin const& p, time_point now) {
    return {{"upn", p.upn}, {"state", service::state_of(p, now)}, {"created", rfc3339(p.created)},
        {"expires", rfc3339(p.expires)}, {"tries", p.tries}, {"used", time(p.used)}};
}

json::object to_json(store::consent const& c) {
    return {{"user", text(c.upn)}, {"user_id", c.user_id}, {"version", text(c.text_version)},
        {"language", text(c.language)}, {"ownership", c.ownership}, {"accepted", rfc3339(c.accepted)},
        {"client_request_id", c.client_request_id}, {"device_id", text(c.device_id)}, {"used", time(c.used)}};
}

json::object to_json(service::api_access::created const& c) {
    return {{"name", c.kept.name}, {"role", c.kept.role}, {"token", c.text.reveal()},
        {"created", rfc3339(c.kept.created)}, {"expires", rfc3339(c.kept.expires)}};
}

json::object to_json(store::api_token const& t) {
    return {{"name", t.name}, {"role", t.role}, {"created", rfc3339(t.created)}, {"expires", rfc3339(t.expires)},
        {"last_used", time(t.last_used)}};
}

json::object to_json(store::event const& e) { return to_json(e, graph_version::beta); }

}  // namespace mdmd::admin
