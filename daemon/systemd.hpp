// What the daemon tells systemd. Without systemd all of it does nothing.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/log.hpp"

namespace mdmd::daemon {

bool to_journal_by_default();           // standard error is the journal's
void to_journal(log::record const&);    // a log::sink: fields become MDMD_… fields
void tell_systemd(std::string const&);  // sd_notify: "READY=1"
void tell_systemd_reloading();

// How often systemd has to be told WATCHDOG=1, twice in the time it waits; nullopt: it does not wait for it.
std::optional<std::chrono::microseconds> watchdog_period();

// The listening TCP sockets that systemd made for this process and handed over [sd_listen_fds(3)].
class handed_sockets {
public:
    handed_sockets();  // from the environment, where none is left
    handed_sockets(handed_sockets const&) = delete;
    handed_sockets& operator=(handed_sockets const&) = delete;
    ~handed_sockets() { close_rest(); }

    std::vector<int> take(std::uint16_t port);  // the caller's from now on
    std::vector<std::uint16_t> close_rest();    // the ports of those that nobody took

private:
    std::multimap<std::uint16_t, int> by_port_;
};

}  // namespace mdmd::daemon
