// Addresses of nodes in a device's management tree ("./Device/Vendor/MSFT/…"), as policies write them and as devices
// give them back. Source: OMA-TS-DM_TNDS 1.2, [MS-MDM] 2.2.3; segments are percent-encoded UTF-8.
#pragma once
#include <string>
#include <string_view>

namespace mdmd::config {

// The one spelling to compare by: "./Vendor/…" for "./Device/Vendor/…", no slash at the end, and percent-encoding
// exactly where RFC 3986 wants it in a path segment ("%7B", never "{"; "~", never "%7E"). It can be sent to a device.
// Names keep their case.
std::string canonical_node_uri(std::string_view);

// What an address is for: to be set on a device, to be set for a user of it ("./User/…"), or to be read by a rule.
enum class uri_for { device_setting, user_setting, rule };

// What keeps the text from being the address of one such node: "expected …" without what was got; empty: nothing.
// ./DevInfo and ./DevDetail can only be read.
std::string node_uri_fault(std::string_view, uri_for);

}  // namespace mdmd::config
