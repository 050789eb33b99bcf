// Repositories of what management leaves: sessions, commands, settings, facts.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

// --- session: one row a device, written by every message ---------------------------------------------------------
struct session {
    std::string device_id;
    std::string state;           // omadm::save
    std::string request_digest;  // of the last message taken in
    std::string reply;           // and what was answered, byte for byte
    time_point seen;
};
void put_session(connection&, session const&);
std::optional<session> find_session(connection&, std::string_view device_id);
std::optional<time_point> last_seen(connection&, std::string_view device_id);

// --- command -----------------------------------------------------------------------------------------------------
struct command {
    std::string id;
    std::string device_id;
    std::string verb;  // "get", "add", "replace", "delete", "exec"
    std::string uri, format;
    std::optional<std::string> value;
    time_point queued;
    std::string state = "queued";  // "queued", "sent", "done", "failed", "unknown", "cancelled"
    std::optional<std::int64_t> status;
    std::string original_error;
    std::optional<std::string> result;
    time_point updated;
    std::int64_t deliveries = 0;  // how often it was sent
};
// A command that gets no answer this often is not sent again: it may be what keeps the device from answering.
inline constexpr int most_deliveries = 3;
void add_command(connection&, command const&);                                // behind all others of its device
std::vector<command> list_commands(connection&, std::string_view device_id);  // in order of delivery
std::vector<command> open_commands(connection&, std::string_view device_id);  // queued and sent, likewise
void deliver_command(connection&, std::string_view id, time_point now);       // it is sent now
void finish_command(connection&, std::string_view id, std::string_view state, int status,
    std::string_view original_error, std::optional<std::string> const& result, time_point now);
// What was sent and never answered: gets, adds, replaces and deletes are queued again, since doing them twice does
// no harm, up to most_deliveries times; an exec is "unknown", since it may.
void return_unanswered(connection&, std::string_view device_id, time_point now);
void cancel_commands(connection&, std::string_view device_id, time_point now);

// --- setting -----------------------------------------------------------------------------------------------------
struct setting {
    std::string node;  // canonical URI
    std::string uri, format;
    std::optional<std::string> value;
    std::string policy;
    std::int64_t position = 0;
    std::string state;  // "pending", "applied", "failed", "removing"
    std::int64_t status = 0;
    std::string original_error;
    std::optional<std::string> reported;
    std::int64_t attempts = 0;
    bool delivered = false;  // some value of ours is on the device
};
std::vector<setting> list_settings(connection&, std::string_view device_id);
void put_setting(connection&, std::string_view device_id, setting const&);
void remove_setting(connection&, std::string_view device_id, std::string_view node);

// --- fact ----------------------------------------------------------------------------------------------------------
struct fact {
    std::string node;  // canonical URI
    std::int64_t status = 0;
    std::optional<std::string> value;
    time_point since;
};
std::vector<fact> list_facts(connection&, std::string_view device_id);
void put_fact(connection&, std::string_view device_id, fact const&);

}  // namespace mdmd::store
