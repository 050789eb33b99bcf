#include "csp_tree.hpp"

#include <charconv>

#include "core/text.hpp"
#include "json_read.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

// Below these anything may be created; Policy leaves take a Replace for a node that is not there yet.
constexpr std::string_view addable[] = {"./Device/Vendor/MSFT/Policy/Config/", "./User/Vendor/MSFT/Policy/Config/",
    "./Device/Vendor/MSFT/DMClient/Provider/", "./User/Vendor/MSFT/DMClient/Provider/",
    "./Device/Vendor/MSFT/RootCATrustedCertificates/", "./User/Vendor/MSFT/RootCATrustedCertificates/",
    "./Device/Vendor/MSFT/ClientCertificateInstall/", "./User/Vendor/MSFT/ClientCertificateInstall/",
    "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/",
    "./User/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/", "./Device/Vendor/MSFT/Firewall/MdmStore/FirewallRules/",
    "./Device/Vendor/MSFT/PassportForWork/", "./User/Vendor/MSFT/PassportForWork/", "./Device/Vendor/MSFT/BitLocker/",
    "./Device/Vendor/MSFT/Defender/Configuration/", "./Device/Vendor/MSFT/WindowsAdvancedThreatProtection/",
    "./Device/Vendor/MSFT/NodeCache/", "./Device/Vendor/MSFT/LAPS/Policies/", "./Device/Vendor/MSFT/WiFi/Profile/",
    "./User/Vendor/MSFT/WiFi/Profile/", "./Device/Vendor/MSFT/VPNv2/", "./User/Vendor/MSFT/VPNv2/",
    "./Device/Vendor/MSFT/Reboot/Schedule/", "./Device/Vendor/MSFT/Update/ApprovedUpdates/",
    "./Device/Vendor/MSFT/CertificateStore/", "./Device/Vendor/MSFT/Personalization/",
    "./Device/Vendor/MSFT/EnterpriseModernAppManagement/", "./User/Vendor/MSFT/EnterpriseModernAppManagement/",
    "./User/Vendor/MSFT/NodeCache/"};
constexpr std::string_view upsertable[] = {"./Device/Vendor/MSFT/Policy/Config/", "./User/Vendor/MSFT/Policy/Config/"};

// Areas of the Policy provider whose leaves are whole numbers.
constexpr std::string_view int_areas[] = {"/Policy/Config/DeviceLock/", "/Policy/Config/System/AllowTelemetry"};

constexpr std::string_view executable[] = {"./Device/Vendor/MSFT/Reboot/RebootNow",
    "./Device/Vendor/MSFT/RemoteLock/Lock", "./Device/Vendor/MSFT/RemoteWipe/doWipe",
    "./Device/Vendor/MSFT/RemoteWipe/doWipePersistProvisionedData", "./Device/Vendor/MSFT/RemoteWipe/doWipeProtected",
    "./Device/Vendor/MSFT/RemoteWipe/doWipePersistUserData", "./Device/Vendor/MSFT/RemoteWipe/doWipeCloud",
    "./Device/Vendor/MSFT/RemoteWipe/doWipeCloudPersistUserData",
    "./Device/Vendor/MSFT/RemoteWipe/doWipeCloudPersistProvisionedData",
    "./Device/Vendor/MSFT/RemoteWipe/AutomaticRedeployment/doAutomaticRedeployment",
    "./Device/Vendor/MSFT/RemoteLock/LockAndResetPIN", "./Device/Vendor/MSFT/RemoteLock/LockAndRecoverPIN",
    "./Device/Vendor/MSFT/Defender/Scan", "./Device/Vendor/MSFT/Defender/UpdateSignature",
    "./Device/Vendor/MSFT/Defender/OfflineScan", "./Device/Vendor/MSFT/BitLocker/RotateRecoveryPasswords",
    "./Device/Vendor/MSFT/HealthAttestation/VerifyHealth",
    "./Device/Vendor/MSFT/CertificateStore/My/WSTEP/Renew/RenewNow", "./Device/Vendor/MSFT/DMClient/Unenroll"};

template <std::size_t n> bool below_any(std::string_view uri, std::string_view const (&prefixes)[n]) {
    return std::any_of(
        std::begin(prefixes), std::end(prefixes), [&](auto p) { return uri.size() > p.size() && uri.starts_with(p); });
}

bool is_executable(std::string_view uri) {
    if (std::find(std::begin(executable), std::end(executable), uri) != std::end(executable)) return true;
    return (uri.starts_with("./Device/Vendor/MSFT/DMClient/Provider/") && uri.ends_with("/Unenroll")) ||
           (uri.find("/EnterpriseDesktopAppManagement/MSI/") != uri.npos && uri.ends_with("/DownloadInstall"));
}

// .../EnterpriseDesktopAppManagement/MSI/{product}: to delete it is to uninstall.
bool is_product(std::string_view uri) {
    constexpr std::string_view msi = "/EnterpriseDesktopAppManagement/MSI/";
    auto const at = uri.find(msi);
    return at != uri.npos && at + msi.size() < uri.size() && uri.find('/', at + msi.size()) == uri.npos;
}

bool fits(std::string_view format, std::string_view value) {
    if (format == "int") {
        std::int64_t n = 0;
        auto const [end, ec] = std::from_chars(value.data(), value.data() + value.size(), n);
        return ec == std::errc{} && end == value.data() + value.size();
    }
    if (format == "bool") return value == "true" || value == "false" || value == "1" || value == "0";
    if (format == "b64" || format == "bin") return unbase64(value).has_value();
    if (format == "null" || format == "node") return value.empty();
    return format == "chr" || format == "xml" || format == "date" || format == "time" || format == "float";
}

std::map<std::string, csp_node> read_nodes(json::object const& all) {
    std::map<std::string, csp_node> nodes;
    for (auto const& [uri, n] : all) {
        if (!n.is_object()) continue;
        auto const& o = n.as_object();
        nodes[plain(uri)] = {text_or(o, "format", "chr"), text_or(o, "value"), text_or(o, "access", "G")};
    }
    return nodes;
}

json::object write_nodes(std::map<std::string, csp_node> const& nodes) {
    json::object all;
    for (auto const& [uri, n] : nodes)
        all[uri] = json::object{{"format", n.format}, {"value", n.value}, {"access", n.access}};
    return all;
}

std::string format_or_chr(std::string_view format) { return format.empty() ? "chr" : std::string(format); }

// Leaves of DMClient/Provider/{id}/ that are not text.
constexpr std::pair<std::string_view, std::string_view> provider_formats[] = {{"/Poll/PollOnLogin", "bool"},
    {"/Poll/AllUsersPollOnFirstLogin", "bool"}, {"/Poll/NumberOfFirstRetries", "int"},
    {"/Poll/IntervalForFirstSetOfRetries", "int"}, {"/Poll/NumberOfSecondRetries", "int"},
    {"/Poll/IntervalForSecondSetOfRetries", "int"}, {"/Poll/NumberOfRemainingScheduledRetries", "int"},
    {"/Poll/IntervalForRemainingScheduledRetries", "int"}, {"/NumberOfDaysAfterLostContactToUnenroll", "int"},
    {"/RequireMessageSigning", "bool"}, {"/AADSendDeviceToken", "bool"}, {"/EnableOmaDmKeepAliveMessage", "bool"},
    {"/FirstSyncStatus/TimeOutUntilSyncFailure", "int"}};

// Where a first write decides the format: the provider's own, if we know it.
bool known_format_refuses(std::string_view uri, std::string_view format) {
    if (uri.find("/DMClient/Provider/") != uri.npos)
        for (auto const& [leaf, right] : provider_formats)
            if (uri.ends_with(leaf)) return format != right;
    return format != "int" && std::any_of(std::begin(int_areas), std::end(int_areas),
                                  [&](auto area) { return uri.find(area) != uri.npos; });
}

}  // namespace

std::string csp_tree::canonical(std::string_view uri) {
    if (uri.ends_with('/')) uri.remove_suffix(1);
    if (uri == "./Vendor/MSFT" || uri.starts_with("./Vendor/MSFT/")) return "./Device" + std::string(uri.substr(1));
    return std::string(uri);
}

csp_tree::csp_tree(device_facts const& f) {
    auto const leaf = [this](std::string uri, std::string format, std::string value, std::string access = "G") {
        nodes_[canonical(uri)] = {std::move(format), std::move(value), std::move(access)};
    };
    leaf("./DevInfo/DevId", "chr", f.device_id);
    leaf("./DevInfo/Man", "chr", f.manufacturer);
    leaf("./DevInfo/Mod", "chr", f.model);
    leaf("./DevInfo/DmV", "chr", "1.3");
    leaf("./DevInfo/Lang", "chr", "en-US");
    leaf("./DevDetail/SwV", "chr", f.os_version);
    leaf("./DevDetail/HwV", "chr", "Contoso BIOS 1.17");
    leaf("./DevDetail/FwV", "chr", "1.17.0");
    leaf("./DevDetail/OEM", "chr", f.manufacturer);
    leaf("./DevDetail/DevTyp", "chr", f.model);
    leaf("./DevDetail/LrgObj", "bool", "true");
    for (auto const* name : {"MaxDepth", "MaxTotLen", "MaxSegLen"})
        leaf(fmt::format("./DevDetail/URI/{}", name), "chr", "0");
    std::string const ext = "./DevDetail/Ext/Microsoft/";
    leaf(ext + "OSPlatform", "chr", "Windows 11 Enterprise");
    leaf(ext + "DeviceName", "chr", f.name);
    leaf(ext + "DNSComputerName", "chr", f.name, "GR");
    leaf(ext + "ProcessorArchitecture", "int", "9");
    leaf(ext + "ProcessorType", "int", "8664");
    leaf(ext + "TotalStorage", "int", "487246");
    leaf(ext + "FreeStorage", "int", "301234");
    leaf(ext + "TotalRAM", "int", "16384");
    leaf(ext + "SMBIOSSerialNumber", "chr", f.serial);
    leaf(ext + "SMBIOSVersion", "chr", "3.4");
    leaf(ext + "SystemSKU", "chr", "SIM-14");
    leaf(ext + "LocalTime", "chr", "2026-01-01T08:00:00.0000000+00:00");
    leaf(ext + "Resolution", "chr", "1920x1200");
    leaf("./DevDetail/Ext/WLANMACAddress", "chr", "000c2951609d");
    leaf("./DevDetail/Ext/WlanIPv4Address", "chr", "192.0.2.17");
    leaf("./DevDetail/Ext/WlanIPv6Address", "chr", "2001:db8::17");
    leaf("./DevDetail/Ext/WlanDnsSuffix", "chr", "contoso.test");
    leaf("./DevDetail/Ext/WlanSubnetMask", "chr", "255.255.255.0");
    leaf("./DevDetail/Ext/DeviceHardwareData", "b64", base64(f.hardware_id));
    leaf("./Vendor/MSFT/DeviceManageability/Capabilities/CSPVersions", "xml",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><DeviceManageability Version=\"com.microsoft/10.0/MDM/"
        "DeviceManageability\"><Capabilities><CSPVersions><CSP Node=\"./DevDetail\" Version=\"1.1\"/><CSP "
        "Node=\"./Device/Vendor/MSFT/Policy\" Version=\"10.0\"/></CSPVersions></Capabilities></DeviceManageability>");

    std::string const status = "./Vendor/MSFT/DeviceStatus/";
    leaf(status + "SecureBootState", "int", "1");
    leaf(status + "Compliance/EncryptionCompliance", "int", "1");
    leaf(status + "OS/Edition", "chr", "4");
    leaf(status + "OS/Mode", "int", "0");
    leaf(status + "TPM/SpecificationVersion", "chr", "2.0, 0, 1.38");
    leaf(status + "TPM/ManufacturerId", "chr", "1398033696");
    leaf(status + "TPM/ManufacturerIdTxt", "chr", "STM");
    leaf(status + "TPM/ManufacturerVersion", "chr", "1.258.0.0");
    for (auto const* kind : {"Antivirus", "Antispyware"}) {
        leaf(fmt::format("{}{}/Status", status, kind), "int", "0");
        leaf(fmt::format("{}{}/SignatureStatus", status, kind), "int", "1");
    }
    leaf(status + "Firewall/Status", "int", "0");
    leaf(status + "UAC/Status", "int", "3");
    for (auto const* name : {"VirtualizationBasedSecurityHwReq", "VirtualizationBasedSecurityStatus",
             "LsaCfgCredGuardStatus", "HypervisorEnforcedCodeIntegrityStatus", "SystemGuardStatus"})
        leaf(fmt::format("{}DeviceGuard/{}", status, name), "int", "0");
    leaf(status + "DMA/BootDMAProtectionStatus", "int", "1");
    leaf(status + "NetworkIdentifiers/00-0C-29-51-60-9D/IPAddressV4", "chr", "192.0.2.17");
    leaf(status + "NetworkIdentifiers/00-0C-29-51-60-9D/IPAddressV6", "chr", "");
    leaf(status + "NetworkIdentifiers/00-0C-29-51-60-9D/IsConnected", "bool", "true");
    leaf(status + "NetworkIdentifiers/00-0C-29-51-60-9D/Type", "int", "1");
    leaf(status + "Battery/Status", "int", "1");
    leaf(status + "Battery/EstimatedChargeRemaining", "int", "93");
    leaf(status + "Battery/EstimatedRuntime", "int", "21600");
    leaf(status + "DomainName", "chr", "");

    std::string const defender = "./Device/Vendor/MSFT/Defender/Health/";
    for (auto const* name : {"DefenderEnabled", "RtpEnabled", "NisEnabled", "TamperProtectionEnabled"})
        leaf(defender + name, "bool", "true");
    for (auto const* name : {"SignatureOutOfDate", "QuickScanOverdue", "FullScanOverdue", "RebootRequired",
             "FullScanRequired", "IsVirtualMachine"})
        leaf(defender + name, "bool", "false");
    leaf(defender + "EngineVersion", "chr", "1.1.24030.4");
    leaf(defender + "SignatureVersion", "chr", "1.409.89.0");
    leaf(defender + "DefenderVersion", "chr", "4.18.24030.9");
    for (auto const* kind : {"Quick", "Full"}) {
        leaf(fmt::format("{}{}ScanTime", defender, kind), "chr", "2026-01-01T03:00:00Z");
        leaf(fmt::format("{}{}ScanSigVersion", defender, kind), "chr", "1.409.89.0");
    }
    leaf(defender + "ComputerState", "int", "0");
    leaf(defender + "ProductStatus", "int", "524288");
    leaf("./Device/Vendor/MSFT/BitLocker/Status/DeviceEncryptionStatus", "int", "0");
    leaf("./Device/Vendor/MSFT/BitLocker/Status/RemovableDrivesEncryptionStatus", "int", "0");
    leaf("./Device/Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsStatus", "int", "2");
    leaf("./Device/Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsRequestID", "chr", "");
    leaf("./Device/Vendor/MSFT/RemoteWipe/AutomaticRedeployment/Status", "int", "0");
    leaf("./Device/Vendor/MSFT/RemoteWipe/AutomaticRedeployment/LastError", "int", "0");
    for (auto const* profile : {"DomainProfile", "PrivateProfile", "PublicProfile"})
        leaf(fmt::format("./Vendor/MSFT/Firewall/MdmStore/{}/EnableFirewall", profile), "bool", "true", "GR");
    leaf("./Vendor/MSFT/WindowsLicensing/Edition", "int", "4");
    leaf("./Device/Vendor/MSFT/DMClient/HWDevID", "chr", f.hardware_id);
    leaf("./Device/Vendor/MSFT/CertificateStore/My/WSTEP/Renew/Status", "int", "0");
    leaf("./Device/Vendor/MSFT/CertificateStore/My/WSTEP/Renew/ErrorCode", "int", "0");
}

csp_tree csp_tree::from_json(json::object const& all) {
    csp_tree t;
    t.nodes_ = read_nodes(all);
    return t;
}

json::object csp_tree::to_json() const { return write_nodes(nodes_); }

void csp_tree::set_user(std::string user) {
    if (user == user_) return;
    auto const from = nodes_.lower_bound("./User/");
    auto const to = nodes_.lower_bound("./User0");  // '0' follows '/'
    if (!user_.empty()) others_[user_] = node_map(from, to);
    nodes_.erase(from, to);
    user_ = std::move(user);
    if (auto own = others_.extract(user_)) nodes_.merge(own.mapped());
}

json::object csp_tree::users_to_json() const {
    auto copy = *this;
    copy.set_user({});
    json::object all;
    for (auto const& [user, nodes] : copy.others_) all[user] = write_nodes(nodes);
    return all;
}

void csp_tree::users_from_json(json::object const& all) {
    for (auto const& [user, nodes] : all)
        if (nodes.is_object()) others_[plain(user)] = read_nodes(nodes.as_object());
}

bool csp_tree::has_children(std::string const& uri) const {
    auto const at = nodes_.lower_bound(uri + "/");
    return at != nodes_.end() && at->first.starts_with(uri + "/");
}

csp_result csp_tree::get(std::string_view asked) const {
    if (asked.find('?') != asked.npos) return {.status = 406, .value = {}, .format = {}};
    auto uri = canonical(asked);
    // What is in force is what was configured: nobody else configures this device.
    constexpr std::string_view merged = "/Policy/Result/";
    if (auto const at = uri.find(merged); at != uri.npos) uri.replace(at, merged.size(), "/Policy/Config/");
    if (auto const at = nodes_.find(uri); at != nodes_.end() && at->second.format != "node") {
        if (at->second.access.find('G') == std::string::npos) return {.status = 405, .value = {}, .format = {}};
        return {.status = 200, .value = at->second.value, .format = at->second.format};
    }
    if (!has_children(uri)) {
        auto const empty_node = nodes_.contains(uri);
        return {.status = empty_node ? 200 : 404, .value = {}, .format = empty_node ? "node" : ""};
    }
    std::set<std::string> names;
    for (auto at = nodes_.lower_bound(uri + "/"); at != nodes_.end() && at->first.starts_with(uri + "/"); ++at) {
        auto const rest = std::string_view(at->first).substr(uri.size() + 1);
        names.emplace(rest.substr(0, rest.find('/')));
    }
    return {.status = 200, .value = fmt::format("{}", fmt::join(names, "/")), .format = "node"};
}

int csp_tree::add(std::string_view asked, std::string_view format, std::string_view value) {
    auto const uri = canonical(asked);
    if (nodes_.contains(uri) || has_children(uri)) return 418;
    if (is_executable(uri)) {
        if (uri.find("/MSI/") == uri.npos) return 405;
        nodes_[uri] = {"null", {}, "EGD"};
        return 200;
    }
    if (!below_any(uri, addable)) return 404;
    auto const f = format_or_chr(format);
    if (!fits(f, value) || known_format_refuses(uri, f)) return 415;
    nodes_[uri] = {f, std::string(value), "ADGR"};
    return 200;
}

int csp_tree::replace(std::string_view asked, std::string_view format, std::string_view value) {
    auto const uri = canonical(asked);
    auto const at = nodes_.find(uri);
    if (at == nodes_.end()) {
        if (has_children(uri) || is_executable(uri)) return 405;
        return below_any(uri, upsertable) ? add(asked, format, value) : 404;
    }
    auto& n = at->second;
    if (n.access.find('R') == std::string::npos) return 405;
    auto const f = format_or_chr(format);
    if (f != n.format || !fits(f, value)) return 415;
    if (uri.ends_with("/ServerHasFinishedProvisioning") && n.value == "true" && value != "true") return 405;
    n.value = value;
    return 200;
}

int csp_tree::remove(std::string_view asked) {
    auto const uri = canonical(asked);
    auto const at = nodes_.find(uri);
    auto const leaf = at != nodes_.end();
    if (!leaf && !has_children(uri)) return 404;
    if (is_product(uri)) {
        unset(uri);
        return 200;
    }
    if (leaf && at->second.access.find('D') == std::string::npos) return 405;
    for (auto below = nodes_.lower_bound(uri + "/"); below != nodes_.end() && below->first.starts_with(uri + "/");
         ++below)
        if (below->second.access.find('D') == std::string::npos) return 405;
    unset(uri);
    return 200;
}

int csp_tree::exec(std::string_view asked) const {
    auto const uri = canonical(asked);
    if (is_executable(uri)) return uri.find("/MSI/") == uri.npos || nodes_.contains(uri) ? 200 : 404;
    return nodes_.contains(uri) || has_children(uri) ? 405 : 404;
}

void csp_tree::set(std::string_view uri, csp_node n) { nodes_[canonical(uri)] = std::move(n); }

void csp_tree::unset(std::string_view asked) {
    auto const uri = canonical(asked);
    nodes_.erase(uri);
    std::erase_if(nodes_, [&](auto const& entry) { return entry.first.starts_with(uri + "/"); });
}

csp_node const* csp_tree::find(std::string_view uri) const {
    auto const at = nodes_.find(canonical(uri));
    return at == nodes_.end() ? nullptr : &at->second;
}

std::optional<std::string> locuri_failure(std::string_view uri) {
    if (uri.empty()) return "LocURI is empty";
    if (uri.size() > 1024) return "LocURI is over 1024 bytes";
    auto const path = uri.substr(0, uri.find('?'));
    if (path == ".") return std::nullopt;
    if (!path.starts_with("./")) return fmt::format("LocURI '{}' does not begin with './'", printable(uri, 200));
    for (auto const segment : split(path.substr(2), '/')) {
        if (segment.empty()) return fmt::format("LocURI '{}' has an empty segment", printable(uri, 200));
        if (segment == "." || segment == "..") return fmt::format("LocURI '{}' has a dot segment", printable(uri, 200));
        if (!percent_decode(segment)) return fmt::format("LocURI '{}' has a broken escape", printable(uri, 200));
        if (segment.find_first_of(" {}<>\"") != segment.npos)
            return fmt::format("LocURI '{}' has a character that must be escaped", printable(uri, 200));
    }
    return std::nullopt;
}

}  // namespace mdmd::sim
