// A wap-provisioningdoc, read as Windows' provider would take it or refuse it.
// Source: [MS-MDE2] 2.2.9; CertificateStore, w7 APPLICATION and DMClient configuration service providers
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pki.hpp"

namespace mdmd::sim {

struct app_account {  // an APPAUTH
    std::string level, type, name, secret, data;
};

struct provisioned {
    std::optional<certificate> own, issuing, root;
    std::string provider_id, name, management_url;
    std::optional<app_account> server, client;     // AAUTHLEVEL CLIENT and APPSRV
    std::map<std::string, std::string> dm_client;  // "EntDMID", "Poll/NumberOfFirstRetries" …: all parms
    std::map<std::string, std::string> renewal;    // parms of My/WSTEP/Renew
};

struct provisioning_failure {
    std::uint32_t hresult;  // 0x8018001E certificate store, 1F w7, 20 DMClient, 22 others, 24 the client certificate
    std::string text;
};

struct provisioning_expectation {
    bool device_store;           // EnrollmentType=Device: My/System; Full: My/User
    std::string public_key_der;  // of the request
    bool renewal = false;  // the short document of a renewal: CertificateStore, and APPLICATION with PROVIDER-ID alone
    std::optional<certificate> known_root, known_issuing;  // renewal: those of before, where the document has none
    std::string known_provider;                            // renewal: whom the device is enrolled at
    std::optional<certificate> known_own;                  // renewal: what is renewed
};

struct provisioning_result {
    provisioned what;
    std::vector<provisioning_failure> failures;  // empty: Windows takes it
};
provisioning_result read_provisioning(std::string_view document, provisioning_expectation const&);

}  // namespace mdmd::sim
