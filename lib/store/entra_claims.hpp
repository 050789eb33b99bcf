// Repository of devices' own words which of Entra's devices they are.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct entra_claim {
    std::string device_id, entra_device_id;
    time_point since;     // when the device said so
    time_point next_try;  // when Entra is asked
    std::string problem;  // why it is not confirmed; empty: nobody was asked yet
};
void put_entra_claim(connection&, entra_claim const&);
void remove_entra_claim(connection&, std::string_view device_id);
std::optional<entra_claim> find_entra_claim(connection&, std::string_view device_id);

struct due_claim {
    entra_claim claim;
    std::string user_id;  // who enrolled the device
};
// Of enrolled devices, those whose time has come, or lies so far ahead that the clock was set back.
std::vector<due_claim> due_entra_claims(
    connection&, time_point now, std::chrono::milliseconds longest, std::int64_t most);
void retry_entra_claims_now(connection&, time_point now);

}  // namespace mdmd::store
