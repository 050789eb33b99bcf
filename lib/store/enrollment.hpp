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
    // "retired" and "wiped": the device has taken the order; it may come once more, to say goodbye or to show that
    // nothing came of it.
    std::string state = "enrolled";  // "enrolled", "retired", "wiped", "unenrolled", "replaced"
    time_point enrolled;
    secret server_secret, device_secret;
    std::string server_nonce, device_nonce;  // base64
    std::string first_sync = "owed";         // what Windows' status page was told: "owed", "begun", "done"
};
void add_device(connection&, device const&);
std::optional<device> find_device(connection&, std::string_view id);
// By id, Entra device ID or name, whatever is unique among enrolled devices first. Several: all of them.
std::vector<device> find_devices(connection&, std::string_view id_or_name);
std::vector<device> list_devices(connection&);
std::vector<device> find_enrolled_hardware(connection&, std::string_view hardware_id);
std::vector<device> find_enrolled_entra(connection&, std::string_view entra_device_id);
// Those that took the order to end their management and have not said goodbye, of a computer (empty: unknown) or of a
// device of Entra's (empty: unknown).
std::vector<device> find_leaving(connection&, std::string_view hardware_id, std::string_view entra_device_id);
std::int64_t count_enrolled(connection&, std::string_view user_id);
void remove_device(connection&, std::string_view id);  // with its certificates, settings, facts, commands
void set_device_state(connection&, std::string_view id, std::string_view state);
void set_first_sync(connection&, std::string_view id, std::string_view stage);
void set_nonces(connection&, std::string_view id, std::string_view server_nonce, std::string_view device_nonce);
// The device of that SyncML Source that is enrolled, or has taken the order to end and not said goodbye (its
// certificates end with that). Several: the enrolled one, the newest.
std::optional<device> find_device_by_source(connection&, std::string_view mdm_device_id);
void set_device_details(connection&, std::string_view id, std::string_view name, std::string_view os_version);
void set_entra_device_id(connection&, std::string_view id, std::string_view entra_device_id);

// --- device_user -----------------------------------------------------------------------------------------------
struct device_user {
    std::string user_id, upn;
    time_point first_seen;
    std::string first_sync = "owed";  // as the device's own, for the user's part of the status page
};
void put_device_user(connection&, std::string_view device_id, device_user const&);
std::vector<device_user> list_device_users(connection&, std::string_view device_id);

// --- user_groups -----------------------------------------------------------------------------------------------
struct user_groups {
    std::string user_id;
    std::vector<std::string> groups;  // object IDs, lower case
    time_point fetched;
};
void put_user_groups(connection&, user_groups const&);
std::optional<user_groups> find_user_groups(connection&, std::string_view user_id);
void forget_user_groups(connection&);
// Users of enrolled devices whose groups were not read since `before`, never read ones first.
std::vector<std::string> users_to_look_up(connection&, time_point before, std::int64_t most);

}  // namespace mdmd::store
