// The part of Microsoft Graph v1.0 that a management server calls. Strict: what Graph would refuse is refused.
#pragma once
#include <boost/json.hpp>
#include <string>

#include "core/http_message.hpp"
#include "directory.hpp"

namespace mdmd::sim {

struct graph_call {
    std::string method;
    std::string path;  // "/devices/…": after /v1.0 or /beta, still encoded
    std::string query;
    http::fields headers;
    std::string body;
    bool beta = false;
};

struct graph_reply {
    int status = 200;
    boost::json::value body;  // null: no content
    http::fields headers;
};

struct graph_context {
    directory& what;
    std::string client_id;
    std::string app_id;
    std::string graph_url;        // "https://localhost:1234/v1.0"
    std::set<std::string> roles;  // of the caller's token
    time_point now;
};

// One call whose token is good. Members of a $batch come through here one by one, by way of `one`, so that whoever
// records writes and applies faults sees each of them. A reply of status 0 is left out.
graph_reply graph(graph_call const&, graph_context const&);
graph_reply graph_batch(graph_call const&, std::function<graph_reply(graph_call const&)> const& one);
graph_reply graph_error(int status, std::string code, std::string message);

}  // namespace mdmd::sim
