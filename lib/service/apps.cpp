#include "service/apps.hpp"

#include "store/apps.hpp"

namespace mdmd::service {

policy::app_map load_apps(store::connection& db, std::string_view device_id) {
    policy::app_map all;
    for (auto const& a : store::list_apps(db, device_id))
        all[a.product_code] = {.policy = a.policy,
            .intent = a.intent == "uninstall" ? config::app_intent::uninstall : config::app_intent::install,
            .job = a.job,
            .version = a.version,
            .state = policy::parse_app_state(a.state).value_or(policy::app_state::pending),
            .status = static_cast<int>(a.status),
            .msi_status = static_cast<int>(a.msi_status),
            .last_error = a.last_error,
            .detail = a.detail,
            .installed_version = a.installed_version,
            .attempts = static_cast<int>(a.attempts),
            .since = a.since,
            .next_try = a.next_try};
    return all;
}

void keep_apps(
    store::connection& db, std::string_view device_id, policy::app_map const& before, policy::app_map const& after) {
    for (auto const& [code, r] : after)
        if (auto const old = before.find(code); old == before.end() || !(old->second == r))
            store::put_app(db, device_id,
                {.product_code = code,
                    .policy = r.policy,
                    .intent = r.intent == config::app_intent::uninstall ? "uninstall" : "install",
                    .job = r.job,
                    .version = r.version,
                    .state = std::string(policy::name(r.state)),
                    .status = r.status,
                    .msi_status = r.msi_status,
                    .last_error = r.last_error,
                    .detail = r.detail,
                    .installed_version = r.installed_version,
                    .attempts = r.attempts,
                    .since = r.since,
                    .next_try = r.next_try});
    for (auto const& [code, r] : before)
        if (!after.contains(code)) store::remove_app(db, device_id, code);
}

}  // namespace mdmd::service
