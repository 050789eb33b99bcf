#include "service/inventory.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "service/own_settings.hpp"

namespace mdmd::service::inventory {
namespace {

constexpr std::array<std::string_view, 33> all{"./DevDetail/SwV", device_name, serial, "./DevDetail/HwV",
    "./DevDetail/FwV", "./DevDetail/OEM", "./DevDetail/DevTyp", "./DevDetail/Ext/Microsoft/OSPlatform",
    "./DevDetail/Ext/Microsoft/DNSComputerName", "./DevDetail/Ext/Microsoft/ProcessorArchitecture",
    "./DevDetail/Ext/Microsoft/ProcessorType", "./DevDetail/Ext/Microsoft/TotalRAM",
    "./DevDetail/Ext/Microsoft/TotalStorage", "./DevDetail/Ext/Microsoft/FreeStorage",
    "./DevDetail/Ext/Microsoft/SMBIOSVersion", "./DevDetail/Ext/Microsoft/SystemSKU", "./DevDetail/Ext/WLANMACAddress",
    "./Vendor/MSFT/DeviceStatus/OS/Edition", "./Vendor/MSFT/DeviceStatus/OS/Mode",
    "./Vendor/MSFT/DeviceStatus/SecureBootState", "./Vendor/MSFT/DeviceStatus/Compliance/EncryptionCompliance",
    "./Vendor/MSFT/DeviceStatus/TPM/SpecificationVersion", "./Vendor/MSFT/DeviceStatus/TPM/ManufacturerIdTxt",
    "./Vendor/MSFT/DeviceStatus/Antivirus/Status", "./Vendor/MSFT/DeviceStatus/Antivirus/SignatureStatus",
    "./Vendor/MSFT/DeviceStatus/Firewall/Status", "./Vendor/MSFT/DeviceStatus/UAC/Status",
    "./Vendor/MSFT/DeviceStatus/Battery/Status", "./Vendor/MSFT/DeviceStatus/Battery/EstimatedChargeRemaining",
    "./Vendor/MSFT/DeviceStatus/DomainName", "./Vendor/MSFT/WindowsLicensing/Edition",
    "./Vendor/MSFT/DMClient/Provider/mdmd/MaxSyncApplicationVersion", network_adapters};

constexpr std::array<std::string_view, 5> info{
    "./DevInfo/DevId", "./DevInfo/Man", "./DevInfo/Mod", "./DevInfo/DmV", "./DevInfo/Lang"};

constexpr std::array<std::string_view, 4> of_adapter{"IPAddressV4", "IPAddressV6", "IsConnected", "Type"};
constexpr std::size_t most_children = 32;

}  // namespace

std::span<std::string_view const> nodes() { return all; }

std::span<std::string_view const> device_info() { return info; }

std::vector<std::string> below(std::string_view node, std::string_view children) {
    std::vector<std::string> wanted;
    if (node != network_adapters) return wanted;
    std::size_t taken = 0;
    for (auto const child : split(children, '/')) {
        // Names come encoded as URIs have them; one that is not would become another node.
        if (child.empty() || child.size() > 128 || child == "." || child == ".." ||
            child.find_first_of(" \t\r\n?#") != child.npos || ++taken > most_children)
            continue;
        for (auto const leaf : of_adapter) wanted.push_back(fmt::format("{}/{}/{}", node, child, leaf));
    }
    return wanted;
}

bool is_stale(std::string_view uri, std::string_view node, std::string_view children) {
    if (node != network_adapters || !uri.starts_with(std::string(network_adapters) + "/")) return false;
    auto const there = below(node, children);
    return std::find(there.begin(), there.end(), uri) == there.end();
}

bool is_of(std::string_view uri) {
    return std::find(all.begin(), all.end(), uri) != all.end() || uri.starts_with(std::string(network_adapters) + "/");
}

}  // namespace mdmd::service::inventory
