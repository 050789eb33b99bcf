// What the appliance itself keeps set on every device, beside the administrator's policies: when it checks in, and
// which version of the protocol it speaks. Kept like a policy's settings: a changed configuration reaches enrolled
// devices, drift is put back.
#pragma once
#include "config/settings.hpp"
#include "policy/policy.hpp"

namespace mdmd::service {

inline constexpr char own_policy[] = "mdmd";  // shown as the policy that these settings come from

// The newest level of Windows' management client that is asked for: from 3.0 on it tells its own error codes, from 4.0
// on why a session began. [DMClient CSP, SyncApplicationVersion]
inline constexpr char wanted_sync_version[] = "4.0";
inline constexpr char max_sync_version_uri[] = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/MaxSyncApplicationVersion";

// By canonical URI. `max_sync_version`: what the device said; empty: not known, then none is set. The poll schedule is
// the one of enroll::provisioning_document().
std::map<std::string, policy::wanted_setting> own_settings(config::settings const&, std::string_view max_sync_version);
// Adds them to what policies want; a policy that sets one of these nodes has it.
void add_own_settings(policy::desired_state&, config::settings const&, std::string_view max_sync_version);
// As records of a device that has just got the provisioning document, which holds the schedule already.
policy::record_map provisioned_settings(config::settings const&);

}  // namespace mdmd::service
