// Which address is served by what: the only place where HTTP meets the use cases.
#pragma once
#include <atomic>

#include "admin/api.hpp"
#include "core/http_message.hpp"
#include "daemon/metrics.hpp"
#include "service/appliance.hpp"

namespace mdmd::daemon {

http::handler public_routes(service::appliance&);  // Terms of Use, compliance page, enrollment
// A client of the public listener was gone in the middle of a request, or before it had the answer.
void client_lost(service::appliance&, http::request const& head, bool answering);
http::handler management_routes(service::appliance&);            // OMA-DM
http::handler socket_routes(service::appliance&, admin::about);  // mdmctl
// Graph's API, /healthz…
http::handler admin_routes(service::appliance&, sent_away_by_listener const&, std::atomic<bool> const& listening);

}  // namespace mdmd::daemon
