// One management session of a simulated device: packages out, the server's commands in and done, until it has no more.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/http_message.hpp"
#include "csp_tree.hpp"
#include "syncml.hpp"

namespace mdmd::sim {

struct client_alert {
    int code = 1224;
    std::string type;  // "com.microsoft/MDM/LoginStatus"
    std::string data;
    std::string format;  // empty: none
    std::string source;  // the node it is about; empty: none
};

// What goes wrong on order. Message numbers count our messages of the session from 1; 0: never.
struct session_faults {
    int lose_reply_to = 0;     // the answer gets lost: the same bytes are sent again and must be answered alike
    int abort_at = 0;          // this message is nothing but Alert 1223
    int stop_after = 0;        // the device falls silent after the answer to this message
    int wrong_session_at = 0;  // this message has another SessionID
    int without_final_at = 0;  // this message ends without Final; what it lacks comes in the next one
    std::map<std::string, int> answer_with;  // URI -> status, instead of doing the command
    bool microsoft_status_order = false;     // Data before TargetRef in every Status
    bool results_last = false;               // all Status first, then all Results

    int drop_before_at = 0;     // this message is never sent: the device is gone
    int hang_up_at = 0;         // the connection is closed when this message is sent and before its answer is read
    int wrong_msg_ref_at = 0;   // every Status and Results of this message names a message that never was
    int wrong_cmd_ref_at = 0;   // likewise a command
    int double_status_at = 0;   // every Status of this message stands twice, under two CmdIDs
    int foreign_source_at = 0;  // from this message on Source is `foreign_source`
    std::string foreign_source;
    int jump_at = 0;     // from this message on MsgID is 7 more than it should be
    int garbage_at = 0;  // this message is `garbage`
    std::string garbage = "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr>";
    int without_final_from = 0;  // no message from this one on has Final
    int endless = 0;             // so many messages more, each with an alert, where the server has nothing left to say
    std::map<std::string, std::size_t> inflate;       // URI -> octets of what a Get of it gives, in one piece
    std::map<std::string, std::string> answer_error;  // URI -> msft:originalerror of its Status, "0x87D1FDE8"
    bool rollback_fails = false;                      // 516 instead of 216, and what was done stays
    bool persists = false;                            // a violation does not end the session
    std::chrono::milliseconds delay{0};               // before each message
};

struct digest_credentials {
    std::string name, password;
    std::string nonce;  // raw bytes
};

struct exec_verdict {
    int status = 200;
    std::string violation;  // what a server must not send; empty: nothing is wrong with it
};

struct session_setup {
    std::string management_url;  // without a query
    std::string device_id;
    std::string provider_id;  // whose account it is: PROVIDER-ID
    int session_id = 1;
    std::string login_status = "user";  // user, others, none; empty: no such alert
    std::vector<client_alert> alerts;
    bool server_initiated = false;     // Alert 1200
    std::size_t max_msg_size = 0;      // announced in SyncHdr; 0: not announced, 512 KiB is taken
    std::size_t max_obj_size = 0;      // announced likewise; 0: not announced, anything is taken
    std::size_t own_message_size = 0;  // what our messages may have; 0: what the server announces, or 512 KiB
    // Whether anybody is there whose ./User nodes these are; absent: login_status is "user".
    std::optional<bool> user_present;
    int absent_user_status = 405;              // of ./User commands without a user: 405 or 500
    std::string sync_type;                     // "user", "device", "mixed": com.microsoft.mdm.synctype; empty: none
    std::optional<digest_credentials> digest;  // used when the server asks
    bool digest_at_once = false;               // in the first message already
    std::optional<digest_credentials> server_digest;  // what the server shows to us, where it does
    bool challenge_server = false;                    // 407 until it does
    // Asked before an Exec is done. What is no 2xx is its Status.
    std::function<exec_verdict(std::string const& uri, std::string const& data)> judge_exec;
    session_faults faults;
    int most_messages = 1000;
};

struct done_command {
    std::string verb, uri, format, value;  // value: what was written, or what a Get found
    int status = 0;
};

struct transcript_entry {
    bool from_device;
    int http_status;  // of an answer
    std::string body;
};

struct session_report {
    std::string failure;  // empty: ended as it should
    std::vector<std::string> violations;
    std::vector<done_command> commands;
    std::vector<transcript_entry> transcript;
    std::vector<std::string> executed;  // URIs of Exec commands that were done
    int messages = 0;                   // of ours
    int last_http_status = 0;
    int header_status = 0;              // the last Status of a SyncHdr of ours
    std::string next_nonce;             // base64, where the server gave one
    std::string next_server_nonce;      // base64, where we gave the server one
    bool server_authenticated = false;  // it showed the right credentials
    bool dropped = false;               // ended by us without an answer
};

using exchange = std::function<result<http::response>(std::string const& body)>;
// An Exec that is done. True: the session ends here, and nothing is answered.
using on_exec = std::function<bool(std::string const& uri, std::string const& data)>;

session_report run_session(session_setup const&, csp_tree&, exchange const&, on_exec const&);

}  // namespace mdmd::sim
