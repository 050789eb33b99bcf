// What is remembered between two messages of one management session, as the store keeps it.
#pragma once
#include <string>
#include <vector>

#include "omadm/session.hpp"
#include "service/presence.hpp"

namespace mdmd::service {

// What is left to be sent of a session's own work is kept beside the protocol's state, so that a restart between two
// messages loses nothing.
struct session_state {
    omadm::session dm;
    std::vector<omadm::wanted> todo;
    presence there;
    bool refreshing = false;  // inventory and settings are read whole in this session
    bool eventful = false;    // something was changed, or failed
    bool operator==(session_state const&) const = default;
};
// JSON. The reader throws where the text is not one of the writer's: the store is ours.
std::string save(session_state const&);
session_state load_session_state(std::string const&);

}  // namespace mdmd::service
