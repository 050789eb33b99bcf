// The report of one device to Graph: what is to be told, and what becomes of it. Pure.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "compliance/compliance.hpp"

namespace mdmd::compliance {

// What Entra is to be told of one device, and how far that is.
struct report {
    bool is_managed = true;
    bool is_compliant = false;
    enum class phase {
        waiting,  // nothing to tell, or the device's Entra ID is not known
        due,      // to be sent at next_try
        done,     // Graph has it
        parked,   // Graph refuses it: tried again at next_try, or when something changes
    } phase = phase::waiting;
    std::string object_id;  // Graph's id of the device, once resolved
    int attempts = 0;
    time_point next_try;
    std::string error;  // why it is not done: "403 Authorization_RequestDenied: …"
    std::optional<time_point> last_success;
    bool resolved_again = false;  // a 404 has been answered by one new look-up already
    bool operator==(report const&) const = default;
};
std::string_view name(enum report::phase);
std::optional<enum report::phase> parse_phase(std::string_view);

// The pair to tell has been decided (again). A changed pair, and one that Graph does not have, becomes due now.
report decided(report, bool is_managed, bool is_compliant, bool entra_id_known, time_point now);
// Everything reported is reported again after `refresh`; what is parked becomes due when its time has come.
report refreshed(report, std::chrono::seconds refresh, time_point now);

// What Graph answered, as the reporter must act on it.
struct told {
    bool is_managed = false;
    bool is_compliant = false;
    bool operator==(told const&) const = default;
};
struct graph_answer {
    int status = 0;       // HTTP; 0: no answer at all
    std::string code;     // error.code
    std::string message;  // error.message
    std::optional<std::chrono::milliseconds> retry_after;
    std::optional<told> sent;  // what was sent; where the report has changed since, it is due still. None: no change
};
// 204 done; 400 parked until something changes; 401 due again at once, once; 403 parked for an hour; 404 object id
// dropped and due at once, the second time parked until the refresh; 408, 409, 412, 423, 424, 429, 5xx and silence due
// again after Retry-After (at most a day), else exponentially with jitter from 1 s to 5 min (`jitter` is 0..1); any
// other answer parked for an hour.
report answered(report, graph_answer const&, double jitter, time_point now, std::chrono::seconds refresh);

}  // namespace mdmd::compliance
