// The repository of the MSI packages that policies have for devices.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct app {
    std::string product_code;  // "{GUID}", upper case
    std::string policy, intent, job, version, state;
    std::int64_t status = 0, msi_status = 0;
    std::string last_error, detail, installed_version;
    std::int64_t attempts = 0;
    time_point since, next_try;
};
std::vector<app> list_apps(connection&, std::string_view device_id);  // by product code
void put_app(connection&, std::string_view device_id, app const&);
void remove_app(connection&, std::string_view device_id, std::string_view product_code);

}  // namespace mdmd::store
