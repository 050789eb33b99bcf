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
    time_point decided;         // when that was
    std::int64_t revision = 0;  // goes up with every other pair that is decided; 0: nothing was decided yet
    std::int64_t told = 0;      // the revision that Graph took last; 0: none
    enum class phase {
        waiting,  // nothing to tell, or the device's Entra ID is not known
        due,      // to be sent at next_try
        done,     // Graph has it; told again at next_try
        parked,   // Graph refuses it: tried again at next_try, or when something changes
    } phase = phase::waiting;
    std::string object_id;   // Graph's id of the device; empty: to be looked up
    bool was_known = false;  // there was an object id once
    int attempts = 0;        // that failed, since something changed
    time_point next_try;
    std::string error;  // why it is not done: "403 Authorization_RequestDenied: …"
    std::optional<time_point> last_success;
    bool resolved_again = false;  // a 404 has been answered by one new look-up already
    bool operator==(report const&) const = default;
};
std::string_view name(enum report::phase);
std::optional<enum report::phase> parse_phase(std::string_view);

// The pair to tell has been decided (again). A changed pair becomes due now, and so does one that waited for the
// device's Entra ID.
report decided(report, bool is_managed, bool is_compliant, bool entra_id_known, time_point now);

// What Graph answered, as the reporter must act on it.
struct graph_answer {
    int status = 0;       // HTTP; 0: no answer at all
    std::string code;     // error.code
    std::string message;  // error.message
    std::optional<std::chrono::milliseconds> retry_after;
};
std::string describe(graph_answer const&);  // one line: "403 Authorization_RequestDenied: …"
// May another try help, with nothing changed? Silence, 408, 409, 412, 423, 424, 429 and 5xx.
bool passes_by_itself(int status);
// Does it say that Graph as a whole is away or wants to be left alone? Silence, 408, 429 and 5xx.
bool is_about_graph(int status);

// The answer to what was sent of this revision. 2xx done, and told again after `refresh` and up to a tenth of it more,
// what is unmanaged never; 400 parked until something changes; 401 due again at once, once; 403 parked for an hour; 404
// object id dropped and due at once, the second time parked until the refresh; what passes by itself due again after
// Retry-After (at most a day), else exponentially with jitter from 1 s to 5 min (`jitter` is 0..1); any other answer
// parked for an hour. Where another pair was decided since, that stays due whatever the answer.
report answered(
    report, std::int64_t revision, graph_answer const&, double jitter, time_point now, std::chrono::seconds refresh);

// Graph was asked for the device's object id, and has it.
report found(report, std::string object_id);
// Or has no such device. One that was there before is gone: parked until the refresh. One that was not may be on its
// way there: due again within 5 min in the hour after the decision, then once an hour.
report not_found(report, double jitter, time_point now, std::chrono::seconds refresh);

}  // namespace mdmd::compliance
