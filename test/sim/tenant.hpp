// A simulated Entra tenant on one HTTPS origin, or under the names of a cloud's hosts: OpenID metadata and keys, the
// token endpoint, the part of Graph that an MDM calls, and an API under /sim/ that tests and the demo steer it by.
// Strict where Entra is strict.
#pragma once
#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "directory.hpp"
#include "faults.hpp"
#include "jwt.hpp"

namespace mdmd::sim {

struct tenant_options {
    std::string listen_address = "127.0.0.1";  // numeric
    std::uint16_t listen_port = 0;             // 0: any free one
    std::string tenant_id;                     // empty: a new GUID; likewise the next
    std::string client_id;
    std::string app_id = "https://mdm.contoso.com";
    std::vector<std::string> secrets;  // empty: one of ours, which secret() tells
    std::filesystem::path directory;   // tenant.json (0600) and tenant-ca.pem go there; empty: nowhere
    // The names of a cloud's hosts, "login.microsoftonline.us". A host that is named serves its half alone, for
    // requests whose Host is that name, on port 443 as far as addresses go: who calls it connects to the listener all
    // the same. Empty: on localhost.
    std::string login_host, graph_host;
    // Likewise for the notification service: "sim.notify.windows.com" for channels, "login.live.com" for its tokens.
    std::string wns_host, wns_login_host;
    std::string wns_sid =
        "ms-app://s-1-15-2-1000000001-1000000002-1000000003-1000000004-1000000005-1000000006-1000000007";
    std::string wns_secret;  // empty: one of ours, which wns() tells
    std::string wns_pfn = "Contoso.Mdm_8wekyb3d8bbwe";
    mdm_urls urls;                           // empty ones are made from app_id, as an administrator enters them
    std::vector<std::string> redirect_uris;  // where users may be sent back to; empty: app_id's sign-in page
};

// A client secret that looks like Entra's; every one holds "s1mS3cret", so that a search finds any that leaked.
std::string make_client_secret();

// What a token shall say; see make() for what it says by itself.
struct token_order {
    enum class kind { user, device, app } who = kind::user;
    std::string upn;        // of a user of the directory, for `user`
    std::string device_id;  // claim deviceid; mandatory for `device`
    std::string version = "2.0";
    boost::json::object claims;  // laid over the claims; null removes one
    boost::json::object header;
    std::chrono::seconds lifetime{3600};
    enum class signer { current, previous, foreign } key = signer::current;  // foreign: a key that no JWKS names
    signature how = signature::rs256;
};
// {"kind","upn","device_id","version","claims","header","lifetime_s","sign_with":"current|previous|foreign|none|hs256|
// broken"}. Errors: malformed.
[[nodiscard]] result<token_order> parse_token_order(boost::json::object const&);

// One token request or Graph call that changes something, as the tenant saw it. Never holds a secret or a token.
struct log_entry {
    time_point at;
    std::string what;  // "token", "graph"
    std::string method, path;
    int status = 0;
    boost::json::value body;  // of a token request: its fields but the credential, and key_id of the credential's
    std::string client_request_id;
};
boost::json::object as_json(log_entry const&);

// What a sender of pushes is registered with at the notification service, and where it gets its tokens.
struct wns_account {
    std::string token_url, sid, secret, pfn;
};
// One notification that was asked for, whatever became of it.
struct wns_push {
    time_point at;
    std::string channel, device;  // the device's ID; empty: no such channel
    int status = 0;
    std::string ttl, cache_policy;  // X-WNS-TTL, X-WNS-Cache-Policy
    std::size_t octets = 0;
};
boost::json::object as_json(wns_push const&);

// All functions may be called by any thread at any time after start().
class tenant {
public:
    explicit tenant(tenant_options);
    tenant(tenant const&) = delete;
    tenant& operator=(tenant const&) = delete;
    ~tenant();

    void start();  // throws where the address cannot be had
    void stop();

    std::string url() const;        // "https://localhost:PORT": the control API, and whatever has no host of its own
    std::string login_url() const;  // url() or "https://LOGIN_HOST"
    std::string graph_url() const;  // likewise
    std::string address() const;    // "127.0.0.1:PORT", where all of them are served
    std::string ca_pem() const;     // what to trust for it
    std::string control_token() const;
    std::string tenant_id() const;
    std::string client_id() const;
    std::string app_id() const;
    std::string secret() const;  // the first one

    // Names that are there already are an error (conflict), members that are not there not_found.
    [[nodiscard]] result<user> add_user(std::string upn, std::string display_name = {}, std::string id = {});
    [[nodiscard]] result<group> add_group(
        std::string name, std::vector<std::string> const& members = {}, std::string id = {});
    [[nodiscard]] result<void> add_member(std::string const& group_id_or_name, std::string const& member);
    // False: no such user.
    bool set_user_enabled(std::string const& id_or_upn, bool);
    bool remove_user(std::string const& id_or_upn);
    // Registers a Windows device for a user. `trust`: "joined" or "workplace".
    [[nodiscard]] result<entra_device> add_device(std::string const& upn, std::string name, std::string const& trust,
        std::string os_version = {}, std::string os = "Windows");
    bool remove_device(std::string const& device_id);
    // Graph knows nothing of it until it is shown again, as of one that Entra has not got round to yet. False: no such
    // device.
    bool hide_device(std::string const& device_id, bool hidden);
    std::vector<entra_device> devices() const;

    // A user's token has what Entra puts in for an MDM application: aud, iss, tid, oid, sub, scp mdm_delegation, upn
    // or preferred_username, deviceid where one is given, and the times. Errors: not_found (user), malformed.
    [[nodiscard]] result<std::string> make(token_order const&);

    // A new current key; the previous one stays in the JWKS unless told otherwise. Returns the new kid.
    std::string rotate_keys(bool keep_previous = true);
    std::string add_secret(std::string value, time_point ends);  // returns its key id
    // "valid", "refused", "expired", "removed". False: no such secret.
    bool set_secret(std::string const& value, std::string const& state);
    // Registers a certificate with the application; returns its thumbprint, SHA-1 in upper-case hex. `ends`: another
    // end than the certificate's own. Errors: malformed, conflict (registered already).
    [[nodiscard]] result<std::string> add_certificate(std::string_view pem, std::optional<time_point> ends = {});
    // As set_secret, by thumbprint in either case.
    bool set_certificate(std::string const& thumbprint, std::string const& state);
    void set_roles(std::set<std::string>);  // of Graph tokens from now on
    void set_mdm_urls(mdm_urls);            // empty ones stay
    // The sign-in page sends every user back with this error of OAuth's from now on, "access_denied", and this code;
    // an empty one: no longer.
    void refuse_sign_ins(std::string error, int aadsts);

    wns_account wns() const;
    std::vector<wns_push> pushes() const;
    // A channel of that device for an application; the same again until it has expired. Errors: malformed (no such
    // package family name).
    [[nodiscard]] result<std::string> open_channel(std::string const& pfn, std::string const& device_id);
    bool expire_channel(std::string const& uri);  // false: there is none
    void drop_wns_tokens();                       // none is good any more

    void add_fault(fault_rule);
    void clear_faults();
    std::vector<log_entry> log() const;

    struct impl;

private:
    std::unique_ptr<impl> impl_;
};

}  // namespace mdmd::sim
