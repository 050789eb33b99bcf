// What stands before everything on the admin's TCP listener: browsers reach it too, on behalf of strangers.
#pragma once
#include <string_view>

#include "core/http_message.hpp"
#include "service/appliance.hpp"

namespace mdmd::admin {

// Is it a name of this listener? `host` is a Host field: loopback's names and addresses, the address that the listener
// has, the hosts of server.public_url, server.management_url and admin.public_url, and the names in
// admin.tls_certificate, with any port. Of a listener on all addresses, any numeric address. Otherwise a stranger's
// page could make its own name lead here (DNS rebinding) and read what is meant for the administrator.
bool is_our_host(config::settings const&, std::string_view host);

// Graph's API, and `others` for every other address. A foreign Host gets 421; what a page of another origin makes a
// browser send gets 403 unless it is a mere GET. A page of admin.public_url is none of another origin, and addresses in
// answers begin with it where it is set: whoever passes requests on does not tell what the client asked for.
http::response serve_listener(service::appliance&, http::handler const& others, http::request const&);

// What is answered where the listener refused a request before anybody could serve it, or failed: Graph's error object
// to whoever asked the API, or asked so that nobody can tell what for; a line of text to everybody else. `head` is what
// could be read of the request. Waits for nothing.
http::response refused_request(service::appliance&, http::request const& head, int status, std::string_view why);

}  // namespace mdmd::admin
