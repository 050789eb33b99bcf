// The records of a device's apps between the store and the engine.
#pragma once
#include <string_view>

#include "policy/apps.hpp"
#include "store/connection.hpp"

namespace mdmd::service {

policy::app_map load_apps(store::connection&, std::string_view device_id);
// Writes what differs, and nothing else.
void keep_apps(
    store::connection&, std::string_view device_id, policy::app_map const& before, policy::app_map const& after);

}  // namespace mdmd::service
