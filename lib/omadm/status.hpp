// What the status of a SyncML command means on Windows, and what an administrator does about it.
// Source: [OMA-TS-DM_RepPro 10]; "OMA DM protocol support" of Microsoft's documentation
#pragma once
#include <span>
#include <string_view>

namespace mdmd::omadm {

struct status_meaning {
    int first, last;      // the statuses: mostly one
    char const* name;     // "Already exists"
    char const* meaning;  // sentences, as the next
    char const* remedy;
};

std::span<status_meaning const> status_meanings();
// nullptr: no status of SyncML, or one that nothing is known of.
status_meaning const* find_status(int);

}  // namespace mdmd::omadm
