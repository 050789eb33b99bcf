#include "store/sign_ins.hpp"

namespace mdmd::store {

bool use_sign_in(connection&, std::string_view, std::string_view, time_point) { return false; }

}  // namespace mdmd::store
