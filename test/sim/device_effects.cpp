// What a device does because of a session: installs, scans, restarts, rotates, opens its channel.
#include "core/text.hpp"
#include "device_impl.hpp"
#include "json_read.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

constexpr char bitlocker[] = "./Device/Vendor/MSFT/BitLocker/";
constexpr char health[] = "./Device/Vendor/MSFT/Defender/Health/";
constexpr char list_separator[] = "\xEF\x80\x80";  // U+F000

bool ends_in(std::string_view uri, std::string_view leaf) { return uri.ends_with(leaf); }

bool wipes(std::string_view uri) { return uri.starts_with("./Device/Vendor/MSFT/RemoteWipe/doWipe"); }

// "1.409.89.0" -> "1.409.90.0"
std::string next_version(std::string const& version) {
    auto const parts = split(version, '.');
    std::vector<std::string> all(parts.begin(), parts.end());
    if (all.size() > 2) all[2] = std::to_string(std::atoi(all[2].c_str()) + 1);
    return fmt::format("{}", fmt::join(all, "."));
}

std::vector<std::string> listed(std::string text) {
    std::vector<std::string> all;
    for (std::size_t at = 0; at != text.npos;) {
        auto const cut = text.find(list_separator, at);
        auto entry = text.substr(at, cut == text.npos ? cut : cut - at);
        if (!entry.empty()) all.push_back(std::move(entry));
        at = cut == text.npos ? cut : cut + 3;
    }
    return all;
}

// "…/MSI/%7B…%7D/DownloadInstall;1": with the number of products, which is of no interest here.
bool product_is_there(csp_tree const& tree, std::string entry) {
    entry = entry.substr(0, entry.find(';'));
    if (auto const leaf = entry.rfind("/DownloadInstall"); leaf != entry.npos) entry.resize(leaf);
    auto const* const status = tree.find(entry + "/Status");
    return status && status->value == "70";
}

}  // namespace

void set_first_sync(csp_tree& tree, std::string const& base, bool of_device) {
    auto const node = [&](char const* leaf, char const* format, char const* value) {
        if (!tree.find(base + leaf)) tree.set(base + leaf, {format, value, "GR"});
    };
    node("ServerHasFinishedProvisioning", "bool", "false");
    node("IsSyncDone", "bool", "false");
    node("WasDeviceSuccessfullyProvisioned", "int", "2");
    if (!of_device) return;
    node("BlockInStatusPage", "int", "0");
    node("AllowCollectLogsButton", "bool", "false");
    node("SkipDeviceStatusPage", "bool", "true");
    node("SkipUserStatusPage", "bool", "true");
}

exec_verdict device::impl::judge(sync_options const& o, std::string const& asked, std::string const& data) const {
    auto const uri = csp_tree::canonical(asked);
    if (uri.starts_with("./Device/Vendor/MSFT/RemoteLock/")) return {.status = o.does.lock_status, .violation = {}};
    if (uri == "./Device/Vendor/MSFT/Defender/Scan" && data != "1" && data != "2")
        return {.status = 500, .violation = fmt::format("Defender/Scan of '{}', not 1 or 2", printable(data, 40))};
    if (uri == std::string(bitlocker) + "RotateRecoveryPasswords" && trim(data).empty())
        return {.status = 500, .violation = "RotateRecoveryPasswords has no request ID"};
    if (ends_in(uri, "/Unenroll") && uri.find("/Provider/") != uri.npos &&
        uri.find(fmt::format("/Provider/{}/", provider_id)) == uri.npos)
        return {.status = 404, .violation = {}};
    if (ends_in(uri, "/DownloadInstall")) {
        auto const job = parse_msi_job(uri, data);
        if (!job) return {.status = 400, .violation = job.error().detail};
    }
    return {};
}

bool device::impl::took_effect(sync_options const& o, std::string const& asked, std::string const& data) {
    executed.push_back(asked);
    auto const uri = csp_tree::canonical(asked);
    auto const drops = [&](char const* what) { return o.does.drops_at.contains(what); };
    if (ends_in(uri, "/DownloadInstall")) {
        auto job = parse_msi_job(uri, data);
        if (!job) return false;
        std::erase_if(jobs, [&](msi_job const& j) { return j.node == job->node; });
        tree.set(job->node + "/Status", {"int", "10", "G"});
        tree.set(job->node + "/LastError", {"int", "0", "G"});
        tree.set(job->node + "/LastErrorDesc", {"chr", "", "G"});
        jobs.push_back(std::move(*job));
    } else if (ends_in(uri, "/Unenroll")) {
        unenroll_ordered = true;
        return drops("unenroll");
    } else if (wipes(uri)) {
        wiped = true;
        return drops("wipe");
    } else if (uri == "./Device/Vendor/MSFT/Reboot/RebootNow") {
        restart_due = true;
        return drops("reboot");
    } else if (uri == std::string(bitlocker) + "RotateRecoveryPasswords") {
        auto const status = std::string(bitlocker) + "Status/RotateRecoveryPasswordsStatus";
        tree.set(status, {"int", "1", "G"});
        tree.set(std::string(bitlocker) + "Status/RotateRecoveryPasswordsRequestID", {"chr", data, "G"});
        due[status] = {"int", std::to_string(o.does.rotation_status), "G"};
    } else if (uri == "./Device/Vendor/MSFT/Defender/Scan") {
        auto const kind = std::string(health) + (data == "2" ? "Full" : "Quick");
        due[kind + "ScanTime"] = {"chr", rfc3339_ms(system_clock().now()), "G"};
        auto const* const version = tree.find(std::string(health) + "SignatureVersion");
        due[kind + "ScanSigVersion"] = {"chr", version ? version->value : "", "G"};
    } else if (uri == "./Device/Vendor/MSFT/Defender/UpdateSignature") {
        auto const* const version = tree.find(std::string(health) + "SignatureVersion");
        due[std::string(health) + "SignatureVersion"] = {
            "chr", next_version(version ? version->value : "1.1.1.0"), "G"};
        due[std::string(health) + "SignatureOutOfDate"] = {"bool", "false", "G"};
    }
    return false;
}

void device::impl::begin_session(sync_options const& o) {
    auto const who = o.user.empty() ? user : o.user;
    auto const present = o.login_status == "user" && (corporate || iequals(who, user));
    tree.set_user(present ? lower(who) : std::string());
    if (present)
        set_first_sync(
            tree, fmt::format("./User/Vendor/MSFT/DMClient/Provider/{}/FirstSyncStatus/", provider_id), false);
    unenroll_ordered = wiped = false;
    if (std::exchange(restart_due, false)) {
        ++boots;
        tree.set(std::string(health) + "RebootRequired", {"bool", "false", "G"});
    }
    for (auto const& [uri, n] : std::exchange(due, {})) tree.set(uri, n);
}

// Products whose node was deleted meanwhile are not installed. Whose user is not there now waits.
void device::impl::install_products(sync_options const& o) {
    http::client_options client_options;
    client_options.extra_roots_pem = o.net.server_ca_pem;
    client_options.system_roots = o.net.server_ca_pem.empty();
    client_options.connect_to = o.net.connect_to;
    client_options.answer_bytes = 1u << 28;
    client_options.user_agent = "Microsoft BITS/7.8";
    std::optional<http::client> client;
    http::transport const send = [&](http::call call) {
        if (!client) client.emplace(client_options);
        call.timeout = o.net.timeout;
        return client->send(call);
    };
    std::vector<msi_job> left;
    for (auto& job : jobs) {
        if (job.node.starts_with("./User/") && tree.user().empty()) {
            left.push_back(std::move(job));
            continue;
        }
        if (!tree.find(job.node + "/Status")) continue;
        if (!job.tried) carry_out(job, o.does.install, send);
        auto const take = o.does.install.slowly ? std::size_t{1} : job.steps.size();
        auto const status = job.steps.at(take - 1);
        job.steps.erase(job.steps.begin(), job.steps.begin() + static_cast<std::ptrdiff_t>(take));
        tree.set(job.node + "/Status", {"int", std::to_string(status), "G"});
        if (!job.steps.empty()) {
            left.push_back(std::move(job));
            continue;
        }
        auto const error = std::to_string(static_cast<std::int32_t>(job.hresult));
        tree.set(job.node + "/LastError", {"int", error, "G"});
        tree.set(job.node + "/LastErrorDesc", {"chr", job.problem, "G"});
        owed_alerts.push_back({.code = 1224,
            .type = "com.microsoft.mdm.win32csp_install",
            .data = error,
            .format = "int",
            .source = job.node + "/DownloadInstall"});
        if (status != 70) continue;
        tree.set(job.node + "/Version", {"chr", job.version, "G"});
        tree.set(job.node + "/Name", {"chr", "Simulated product", "G"});
        tree.set(job.node + "/Publisher", {"chr", "Contoso", "G"});
        tree.set(job.node + "/InstallDate", {"chr", rfc3339(system_clock().now()), "G"});
        if (job.upgrade_code.empty()) continue;
        // Who has the upgrade code replaces who had it.
        auto const all = job.node.substr(0, job.node.rfind('/') + 1);
        auto const place = all + "UpgradeCode/" + percent_encode(job.upgrade_code);
        if (auto const* const before = tree.find(place); before && before->value != job.product)
            tree.unset(all + percent_encode(before->value));
        tree.set(place, {"chr", job.product, "G"});
    }
    jobs = std::move(left);
}

void device::impl::follow_first_sync() {
    for (auto const* scope : {"./Device", "./User"}) {
        auto const base = fmt::format("{}/Vendor/MSFT/DMClient/Provider/{}/FirstSyncStatus/", scope, provider_id);
        auto const value = [&](char const* leaf) {
            auto const* const n = tree.find(base + leaf);
            return n ? n->value : std::string();
        };
        if (value("ServerHasFinishedProvisioning") != "true" || value("IsSyncDone") == "true") continue;
        bool there = true;
        for (auto const* leaf :
            {"ExpectedPolicies", "ExpectedNetworkProfiles", "ExpectedPFXCerts", "ExpectedSCEPCerts"})
            for (auto const& uri : listed(value(leaf))) there = there && tree.get(uri).status == 200;
        for (auto const& entry : listed(value("ExpectedMSIAppPackages")))
            there = there && product_is_there(tree, entry);
        if (!there) continue;
        tree.set(base + "IsSyncDone", {"bool", "true", "GR"});
        tree.set(base + "WasDeviceSuccessfullyProvisioned", {"int", "1", "GR"});
    }
}

void device::impl::open_channel(sync_options const& o) {
    auto const* const pfn = tree.find(provider_node("Push/PFN"));
    if (!pfn || pfn->value.empty() || !o.tenant) return;
    control_client tenant(*o.tenant);
    auto const made = tenant.send("POST", "/sim/wns/channels", {{"pfn", pfn->value}, {"device", device_id}});
    auto const uri = made ? text_or(*made, "channel") : std::string();
    auto const* const before = tree.find(provider_node("Push/ChannelURI"));
    if (!before || before->value != uri) seen_pushes = 0;
    tree.set(provider_node("Push/ChannelURI"), {"chr", uri, "G"});
    tree.set(provider_node("Push/Status"), {"int", made ? "0" : "1", "G"});
}

void device::impl::end_session(sync_options const& o) {
    install_products(o);
    follow_first_sync();
    open_channel(o);
}

}  // namespace mdmd::sim
