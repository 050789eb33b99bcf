#include "config/rule_kinds.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace mdmd::config {
namespace {

using enum rule_argument;

constexpr std::array kinds{
    rule_kind{rule_id::min_os_version, "min_os_version", "osMinimumVersion", version, "./DevDetail/SwV"},
    rule_kind{rule_id::max_os_version, "max_os_version", "osMaximumVersion", version, "./DevDetail/SwV"},
    rule_kind{rule_id::os_builds, "os_builds", "validOperatingSystemBuildRanges", ranges, "./DevDetail/SwV"},
    rule_kind{rule_id::encryption, "encryption", "storageRequireEncryption", required,
        "./Vendor/MSFT/DeviceStatus/Compliance/EncryptionCompliance"},
    rule_kind{rule_id::bitlocker, "bitlocker", "bitLockerEnabled", required,
        "./Vendor/MSFT/BitLocker/Status/DeviceEncryptionStatus",
        "./Vendor/MSFT/DeviceStatus/Compliance/EncryptionCompliance"},
    rule_kind{rule_id::secure_boot, "secure_boot", "secureBootEnabled", required,
        "./Vendor/MSFT/DeviceStatus/SecureBootState"},
    rule_kind{
        rule_id::tpm, "tpm", "tpmRequired", rule_argument::tpm, "./Vendor/MSFT/DeviceStatus/TPM/SpecificationVersion"},
    rule_kind{rule_id::memory_integrity, "memory_integrity", "memoryIntegrityEnabled", required,
        "./Vendor/MSFT/DeviceStatus/DeviceGuard/HypervisorEnforcedCodeIntegrityStatus"},
    rule_kind{rule_id::virtualization_based_security, "virtualization_based_security",
        "virtualizationBasedSecurityEnabled", required,
        "./Vendor/MSFT/DeviceStatus/DeviceGuard/VirtualizationBasedSecurityStatus"},
    rule_kind{rule_id::kernel_dma_protection, "kernel_dma_protection", "kernelDmaProtectionEnabled", required,
        "./Vendor/MSFT/DeviceStatus/DMA/BootDMAProtectionStatus"},
    rule_kind{rule_id::firmware_protection, "firmware_protection", "firmwareProtectionEnabled", required,
        "./Vendor/MSFT/DeviceStatus/DeviceGuard/SystemGuardStatus"},
    rule_kind{rule_id::firewall, "firewall", "activeFirewallRequired", required,
        "./Vendor/MSFT/DeviceStatus/Firewall/Status"},
    rule_kind{
        rule_id::antivirus, "antivirus", "antivirusRequired", required, "./Vendor/MSFT/DeviceStatus/Antivirus/Status"},
    rule_kind{rule_id::antispyware, "antispyware", "antiSpywareRequired", required,
        "./Vendor/MSFT/DeviceStatus/Antispyware/Status"},
    rule_kind{
        rule_id::defender, "defender", "defenderEnabled", required, "./Vendor/MSFT/Defender/Health/DefenderEnabled"},
    rule_kind{rule_id::defender_version, "defender_version", "defenderVersion", version,
        "./Vendor/MSFT/Defender/Health/DefenderVersion"},
    rule_kind{rule_id::defender_signatures, "defender_signatures", "signatureOutOfDate", required,
        "./Vendor/MSFT/Defender/Health/SignatureOutOfDate", "./Vendor/MSFT/DeviceStatus/Antivirus/SignatureStatus"},
    rule_kind{rule_id::realtime_protection, "realtime_protection", "rtpEnabled", required,
        "./Vendor/MSFT/Defender/Health/RtpEnabled"},
    rule_kind{rule_id::password, "password", "passwordRequired", required,
        "./Vendor/MSFT/Policy/Result/DeviceLock/DevicePasswordEnabled"},
    rule_kind{rule_id::password_simple, "password_simple", "passwordBlockSimple", blocked,
        "./Vendor/MSFT/Policy/Result/DeviceLock/AllowSimpleDevicePassword"},
    rule_kind{rule_id::password_type, "password_type", "passwordRequiredType", rule_argument::password,
        "./Vendor/MSFT/Policy/Result/DeviceLock/AlphanumericDevicePasswordRequired"},
    rule_kind{rule_id::password_min_length, "password_min_length", "passwordMinimumLength", number,
        "./Vendor/MSFT/Policy/Result/DeviceLock/MinDevicePasswordLength", "", 4, 16},
    rule_kind{rule_id::password_min_character_sets, "password_min_character_sets", "passwordMinimumCharacterSetCount",
        number, "./Vendor/MSFT/Policy/Result/DeviceLock/MinDevicePasswordComplexCharacters", "", 1, 4},
    rule_kind{rule_id::password_expiration_days, "password_expiration_days", "passwordExpirationDays", number,
        "./Vendor/MSFT/Policy/Result/DeviceLock/DevicePasswordExpiration", "", 1, 730},
    rule_kind{rule_id::password_history, "password_history", "passwordPreviousPasswordBlockCount", number,
        "./Vendor/MSFT/Policy/Result/DeviceLock/DevicePasswordHistory", "", 1, 50},
    rule_kind{rule_id::password_lock_after_minutes, "password_lock_after_minutes",
        "passwordMinutesOfInactivityBeforeLock", number,
        "./Vendor/MSFT/Policy/Result/DeviceLock/MaxInactivityTimeDeviceLock", "", 1, 999},
    rule_kind{rule_id::password_after_idle, "password_after_idle", "passwordRequiredToUnlockFromIdle", required,
        "./Vendor/MSFT/Policy/Result/DeviceLock/AllowIdleReturnWithoutPassword"},
};

struct missing_kind {
    std::string_view name, graph, reason;
};
constexpr std::string_view attested =
    "Windows tells it in a Health Attestation report alone, which only a service of Microsoft's can open";
constexpr std::array missing{
    missing_kind{"code_integrity", "codeIntegrityEnabled", attested},
    missing_kind{"early_launch_antimalware", "earlyLaunchAntiMalwareDriverEnabled", attested},
    missing_kind{"health_attestation", "requireHealthyDeviceReport", attested},
    missing_kind{"threat_level", "deviceThreatProtectionRequiredSecurityLevel",
        "a device's threat level is known to the threat protection service alone, no node of Windows has it"},
    missing_kind{"threat_protection", "deviceThreatProtectionEnabled",
        "a device's threat level is known to the threat protection service alone, no node of Windows has it; whether "
        "the sensor runs is told by a uri rule for "
        "./Device/Vendor/MSFT/WindowsAdvancedThreatProtection/HealthState/SenseIsRunning"},
    missing_kind{"configuration_manager", "configurationManagerComplianceRequired",
        "only Configuration Manager knows it, no node of Windows has it"},
    missing_kind{"wsl_distributions", "wslDistributions", "no configuration service provider of Windows lists them"},
    missing_kind{"script", "deviceCompliancePolicyScript",
        "Windows' management client runs no scripts; a uri rule can ask any node of Windows"},
};

constexpr bool in_order() {
    for (std::size_t i = 0; i < kinds.size(); ++i)
        if (kinds[i].id != static_cast<rule_id>(i)) return false;
    return true;
}
static_assert(in_order());

}  // namespace

std::span<rule_kind const> rule_kinds() { return kinds; }

rule_kind const& kind_of(rule_id id) { return kinds[static_cast<std::size_t>(id)]; }

rule_kind const* find_rule_kind(std::string_view name) {
    auto const found = std::find_if(kinds.begin(), kinds.end(), [&](rule_kind const& k) { return k.name == name; });
    return found == kinds.end() ? nullptr : &*found;
}

std::string why_no_rule(std::string_view name) {
    for (auto const& m : missing)
        if (iequals(m.name, name) || iequals(m.graph, name)) return std::string(m.reason);
    for (auto const& k : kinds)
        if (iequals(k.graph, name) || iequals(k.name, name)) return fmt::format("it is called {} here", k.name);
    return "";
}

}  // namespace mdmd::config
