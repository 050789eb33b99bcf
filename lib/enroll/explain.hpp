// What Windows' enrollment errors mean: what the person in front of the device sees a number of, what causes it, what
// an administrator does about it.
// Source: MDMRegistration.h (MENROLL_E_…, spelled as there); the error table of Microsoft's "Azure Active Directory
// integration with MDM"; [MS-MDE2] section 2.2.10
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mdmd::enroll {

enum class raised_by {
    appliance,  // a refusal of ours, or an answer of ours that Windows could not use
    way,        // what lies between the device and us: names, certificates, connections
    device,     // Windows itself
    entra,      // Entra's device registration
};

struct explanation {
    std::uint32_t code;    // HRESULT; 0: it has none
    char const* constant;  // "MENROLL_E_DEVICECAPREACHED"; for what has no HRESULT its name
    char const* shown;     // Windows' name of the text it shows, "idErrorDeviceLimit"; empty: not known
    raised_by who;
    char const* meaning;  // sentences, as the next
    char const* remedy;
};

std::span<explanation const> explanations();
explanation const* explain(std::uint32_t code);
// "0x80180013", "80180013", "2149056531", "-2145910765", "MENROLL_E_DEVICECAPREACHED", "DeviceCapReached",
// "rejectedTermsOfUse", in any case. nullptr: none of them.
explanation const* explain(std::string_view text);

}  // namespace mdmd::enroll
