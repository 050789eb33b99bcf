// How far Windows' Enrollment Status Page is, of a device and of the user who is there, in one message of a session.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "policy/policy.hpp"
#include "service/first_sync.hpp"
#include "service/presence.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {

class status_page {
public:
    explicit status_page(store::device const& d) : setup_(d.enrollment_type == "Device"), device_stage_(d.first_sync) {}

    // The user, as they were seen before.
    void load(std::optional<store::device_user> const&);

    // A session begins: what is to be told. `packages`: nodes of those that are to be installed.
    std::vector<omadm::wanted> begin(config::settings const&, presence const&, policy::record_map const& device,
        policy::record_map const& user, std::vector<std::string> packages);
    // Takes in an outcome of that, or of end(); returns what is to be sent instead, if anything.
    std::optional<omadm::wanted> take(omadm::outcome const&);
    // A later message of the session: what was told counts once the device has answered all of it.
    void settle(omadm::intake const&, std::span<omadm::wanted const> todo, presence const&);
    // What ends the page, when there is nothing else to send.
    std::vector<omadm::wanted> end(presence const&) const;

    // "owed": until the device has answered all of what begins it; "begun": its end is owed, until that is answered;
    // "done".
    std::string const& device_stage() const { return device_stage_; }
    std::string const& user_stage() const { return user_stage_; }

private:
    bool setup_;  // Windows shows it to who joins a computer, and not with a work account
    std::string device_stage_, user_stage_ = "owed";
};

}  // namespace mdmd::service
