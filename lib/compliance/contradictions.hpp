// What policies' rules have against each other, for who writes them. Pure.
#pragma once
#include <vector>

#include "config/load.hpp"
#include "config/policy_file.hpp"

namespace mdmd::compliance {

// One for each pair of rules of which no device can keep both, where the second one stands. Whether any device is meant
// by both policies is not looked at.
std::vector<config::problem> contradictions(std::vector<config::policy_file> const&);

}  // namespace mdmd::compliance
