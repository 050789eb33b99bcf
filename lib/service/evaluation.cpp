#include "service/evaluation.hpp"

#include <boost/json.hpp>

#include "core/log.hpp"
#include "service/inventory.hpp"

namespace mdmd::service {
namespace {

std::string to_json(std::vector<compliance::reason> const& reasons) {
    boost::json::array all;
    for (auto const& r : reasons)
        all.push_back(
            {{"policy", r.policy}, {"rule", r.rule}, {"uri", r.uri}, {"wanted", r.wanted}, {"found", r.found}});
    return boost::json::serialize(all);
}

std::vector<compliance::reason> reasons_from(std::string const& text) {
    std::vector<compliance::reason> all;
    auto const parsed = boost::json::parse(text);
    for (auto const& v : parsed.as_array()) {
        auto const& o = v.as_object();
        auto const field = [&](char const* key) { return std::string(o.at(key).as_string()); };
        all.push_back({field("policy"), field("rule"), field("uri"), field("wanted"), field("found")});
    }
    return all;
}

compliance::report report_or_new(store::connection& db, std::string_view device_id) {
    auto const stored = store::find_report(db, device_id);
    return stored ? to_report(*stored) : compliance::report{};
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

compliance::verdict to_verdict(store::verdict const& v) {
    return {.now = compliance::parse_state(v.state).value_or(compliance::state::unknown),
        .since = v.since,
        .grace_until = v.grace_until,
        .failing_since = v.failing_since,
        .reasons = reasons_from(v.reasons),
        .next_check = v.next_check};
}

store::verdict to_stored(std::string_view device_id, compliance::verdict const& v) {
    return {.device_id = std::string(device_id),
        .state = std::string(compliance::name(v.now)),
        .since = v.since,
        .grace_until = v.grace_until,
        .failing_since = v.failing_since,
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

void evaluate_device(store::connection& db, configuration const& config, std::string_view device_id, time_point now) {
    evaluate_device(db, config, device_id, facts_of(store::list_facts(db, device_id)), now);
}

void evaluate_device(store::connection& db, configuration const& config, std::string_view device_id,
    compliance::facts const& facts, time_point now) {
    auto const device = store::find_device(db, device_id);
    if (!device || device->state != "enrolled") return;
    auto const stored = store::find_verdict(db, device_id);
    auto const before = stored ? std::optional(to_verdict(*stored)) : std::nullopt;
    compliance::subject who{
        traits_of(*device, facts, config.settings), device->enrolled, store::last_seen(db, device_id)};
    if (auto groups = store::find_user_groups(db, device->user_id)) {
        who.traits.enrolled_by.groups = std::move(groups->groups);
        who.traits.enrolled_by.groups_known = true;
    }
    auto const verdict =
        compliance::evaluate(config.policies, who, facts, {config.settings.compliance.stale_after}, before, now);

    // A check that only moved further away is left where it stands: when it comes, it finds nothing and moves on.
    // So an idle check-in writes no verdict.
    bool const only_later = before && before->next_check && verdict.next_check &&
                            *verdict.next_check > *before->next_check && *before->next_check > now && [&] {
                                auto same = verdict;
                                same.next_check = before->next_check;
                                return same == *before;
                            }();
    if (!before || (*before != verdict && !only_later)) store::put_verdict(db, to_stored(device_id, verdict));
    if (!before || before->now != verdict.now)
        log::info("compliance state",
            {{"device_id", std::string(device_id)}, {"state", std::string(compliance::name(verdict.now))},
                {"before", before ? std::string(compliance::name(before->now)) : "unknown"}});

    auto const tell = compliance::reported_as(verdict.now);
    if (!tell) return;
    auto const old = report_or_new(db, device_id);
    auto const next = compliance::decided(old, true, *tell, !device->entra_device_id.empty(), now);
    if (next != old) store::put_report(db, to_stored(device_id, device->entra_device_id, next));
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
