// A forward proxy that takes CONNECT and nothing else [RFC 9110 9.3.6], as strict as the ones in companies: it may ask
// for credentials, leads only where it was told to, and may look into TLS with a root of its own.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mdmd::sim {

struct proxy_options {
    std::string listen_address = "127.0.0.1";  // numeric
    std::uint16_t listen_port = 0;             // 0: any free one
    std::string credentials;                   // "user:password", wanted as Basic; empty: none
    // "host:port" of a CONNECT, lower case, or "*" for any other -> where that is: "address:port", numeric, or "direct"
    // for the destination itself, if it is a numeric address or localhost. What has no route is answered 502.
    std::map<std::string, std::string> routes;
    // Ends the client's TLS with a certificate for the asked host by ca_pem(), and sends each request on over TLS of
    // its own, in which it trusts upstream_ca_pem.
    bool inspect = false;
    std::string upstream_ca_pem;  // empty: the system's roots
};

// All functions may be called by any thread at any time after start(). Keeps and shows destinations, never credentials
// or what goes through.
class proxy {
public:
    explicit proxy(proxy_options);
    proxy(proxy const&) = delete;
    proxy& operator=(proxy const&) = delete;
    ~proxy();

    void start();  // throws where the address cannot be had; after a stop() it listens there again
    void stop();   // ends every tunnel at once

    std::string url() const;  // "http://127.0.0.1:PORT"
    std::uint16_t port() const;
    std::string ca_pem() const;  // what a client must trust where this proxy inspects

    void set_credentials(std::string);  // for tunnels from now on
    // An outage: every tunnel ends, and new connections are taken and left without a word (silent), or reset.
    enum class outage { none, silent, reset };
    void block(outage);

    std::size_t connects() const;           // answered 200
    std::size_t refused() const;            // answered anything else
    std::size_t blocked() const;            // connections that met an outage
    std::size_t inspected() const;          // requests that were sent on out of tunnels that were looked into
    std::vector<std::string> seen() const;  // the destination of every CONNECT with good credentials, in order
    // Waits until at least so many connections met an outage. False: patience has ended before.
    bool wait_blocked(std::size_t count, std::chrono::milliseconds patience) const;

    struct impl;

private:
    std::unique_ptr<impl> impl_;
};

}  // namespace mdmd::sim
