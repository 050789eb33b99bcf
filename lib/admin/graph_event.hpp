// Graph's enrollmentTroubleshootingEvent as JSON, and what may be asked about it. Microsoft Graph, "deviceManagement
// TroubleshootingEvent resource type", v1.0 and beta.
#pragma once
#include <boost/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "admin/odata.hpp"
#include "store/events.hpp"

namespace mdmd::admin {

// beta has more properties and more members of enumerations than v1.0, which shows a member that it lacks as "unknown".
enum class graph_version { v1, beta };

inline constexpr std::string_view event_type = "#microsoft.graph.enrollmentTroubleshootingEvent";

// `select`: the names of the properties that are wanted; empty: all that the version has. The type is always named.
boost::json::object to_json(store::event const&, graph_version, std::set<std::string> const& select = {});

// What a body sets, to be laid over an event. Null clears what may be null; a property that is not there stays.
struct event_changes {
    boost::json::object set;  // checked: names and types are right
};
// Errors: malformed, naming the property: a property that the version does not have, a wrong type, an unknown member of
// an enumeration (numbers too), a text over 8 KiB or with NUL, another @odata.type.
[[nodiscard]] result<event_changes> read_changes(boost::json::object const&, graph_version);
// Of `id`, nothing: it is never changed.
void apply(event_changes const&, store::event&);

// What $filter, $orderby and $select mean for events. Errors: malformed, naming the place.
[[nodiscard]] result<store::event_condition> read_filter(odata::expression const&, graph_version);
[[nodiscard]] result<std::vector<store::event_order>> read_order(std::vector<odata::sort_key> const&, graph_version);
[[nodiscard]] result<std::set<std::string>> read_select(std::vector<std::string> const&, graph_version);

}  // namespace mdmd::admin
