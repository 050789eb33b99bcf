// Repository of what is still to be told to the administrator's program and web hook.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct notice {
    std::string id;
    time_point at;
    std::string body;  // one JSON object
    bool command_due = false, webhook_due = false;
    std::int64_t attempts = 0;
    time_point next_try;
    std::string error;  // of the last try
};
void put_notice(connection&, notice const&);
std::vector<notice> list_notices(connection&, std::int64_t most);  // by next_try
void remove_notice(connection&, std::string_view id);
std::int64_t count_notices(connection&);

}  // namespace mdmd::store
