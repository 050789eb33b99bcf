// Repositories of what enrollment leaves: consents, devices.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/secret.hpp"
#include "store/connection.hpp"

namespace mdmd::store {

// --- meta: single values of the installation -------------------------------------------------------------------
std::optional<std::string> get_meta(connection&, std::string_view name);
void set_meta(connection&, std::string_view name, std::string_view value);

// --- consent ---------------------------------------------------------------------------------------------------
struct consent {
    std::string id;  // SHA-256 of the blob, hex
    std::string user_id, upn;
    std::string ownership;  // "corporate", "personal"
    std::string client_request_id;
    std::string text_version, language;  // of the text that was shown; BCP 47
    time_point accepted, expires;
    std::optional<std::string> device_id;  // whose enrollment used it
    std::optional<time_point> used;
};
bool add_consent(connection&, consent const&);  // false: there is one of that id already
std::optional<consent> find_consent(connection&, std::string_view id);
bool use_consent(connection&, std::string_view id, std::string_view device_id, time_point now);  // false: used before

// Newest first: of the user of this UPN or object ID, in lower case; empty: of all.
std::vector<consent> list_consents(connection&, std::string_view user);

// --- device ----------------------------------------------------------------------------------------------------
struct device {
    std::string id;
    std::string mdm_device_id, hardware_id;
    std::string entra_device_id;  // empty until known
    std::string user_id, upn;
    std::string ownership;        // "corporate", "personal"
    std::string enrollment_type;  // "Device", "Full"
    std::string name, os_version, os_edition;
    std::string correlation_id;
    std::string state = "enrolled";  // "enrolled", "unenrolled", "replaced"
    time_point enrolled;
    secret server_secret, device_secret;
    std::string server_nonce, device_nonce;  // base64
};
void add_device(connection&, device const&);
std::optional<device> find_device(connection&, std::string_view id);
// By id, Entra device ID or name, whatever is unique among enrolled devices first. Several: all of them.
std::vector<device> find_devices(connection&, std::string_view id_or_name);
std::vector<device> list_devices(connection&);
std::vector<device> find_enrolled_hardware(connection&, std::string_view hardware_id);
std::vector<device> find_enrolled_entra(connection&, std::string_view entra_device_id);
std::int64_t count_enrolled(connection&, std::string_view user_id);
void remove_device(connection&, std::string_view id);  // with its certificates, settings, facts, commands
void set_device_state(connection&, std::string_view id, std::string_view state);
void set_device_details(connection&, std::string_view id, std::string_view name, std::string_view os_version);
void set_entra_device_id(connection&, std::string_view id, std::string_view entra_device_id);

}  // namespace mdmd::store
