// A simulated Windows device: joins the tenant, enrolls, and has management sessions, over real sockets and TLS. Its
// state lives in a folder: device.json, and key and certificates as PEM, readable by the owner alone.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "control_client.hpp"
#include "csp_tree.hpp"
#include "msi_install.hpp"
#include "pki.hpp"
#include "soap.hpp"
#include "syncml_client.hpp"

namespace mdmd::sim {

struct network {
    std::string server_ca_pem;                      // trusted for the management server
    std::map<std::string, std::string> connect_to;  // "mdm.contoso.com:443" -> "127.0.0.1:8443"
    std::chrono::milliseconds timeout{30'000};
};

struct join_options {
    std::optional<tenant_access> tenant;  // absent: `user_token` is used, and nothing is registered
    std::string user_token;
    std::string user;  // UPN
    bool corporate = true;
    std::string terms_url;  // empty: no Terms of Use
    std::string discovery_url;
    bool accept_terms = true;
    bool first_run = true;
    std::string pin;
    std::string os_version = "10.0.22631.3447";
    std::string os_edition = "4";  // Enterprise
    std::string name = "DESKTOP-SIM";
    std::string request_version = "4.0";
    std::string token_version = "2.0";
    boost::json::object token_claims;  // laid over the token's at Terms of Use and enrollment alike
    std::string token_kind = "user";   // "device": of the device alone, at enrollment
    std::string password;              // not empty: OnPremise, nothing is registered in the tenant
    bool federated = false;            // the user signs in on the server's page; nothing is registered
    std::vector<std::string> auth_policies{"OnPremise", "Federated"};  // offered to the server
    std::optional<std::string> enrollment_data;                        // instead of the blob that the Terms of Use gave
    context_items more_context;  // added to the request's; an empty value removes one of that name
    oddities odd;
    std::optional<private_key> key;  // RSA, made beforehand; absent: a new one
    network net;
};

struct renew_options {
    token_form form = token_form::pkcs7;
    bool user_name = true;             // the header has a user name with an empty password; without: nothing
    bool without_certificate = false;  // in TLS
    bool by_previous = false;          // signed, and shown in TLS, is the certificate before the last renewal
    bool same_key = false;             // for the key that the device has already
    bool lose_reply = false;           // the answer never arrives; the request is remembered
    bool again = false;                // the request whose answer was lost
    std::optional<identity> sign_with, connect_with;  // instead of the device's own
    std::optional<std::string> signed_request;        // instead of a PKCS#7: any bytes
    oddities odd;
    network net;
};

struct join_report {
    std::optional<enroll_failure> failure;
    std::string entra_device_id, device_id;  // the second: SyncML's, and the context item DeviceID
    std::string thumbprint, management_url;
    std::vector<std::string> steps;  // what was done, in order
};

// What becomes of commands that set something going.
struct behaviour {
    int lock_status = 405;    // of RemoteLock on a desktop: 405, 500, or 200
    int rotation_status = 0;  // what RotateRecoveryPasswordsStatus says in the session after: 0, or an error code
    std::set<std::string> drops_at;  // "unenroll", "reboot", "wipe": the session ends without an answer to it
    bool says_goodbye = true;        // after an Unenroll, a session with the alert of it
    install_options install;
};

struct sync_options {
    std::string login_status = "user";
    std::optional<tenant_access> tenant;  // for the user's token, which goes with every message of an Entra device
    std::string user;                     // whose; empty: the enrolling user
    std::string user_token;               // instead of one of the tenant's
    bool token_in_alert = false;          // com.microsoft/MDM/AADUserToken instead of the header
    bool token_in_both = false;           // in the alert and in the header
    // Asked for by the node ForceAadToken (1: DeviceToken header, 4: as Bearer), or ordered here.
    bool device_token_header = false, device_token_as_bearer = false;
    std::string device_token;      // instead of one of the tenant's
    std::string sync_type;         // "user", "device", "mixed": com.microsoft.mdm.synctype; empty: no such alert
    int absent_user_status = 405;  // of ./User commands without their user: 405 or 500
    // UserAgentOrigin, from SyncApplicationVersion 4.0 on; empty: 3 where server_initiated, else 1.
    std::vector<int> origins;
    std::optional<std::string> mode;  // of the query; empty: without it. Absent: Machine where login_status is "none"
    std::vector<client_alert> alerts;
    bool unenroll = false;  // the user removes the account
    bool server_initiated = false;
    std::size_t max_msg_size = 0, max_obj_size = 0;  // announced where not 0
    std::size_t own_message_size = 0;                // limit of our messages where not 0
    // Credentials by MD5 with the nonce that is kept, before the server asks. Absent: where no certificate is shown.
    std::optional<bool> digest_at_once;
    bool challenge_server = false;  // 407 until the server shows its credentials
    std::string spoiled_digest;     // "password", "nonce": what is wrong about our credentials
    bool sign = false;              // MDM-Signature, also without RequireMessageSigning
    std::string sign_header = "MDM-Signature";
    bool spoiled_signature = false;  // of other bytes
    behaviour does;
    bool without_certificate = false;
    bool previous_certificate = false;  // that before the last renewal
    session_faults faults;
    network net;
};

class device {
public:
    // The device of that folder; a folder without one gets a new device, with new identifiers.
    explicit device(std::filesystem::path directory);
    device(device const&) = delete;
    device& operator=(device const&) = delete;
    ~device();

    join_report join(join_options const&);
    // One session. After an Exec of Unenroll, a second one that says goodbye.
    session_report sync(sync_options const&);
    // A new key and certificate by the old one (ROBO). `report.failure` as for join. The old one is kept until a
    // session with the new one has come to its end.
    join_report renew(renew_options const&);
    // Waits until the tenant's WNS was asked to wake this device, since the last call. Errors: not_found (no channel
    // is open), unavailable (nothing came in time).
    result<void> wait_for_push(tenant_access const&, std::chrono::milliseconds timeout);

    // "new", "enrolled", "unenrolled", "wiped"
    std::string state() const;
    bool enrolled() const { return state() == "enrolled"; }
    std::string device_id() const;                // 32 hex digits
    std::string entra_device_id() const;          // empty before the join
    std::optional<identity> credentials() const;  // certificate and key; nothing before the join
    std::optional<identity> previous_credentials() const;
    csp_tree& tree();   // save() keeps what is changed; ./User is that of the user of the last session
    int boots() const;  // how often it was started
    void save() const;
    boost::json::object describe() const;  // state, identifiers, addresses, nodes; no secrets

    // Any bytes to any address of the server, with the device's certificate where it has one.
    result<http::response> raw(http::call, network const&) const;

    struct impl;

private:
    std::unique_ptr<impl> impl_;
};

boost::json::object as_json(enroll_failure const&);
boost::json::object as_json(join_report const&);
boost::json::object as_json(session_report const&);

}  // namespace mdmd::sim
