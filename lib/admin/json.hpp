// The views of service/operate.hpp as the JSON that mdmctl prints.
#pragma once
#include <boost/json.hpp>

#include "admin/api.hpp"

namespace mdmd::admin {

boost::json::object to_json(service::status_view const&, about const&, time_point now);
boost::json::object to_json(service::keys_view const&, time_point now);
boost::json::object to_json(service::device_view const&);
boost::json::object to_json(service::device_details const&);
boost::json::object to_json(store::command const&);
boost::json::object to_json(service::planned_command const&);
boost::json::object to_json(store::trace const&);
boost::json::object to_json(service::compliance_view const&);
boost::json::object to_json(service::compliance_details const&);
boost::json::object to_json(service::compliance_event const&);
boost::json::object to_json(service::pins::created const&);
boost::json::object to_json(store::pin const&, time_point now);
boost::json::object to_json(store::consent const&);
boost::json::object to_json(service::api_access::created const&);
boost::json::object to_json(store::api_token const&);
boost::json::object to_json(store::event const&);  // all that beta has

}  // namespace mdmd::admin
