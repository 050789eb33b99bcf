// The course of a management session as two pure steps: take in what the device said, then say what comes next.
// Source: OMA-TS-DM_Protocol-V1_2_1 sections 7 to 9, OMA-TS-DM_Security-V1_2_1 5, [MS-MDM] 3.
#pragma once
#include <map>
#include <span>

#include "omadm/syncml.hpp"

namespace mdmd::omadm {

// A command that was sent and not answered yet.
struct outstanding {
    int msg_id = 0;  // our message; of a large object, that of its last part so far
    int cmd_id = 0;
    std::string key;  // the caller's name for it
    command sent;
    std::optional<int> status;  // its own, while something is still awaited: Results, the Atomic's, the next part
    std::optional<std::string> value;  // a Get's Results came, as far as they did, and something is still awaited
    std::string format;                // of that value
    bool partial = false;              // that value ended with MoreData
    std::optional<std::uint64_t> announced = {};  // bytes that the value is to have in the end
    bool cut_short = false;                       // another command came into that value: it is to be sent again
    bool in_parts = false;                        // a large object of ours; with status 213 its next part is due
    std::uint64_t parted = 0;                     // bytes of its data that went out
    bool again = false;                           // it was sent from the start a second time
    int atomic = 0;                               // CmdID, in the same message, of the Atomic that it is in; 0: in none
    std::string original_error = {};              // of `status`
    bool operator==(outstanding const&) const = default;
};

// An Atomic that commands still wait in.
struct sent_atomic {
    int msg_id = 0;
    int cmd_id = 0;
    std::optional<int> status;  // came before that of the commands in it
    bool operator==(sent_atomic const&) const = default;
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
    std::uint64_t max_obj_size = 0;  // as the device announced it; 0: it did not
    std::vector<sent_atomic> atomics = {};
    std::string sync_type = {};  // "user", "device", "mixed", or empty where not told
    int messages = 0;            // that we sent in this session
    bool stopped = false;        // the device wants no more commands in it (214)
    bool authenticated = false;  // the device's credentials were accepted for it
    int challenged = 0;          // 401 or 407, as we challenged the device last; 0: not yet
    bool resent = false;         // the device challenged us, and what it had not done was sent once more
    bool operator==(session const&) const = default;
};
// One line of printable ASCII that reads back equal, for the store. Errors of the reader: malformed.
std::string save(session const&);
[[nodiscard]] result<session> load(std::string_view);

// The final outcome of one command.
struct outcome {
    std::string key;
    command sent;
    int status = 0;  // of a command rolled back with its Atomic 216, or 516 where that failed
    std::string original_error;
    std::optional<std::string> value;  // of a Get: the node's data
    std::string format;                // of that value
    int atomic_status = 0;             // of the Atomic that it was in; 0: it was in none, or that was not answered
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
    bool more_to_come = false;  // no Final, a chunk, or a sign of life: only statuses and 1222 may be answered, unless
                                // what the device asks for is the next part of a large object
    bool stop = false;          // 214: nothing more is sent in this session; the caller requeues what waits
    std::vector<std::string> cut_short = {};  // nodes whose value did not end: to be asked for again by 1225
    // The device did not take our credentials and did nothing. With these octets for the nonce of the next ones it is
    // tried once more; a second time, or without a nonce, `server_refused`.
    std::optional<std::string> server_nonce = {};
    bool server_refused = false;  // the session ends; what waits is to be requeued
    // The device took our credentials, and gave the nonce of those in its next session. [OMA-TS-DM_Security 5.3]
    std::optional<std::string> later_nonce = {};
};

constexpr std::size_t object_limit = 8 << 20;  // bytes of an object that is sent, and of all values of a session that
                                               // wait for more
constexpr int messages_limit = 1000;           // of ours in one session: beyond it is endless, and aborted

// Takes in a message. A new SessionID begins a session (what was waiting in `before` is not in `next`: the caller
// requeues it); so does an ended one, which goes on counting its messages if the device does. Statuses and results
// that match nothing sent are ignored, and so are 1xx statuses, and 213 but for a part of a large object. Of several
// statuses for one command the highest counts. A Get is complete when both its status and its results came, at once
// when its status is an error; a device that ends a package without the results completes it with no value. Of several
// items the one whose Source is the node asked for is the value, else the first. A value that comes in chunks
// (MoreData, OMA-TS-DM_Protocol section 7) is put together; over `object_limit` it completes the Get with 416 and no
// value, of another size than announced with 424. Where another command comes before its end it is dropped, and 412
// completes the Get if the device does not send it again.
//
// What is in an Atomic is complete when the Atomic's status and its own came, or when the package ends with one of
// them: without its own it has 200, as the Atomic, otherwise 216 (516 where that is the Atomic's); a success of its own
// counts as 216 (516) where the Atomic failed.
//
// Of a large object of ours a part that was taken (213) makes reply_to send the next; 1225 makes it start anew, once,
// and 424 completes it the second time, as any other success before its last part does.
//
// Our statuses: 200 for the header; 200 for the alerts 1200, 1201, 1222, 1223, 1224, 1226 and, while a large object is
// on its way, 1225, 406 for others; for a Replace 200 if all it replaces is ./DevInfo, otherwise 405 and nothing of it
// is taken; 406 for other commands and 400 for what is none, or has no CmdID; 213 for the Results of a chunk, 416 for
// those over the limit and 424 for those of another size, none for other Results.
// Errors: malformed (MsgID that does not follow the last one of the same session).
[[nodiscard]] result<intake> receive(session const& before, message const&);

// A command that the caller wants sent.
struct wanted {
    std::string key;
    command what;
    // Consecutive commands of the same text, which is not empty, are done all or none (Atomic). Not for Get, and not
    // for nodes of user and device together: Windows does none of such an Atomic.
    std::string atomic = {};
};

struct unsendable {
    std::size_t index = 0;  // in the queue
    std::string reason;     // for an operator
    bool operator==(unsendable const&) const = default;
};

struct answer {
    std::string text;  // the reply, serialised
    session next;
    std::size_t taken = 0;  // how many of the queue went out, from its front
    // Those within `taken` that were not sent and never can be: to be failed.
    std::vector<omadm::unsendable> unsendable;
    bool ended = false;    // nothing will follow in this session; what `next` still has waiting is to be requeued
    bool aborted = false;  // by us (1223): too many messages, or credentials of ours that the device did not take
};

struct addresses {
    std::string device;      // the device's Source/LocURI
    std::string management;  // our management URL
};

// What an answer says about credentials (OMA-TS-DM_Security-V1_2_1 5). Nonces are octets.
struct authentication {
    std::optional<std::string> next_nonce =
        {};                 // the message's credentials are good (212): for those of the next session
    std::string name = {};  // ours, where `cred` is
    std::optional<credential> cred = {};
};

constexpr std::size_t message_limit = 512 * 1024;  // bytes of our own messages
constexpr std::size_t commands_limit = 256;        // in one message, so that its answer keeps the limits of xml::parse

// Answers a message that was taken in: its statuses, then as much of the queue as the device's MaxMsgSize and our
// own limits allow, Final. With nothing to send and nothing waiting, or after an abort, the session ends. Never sends
// while commands of an earlier message are unanswered, after an abort, or while more is to come. An Atomic is never
// split over messages; a command that is too large for a message goes alone, in parts, without Final until the last.
[[nodiscard]] answer reply_to(
    intake const&, addresses const&, std::span<wanted const> queue, authentication const& = {});

enum class refusal {
    missing,      // 407: no credentials
    wrong,        // 401
    unsupported,  // 406: credentials of a scheme other than md5
};
// Answers a message whose sender did not prove who it is: the same status for the header and for every command, nothing
// of it taken in. The header's has a challenge with `nonce` (octets) where the device may try again in this session:
// once after none, and once after wrong ones, whose nonce may be stale; otherwise the session ends with 401 or 406.
// Errors: as receive.
[[nodiscard]] result<answer> challenge(
    session const& before, message const&, addresses const&, refusal, std::string_view nonce);

}  // namespace mdmd::omadm
