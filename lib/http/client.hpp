// Calls to other servers: HTTPS with verification that cannot be switched off, plain HTTP to loopback only, and
// HTTP over a Unix socket. Blocking; safe to use by several threads at once.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/http_message.hpp"
#include "core/secret.hpp"

namespace mdmd::http {

// Asked to CONNECT to the host of every https call that is not direct [RFC 9110 9.3.6]. The connection to the proxy
// itself is plain TCP; what goes through it is TLS from here to the host.
struct proxy {
    std::string host;  // a name or a numeric address, without brackets
    std::uint16_t port = 0;
    secret credentials;  // "user:password", sent as Basic [RFC 7617]; empty: none
};

struct client_options {
    std::string extra_roots_pem;  // trusted besides the system's roots
    bool system_roots = true;
    std::string certificate_pem;  // a client certificate with its chain, and its key
    secret key_pem;
    std::map<std::string, std::string> connect_to;  // "host:port" -> "address:port": where to connect instead of
                                                    // asking DNS; name checks stay with the host. What a proxy
                                                    // is asked for is not looked up here; the proxy itself is
    std::filesystem::path unix_socket;              // every call goes there, whatever its URL's host
    std::optional<http::proxy> proxy;               // errors name it where it is to blame
    std::size_t answer_bytes = 4 * 1024 * 1024;     // body limit
    std::string user_agent = "mdmd";
    std::stop_token stop;  // once requested, every call ends at once with unavailable
};

class client {
public:
    explicit client(client_options);
    client(client const&) = delete;
    client& operator=(client const&) = delete;
    ~client();

    // Reuses an idle connection to the same origin where there is one (and, if that turns out to have been closed
    // meanwhile, tries once more on a new one). Errors as core/http_message.hpp says.
    [[nodiscard]] result<response> send(call const&);
    void close_idle();

    struct impl;

private:
    std::unique_ptr<impl> impl_;
};

}  // namespace mdmd::http
