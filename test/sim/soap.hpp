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
// `renew`: the token is a PKCS#7 and the request type Renew.
std::string token_request(std::string const& message_id, std::string const& to, std::string const& credential,
    std::string const& token_der, context_items const&, bool renew = false);

std::string jwt_credential(std::string const& jwt);
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
