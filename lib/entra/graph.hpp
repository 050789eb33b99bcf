// What is asked of Entra's token endpoint and of Microsoft Graph, and what their answers say: values only.
#pragma once
#include <optional>
#include <string>
#include <string_view>

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

// Client credentials with a secret; scope {graph_url}/.default. [management E.2]
http::call token_request(application const&, secret const& key);

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

// What an AADSTS code means and what to do, from management F.4; nullptr for a code not known.
struct code_text {
    int code;
    char const* meaning;
    char const* remedy;
    bool credential_is_wrong;
};
code_text const* find_code(int code);

// GET /v1.0/devices?$filter=deviceId eq '…'&$select=id,deviceId
http::call find_device(
    application const&, access_token const&, std::string_view device_id, std::string client_request_id);
// The object id, or nullopt where Graph knows no such device. Errors: malformed, unavailable (an error status).
[[nodiscard]] result<std::optional<std::string>> parse_found_device(http::response const&);

// PATCH /v1.0/devices/{object_id} {"isManaged":…,"isCompliant":…}
http::call report_compliance(application const&, access_token const&, std::string_view object_id, bool is_managed,
    bool is_compliant, std::string client_request_id);

struct graph_error {
    std::string code;  // "Request_ResourceNotFound"
    std::string message;
    std::string request_id;
};
graph_error parse_graph_error(http::response const&);
// Retry-After in seconds, fractions included, or as an HTTP date; at most a day.
std::optional<std::chrono::milliseconds> retry_after(http::response const&, time_point now);

}  // namespace mdmd::entra
