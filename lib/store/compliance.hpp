// Repositories of verdicts and of what is to be reported to Graph.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct verdict {
    std::string device_id;
    std::string state;  // Graph's complianceState
    time_point since;
    std::optional<time_point> grace_until, unclear_since;
    std::string failing, acted, reasons;  // JSON
    std::optional<time_point> next_check;
};
void put_verdict(connection&, verdict const&);
std::optional<verdict> find_verdict(connection&, std::string_view device_id);
std::vector<std::string> devices_to_check(connection&, time_point now, std::int64_t most);  // whose next_check came
std::vector<std::string> enrolled_ids(connection&);                                         // of every enrolled device

// A change of state. The newest `most` of a device are kept.
struct past_verdict {
    time_point at;
    std::string state;
    std::string reasons;  // JSON
};
void add_past_verdict(connection&, std::string_view device_id, past_verdict const&, std::int64_t most);
std::vector<past_verdict> list_past_verdicts(connection&, std::string_view device_id);  // oldest first

struct report {
    std::string device_id;
    std::string entra_device_id;
    bool is_managed = true, is_compliant = false;
    time_point decided;
    std::int64_t revision = 0, told = 0;
    std::string phase;  // "waiting", "due", "done", "parked"
    std::string object_id;
    bool was_known = false;
    std::int64_t attempts = 0;
    time_point next_try;
    std::string error;
    std::optional<time_point> last_success;
    bool resolved_again = false;
};
void put_report(connection&, report const&);
void remove_reports_of(connection&, std::string_view entra_device_id);
std::optional<report> find_report(connection&, std::string_view device_id);

enum class which_reports { all, not_fresh };  // not_fresh: without those that became due and were never tried since
// Those whose next_try has come: the due ones, the parked ones, and those that are told again, in this order, each by
// next_try. A next_try over `longest` ahead was set before the clock was set back, and has come too; that of the year
// 9999 never does.
std::vector<report> due_reports(connection&, time_point now, std::chrono::milliseconds longest, std::int64_t most,
    which_reports = which_reports::all);
// Forgets the back-off of everything that waits: a new key, a new configuration.
void retry_reports_now(connection&, time_point now);
// A shorter `refresh` than there was holds for what is told again, too.
void hasten_refresh(connection&, std::chrono::seconds refresh);

struct report_totals {
    std::int64_t queued = 0;           // due or parked
    std::int64_t parked = 0;           // of these
    std::optional<time_point> oldest;  // of the decisions that are due and that Graph does not have
    std::optional<time_point> last_success;
    std::string last_error;  // of what is queued
};
report_totals total_reports(connection&);

struct report_reason {
    std::string error;  // empty: nothing stands in its way
    std::int64_t reports = 0;
};
// Why what is queued is not done, the most frequent first.
std::vector<report_reason> queued_reasons(connection&, std::int64_t most);

// What Entra was told of a device, and what it refused to be told.
struct told_report {
    std::string device_id, entra_device_id;
    time_point at;       // when Graph answered
    time_point decided;  // when what was told was
    bool is_managed = false, is_compliant = false;
    std::string result;  // "204", or the refusal as in report::error
};
// Keeps it, the newest `most` of the device.
void add_told_report(connection&, told_report const&, std::int64_t most = 100);
// Was this decision's refusal kept already?
bool was_refused(connection&, std::string_view device_id, time_point decided);
std::vector<told_report> list_told_reports(connection&, std::string_view device_id);  // newest first
// Forgets at most `most` of those that were told before; returns how many.
std::int64_t forget_told_reports(connection&, time_point before, std::int64_t most);

struct state_count {
    std::string state;
    std::int64_t devices = 0;
};
std::vector<state_count> count_verdicts(connection&);  // of enrolled devices; "unknown" for those without one

}  // namespace mdmd::store
