// What the daemon tells systemd. Without systemd all of it does nothing.
#pragma once
#include <string>

#include "core/log.hpp"

namespace mdmd::daemon {

bool to_journal_by_default();           // standard error is the journal's
void to_journal(log::record const&);    // a log::sink: fields become MDMD_… fields
void tell_systemd(std::string const&);  // sd_notify: "READY=1"
void tell_systemd_reloading();

}  // namespace mdmd::daemon
