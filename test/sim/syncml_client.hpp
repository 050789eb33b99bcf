// One management session of a simulated device: packages out, the server's commands in and done, until it has no more.
#pragma once
#include <functional>
#include <map>
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
};

struct digest_credentials {
    std::string name, password;
    std::string nonce;  // raw bytes
};

struct session_setup {
    std::string management_url;  // without a query
    std::string device_id;
    std::string provider_id;  // whose account it is: PROVIDER-ID
    int session_id = 1;
    std::string login_status = "user";  // user, others, none; empty: no such alert
    std::vector<client_alert> alerts;
    bool server_initiated = false;             // Alert 1200
    std::size_t max_msg_size = 0;              // announced in SyncHdr; 0: not announced, 512 KiB is taken
    std::optional<digest_credentials> digest;  // used when the server asks
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
    int header_status = 0;   // the last Status of a SyncHdr of ours
    std::string next_nonce;  // base64, where the server gave one
};

using exchange = std::function<result<http::response>(std::string const& body)>;
using on_exec = std::function<void(std::string const& uri, std::string const& data)>;

session_report run_session(session_setup const&, csp_tree&, exchange const&, on_exec const&);

}  // namespace mdmd::sim
