// What stands before everything on the admin's TCP listener: browsers reach it too, on behalf of strangers.
#pragma once
#include <string_view>

#include "core/http_message.hpp"
#include "service/appliance.hpp"

namespace mdmd::admin {

// Is it a name of this listener? `host` is a Host field: loopback's names and addresses, the address that the listener
// has, the hosts of public_url and management_url, and the names in admin.tls_certificate, with any port. Of a listener
// on all addresses, any numeric address. Otherwise a stranger's page could make its own name lead here (DNS
// rebinding) and read what is meant for the administrator.
bool is_our_host(config::settings const&, std::string_view host);

// Graph's API, and `others` for every other address. A foreign Host gets 421; what a page of another origin makes a
// browser send gets 403 unless it is a mere GET.
http::response serve_listener(service::appliance&, http::handler const& others, http::request const&);

}  // namespace mdmd::admin
