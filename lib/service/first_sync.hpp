// Windows' Enrollment Status Page: what it is told to track while a computer is set up, and that it may end.
// Source: DMClient CSP, FirstSyncStatus.
#pragma once
#include <set>

#include "omadm/session.hpp"
#include "policy/policy.hpp"

namespace mdmd::service::first_sync {

inline constexpr std::string_view key_prefix = "first-sync:";

// The URIs that the page tracks: settings of the Policy CSP, and MSI packages by their nodes.
struct expected {
    std::vector<std::string> policies;
    std::vector<std::string> packages;
};
expected of(policy::record_map const& settings, std::vector<std::string> packages);

enum class part { device, user };
// What begins it: the lists and how the page behaves. `timeout` in whole minutes, 1 to 1440. `user_page`: users get a
// page of their own part too.
std::vector<omadm::wanted> begin(
    part, expected const&, std::string_view provider_id, std::chrono::minutes timeout, bool user_page);
// And what ends the server's share of it: all that is expected was sent.
std::vector<omadm::wanted> finish(part, std::string_view provider_id);

// Whether the node is one of these.
bool is_of(part, std::string_view uri);
// Whether it is the outcome of what finish() gives.
bool is_end(omadm::outcome const&);
// The outcome of one of these: what to send instead (Replace where an Add found the node, Add where a Replace did not).
std::optional<omadm::wanted> take(omadm::outcome const&);

}  // namespace mdmd::service::first_sync
