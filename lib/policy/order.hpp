// What an administrator orders a device to do as one act: the SyncML that says it, and how what comes of it is followed
// to its end. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "omadm/session.hpp"

namespace mdmd::policy {

enum class order_kind {
    send,               // one SyncML command as it is
    sync,               // a session, in which everything is read anew
    lock,               // RemoteLock
    reboot,             // Reboot
    wipe,               // RemoteWipe; the options are wipe_variants()
    retire,             // DMClient's Unenroll
    rotate_recovery,    // BitLocker's recovery passwords
    scan,               // Defender; quick or full
    update_signatures,  // Defender
};
std::string_view name(order_kind);  // "send", "sync", "lock", "reboot", "wipe", "retire", "rotate-recovery-key",
                                    // "scan", "update-signatures"
std::optional<order_kind> parse_order_kind(std::string_view);

// How a wipe can be done: "" (everything, the device can be set up anew), "protected", "keep-user-data",
// "keep-provisioning", "cloud", "cloud-keep-user-data", "cloud-keep-provisioning", "redeploy". [RemoteWipe CSP]
std::vector<std::string_view> const& wipe_variants();

// The command of an order. `variant`: of a wipe, and "quick" (also "") or "full" of a scan. `request_id`: a GUID of the
// order's own, which BitLocker gives back. Errors: malformed (a variant that the kind does not have; send).
[[nodiscard]] result<omadm::command> command_of(
    order_kind, std::string_view variant, std::string_view provider_id, std::string_view request_id);

// Whether the device is changed for good, or is lost to its management.
bool is_final(order_kind);

// An order under way.
struct order {
    order_kind kind = order_kind::send;
    omadm::command main;
    std::string
        stage;  // "": not sent; "asked": what is compared later is being read; "follow": taken, its outcome is read
    std::string memory;  // what was read before the order was given
    bool operator==(order const&) const = default;
};

// What the order needs sent in a session, the keys being `prefix` + "" for its command, or + ":" + the node for a read.
// Of an order whose outcome is followed the reads alone; of one that compares, first the read of what is compared.
std::vector<omadm::wanted> steps(order const&, std::string_view prefix);

struct progress {
    // "" (goes on), "done", "failed", "unknown"
    std::string state;
    std::string detail;               // for people
    std::vector<omadm::wanted> next;  // more to be sent in this session
};
// Takes in an outcome. `part`: the key after the prefix. The command's own status is the caller's to keep; a status
// that means "not carried out" (215, 216) or "later" (417, 503) must not come here.
progress take(order&, std::string_view part, omadm::outcome const&, std::string_view prefix);

// What the SyncML status of the command itself says to people, for those that are known to surprise; else "".
std::string_view explained(order_kind, int status);

}  // namespace mdmd::policy
