// Repositories of what Entra said last, and of the reminders of what ends.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct entra_document {
    std::string name;
    std::string text;  // JSON
    time_point fetched;
};
void put_document(connection&, entra_document const&);
std::optional<entra_document> find_document(connection&, std::string_view name);

struct reminder {
    std::string what;  // "entra_key"
    time_point ends;
    std::int64_t threshold_s = 0;  // 0: the end itself
    time_point at;
    bool command_due = false, webhook_due = false;
    std::int64_t attempts = 0;
    time_point next_try;
    std::string error;  // of the last delivery that failed; empty: none
};
void put_reminder(connection&, reminder const&);
void remove_reminder(connection&, std::string_view what);
std::vector<reminder> list_reminders(connection&);  // by end

}  // namespace mdmd::store
