// The repository of failed enrollments: Graph's enrollmentTroubleshootingEvent.
#pragma once
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct event {
    std::string id;  // GUID, lower case
    time_point at;
    std::optional<std::string> correlation_id, managed_device_id, operating_system, os_version, user_id,
        entra_device_id;
    std::string enrollment_type = "unknown";  // Graph's deviceEnrollmentType
    std::string category = "unknown";         // Graph's deviceEnrollmentFailureReason
    std::optional<std::string> reason, event_name;
    std::string additional_information;  // JSON: an array of {name, value}; empty: null
    std::string details;                 // JSON of troubleshootingErrorDetails; empty: null

    bool operator==(event const&) const = default;
};

enum class event_column {
    id,
    at,
    correlation_id,
    managed_device_id,
    operating_system,
    os_version,
    user_id,
    entra_device_id,
    enrollment_type,
    category,
    reason,
    event_name
};
// Of `at`, a time; of every other column, a text.
using event_value = std::variant<std::string, time_point>;

// Which events are meant. Comparing is two-valued, as OData's: what is null equals null alone, differs from every
// value, and is neither more nor less than any. Searching in a null is neither true nor false.
struct event_condition {
    enum class kind { compare, all_of, any_of, negated };
    enum class comparison { eq, ne, gt, ge, lt, le, starts_with, ends_with, contains };
    kind what = kind::compare;
    event_column column = event_column::id;
    comparison op = comparison::eq;
    std::optional<event_value> value;    // nullopt: null
    std::vector<event_condition> parts;  // of all_of and any_of at least one, of negated one
};

struct event_order {
    event_column column;
    bool descending = false;

    bool operator==(event_order const&) const = default;
};
struct event_query {
    std::optional<event_condition> filter;
    std::vector<event_order> order{{event_column::at, true}};  // then by id; null comes before every value
    // Only what follows the event of these values, one for each of `order`, and of this id. Empty id: from the start.
    // A place found so stays the same while events come and go.
    std::vector<event_value> after;
    std::string after_id;
    std::int64_t skip = 0;
    std::int64_t top = std::numeric_limits<std::int64_t>::max();
};

void add_event(connection&, event const&);
std::optional<event> find_event(connection&, std::string_view id);
std::vector<event> list_events(connection&, event_query const& = {});
std::int64_t count_events(connection&, std::optional<event_condition> const& = {});
bool update_event(connection&, event const&);         // false: there is none of that id
bool remove_event(connection&, std::string_view id);  // the same

// What `after` must hold to go on behind this event.
event_value value_of(event const&, event_column);

// Removes events older than that, and the oldest beyond `keep` of their kind: those with a user, and those without,
// which anybody can cause. Returns how many went.
int trim_events(connection&, time_point older_than, std::int64_t keep);

}  // namespace mdmd::store
