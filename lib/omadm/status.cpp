#include "omadm/status.hpp"

#include <algorithm>
#include <array>

namespace mdmd::omadm {
namespace {

constexpr char nothing[] = "Nothing.";
constexpr char by_itself[] = "Nothing: it is sent again in the next session.";
constexpr char look_at_uri[] =
    "Check the setting with `mdmctl policies check`, and against Microsoft's page of the configuration service provider.";
constexpr char look_at_device[] =
    "See `original_error` beside the status, and the device's event log "
    "DeviceManagement-Enterprise-Diagnostics-Provider.";
constexpr char send_trace[] = "Keep `mdmctl trace ID` of the device and report it: mdmd does not send such.";

constexpr auto table = std::to_array<status_meaning>({
    {200, 200, "OK", "The command was carried out.", nothing},
    {202, 202, "Accepted", "The device has begun, and tells the outcome later: an install, a scan, a wipe.",
        "Wait for a later session; `mdmctl devices show` has what came of it."},
    {212, 212, "Authentication accepted", "The device's or the server's credentials hold for the session.", nothing},
    {213, 213, "Chunk accepted", "A piece of a large value has arrived; the rest follows.", nothing},
    {214, 214, "Operation cancelled", "The command was carried out, and the device takes no more in this session.",
        "Nothing: the rest is sent in the next session."},
    {215, 215, "Not executed", "The device did not carry it out: its user said no, or what it was sent with failed.",
        "Nothing: it is sent again. Where it stays, look for another setting that failed in the same session."},
    {216, 216, "Rolled back", "It worked, and was undone since another command of its Atomic failed.",
        "Look for the setting of the same area that failed, and mend that one."},
    {217, 217, "No defined meaning", "A status in the range of success that no source defines; it is taken as success.",
        nothing},
    {400, 400, "Bad request", "The device did not understand the command, or its value is not what the node takes.",
        look_at_uri},
    {401, 401, "Invalid credentials", "The credentials of one side were not accepted; they are sent again.",
        "Where it stays with `management.authentication: certificate-or-digest`, the device must be enrolled again. "
        "Otherwise nothing."},
    {403, 403, "Forbidden", "The device understood and refuses, whoever asks.",
        "The node may want another edition of Windows, or be held by something else, such as a group policy. It is "
        "not tried again."},
    {404, 404, "Not found",
        "The device does not have the node: its Windows is too old or another edition, a feature is missing, or the "
        "URI is misspelled.",
        look_at_uri},
    {405, 405, "Command not allowed",
        "The node does not take this command: it is read only, of the other scope (./User or ./Device), of a user who "
        "is not signed in, or needs something first, as a lock needs a PIN.",
        look_at_uri},
    {406, 406, "Optional feature not supported", "The device does not support that part of the node.", look_at_uri},
    {407, 407, "Credentials missing", "One side asks for credentials that were not sent; they are sent again.",
        by_itself},
    {408, 408, "Request timeout", "Something took the device too long.", by_itself},
    {409, 409, "Conflict", "The node is in a state that the command does not fit.", look_at_device},
    {410, 410, "Gone", "What the command is about is not there any more.", look_at_uri},
    {411, 411, "Size required", "The device wants the size of the value beforehand.", send_trace},
    {412, 412, "Incomplete command", "The command lacks something.", send_trace},
    {413, 413, "Request entity too large", "The value or the message is larger than the device takes.",
        "Make the value shorter."},
    {414, 414, "URI too long", "The node's URI is longer than the device takes.", "Use a shorter URI."},
    {415, 415, "Unsupported media type or format", "The format is not the node's: `int` where it wants `chr`, say.",
        "Give the setting the format of Microsoft's page of the node; `mdmctl policies check` names it."},
    {416, 416, "Requested size too big", "The value is larger than was asked for, or than can be kept.",
        "Ask for a smaller node."},
    {417, 417, "Retry later", "The device cannot do it at the moment.", by_itself},
    {418, 418, "Already exists", "Add was sent for a node that is there already.",
        "Nothing for settings: they are sent again as Replace. A command of `mdmctl devices send` is sent as "
        "`replace`."},
    {420, 420, "Device full", "The device has no room for it.",
        "Make room on its disk. It is tried again, five times."},
    {424, 424, "Size mismatch", "A large value was not as long as its first piece said.", send_trace},
    {425, 425, "Permission denied", "The server has no right to that node.",
        "Nodes of another management account, or locked ones, are refused so. It is not tried again."},
    {500, 500, "Command failed",
        "The device could not do it. Windows says so for every error that has no status of its own.", look_at_device},
    {501, 501, "Command not implemented", "The device does not know the command.",
        "This Windows cannot do it: update it, or send another command."},
    {503, 503, "Service unavailable", "The device is busy.", by_itself},
    {505, 505, "DTD version not supported", "The device does not speak this version of SyncML.",
        "Is it Windows 10 or later? Keep `mdmctl trace ID` of it and report it."},
    {506, 506, "Processing error", "The device could not process it, this time.", by_itself},
    {507, 507, "Atomic failed", "One command of an Atomic failed, so that none of them holds.",
        "Look for the setting of the same area that failed, and mend that one."},
    {508, 508, "Refresh required", "The device wants everything sent anew.", "`mdmctl devices sync ID`."},
    {510, 510, "Data store failure", "The device could not read or write what it keeps.", look_at_device},
    {511, 511, "Server failure", "A severe error of the side that answered.", look_at_device},
    {513, 513, "Protocol version not supported", "The device does not speak this version of the protocol.",
        "Is it Windows 10 or later? Keep `mdmctl trace ID` of it and report it."},
    {514, 514, "Operation cancelled", "The device ended it before it was done.", "Send it again."},
    {516, 516, "Atomic rollback failed",
        "One command of an Atomic failed, and undoing the others failed too: what the device holds is not known.",
        "`mdmctl devices sync ID` reads all settings again and puts right what differs."},
    {517, 517, "Atomic response too large", "The answer to an Atomic did not fit into a message.", send_trace},
    {600, 639, "Of the device health attestation",
        "A number that Windows' health attestation shows in the place of a status.",
        "Nothing here uses it: see Microsoft's page of the HealthAttestation provider."},
});

}  // namespace

std::span<status_meaning const> status_meanings() { return table; }

status_meaning const* find_status(int status) {
    auto const found =
        std::find_if(table.begin(), table.end(), [&](auto const& m) { return m.first <= status && status <= m.last; });
    return found == table.end() ? nullptr : &*found;
}

}  // namespace mdmd::omadm
