// The course of a management session as two pure steps: take in what the device said, then say what comes next.
// Source: OMA-TS-DM_Protocol-V1_2_1 sections 8 and 9, [MS-MDM] 3.
#pragma once
#include <map>
#include <span>

#include "omadm/syncml.hpp"

namespace mdmd::omadm {

// A command that was sent and not answered yet.
struct outstanding {
    int msg_id = 0;  // our message
    int cmd_id = 0;
    std::string key;  // the caller's name for it
    command sent;
    std::optional<int> status;         // a Get's status came and its Results are still awaited
    std::optional<std::string> value;  // a Get's Results came, as far as they did, and something is still awaited
    std::string format;                // of that value
    bool partial = false;              // that value ended with MoreData
    bool operator==(outstanding const&) const = default;
};

// What is remembered between two messages of one session.
struct session {
    std::string id;                  // the device's SessionID
    int device_msg_id = 0;           // the last message taken in
    int server_msg_id = 0;           // the last message sent
    std::uint64_t max_msg_size = 0;  // as the device announced it; 0: it did not
    std::vector<outstanding> waiting;
    std::string login_status;  // "user", "others", "none", or empty where not told
    bool ended = false;
    bool operator==(session const&) const = default;
};
// One line of printable ASCII that reads back equal, for the store. Errors of the reader: malformed.
std::string save(session const&);
[[nodiscard]] result<session> load(std::string_view);

// The final outcome of one command.
struct outcome {
    std::string key;
    command sent;
    int status = 0;
    std::string original_error;
    std::optional<std::string> value;  // of a Get: the node's data
    std::string format;                // of that value
    bool operator==(outcome const&) const = default;
};

struct intake {
    session next;
    std::vector<reply_status> statuses;  // to be sent
    std::vector<outcome> outcomes;
    std::map<std::string, std::string> device_info;  // ./DevInfo/… of a Replace
    std::vector<alert> alerts;  // 1224 and 1226, for the caller to act on, without the items that hold a token
    std::string user_token;     // com.microsoft/MDM/AADUserToken: a secret
    bool unenrolled = false;    // com.microsoft:mdm.unenrollment.userrequest
    bool aborted = false;       // 1223
    bool more_to_come = false;  // no Final, or a chunk: nothing but statuses and 1222 may be answered
};

constexpr std::size_t object_limit = 1 << 20;  // bytes of all values of a session that wait for more

// Takes in a message. A new SessionID begins a session (what was waiting in `before` is not in `next`: the caller
// requeues it); so does an ended one, which goes on counting its messages if the device does. Statuses and results
// that match nothing sent are ignored, and so are 1xx statuses. Of several statuses for one command the highest counts.
// A Get is complete when both its status and its results came, at once when its status is an error; a device that ends
// a package without the results completes it with no value. Of several items the one whose Source is the node asked for
// is the value, else the first. A value that comes in chunks (MoreData, OMA-TS-DM_Protocol section 7) is put together;
// over `object_limit` it completes the Get with 416 and no value.
//
// Our statuses: 200 for the header; 200 for the alerts 1200, 1201, 1222, 1223, 1224 and 1226, 406 for others; for a
// Replace 200 if all it replaces is ./DevInfo, otherwise 405 and nothing of it is taken; 406 for other commands;
// 213 for the Results of a chunk and 416 for those over the limit, none for other Results.
// Errors: malformed (MsgID that does not follow the last one of the same session).
[[nodiscard]] result<intake> receive(session const& before, message const&);

// A command that the caller wants sent.
struct wanted {
    std::string key;
    command what;
};

struct answer {
    std::string text;  // the reply, serialised
    session next;
    std::size_t taken = 0;  // how many of the queue went out, from its front
    // Indices within `taken` that were not sent and never can be, because XML cannot carry them or a message of the
    // permitted size cannot hold them: to be failed.
    std::vector<std::size_t> unsendable;
    bool ended = false;  // nothing will follow in this session; what `next` still has waiting is to be requeued
};

struct addresses {
    std::string device;      // the device's Source/LocURI
    std::string management;  // our management URL
};
constexpr std::size_t message_limit = 512 * 1024;  // bytes of our own messages
constexpr std::size_t commands_limit = 256;        // in one message, so that its answer keeps the limits of xml::parse

// Answers a message that was taken in: its statuses, then as much of the queue as the device's MaxMsgSize and our
// own limits allow, Final. With nothing to send and nothing waiting, or after an abort, the session ends. Never sends
// while commands of an earlier message are unanswered, after an abort, or while more is to come.
[[nodiscard]] answer reply_to(intake const&, addresses const&, std::span<wanted const> queue);

}  // namespace mdmd::omadm
