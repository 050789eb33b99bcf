// Repositories of what management leaves: sessions and their traces, settings, facts.
#pragma once
#include <map>
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
    time_point refreshed{};  // when inventory and settings were last read whole; the beginning of time: never
};
void put_session(connection&, session const&);
std::optional<session> find_session(connection&, std::string_view device_id);
std::optional<time_point> last_seen(connection&, std::string_view device_id);

// --- trace -----------------------------------------------------------------------------------------------------
struct trace {
    std::string device_id;
    time_point began;
    std::string session_id;
    bool idle = false;     // nothing but reads, and nothing failed
    std::string messages;  // JSON
};
// Of idle sessions one after the other, the last alone is kept; of all, the newest `most`.
void put_trace(connection&, trace const&, std::int64_t most);
std::vector<trace> list_traces(connection&, std::string_view device_id);  // oldest first

// --- setting -----------------------------------------------------------------------------------------------------
struct setting {
    std::string user_id;  // whose; empty: the device's
    std::string node;     // canonical URI
    std::string uri, format;
    std::optional<std::string> value;
    std::string policy;
    std::int64_t position = 0;
    std::string state;  // "pending", "applied", "failed", "removing", "removal_failed", "not_applicable"
    std::int64_t status = 0;
    std::string original_error;
    std::optional<std::string> reported;
    std::int64_t attempts = 0;
    bool delivered = false;  // some value of ours is on the device
    std::string note;        // for people: why it is not sent, who else wants the node otherwise
    bool operator==(setting const&) const = default;
};
std::vector<setting> list_settings(connection&, std::string_view device_id);
// Of the device itself (no user) or of one of its users, by node.
std::vector<setting> list_settings_of(connection&, std::string_view device_id, std::string_view user_id);
// By state, of enrolled devices and their users.
std::map<std::string, std::int64_t> count_settings(connection&);
void put_setting(connection&, std::string_view device_id, setting const&);
void remove_setting(connection&, std::string_view device_id, std::string_view user_id, std::string_view node);

// --- fact ----------------------------------------------------------------------------------------------------------
struct fact {
    std::string node;  // canonical URI
    std::int64_t status = 0;
    std::optional<std::string> value;
    time_point since;
};
std::vector<fact> list_facts(connection&, std::string_view device_id);
void put_fact(connection&, std::string_view device_id, fact const&);
void remove_fact(connection&, std::string_view device_id, std::string_view node);

}  // namespace mdmd::store
