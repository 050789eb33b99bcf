// The device authority as JSON. Private to lib/admin.
#pragma once
#include <boost/json.hpp>

#include "service/appliance.hpp"

namespace mdmd::admin {

// {"value": [one object a generation, newest first], "ends", "roll_over_by": until when a new generation should issue,
// so that no device certificate is shortened}.
boost::json::object authority_as_json(service::appliance&);

}  // namespace mdmd::admin
