// A server's SyncML message, read as strictly as the DTD and the DM profile allow: everything that a Windows client
// might refuse is a violation with a text of its own.
// Source: OMA-TS-SyncML-RepPro 1.2 (DTD), OMA-TS-DM-Protocol 1.2.1, [MS-MDM] 2.2
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mdmd::sim {

struct sync_item {
    std::string target, source;  // LocURIs
    std::string format, type;    // of Meta
    std::string data;
    bool has_data = false;
    bool more_data = false;           // a piece of a large object, and not its last one
    std::optional<std::size_t> size;  // of the whole object: at its first piece
};

struct sync_command {
    std::string name;  // Add Replace Delete Get Exec Atomic Sequence Alert
    int cmd_id = 0;
    int alert = 0;  // an Alert's code
    std::vector<sync_item> items;
    std::vector<sync_command> children;  // of Atomic and Sequence
};

struct sync_status {
    int msg_ref = 0, cmd_ref = 0;
    std::string cmd;
    int code = 0;
    std::string challenge_type, next_nonce;  // of a Chal; the nonce in base64
};

struct server_message {
    std::string session_id;
    int msg_id = 0;
    std::string target, source, source_name, resp_uri;
    std::string cred_type, cred_data;  // of a Cred, the data in base64; empty: none
    std::size_t max_msg_size = 0;      // announced in Meta; 0: not
    std::vector<sync_status> statuses;
    std::vector<sync_command> commands;  // Alert 1222 and 1223 included
    bool final = false;
    std::vector<std::string> violations;

    bool has_alert(int code) const;
    bool has_commands() const;  // any that is no Alert
    bool has_piece() const;     // the first pieces of a large object, whose rest is to come
};

server_message read_server_message(std::string_view text);

// A Status, Results or Alert of ours, ready to be put in a SyncBody.
struct status_text {
    int cmd_id, msg_ref, cmd_ref;
    std::string_view cmd;
    int code;
    std::string_view target_ref = {};      // empty: none
    std::string_view original_error = {};  // msft:originalerror, empty: none
    bool microsoft_order = false;          // Data before TargetRef, as [MS-MDM] has it
    std::string_view next_nonce = {};      // base64, of a Chal for MD5; empty: none
};
std::string write_status(status_text const&);
std::string write_results(
    int cmd_id, int msg_ref, int cmd_ref, std::string_view uri, std::string_view format, std::string_view value);
// A piece of a large object: `size` of the whole at the first one, `more` at all but the last.
std::string write_results_piece(int cmd_id, int msg_ref, int cmd_ref, std::string_view uri, std::string_view format,
    std::string_view piece, std::optional<std::size_t> size, bool more);

}  // namespace mdmd::sim
