#include "policy/order.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace mdmd::policy {
namespace {

constexpr std::array<std::string_view, 9> kind_names{
    "send", "sync", "lock", "reboot", "wipe", "retire", "rotate-recovery-key", "scan", "update-signatures"};

constexpr std::string_view wipe_root = "./Device/Vendor/MSFT/RemoteWipe/";
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> wipes{
    {{"", "doWipe"}, {"protected", "doWipeProtected"}, {"keep-user-data", "doWipePersistUserData"},
        {"keep-provisioning", "doWipePersistProvisionedData"}, {"cloud", "doWipeCloud"},
        {"cloud-keep-user-data", "doWipeCloudPersistUserData"},
        {"cloud-keep-provisioning", "doWipeCloudPersistProvisionedData"},
        {"redeploy", "AutomaticRedeployment/doAutomaticRedeployment"}}};

constexpr std::string_view rotation_id = "./Device/Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsRequestID";
constexpr std::string_view rotation_status = "./Device/Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsStatus";
constexpr std::string_view quick_scan_time = "./Device/Vendor/MSFT/Defender/Health/QuickScanTime";
constexpr std::string_view full_scan_time = "./Device/Vendor/MSFT/Defender/Health/FullScanTime";
constexpr std::string_view signatures_old = "./Device/Vendor/MSFT/Defender/Health/SignatureOutOfDate";
constexpr std::string_view signature_version = "./Device/Vendor/MSFT/Defender/Health/SignatureVersion";

bool is_success(int status) { return status >= 200 && status < 300; }

omadm::command exec(std::string uri, std::string format = "null", std::optional<std::string> data = {}) {
    omadm::command c;
    c.what = omadm::verb::exec;
    c.uri = std::move(uri);
    c.format = std::move(format);
    if (data) c.type = "text/plain";
    c.data = std::move(data);
    return c;
}

omadm::wanted read(std::string_view prefix, std::string_view node) {
    omadm::command c;
    c.what = omadm::verb::get;
    c.uri = std::string(node);
    omadm::wanted w;
    w.key = fmt::format("{}:{}", prefix, node);
    w.what = std::move(c);
    return w;
}

std::string_view scan_time(order const& o) { return o.main.data == "2" ? full_scan_time : quick_scan_time; }

// The node whose value before and after tells whether it was done; empty where there is none.
std::string_view compared(order const& o) { return o.kind == order_kind::scan ? scan_time(o) : std::string_view(); }

// What is read until it tells the outcome.
std::vector<std::string_view> followed(order const& o) {
    switch (o.kind) {
        case order_kind::rotate_recovery: return {rotation_id, rotation_status};
        case order_kind::scan: return {scan_time(o)};
        case order_kind::update_signatures: return {signature_version, signatures_old};
        default: return {};
    }
}

std::vector<omadm::wanted> reads(order const& o, std::string_view prefix) {
    std::vector<omadm::wanted> all;
    for (auto const node : followed(o)) all.push_back(read(prefix, node));
    return all;
}

omadm::wanted the_command(order const& o, std::string_view prefix) {
    omadm::wanted w;
    w.key = std::string(prefix);
    w.what = o.main;
    return w;
}

// The command itself was answered.
progress take_command(order& o, omadm::outcome const& got, std::string_view prefix) {
    if (!is_success(got.status)) return {"failed", std::string(explained(o.kind, got.status)), {}};
    switch (o.kind) {
        case order_kind::reboot: return {"done", "accepted: Windows restarts within 5 minutes", {}};
        case order_kind::wipe: return {"done", "accepted: a device that comes back was not wiped", {}};
        case order_kind::retire: return {"done", "accepted", {}};
        case order_kind::rotate_recovery:
        case order_kind::scan:
        case order_kind::update_signatures:
            o.stage = "follow";
            return {"", "accepted: the outcome is not known yet", reads(o, prefix)};
        default: return {"done", "", {}};
    }
}

// [BitLocker CSP] 0 passed, 1 pending, 2 not started; anything else is an error code.
progress rotated(order& o, std::string_view node, std::string const& value) {
    if (node == rotation_id) {
        o.memory = value;
        return {};
    }
    if (!iequals(trim(o.memory), o.main.data.value_or("")))
        return {"", "the device tells of another request still", {}};
    if (value == "0") return {"done", "the recovery passwords are rotated and kept in Entra", {}};
    if (value == "1" || value == "2") return {"", "the device is at it", {}};
    return {"failed", fmt::format("BitLocker's status is {}", printable(value, 32)), {}};
}

progress updated(order& o, std::string_view node, std::string const& value) {
    if (node == signature_version) {
        o.memory = value;
        return {};
    }
    if (value == "false" || value == "0")
        return {"done", fmt::format("the signatures are current: {}", printable(o.memory, 64)), {}};
    return {"", "the signatures are not current yet", {}};
}

}  // namespace

std::string_view name(order_kind k) { return kind_names.at(static_cast<std::size_t>(k)); }

std::optional<order_kind> parse_order_kind(std::string_view s) {
    auto const at = std::find(kind_names.begin(), kind_names.end(), s);
    return at == kind_names.end() ? std::nullopt : std::optional(static_cast<order_kind>(at - kind_names.begin()));
}

std::vector<std::string_view> const& wipe_variants() {
    static std::vector<std::string_view> const all = [] {
        std::vector<std::string_view> names;
        for (auto const& [variant, node] : wipes) names.push_back(variant);
        return names;
    }();
    return all;
}

result<omadm::command> command_of(
    order_kind kind, std::string_view variant, std::string_view provider_id, std::string_view request_id) {
    if (kind != order_kind::wipe && kind != order_kind::scan && !variant.empty())
        return fail(errc::malformed, fmt::format("{} has no variants", name(kind)));
    switch (kind) {
        case order_kind::send: return fail(errc::malformed, "send has a command of its own");
        case order_kind::sync: return omadm::command{};
        case order_kind::lock: return exec("./Device/Vendor/MSFT/RemoteLock/Lock");
        case order_kind::reboot: return exec("./Device/Vendor/MSFT/Reboot/RebootNow");
        case order_kind::wipe:
            for (auto const& [known, node] : wipes)
                if (known == variant) return exec(fmt::format("{}{}", wipe_root, node), "chr", std::string());
            return fail(errc::malformed,
                fmt::format(
                    "expected one of protected, keep-user-data, keep-provisioning, cloud, cloud-keep-user-data, "
                    "cloud-keep-provisioning and redeploy, got '{}'",
                    printable(variant, 32)));
        case order_kind::retire:
            return exec(fmt::format("./Device/Vendor/MSFT/DMClient/Provider/{}/Unenroll", provider_id), "chr",
                std::string(provider_id));
        case order_kind::rotate_recovery:
            return exec("./Device/Vendor/MSFT/BitLocker/RotateRecoveryPasswords", "chr", std::string(request_id));
        case order_kind::scan:
            if (!variant.empty() && variant != "quick" && variant != "full")
                return fail(errc::malformed, fmt::format("expected quick or full, got '{}'", printable(variant, 32)));
            return exec("./Device/Vendor/MSFT/Defender/Scan", "chr", variant == "full" ? "2" : "1");
        case order_kind::update_signatures: return exec("./Device/Vendor/MSFT/Defender/UpdateSignature");
    }
    return fail(errc::malformed, "no such order");
}

bool is_final(order_kind k) { return k == order_kind::wipe || k == order_kind::retire; }

std::vector<omadm::wanted> steps(order const& o, std::string_view prefix) {
    if (o.kind == order_kind::sync) return {};
    if (o.stage == "follow") return reads(o, prefix);
    if (o.stage.empty() && !compared(o).empty()) return {read(prefix, compared(o))};
    return {the_command(o, prefix)};
}

progress take(order& o, std::string_view part, omadm::outcome const& got, std::string_view prefix) {
    if (part.empty()) return take_command(o, got, prefix);
    auto const node = part.substr(1);
    auto const value = is_success(got.status) ? std::string(trim(got.value.value_or(""))) : std::string();
    if (o.stage.empty()) {  // what is compared later; a node that is not there yet is one that changes
        o.memory = value;
        o.stage = "asked";
        return {"", "", {the_command(o, prefix)}};
    }
    if (!is_success(got.status)) return {"", "the outcome cannot be read", {}};
    switch (o.kind) {
        case order_kind::rotate_recovery: return rotated(o, node, value);
        case order_kind::update_signatures: return updated(o, node, value);
        case order_kind::scan:
            if (value.empty() || value == o.memory) return {"", "the scan has not ended yet", {}};
            return {"done", fmt::format("scanned at {}", printable(value, 64)), {}};
        default: return {};
    }
}

std::string_view explained(order_kind kind, int status) {
    bool const refused = status == 405 || status == 500;
    switch (kind) {
        case order_kind::lock:
            if (refused || status == 404) return "this Windows cannot be locked from afar: RemoteLock is for phones";
            break;
        case order_kind::retire:
            if (refused || status == 403 || status == 425)
                return "this Windows does not let itself be unenrolled: wipe it, or let its user disconnect it";
            break;
        case order_kind::wipe:
            if (status == 404) return "this Windows does not know this way to wipe: it needs a later build";
            if (refused) return "Windows refuses to be wiped so: its recovery environment may be missing";
            break;
        case order_kind::rotate_recovery:
            if (status == 404 || refused)
                return "BitLocker does not rotate: is the drive encrypted, and ConfigureRecoveryPasswordRotation set?";
            break;
        case order_kind::scan:
        case order_kind::update_signatures:
            if (status == 404 || refused) return "Defender is not active on this device";
            break;
        default: break;
    }
    return "";
}

}  // namespace mdmd::policy
