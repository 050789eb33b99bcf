// What is read of every device to show who and what it is, once a day and on demand.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "omadm/session.hpp"

namespace mdmd::service::inventory {

inline constexpr std::string_view device_name = "./DevDetail/Ext/Microsoft/DeviceName";
inline constexpr std::string_view serial = "./DevDetail/Ext/Microsoft/SMBIOSSerialNumber";
inline constexpr std::string_view network_adapters = "./Vendor/MSFT/DeviceStatus/NetworkIdentifiers";
inline constexpr std::string_view entra_id = "./Vendor/MSFT/DMClient/Provider/mdmd/AADDeviceID";

// Canonical URIs. [DevDetail, DeviceStatus CSP]
std::span<std::string_view const> nodes();
// What a device says of itself at the beginning of each session. [DevInfo CSP]
std::span<std::string_view const> device_info();
// Of the answer to a read of an interior node: what is read of its children ("AA%2FBB" joined by slashes) next. At most
// 32 children. [OMA-TS-DM_TND: Get of an interior node]
std::vector<std::string> below(std::string_view node, std::string_view children);
// Whether the node was below `node`, by an earlier answer, and is not by this one.
bool is_stale(std::string_view canonical_uri, std::string_view node, std::string_view children);
// Whether the node is one that nodes() or below() give.
bool is_of(std::string_view canonical_uri);

}  // namespace mdmd::service::inventory
