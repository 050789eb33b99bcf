// The wap-provisioningdoc that makes a Windows device ours. Pure.
// Source: [MS-MDE2] section 2.2.9, CertificateStore, w7 APPLICATION and DMClient configuration service providers
#pragma once
#include <chrono>
#include <optional>
#include <string>

#include "core/secret.hpp"
#include "crypto/crypto.hpp"

namespace mdmd::enroll {

inline constexpr char provider_id[] = "mdmd";

struct digest_account {
    std::string name;
    secret password;
    std::string nonce;  // raw bytes
};

struct provisioning {
    crypto::certificate root;
    crypto::certificate issuing;
    crypto::certificate device;
    bool device_store;              // true: My/System (EnrollmentType=Device), false: My/User (Full)
    std::string device_id;          // EntDMID and the certificate's CN
    std::string device_name;        // EntDeviceName
    std::string upn;                // empty: not written
    std::string management_url;     // ADDR
    std::string app_id;             // AADResourceID: what user tokens in sessions are for
    std::string name;               // shown in Settings
    digest_account server_account;  // AAUTHLEVEL CLIENT: the server to the device; its name is not written
    digest_account device_account;  // AAUTHLEVEL APPSRV
    std::chrono::seconds renewal_window;
    std::chrono::seconds poll;
};

// Root, CA and My in one CertificateStore, WSTEP/Renew, APPLICATION w7, DMClient. First hour quick (15 min × 5,
// then 60 min × 8), then every `poll` without end; minutes rounded up, at least 1. RenewPeriod is renewal_window in
// whole days, 1 to 1000: never more than the window, where it has a day, so that Windows does not ask too early. No XML
// declaration, as in the samples of [MS-MDE2]. Controls and broken UTF-8 in the three names people give (name,
// device_name, upn) are escaped visibly.
//
// Throws std::logic_error if one of the others holds a character that XML cannot carry.
std::string provisioning_document(provisioning const&);

// What a renewal changes on the device.
struct renewed {
    crypto::certificate device;
    bool device_store;  // that of the certificate before
    // Those of the new certificate's chain that the device has not got from us yet.
    std::optional<crypto::certificate> root, issuing;
    std::chrono::seconds renewal_window;
};

// The document of a renewal: CertificateStore, with PrivateKeyContainer inside the certificate's node as the samples of
// renewals have it, and WSTEP/Renew; APPLICATION with its PROVIDER-ID alone. [MS-MDE2] section 3.5
std::string renewal_document(renewed const&);

// "Subject=CN%3D{id}&Stores=My%5CSystem": before XML escaping.
std::string certificate_search_criteria(std::string_view device_id, bool device_store);

}  // namespace mdmd::enroll
