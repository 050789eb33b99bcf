// What is behind a tenant: its state under one lock, and the three kinds of request that it serves.
#pragma once
#include <mutex>

#include "http/server.hpp"
#include "tenant.hpp"

namespace mdmd::sim {

struct tenant::impl {
    explicit impl(tenant_options);

    http::response handle(http::request const&);  // by way of the faults
    http::response serve(http::request const&);

    // Login: OpenID metadata, keys, tokens. `rest` is the path behind /{tenant}. tenant_login.cpp
    http::response login(http::request const&, std::string_view tenant_segment, std::string_view rest);
    http::response token_endpoint(http::request const&, std::string_view tenant_segment);
    // The sign-in page. Whoever `login_hint` names is signed in already: no password is asked for. tenant_sign_in.cpp
    http::response authorize(http::request const&, std::string_view tenant_segment);
    // An authorization code's token answer, its client being known. With mutex held.
    http::response redeem(parameters const& fields);
    // Whose credential a token request shows. Nothing: `refused` says why; its key may be known all the same.
    struct credential {
        std::string key_id;
        bool certificate = false;
        bool repeated = false;  // an assertion whose jti came before, which Entra takes
        std::optional<http::response> refused;
    };
    credential check_secret(std::string const& value) const;
    credential check_assertion(std::string const& jwt);
    std::string issuer(bool v2) const;
    boost::json::array jwks(bool v2) const;
    result<std::string> make_locked(token_order const&);

    // Graph: the bearer, the log, the batch. tenant_graph.cpp
    http::response graph_request(http::request const&);
    result<std::set<std::string>> graph_roles(http::request const&) const;

    // The notification service. tenant_wns.cpp
    http::response wns_token(http::request const&);
    http::response notify(http::request const&);
    std::optional<http::response> wns_control(http::request const&, boost::json::object const&);
    std::string wns_origin() const;

    // The API under /sim/. tenant_control.cpp
    http::response control(http::request const&);

    tenant_options options;
    std::string origin;                      // https://localhost:PORT
    std::string login_origin, graph_origin;  // the same, or https://HOST
    std::string control_token;
    identity authority, server_identity;
    tenant* self = nullptr;

    mutable std::mutex mutex;  // guards what follows
    directory what;
    std::vector<signing_key> keys;       // the current one first
    std::optional<signing_key> foreign;  // in no JWKS; made when it is first asked for
    std::vector<log_entry> entries;
    std::set<std::string> assertion_ids;  // the jti of every one that was taken
    struct sign_in {
        std::string user_id, redirect_uri, nonce, challenge;
        time_point ends;
        bool redeemed = false;
    };
    std::map<std::string, sign_in> codes;
    struct wns_channel {
        std::string pfn, device;
        bool expired = false;
        std::size_t received = 0;  // notifications that reached the device
    };
    std::map<std::string, wns_channel> channels;  // by the token in the address
    std::map<std::string, time_point> wns_tokens;
    std::vector<wns_push> wns_pushes;
    std::string sign_in_error;  // empty: users are signed in
    int sign_in_aadsts = 0;
    fault_list faults;
    std::unique_ptr<http::server> server;
};

// What the token endpoint answers instead of a token.
http::response token_refusal(int status, char const* kind, int code, std::string const& text);
http::response json_response(int status, boost::json::value const& body);
time_point wall_clock();

}  // namespace mdmd::sim
