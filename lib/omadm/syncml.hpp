// SyncML messages of OMA DM 1.2 as values: text in, value out, and back. No sockets, no database, no clock.
// Lenient in what it reads (order of children, extra <Cmd> in Results, metinf namespace typos, both SyncML 1.2 and
// 1.1 namespaces), strict in what it writes (DTD order, metinf on each child).
// Source: OMA-TS-DM_RepPro-V1_2_1, OMA-TS-DM_Protocol-V1_2_1, [MS-MDM] 2.2.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/error.hpp"
#include "core/secret.hpp"

namespace mdmd::omadm {

struct item {
    std::string target;  // Target/LocURI
    std::string source;  // Source/LocURI
    std::string format;  // Meta/Format: "chr", "int", "bool", "b64", "xml", "node", "null"…; empty where not given
    std::string type;    // Meta/Type, trimmed, without the "Reversed-Domain-Name:" prefix
    std::string data;    // the text, white space kept; where Data holds elements, its inner XML (see xml::parse)
    bool more_data = false;
    std::optional<std::uint64_t> size =
        {};  // Meta/Size: bytes of the whole object, in its first chunk; absent where unreadable
    bool operator==(item const&) const = default;
};

constexpr std::string_view md5_scheme = "syncml:auth-md5";

// Credentials at DM level, of the device or ours (OMA-TS-DM_Security-V1_2_1 5).
struct credential {
    std::string type;    // Meta/Type: md5_scheme, "syncml:auth-basic"…
    std::string format;  // Meta/Format: "b64", or empty
    secret data;
    bool operator==(credential const& other) const {
        return type == other.type && format == other.format && data.reveal() == other.data.reveal();
    }
};

// A Chal: what the next credentials are to be made with.
struct chal {
    std::string type = std::string(md5_scheme);
    std::string next_nonce;  // its octets; empty where none was told, or not in base64
    bool operator==(chal const&) const = default;
};

struct status {
    int cmd_id = 0;
    int msg_ref = 0;             // MsgID of the message answered
    int cmd_ref = 0;             // CmdID within it; 0: the header
    std::string cmd;             // "Replace", "SyncHdr"…
    int data = 0;                // 200 done, 404 no such node…
    std::string original_error;  // msft:originalerror, "0x86000002", at most 32 bytes; empty where not sent
    std::vector<std::string> target_refs;
    std::optional<chal> challenge = {};
    bool operator==(status const&) const = default;
};

struct results {
    int cmd_id = 0;
    int msg_ref = 1;
    int cmd_ref = 0;
    std::vector<item> items;
    bool operator==(results const&) const = default;
};

struct alert {
    int cmd_id = 0;
    int code = 0;  // 1201 client-initiated session, 1226 generic…
    std::vector<item> items;
    bool operator==(alert const&) const = default;
};

// Any other element of the body; what an Atomic or Sequence holds is not looked at. Only Replace (of DevInfo) is
// legal; other commands are answered 406, what is no command 400. An Alert or Results without CmdID is one of these,
// too, since it can only be answered 400 with a blank reference.
struct foreign {
    int cmd_id = 0;  // 0: it has none
    std::string name;
    std::vector<item> items;
    bool operator==(foreign const&) const = default;
};

struct header {
    std::string session_id;  // opaque, 1 to 32 bytes here; "0" is legal
    int msg_id = 0;
    std::string target;
    std::string source;
    std::optional<std::uint64_t> max_msg_size;       // bytes of a whole message of ours
    std::optional<std::uint64_t> max_obj_size = {};  // bytes of one object that it takes
    std::string source_name = {};                    // Source/LocName: the name that `cred` is of
    std::optional<credential> cred = {};
    bool operator==(header const&) const = default;
};

struct message {
    header hdr;
    std::vector<std::variant<status, results, alert, foreign>> body;  // in order
    bool final = false;
    bool operator==(message const&) const = default;
};

// Errors: malformed (not XML, not SyncML, a mandatory field missing or out of range, but for the CmdID of what is to be
// answered; a repeated CmdID),
// too_large (xml limits), unsupported (VerDTD other than 1.2 or 1.1).
[[nodiscard]] result<message> parse(std::string_view text);

enum class verb { get, add, replace, remove, exec };
std::string_view name(verb);                       // as SyncML has it: "Get", "Add", "Replace", "Delete", "Exec"
std::optional<verb> parse_verb(std::string_view);  // that or lower case, also "delete"

// One management command, always of one item, so that its CmdRef alone says what a status is about.
struct command {
    verb what = verb::get;
    std::string uri;
    std::string format;  // empty: none sent
    std::string type;    // empty: none sent
    std::optional<std::string> data;
    bool operator==(command const&) const = default;
};

// What is sent to a device.
constexpr int blank_reference = -1;
struct reply_status {
    int cmd_ref = 0;  // blank_reference: the command had no CmdID
    std::string cmd;
    int data = 200;
    std::optional<chal> challenge = {};
    bool operator==(reply_status const&) const = default;
};
// Consecutive commands of a reply, by their place in it, that are done all or none.
struct atomic_range {
    std::size_t first = 0;
    std::size_t count = 0;
};
// The last command of a reply is a part of a large object (OMA-TS-DM_Protocol-V1_2_1 7).
struct object_part {
    std::optional<std::uint64_t> size;  // bytes of the whole: in the first part alone
    bool more = false;                  // it is not the last part
};
struct reply {
    std::string session_id;
    int msg_id = 1;                      // ours
    int msg_ref = 1;                     // the device's message that is answered
    std::string target;                  // the device's Source/LocURI
    std::string source;                  // the management URL
    std::vector<reply_status> statuses;  // SyncHdr first, then in command order
    std::optional<int> alert;            // 1222, 1223
    std::vector<command> commands;
    bool final = true;
    std::string source_name = {};  // Source/LocName: the name that `cred` is of
    std::optional<credential> cred = {};
    std::vector<std::string> cut_short = {};  // an Alert 1225 each: Source/LocURI of the object whose end is missing
    std::vector<atomic_range> atomics = {};   // in order, not empty, none within another
    std::optional<object_part> part = {};
};

// CmdIDs count from 1: statuses, then alerts, then commands, an Atomic before what is in it. `first_command_id` tells
// where commands begin.
int first_command_id(reply const&);
// Errors: malformed (a value that XML cannot carry; a command's is named by its LocURI).
[[nodiscard]] result<std::string> serialise(reply const&);
// What one command adds to the size of a message, in bytes, at most; a part of a large object with what marks it as
// one.
std::size_t size_of(command const&);
std::size_t size_of(command const&, object_part const&);
// What an Atomic adds besides the commands in it.
std::size_t size_of_atomic();
// How many bytes of `text` from `begin` on take at most `room` bytes in a message; never within a character.
std::size_t fitting(std::string_view text, std::size_t begin, std::size_t room);
// Whether XML can carry the command's every part; serialise fails where it cannot.
bool sendable(command const&);

}  // namespace mdmd::omadm
