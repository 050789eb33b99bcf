// Settings between policy's records and the store's rows.
#pragma once
#include "policy/policy.hpp"
#include "store/management.hpp"

namespace mdmd::service {

// Those of a device or of one of its users, in the order of their nodes.
policy::record_map records_from(std::vector<store::setting> const&);
// A reported value is kept to 16 KiB.
store::setting row_of(std::string const& user_id, std::string const& node, policy::setting_record const&);
// Whether that is what the row says, whoever it is of: row_of() would make it again.
bool is_row_of(store::setting const&, policy::setting_record const&);

}  // namespace mdmd::service
