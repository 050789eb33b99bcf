#include "service/evaluation.hpp"

#include <boost/json.hpp>

#include "core/log.hpp"
#include "core/random.hpp"
#include "core/text.hpp"
#include "enroll/provisioning.hpp"
#include "policy/order.hpp"
#include "service/delivery.hpp"
#include "service/inventory.hpp"
#include "store/commands.hpp"

namespace mdmd::service {
namespace {

namespace json = boost::json;

constexpr std::int64_t most_past_verdicts = 200;  // kept of a device

json::value time_json(std::optional<time_point> t) { return t ? json::value(to_ms(*t)) : json::value(nullptr); }
std::optional<time_point> maybe_time(json::value const& v) {
    return v.is_int64() ? std::optional(from_ms(v.get_int64())) : std::nullopt;
}

std::string to_json(std::vector<compliance::reason> const& reasons) {
    json::array all;
    for (auto const& r : reasons)
        all.push_back({{"policy", r.policy}, {"rule", r.rule}, {"uri", r.uri}, {"wanted", r.wanted}, {"found", r.found},
            {"result", compliance::name(r.result)}, {"since", to_ms(r.since)},
            {"grace_until", time_json(r.grace_until)}});
    return json::serialize(all);
}

std::string to_json(std::map<std::string, time_point> const& failing) {
    json::object all;
    for (auto const& [policy, since] : failing) all[policy] = to_ms(since);
    return json::serialize(all);
}

std::map<std::string, time_point> failing_from(std::string const& text) {
    std::map<std::string, time_point> all;
    auto const parsed = json::parse(text);
    for (auto const& [policy, since] : parsed.as_object()) all.emplace(policy, from_ms(since.as_int64()));
    return all;
}

std::string to_json(std::set<std::string> const& acted) {
    return json::serialize(json::array(acted.begin(), acted.end()));
}

std::set<std::string> acted_from(std::string const& text) {
    std::set<std::string> all;
    auto const parsed = json::parse(text);
    for (auto const& a : parsed.as_array()) all.emplace(a.as_string());
    return all;
}

compliance::report report_or_new(store::connection& db, std::string_view device_id) {
    auto const stored = store::find_report(db, device_id);
    return stored ? to_report(*stored) : compliance::report{};
}

// "PC-1 of anna@contoso.com does not keep the policy baseline: encryption: wanted required, found 0 (not encrypted)"
std::string describe(store::device const& device, std::string const& policy, compliance::verdict const& v) {
    std::vector<std::string> all;
    for (auto const& r : v.reasons)
        if (r.policy == policy && r.result == compliance::outcome::failed)
            all.push_back(fmt::format("{}: wanted {}, found {}", r.rule == "uri" ? r.uri : r.rule, r.wanted, r.found));
    return fmt::format("{}{} does not keep the policy {}: {}", device.name.empty() ? device.id : device.name,
        device.upn.empty() ? "" : " of " + device.upn, policy, fmt::join(all, "; "));
}

std::string notice_body(store::device const& device, std::string const& policy, compliance::verdict const& v) {
    json::array reasons;
    std::optional<time_point> grace_until;
    for (auto const& r : v.reasons)
        if (r.policy == policy && r.result == compliance::outcome::failed) {
            reasons.push_back({{"rule", r.rule}, {"uri", r.uri}, {"wanted", r.wanted}, {"found", r.found},
                {"since", rfc3339(r.since)}});
            grace_until = r.grace_until;
        }
    auto const since = v.failing.find(policy);
    return json::serialize(json::object{{"event", "noncompliance"}, {"device", device.id},
        {"entra_device_id", device.entra_device_id}, {"name", device.name}, {"user", device.upn}, {"policy", policy},
        {"state", compliance::name(v.now)},
        {"since", since == v.failing.end() ? json::value(nullptr) : json::value(rfc3339(since->second))},
        {"grace_until", grace_until ? json::value(rfc3339(*grace_until)) : json::value(nullptr)}, {"reasons", reasons},
        {"message", describe(device, policy, v)}, {"docs", "file:///usr/share/doc/mdmd/compliance.md"}});
}

void order_lock(store::connection& db, store::device const& device, time_point now) {
    auto const command = policy::command_of(policy::order_kind::lock, "", enroll::provider_id, new_guid());
    if (!command) return;
    store::add_command(db, {.id = new_guid(),
                               .device_id = device.id,
                               .kind = std::string(policy::name(policy::order_kind::lock)),
                               .verb = lower(omadm::name(command->what)),
                               .uri = command->uri,
                               .format = command->format,
                               .value = command->data,
                               .queued = now,
                               .updated = now,
                               .detail = "ordered by a compliance policy"});
}

// Does what the failures of a device have led to since the verdict before.
bool act(store::connection& db, configuration const& config, store::device const& device, compliance::verdict const& v,
    std::optional<compliance::verdict> const& before, time_point now) {
    bool ordered = false;
    for (auto const& id : v.acted) {
        if (before && before->acted.contains(id)) continue;
        auto const action = compliance::parse_action(id);
        if (!action) continue;
        if (action->what == config::action_kind::lock) {
            order_lock(db, device, now);
            ordered = true;
        } else {
            notices::put(db, config.settings, notice_body(device, action->policy, v), now);
        }
        log::warning(action->what == config::action_kind::lock ? "a device is to be locked, by its compliance policy"
                                                               : "a device does not keep a compliance policy",
            {{"device_id", device.id}, {"name", device.name}, {"policy", action->policy},
                {"reason", describe(device, action->policy, v)}});
    }
    return ordered;
}

}  // namespace

policy::device_traits traits_of(
    store::device const& d, compliance::facts const& facts, config::settings const& settings) {
    auto const told = [&](std::string_view node) {
        auto const f = facts.find(std::string(node));
        return f != facts.end() && f->second.status == 200 ? f->second.value.value_or("") : std::string();
    };
    auto const version = told(compliance::os_version_uri);
    policy::device_traits t;
    t.ownership = d.ownership == "corporate" ? config::ownership::corporate : config::ownership::personal;
    t.id = d.id;
    t.entra_device_id = d.entra_device_id;
    t.name = d.name;
    t.os_version = version.empty() ? d.os_version : version;
    t.serial = told(inventory::serial);
    t.manufacturer = told("./DevInfo/Man");
    t.model = told("./DevInfo/Mod");
    t.tenant_id = settings.entra.tenant_id;
    t.enrolled_by.id = d.user_id;
    t.enrolled_by.upn = d.upn;
    return t;
}

compliance::facts facts_of(std::vector<store::fact> const& stored) {
    compliance::facts all;
    for (auto const& f : stored) all[f.node] = {static_cast<int>(f.status), f.value, f.since};
    return all;
}

std::vector<compliance::reason> reasons_from(std::string const& text) {
    std::vector<compliance::reason> all;
    auto const parsed = json::parse(text);
    for (auto const& v : parsed.as_array()) {
        auto const& o = v.as_object();
        auto const field = [&](char const* key) { return std::string(o.at(key).as_string()); };
        all.push_back({field("policy"), field("rule"), field("uri"), field("wanted"), field("found"),
            compliance::parse_outcome(field("result")).value_or(compliance::outcome::failed),
            from_ms(o.at("since").as_int64()), maybe_time(o.at("grace_until"))});
    }
    return all;
}

compliance::verdict to_verdict(store::verdict const& v) {
    return {.now = compliance::parse_state(v.state).value_or(compliance::state::unknown),
        .since = v.since,
        .grace_until = v.grace_until,
        .failing = failing_from(v.failing),
        .unclear_since = v.unclear_since,
        .acted = acted_from(v.acted),
        .reasons = reasons_from(v.reasons),
        .next_check = v.next_check};
}

store::verdict to_stored(std::string_view device_id, compliance::verdict const& v) {
    return {.device_id = std::string(device_id),
        .state = std::string(compliance::name(v.now)),
        .since = v.since,
        .grace_until = v.grace_until,
        .unclear_since = v.unclear_since,
        .failing = to_json(v.failing),
        .acted = to_json(v.acted),
        .reasons = to_json(v.reasons),
        .next_check = v.next_check};
}

compliance::report to_report(store::report const& r) {
    return {.is_managed = r.is_managed,
        .is_compliant = r.is_compliant,
        .decided = r.decided,
        .revision = r.revision,
        .told = r.told,
        .phase = compliance::parse_phase(r.phase).value_or(compliance::report::phase::waiting),
        .object_id = r.object_id,
        .was_known = r.was_known,
        .attempts = static_cast<int>(r.attempts),
        .next_try = r.next_try,
        .error = r.error,
        .last_success = r.last_success,
        .resolved_again = r.resolved_again};
}

store::report to_stored(std::string_view device_id, std::string_view entra_device_id, compliance::report const& r) {
    return {.device_id = std::string(device_id),
        .entra_device_id = std::string(entra_device_id),
        .is_managed = r.is_managed,
        .is_compliant = r.is_compliant,
        .decided = r.decided,
        .revision = r.revision,
        .told = r.told,
        .phase = std::string(compliance::name(r.phase)),
        .object_id = r.object_id,
        .was_known = r.was_known,
        .attempts = r.attempts,
        .next_try = r.next_try,
        .error = r.error,
        .last_success = r.last_success,
        .resolved_again = r.resolved_again};
}

compliance::subject subject_of(
    store::connection& db, configuration const& config, store::device const& device, compliance::facts const& facts) {
    compliance::subject who{
        traits_of(device, facts, config.settings), device.enrolled, store::last_seen(db, device.id)};
    if (auto groups = store::find_user_groups(db, device.user_id)) {
        who.traits.enrolled_by.groups = std::move(groups->groups);
        who.traits.enrolled_by.groups_known = true;
    }
    return who;
}

bool evaluate_device(store::connection& db, configuration const& config, std::string_view device_id, time_point now) {
    return evaluate_device(db, config, device_id, facts_of(store::list_facts(db, device_id)), now);
}

bool evaluate_device(store::connection& db, configuration const& config, std::string_view device_id,
    compliance::facts const& facts, time_point now) {
    auto const device = store::find_device(db, device_id);
    if (!device || device->state != "enrolled") return false;
    auto const stored = store::find_verdict(db, device_id);
    auto const before = stored ? std::optional(to_verdict(*stored)) : std::nullopt;
    auto const& how = config.settings.compliance;
    auto const verdict = compliance::evaluate(*config.rules, subject_of(db, config, *device, facts), facts,
        {how.stale_after, how.keep_last, how.compliant_without_policy}, before, now);

    // A check that only moved further away is left where it stands: when it comes, it finds nothing and moves on.
    // So an idle check-in writes no verdict.
    bool const only_later = before && before->next_check && verdict.next_check &&
                            *verdict.next_check > *before->next_check && *before->next_check > now && [&] {
                                auto same = verdict;
                                same.next_check = before->next_check;
                                return same == *before;
                            }();
    if (!before || (*before != verdict && !only_later)) store::put_verdict(db, to_stored(device_id, verdict));
    if (!before || before->now != verdict.now) {
        store::add_past_verdict(db, device_id,
            {now, std::string(compliance::name(verdict.now)), to_json(verdict.reasons)}, most_past_verdicts);
        log::info("compliance state",
            {{"device_id", std::string(device_id)}, {"state", std::string(compliance::name(verdict.now))},
                {"before", before ? std::string(compliance::name(before->now)) : "unknown"}});
    }
    bool const ordered = act(db, config, *device, verdict, before, now);

    auto const tell = compliance::reported_as(verdict.now);
    if (!tell) return ordered;
    auto const old = report_or_new(db, device_id);
    auto const next = compliance::decided(old, true, *tell, !device->entra_device_id.empty(), now);
    if (next != old) store::put_report(db, to_stored(device_id, device->entra_device_id, next));
    return ordered;
}

void report_unmanaged(store::connection& db, store::device const& device, time_point now) {
    // Under its Entra ID another record speaks by now.
    auto const others = device.entra_device_id.empty() ? std::vector<store::device>()
                                                       : store::find_enrolled_entra(db, device.entra_device_id);
    if (std::any_of(others.begin(), others.end(), [&](store::device const& d) { return d.id != device.id; })) return;
    auto const next =
        compliance::decided(report_or_new(db, device.id), false, false, !device.entra_device_id.empty(), now);
    store::put_report(db, to_stored(device.id, device.entra_device_id, next));
}

}  // namespace mdmd::service
