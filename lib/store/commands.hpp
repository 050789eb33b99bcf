// Repository of what administrators order: single SyncML commands, and orders that take several.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

struct command {
    std::string id;
    std::string device_id;
    std::string kind = "send";  // "send": the SyncML command itself; else policy::parse_order's: "reboot", "wipe"…
    std::string user_id;        // who must be signed in for it; empty: nobody
    std::string verb;           // "get", "add", "replace", "delete", "exec"; empty of an order without a command
    std::string uri, format;
    std::optional<std::string> value;
    time_point queued;
    std::string state = "queued";  // "queued", "sent", "done", "failed", "unknown", "cancelled"
    std::optional<std::int64_t> status;
    std::string original_error;
    std::optional<std::string> result;
    time_point updated;
    std::int64_t deliveries = 0;  // how often it was sent
    std::optional<time_point> expires;
    std::string stage, memory;  // policy::order's own
    std::string detail;         // for people
};
// A command that gets no answer this often is not sent again: it may be what keeps the device from answering.
inline constexpr int most_deliveries = 3;
// The stage of an order whose own command is due, or was sent, after what is read before it.
inline constexpr std::string_view asked_stage = "asked";
void add_command(connection&, command const&);                                // behind all others of its device
std::vector<command> list_commands(connection&, std::string_view device_id);  // in order of delivery
// Queued, sent, and those whose outcome is still followed, for the device itself and for that user (empty: nobody), in
// order of delivery; at most so many.
std::vector<command> open_commands(
    connection&, std::string_view device_id, std::string_view user_id, std::int64_t most);
std::optional<command> find_command(connection&, std::string_view id);
// It is sent now. False: it is not open any more, and must not be sent.
[[nodiscard]] bool deliver_command(connection&, std::string_view id, time_point now);
// Writes state, status, original_error, result, stage, memory, detail and updated. False: it is not open any more.
[[nodiscard]] bool update_command(connection&, command const&);
// What was sent and never answered: gets, adds, replaces and deletes are queued again, since doing them twice does
// no harm, up to most_deliveries times; an exec is "unknown", since it may. One whose outcome is followed stays.
void return_unanswered(connection&, std::string_view device_id, time_point now);
void cancel_commands(connection&, std::string_view device_id, time_point now);
// False: it is not queued (any more).
bool cancel_command(connection&, std::string_view id, std::string_view detail, time_point now);
bool has_expired_commands(connection&, time_point now);
// Cancels what has expired before it was begun. Returns how many.
std::int64_t expire_commands(connection&, time_point now, std::int64_t most);
// Finished ones (done, failed, unknown, cancelled) that nobody needs any more: of before that time, or with `most_kept`
// of their device behind them. At most so many.
std::vector<std::string> commands_to_forget(connection&, time_point before, std::int64_t most_kept, std::int64_t most);
void forget_commands(connection&, std::vector<std::string> const& ids);
// An order of that kind that the device may have taken came true. False: there is none.
bool confirm_order(connection&, std::string_view device_id, std::string_view kind, time_point now);
// Orders to wipe or retire that were taken as done failed after all.
void refute_orders(connection&, std::string_view device_id, std::string_view detail, time_point now);
std::int64_t count_commands(connection&, std::string_view state);  // of all devices
// Whether the device has anything to be told.
bool has_open_commands(connection&, std::string_view device_id);

}  // namespace mdmd::store
