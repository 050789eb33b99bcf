// What Windows takes as the value of a node. Private to lib/catalogue.
#pragma once
#include <string>

#include "catalogue/catalogue.hpp"
#include "config/policy_file.hpp"

namespace mdmd::catalogue {

// "expected …, got …" without more of the value than a number or a word that the node's kind of value shows to be no
// secret; empty: nothing is wrong, or it cannot be told.
std::string value_fault(node const&, config::policy_setting const&);

}  // namespace mdmd::catalogue
