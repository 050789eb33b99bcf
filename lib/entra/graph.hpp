// What is asked of Entra's token endpoint and of Microsoft Graph, and what their answers say: values only.
#pragma once
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/credential.hpp"
#include "core/http_message.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"

namespace mdmd::entra {

struct application {
    std::string login_url;  // "https://login.microsoftonline.com"
    std::string graph_url;  // "https://graph.microsoft.com"
    std::string tenant_id;
    std::string client_id;
};

// How the owner of a certificate signs its assertion: PS256 with `x5t#S256`, or RS256 with `x5t`.
enum class assertion_form { ps256, rs256 };
// Client credentials, scope {graph_url}/.default. [RFC 6749 4.4] A certificate is proven by a fresh assertion, valid
// for ten minutes from `now`. The body holds the secret: wipe it after use. Errors: malformed (no credential at all,
// the certificate or its key cannot be used, or they are no pair).
[[nodiscard]] result<http::call> token_request(application const&, credential const&, assertion_form, time_point now);

struct access_token {
    secret text;
    time_point expires;
};
// What stopped us, for the operator: the AADSTS code with its meaning and remedy, and the ids that Microsoft's
// support asks for. Never the request.
struct token_refusal {
    int http_status = 0;
    std::string error;  // "invalid_client"
    int code = 0;       // 7000222; 0 where none was given
    std::string meaning;
    std::string remedy;
    std::string trace_id;
    std::string correlation_id;
    bool credential_is_wrong = false;  // trying again without a change is useless: wait 15 min or for a reload
    std::optional<std::chrono::milliseconds> retry_after;
    std::string summary() const;  // one line
};
struct token_answer {
    std::optional<access_token> token;
    token_refusal refusal;  // where there is no token
};
token_answer parse_token_answer(http::response const&, time_point now);

// What an AADSTS code means and what to do; nullptr for a code not known.
struct code_text {
    int code;
    char const* meaning;
    char const* remedy;
    bool credential_is_wrong;
};
code_text const* find_code(int code);
// Does the code say that this very credential is refused (wrong, expired, its certificate unknown), so that another
// one may be taken? Where the application, the tenant or the request is at fault, another one is refused as well.
bool successor_may_help(int code);

// One request of a batch.
struct batch_request {
    std::string method;
    std::string url;   // below /v1.0: "/devices/…"
    std::string body;  // JSON; empty: none
};
// GET /devices?$filter=deviceId eq '…'&$select=id,deviceId
batch_request find_device(std::string_view device_id);
// The object id, or nullopt where Graph knows no such device. Errors: malformed, unavailable (an error status).
[[nodiscard]] result<std::optional<std::string>> parse_found_device(http::response const&);
// PATCH /devices/{object_id} {"isManaged":…,"isCompliant":…}
batch_request report_compliance(std::string_view object_id, bool is_managed, bool is_compliant);

inline constexpr std::size_t most_in_batch = 20;
// POST /v1.0/$batch. At most most_in_batch requests.
http::call batch(
    application const&, access_token const&, std::span<batch_request const>, std::string client_request_id);
// What was answered to each request, in their order; nullopt where nothing was, or nothing that makes sense. Of several
// answers to one request the first counts. Errors: malformed.
[[nodiscard]] result<std::vector<std::optional<http::response>>> parse_batch(
    http::response const&, std::size_t requests);

// POST /v1.0/users/{user_id}/getMemberGroups: groups of every kind, through other groups too.
http::call member_groups(
    application const&, access_token const&, std::string_view user_id, std::string client_request_id);
struct group_page {
    std::vector<std::string> groups;  // object IDs, lower case
    std::string next;                 // where the list goes on; empty: it is whole
};
// Errors: forbidden (403; says which permissions are missing), not_found (404: Graph knows no such user), malformed
// (the next page's address not being Graph's included), unavailable (another status).
[[nodiscard]] result<group_page> parse_member_groups(application const&, http::response const&);
// GET of a page's `next`.
http::call next_member_groups(access_token const&, std::string next, std::string client_request_id);

// GET /v1.0/devices(deviceId='…')/registeredOwners?$select=id: who joined or registered the device; at most one today.
http::call registered_owners(
    application const&, access_token const&, std::string_view device_id, std::string client_request_id);
// Object IDs, lower case. Errors: forbidden (403; says which permission is missing), not_found (404: Entra has no such
// device), malformed, unavailable (another status).
[[nodiscard]] result<std::set<std::string>> parse_registered_owners(http::response const&);

// GET /v1.0/users/{user_id}?$select=id,accountEnabled
http::call read_account(
    application const&, access_token const&, std::string_view user_id, std::string client_request_id);
enum class account_state { enabled, disabled, gone };
// Errors: forbidden (403; says which permission is missing), malformed, unavailable (another status).
[[nodiscard]] result<account_state> parse_account(http::response const&);

// GET /v1.0/applications(appId='…')?$select=…
http::call read_application(application const&, access_token const&, std::string client_request_id);

// One of the application's credentials, as Graph lists them.
struct application_key {
    bool certificate = false;
    std::string key_id;      // GUID
    std::string name;        // as the administrator called it
    std::string hint;        // of a secret: its first three characters; may be empty
    std::string thumbprint;  // of a certificate: 40 or 64 upper-case hex digits, SHA-1 or SHA-256; may be empty
    time_point ends;
};
struct registration {
    std::vector<std::string> identifier_uris;  // the application ID URIs
    std::vector<application_key> keys;
};
// Keys without an end that can be read are left out, and so are certificates for anything but signing in.
// Errors: forbidden (403), not_found (404: Graph knows no such application), malformed, unavailable (another status).
[[nodiscard]] result<registration> parse_application(http::response const&);
// When this credential ends: by its hint or thumbprint; where several have the same, the first of them to end that has
// not ended by `now`, or where all of them have, the last. nullopt: it is not among them.
std::optional<time_point> end_of(credential const&, registration const&, time_point now);

// The application permissions that Entra put into a token (claim `roles`), for the administrator's eyes: whether they
// suffice is Graph's to say. Empty where the token cannot be read.
std::set<std::string> roles_of(access_token const&);

// GET /beta/policies/mobileDeviceManagementPolicies/{client_id}
http::call read_mdm_policy(application const&, access_token const&, std::string client_request_id);
// The addresses that the administrator entered for this MDM application; empty where one is not set.
struct mdm_urls {
    std::string terms_of_use_url;
    std::string discovery_url;
    std::string compliance_url;
};
// Errors: as parse_application's.
[[nodiscard]] result<mdm_urls> parse_mdm_policy(http::response const&);

struct graph_error {
    std::string code;  // "Request_ResourceNotFound"
    std::string message;
    std::string request_id;
};
graph_error parse_graph_error(http::response const&);
// Retry-After in seconds, fractions included, or as an HTTP date; at most a day.
std::optional<std::chrono::milliseconds> retry_after(http::response const&, time_point now);
// What the server's clock said when it answered, in whole seconds; nullopt where it did not tell.
std::optional<time_point> date_of(http::response const&);

}  // namespace mdmd::entra
