// What an administrator sees and does.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "compliance/compliance.hpp"
#include "service/appliance.hpp"
#include "store/compliance.hpp"
#include "store/enrollment.hpp"
#include "store/management.hpp"

namespace mdmd::service {

struct status_view {
    struct {
        std::int64_t total = 0, compliant = 0, noncompliant = 0, in_grace_period = 0, unknown = 0;
    } devices;
    struct {
        std::optional<time_point> last_success;
        std::int64_t queued = 0;
        std::string last_error;  // empty: none
    } report;
    struct {
        std::string source;  // "file", "inline", "systemd credential"
        std::optional<time_point> ends;
        std::string state;
    } key;
    std::optional<time_point> tls_certificate_ends;
    time_point authority_ends;
    bool store_healthy = true;
};
status_view status(appliance&);

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
    std::vector<store::fact> facts;
    std::vector<store::certificate> certificates;
    std::optional<store::report> report;
};
[[nodiscard]] result<device_details> details(appliance&, std::string_view id_or_name);

struct new_command {
    std::string verb, uri, format;
    std::optional<std::string> value;
};
// Queues it for the device's next message; durable when this returns. Errors: not_found, conflict (not enrolled,
// name not unique), malformed (verb, URI, format, a value that is missing or too much).
[[nodiscard]] result<store::command> send(appliance&, std::string_view id_or_name, new_command);
[[nodiscard]] result<std::vector<store::command>> commands(appliance&, std::string_view id_or_name);

struct compliance_view {
    store::device device;
    std::optional<compliance::verdict> verdict;
    std::optional<store::report> report;
};
std::vector<compliance_view> compliance_states(appliance&);

std::vector<store::event> events(appliance&);
[[nodiscard]] result<store::event> event(appliance&, std::string_view id);

}  // namespace mdmd::service
