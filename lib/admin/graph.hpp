// The API that is shaped as Microsoft Graph's: /v1.0, /beta and /v1, deviceManagement/troubleshootingEvents.
// Microsoft Graph "troubleshootingEvents", "Error responses and resource types". [enrollment F]
#pragma once
#include <string>
#include <string_view>

#include "core/http_message.hpp"
#include "service/appliance.hpp"

namespace mdmd::admin {

bool is_graph_path(std::string_view path);

// `origin` is how the client reached us, "https://mdm.contoso.com:8443": addresses in answers begin with it. Whoever
// asks shows a token of service::api_access.
http::response serve_graph(service::appliance&, std::string const& origin, http::request const&);

// An answer with Graph's error object. `message` is for people; it names nothing of ours.
http::response graph_error(
    service::appliance&, http::request const&, int status, std::string_view code, std::string_view message);

}  // namespace mdmd::admin
