// What an administrator sees and does.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "compliance/compliance.hpp"
#include "service/appliance.hpp"
#include "store/apps.hpp"
#include "store/certificates.hpp"
#include "store/commands.hpp"
#include "store/compliance.hpp"
#include "store/enrollment.hpp"
#include "store/events.hpp"
#include "store/management.hpp"

namespace mdmd::service {

// One of the application's keys.
struct key_view {
    std::string source;  // "file", "inline", "systemd credential", "certificate"; of the next key its file
    bool present = false;
    bool certificate = false;
    std::string state;  // "ok", "refused", "expired", "unproven"
    std::optional<time_point> ends;
    std::string end_source;  // as expiry::source
    struct {
        int code = 0;  // AADSTS; 0: none
        std::string meaning, remedy;
    } error;  // why it is not ok; empty texts: nothing is wrong
};
struct keys_view {
    key_view current, next;
    bool next_in_use = false;
    std::string end_problem;  // why Graph does not tell when they end
};
keys_view keys(appliance&);
// Tries all keys against the tenant, now.
keys_view test_keys(appliance&);
// Uses the next key from now on. Errors: not_found, forbidden, unavailable.
[[nodiscard]] result<keys_view> promote_key(appliance&);

struct status_view {
    struct {
        std::int64_t total = 0, compliant = 0, noncompliant = 0, in_grace_period = 0, unknown = 0, conflict = 0,
                     error = 0;
    } devices;
    struct {
        std::optional<time_point> last_success;
        std::int64_t queued = 0, parked = 0;
        std::optional<time_point> oldest;  // decision that Graph does not have, of those that are not parked
        std::string last_error;            // empty: none
        std::string held_up;               // what keeps the whole queue waiting; empty: nothing
    } report;
    key_view key;  // the one in use
    std::vector<expiry> ends;
    std::vector<store::reminder> reminders;
    bool store_healthy = true;
    bool maintenance = false;
    bool push = false;         // devices can be woken: management.push
    std::string push_problem;  // why they cannot; empty: nothing is known to be wrong
};
status_view status(appliance&);
// The same in one line, for systemd: what is wrong first.
std::string status_line(appliance&);
// Why reports are queued, the most frequent reason first, in Graph's words without those that are of one device.
std::vector<store::report_reason> why_queued(appliance&);

struct device_view {
    store::device device;
    std::optional<time_point> last_seen;
    std::string compliance;  // Graph's complianceState
};
std::vector<device_view> devices(appliance&);

// The one device that an administrator means: its id, Entra device ID or name. Errors: not_found, conflict (several
// enrolled devices have that name).
[[nodiscard]] result<store::device> find(appliance&, std::string_view id_or_name);

struct device_details {
    device_view summary;
    std::vector<store::setting> settings;
    std::vector<store::app> apps;
    std::vector<store::fact> facts;
    std::vector<store::certificate> certificates;
    std::optional<store::report> report;
    std::optional<store::entra_claim> claim;  // its own word which of Entra's devices it is, not confirmed
    std::vector<store::device_user> users;    // who were seen signed in
    std::optional<time_point> refreshed;      // when inventory and settings were last read whole
};
[[nodiscard]] result<device_details> details(appliance&, std::string_view id_or_name);

// The record goes, with all that is kept of the device: its certificates are trusted no more, and Entra is told that it
// is not managed. Durable when this returns. Errors: as find().
[[nodiscard]] result<store::device> remove(appliance&, std::string_view id_or_name);

struct new_command {
    std::string verb, uri, format;  // of send
    std::optional<std::string> value;
    std::string kind = "send";  // or an order's: policy::parse_order_kind
    std::string variant;        // of an order: policy::command_of
    std::string user;           // UPN or object ID of whom a ./User node is of; empty: who enrolled the device
    std::optional<std::chrono::seconds> ttl = {};  // not begun within that, it is cancelled
};
// Queues it for the device's next message, and wakes the device where that is set up; durable when this returns. A node
// below ./User waits until its user is signed in. Errors: not_found, conflict (not enrolled, name not unique),
// malformed (kind, verb, URI, format, a value that is missing or too much, a user who is not known on the device).
[[nodiscard]] result<store::command> send(appliance&, std::string_view id_or_name, new_command);
[[nodiscard]] result<std::vector<store::command>> commands(appliance&, std::string_view id_or_name);

// The enrolled devices that a condition holds for (selection::parse). Errors: malformed.
[[nodiscard]] result<std::vector<store::device>> select(appliance&, std::string_view where);
// The same command for all of them, in one write: all or none. `expected`: how many there must be, so that nobody wipes
// more than they meant; needed for orders that end a device's management. Errors: as send(), conflict (another number).
[[nodiscard]] result<std::vector<store::command>> send_to_all(
    appliance&, std::string_view where, new_command, std::optional<std::int64_t> expected);

// Takes back a command that no device has got yet. Errors: not_found, conflict.
[[nodiscard]] result<store::command> cancel(appliance&, std::string_view command_id);

struct planned_command {
    std::string verb, uri, format;
    std::optional<std::string> value;
    std::string what;  // "setting", "command", "fact", "first-sync", "app", "push"
};
struct session_plan {
    std::string user_id;  // who is taken to be signed in; empty: nobody
    std::string upn;      // empty: nobody, or it is not known, and what is filled in with it waits
    std::vector<planned_command> commands;
};
// What the device's next session would send first, in order, were `user` signed in (empty: of a work account who
// enrolled it, otherwise nobody). Errors: as find(), and malformed.
[[nodiscard]] result<session_plan> plan(appliance&, std::string_view id_or_name, std::string_view user);

// The kept management sessions of a device, oldest first. Errors: as find().
[[nodiscard]] result<std::vector<store::trace>> traces(appliance&, std::string_view id_or_name);

struct compliance_view {
    store::device device;
    std::optional<compliance::verdict> verdict;
    std::optional<store::report> report;
};
// Of all enrolled devices.
std::vector<compliance_view> compliance_states(appliance&);

struct compliance_details {
    compliance_view view;
    std::optional<time_point> last_seen;
    std::vector<compliance::reason> rules;  // all that are for this device, kept ones too
};
[[nodiscard]] result<compliance_details> compliance_of(appliance&, std::string_view id_or_name);

// Something that became of a device's compliance.
struct compliance_event {
    time_point at;
    std::string what;   // "state": it changed; "report": Graph took what it was told, or refused it
    std::string state;  // of the former, Graph's complianceState
    std::vector<compliance::reason> reasons;
    std::optional<store::told_report> report;  // of the latter
};
// Oldest first. Errors: as find().
[[nodiscard]] result<std::vector<compliance_event>> compliance_history(appliance&, std::string_view id_or_name);

// Newest first; of the user of this UPN or object ID, or of all.
std::vector<store::consent> consents(appliance&, std::string_view user);

std::vector<store::event> events(appliance&);
[[nodiscard]] result<store::event> event(appliance&, std::string_view id);

}  // namespace mdmd::service
