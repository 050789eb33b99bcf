// The enrollment messages of MS-MDE2, MS-XCEP and MS-WSTEP from the client's side: requests as Windows writes them,
// answers read as strictly as Windows might.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/http_message.hpp"

namespace mdmd::sim {

// Why an enrollment ended, as the person in front of the device and the administrator would look for it.
struct enroll_failure {
    std::string step;  // "terms", "register", "token", "probe", "discovery", "policy", "enrollment", "provisioning"
    std::string text;
    int http_status = 0;
    std::string subcode, error_type, trace_id;  // of a SOAP fault
    std::uint32_t hresult = 0;                  // 0: none
    std::string location;                       // of a Terms of Use redirect that refuses
};

struct soap_header {
    std::string action, message_id, to;
    std::string credential;  // wsse:Security's content, XML
};
std::string discover_request(std::string const& message_id, std::string const& to, std::string const& email,
    std::string const& request_version, std::string const& os_version, std::string const& os_edition,
    std::vector<std::string> const& auth_policies);
std::string policies_request(std::string const& message_id, std::string const& to, std::string const& credential);
using context_items = std::vector<std::pair<std::string, std::string>>;
// What the body carries: a PKCS#10 that is to be issued for, or a PKCS#7 that is to be renewed by.
enum class token_form {
    pkcs10,
    pkcs7,            // of WS-Security's namespace
    pkcs7_microsoft,  // of Microsoft's
    pkcs7_twice,      // as pkcs7, base64 of base64
};
std::string token_request(std::string const& message_id, std::string const& to, std::string const& credential,
    std::string const& token_der, context_items const&, token_form = token_form::pkcs10);

// How clients differ in what they write; a server must not mind. [MS-MDE2] 3
struct oddities {
    bool constant_message_ids = false;  // of all messages and all devices
    bool spaced_message_ids = false;    // "urn:uuid: 7481…"
    bool slash_namespaces = false;      // Microsoft's namespaces end in a slash
    bool no_slash_namespace = false;    // that of Discover does not, as it otherwise does
    bool default_namespaces = false;    // instead of prefixes
    bool prefixed_attributes = false;   // wsse:ValueType, ac:Name
    bool white_space = false;           // around values
    bool wrapped_base64 = false;        // lines of 64 characters
    bool capital_booleans = false;      // "True"
    bool required_items_only = false;   // of the context
    bool repeated_items = false;        // MAC and IMEI
    bool unknown_items = false;
    bool sha1_request = false;
    bool utf16_token = false;  // the credential's text before base64
    std::string query;         // added to every address: "?api-version=1.0"
    std::string user_agent = "ENROLLClient";
};
// The message as such a client writes it.
std::string written_oddly(std::string soap, oddities const&);

std::string jwt_credential(std::string const& jwt);
std::string user_token_credential(std::string const& token);  // a DeviceEnrollmentUserToken: what a sign-in page gave
std::string username_credential(std::string const& user, std::string const& password);

struct discovered {
    std::string auth_policy, version, policy_url, enrollment_url, authentication_url;
};
struct certificate_policy {
    int minimal_key_length = 2048;
    long validity_s = 0, renewal_s = 0;
    std::string hash_oid;
};

// Each takes the whole HTTP answer; the failure's step is the caller's to name.
template <class T> struct answer {
    std::optional<T> value;
    enroll_failure failure;  // where there is no value
};
answer<discovered> read_discovery(http::response const&, std::string const& message_id,
    std::string const& request_version, std::vector<std::string> const& offered);
answer<certificate_policy> read_policies(http::response const&, std::string const& message_id);
// The provisioning document.
answer<std::string> read_token_response(http::response const&, std::string const& message_id);

}  // namespace mdmd::sim
