// MS-MDE2 over SOAP: discovery, MS-XCEP, MS-WSTEP. Requests in, values out; values in, answers out. Pure.
// Lenient in: namespaces with and without a trailing slash, prefixed and unprefixed attributes, white space around
// values, wrapped base64, repeated and unknown context items. Strict out.
// Source: [MS-MDE2] sections 3.1, 3.3, 3.4; [MS-XCEP]; [MS-WSTEP]
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/error.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"

namespace mdmd::enroll {

// The credential in a request's wsse:Security header.
struct no_credential {};
struct entra_token {
    secret jwt;  // the compact JWS, base64 taken off
};
struct user_token {  // DeviceEnrollmentUserToken that is no JWT
    secret text;
};
struct username_token {
    std::string username;
    secret password;  // may be empty: no attempt to authenticate
};
struct certificate_token {};    // X509v3 or a ds:Signature
struct unreadable_credential {  // a token that is none of these or not base64, or several
    std::string why;            // never quotes a credential
};
using credential =
    std::variant<no_credential, entra_token, user_token, username_token, certificate_token, unreadable_credential>;

struct discover_request {
    std::string message_id;  // a:MessageID, verbatim; empty where absent
    std::string email;
    std::string request_version;  // "4.0"
    std::string device_type;
    std::string application_version;
    std::string os_edition;
    std::string os_version;                  // few clients tell it here
    std::vector<std::string> auth_policies;  // "OnPremise", "Federated", "Certificate"
};
struct policies_request {
    std::string message_id;
    credential who;
};
struct context_item {
    std::string name, value;  // trimmed
};
struct token_request {
    std::string message_id;
    credential who;
    std::string request_type;  // "Issue", "Renew", "Recovery"
    std::string value_type;    // of the body's BinarySecurityToken
    std::string binary;        // its content, base64 taken off: a PKCS#10, or for Renew a PKCS#7, DER
    std::vector<context_item> context;
    // The first item of that name (compared without regard to case), or "".
    std::string_view item(std::string_view name) const;
    bool item_is_true(std::string_view name) const;  // "true", "True", "1"
};

// The request's a:MessageID if the text is XML and has one, else "": for the RelatesTo of a fault to a message that
// could not be read.
std::string message_id_of(std::string_view soap);

// Errors of all three: malformed (not XML, not the SOAP 1.2 message that is expected, another operation's a:Action, a
// mandatory element or item missing), too_large (xml limits).
// Discover: EmailAddress, RequestVersion and one AuthPolicy are mandatory.
// GetPolicies: client is.
// RequestSecurityToken: RequestType must be one of the three. Issue needs a PKCS#10 body token and the context items
// DeviceID, EnrollmentType, DeviceType and OSVersion; Renew needs a PKCS#7 body token and no item; Recovery needs
// neither.
[[nodiscard]] result<discover_request> parse_discover(std::string_view soap);
[[nodiscard]] result<policies_request> parse_policies_request(std::string_view soap);
[[nodiscard]] result<token_request> parse_token_request(std::string_view soap);

struct discover_answer {
    std::string auth_policy = "Federated";
    std::string enrollment_version;  // see version_for
    std::string policy_url;
    std::string enrollment_url;
    std::string authentication_url;  // of the sign-in page; empty: there is none
};
// "4.0" for a request of 4.0 or more and for one that cannot be read, else "3.0", the first of Windows 10.
std::string version_for(std::string_view requested);

// Answers throw std::logic_error if a value holds a character that XML cannot carry; a parsed message_id never does.

// `correlation` is a GUID of ours for ActivityId and the log.
std::string discover_response(discover_answer const&, std::string_view message_id, std::string_view correlation);

struct certificate_policy {
    std::chrono::seconds validity;
    std::chrono::seconds renewal;  // before the end
};
std::string policies_response(certificate_policy const&, std::string_view message_id);
// The RSTR collection around a provisioning document. `now` for the Timestamp, which spans 5 min either way.
std::string token_response(std::string_view provisioning_document, std::string_view message_id, time_point now);

// --- Refusals --------------------------------------------------------------------------------------------------
// Every way in which an enrollment fails on our side. One table gives each its SOAP subcode, ErrorType, Windows'
// HRESULT and constant, and Graph's failureCategory, so that the four never disagree.
enum class refusal {
    message_format,       // s:MessageFormat
    authentication,       // s:Authentication
    authorization,        // s:Authorization
    certificate_request,  // s:CertificateRequest
    enrollment_server,    // s:EnrollmentServer: the store
    internal,             // a:InternalServiceFault
    invalid_security,     // a:InvalidSecurity
    device_cap_reached,
    device_not_supported,
    not_supported,
    not_eligible_to_renew,
    in_maintenance,
    user_license,
    invalid_enrollment_data,
    custom,  // CustomServerError: the administrator's own text, which Windows 10 20H2 and later show
};
struct refusal_facts {
    refusal what;
    char const* subcode;     // "s:Authorization"
    char const* error_type;  // "DeviceCapReached", or nullptr where the subcode says it all
    std::uint32_t hresult;   // 0x80180013
    char const* constant;    // "MENROLL_E_DEVICECAPREACHED"
    char const* category;    // Graph's deviceEnrollmentFailureReason: "enrollmentRestrictionsEnforced"
    char const* text;        // what the user's administrator reads: "device cap reached"
};
refusal_facts const& facts(refusal);
std::span<refusal_facts const> refusals();  // all of them

enum class operation { discover, get_policies, request_token };
// A SOAP 1.2 fault with its Detail; `text` replaces the table's if not empty, escaped like a log line and cut at 512
// bytes. HTTP status 500 is the caller's.
std::string fault(operation, refusal, std::string_view text, std::string_view message_id, std::string_view trace_id);

}  // namespace mdmd::enroll
