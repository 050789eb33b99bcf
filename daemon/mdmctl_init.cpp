// mdmctl init: the first config.yaml, from what the Entra portal gives.
#include "daemon/mdmctl.hpp"

namespace mdmd::ctl {

void add_init(CLI::App&, command_line&) {}

}  // namespace mdmd::ctl
