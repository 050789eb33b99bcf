// mdmctl doctor: is the whole installation as it must be. Works whether or not the daemon runs.
#include "daemon/mdmctl.hpp"

namespace mdmd::ctl {

void add_doctor(CLI::App&, command_line&) {}

}  // namespace mdmd::ctl
