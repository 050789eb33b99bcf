// Which address is served by what: the only place where HTTP meets the use cases.
#pragma once
#include <atomic>

#include "admin/api.hpp"
#include "core/http_message.hpp"
#include "service/appliance.hpp"

namespace mdmd::daemon {

http::handler public_routes(service::appliance&);                           // Terms of Use, compliance page, enrollment
http::handler management_routes(service::appliance&);                       // OMA-DM
http::handler socket_routes(service::appliance&, admin::about);             // mdmctl
http::handler admin_routes(service::appliance&, std::atomic<bool> const&);  // /healthz, /readyz, /metrics

}  // namespace mdmd::daemon
