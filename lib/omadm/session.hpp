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
    std::string key;   // the caller's name for it
    command sent;
    std::optional<int> status;  // a Get's status came and its Results are still awaited
    bool operator==(outstanding const&) const = default;
};

// What is remembered between two messages of one session.
struct session {
    std::string id;           // the device's SessionID
    int device_msg_id = 0;    // the last message taken in
    int server_msg_id = 0;    // the last message sent
    std::uint64_t max_msg_size = 0;  // as the device announced it; 0: it did not
    std::vector<outstanding> waiting;
    std::string login_status;  // "user", "others", "none", or empty where not told
    bool ended = false;
    bool operator==(session const&) const = default;
};
// One line of JSON-free text that reads back equal, for the store. Errors of the reader: malformed.
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
    std::vector<alert> alerts;                       // 1224 and 1226, for the caller to act on
    std::string user_token;                          // com.microsoft/MDM/AADUserToken
    bool unenrolled = false;                         // com.microsoft:mdm.unenrollment.userrequest
    bool aborted = false;                            // 1223
    bool more_to_come = false;                       // no Final: nothing but statuses and 1222 may be answered
};

// Takes in a message. A new SessionID begins a session (what was waiting in `before` is not in `next`: the caller
// requeues it); so does an ended one. Statuses and results that match nothing sent are ignored. A Get is complete
// when both its status and its results came, at once when its status is an error; a device that ends a package
// without the results completes it with no value.
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
    std::vector<std::size_t> unsendable;  // indices within `taken` that XML cannot carry: never sent, to be failed
    bool ended = false;
};

// Answers a message that was taken in: its statuses, then as much of the queue as the device's MaxMsgSize and our
// own limit allow, Final. With nothing to send and nothing waiting the session ends. Never sends while commands of
// an earlier message are unanswered, after an abort, or while more is to come.
struct addresses {
    std::string device;      // the device's Source/LocURI
    std::string management;  // our management URL
};
constexpr std::size_t message_limit = 512 * 1024;  // bytes of our own messages
[[nodiscard]] answer reply_to(intake const&, addresses const&, std::span<wanted const> queue);

}  // namespace mdmd::omadm
