// The repository of one-time PINs.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct pin {
    std::string upn;   // lower case; one PIN a user
    std::string salt;  // base64
    std::string hash;  // base64
    time_point created, expires;
    std::int64_t tries = 0;          // begun, right or wrong
    std::optional<time_point> used;  // it opened the door
};
void put_pin(connection&, pin const&);
std::optional<pin> find_pin(connection&, std::string_view upn);
bool remove_pin(connection&, std::string_view upn);  // false: there is none
std::vector<pin> list_pins(connection&);             // by UPN

}  // namespace mdmd::store
