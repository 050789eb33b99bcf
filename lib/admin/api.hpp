// The administrator's interface as JSON over HTTP: what mdmctl speaks on the admin socket. Whoever can open the
// socket is the administrator.
#pragma once
#include <functional>

#include "core/http_message.hpp"
#include "service/operate.hpp"

namespace mdmd::admin {

struct about {
    std::string version;
    time_point started;
    std::function<void()> reload;  // asks for the configuration to be taken anew; returns at once
};

// GET  /status
// GET  /devices, /devices/{id}, /devices/{id}/commands
// DELETE /devices/{id}
// POST /devices/{id}/commands  {"verb","uri","format","value"}
// GET  /key;  POST /key/test, /key/promote;  POST /reload
// GET  /compliance;  POST /compliance/report, /compliance/links  {"device","ttl_s"}
// GET  /pins;  POST /pins  {"upn","ttl_s"};  DELETE /pins/{upn}
// GET  /consents?user={UPN or object ID};  POST /maintenance  {"maintenance"}
// GET  /tokens;  POST /tokens  {"name","role","ttl_s"};  DELETE /tokens/{name}
// GET  /events, /events/{id}: as Graph's beta has them
// {id} is percent-encoded: an id, an Entra device ID or a name. An error is {"error":{"code","message"}} with a
// status of 400, 403, 404, 405, 409, 500 or 503. The objects are those of `mdmctl --json`.
http::response serve(service::appliance&, about const&, http::request const&);

}  // namespace mdmd::admin
