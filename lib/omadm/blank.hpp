// SyncML as it may be shown to people and sent to others: without what opens anything.
#pragma once
#include <string>
#include <string_view>

namespace mdmd::omadm {

// The same text with credentials (Cred's Data), nonces, tokens, and the Data of nodes that hold passwords, keys or
// challenges replaced by "***". Works on any bytes, whether they are SyncML or not; what is no XML that can be followed
// is left out from there on.
std::string blank(std::string_view text);

// The value of a node, or "***" where it opens something. Numbers of up to three digits and booleans open nothing: they
// are what policies say about passwords.
std::string shown_value(std::string_view uri, std::string_view value);

}  // namespace mdmd::omadm
