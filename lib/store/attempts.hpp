// The repository of enrollments that have begun and not come to an end: what is silent for too long has failed.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct attempt {
    std::string id;       // correlation id
    std::string user_id;  // of whoever enrolls; empty where there is no user. An attempt is one of both.
    std::string stage;  // "shown", "accepted": of the Terms of Use; "signed_in": on our page; "issued": a certificate,
                        // and no session yet
    std::string upn, entra_device_id, os_version;
    std::string device_id;        // "issued": the device's
    std::string enrollment_type;  // Graph's deviceEnrollmentType
    time_point due;
};
// Replaces the one of the same id and user. A user has at most `most` of them that came no further than the Terms of
// Use: the first to be due go.
void put_attempt(connection&, attempt const&, std::int64_t most);
void end_attempt(connection&, std::string_view id, std::string_view user_id);
// The one attempt of that id, whoever makes it; none where there are several.
std::optional<attempt> find_attempt(connection&, std::string_view id);
// The one of this user's whose Terms of Use were accepted last, and which has come no further.
std::optional<attempt> find_accepted_attempt(connection&, std::string_view user_id);
void end_attempts_of(connection&, std::string_view device_id);
bool any_due_attempt(connection&, time_point now);
// Those that are due, the first of them first, at most `most`. They are over.
std::vector<attempt> take_due_attempts(connection&, time_point now, std::int64_t most);

}  // namespace mdmd::store
