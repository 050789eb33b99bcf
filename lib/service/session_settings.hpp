// The settings of a device, and of the user who is there, in one message of a session.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.hpp"
#include "store/management.hpp"

namespace mdmd::service {

class session_settings {
public:
    static constexpr std::string_view key_prefix = "setting:";  // of the keys of what is sent, before the node

    // `user_id` empty: nobody is there.
    void load(store::connection&, std::string const& device_id, std::string const& user_id);

    // A session begins: what policies want now.
    void plan_device(policy::desired_state const&);
    void plan_user(policy::desired_state const&);

    policy::record_map const& of_device() const { return device_.now; }
    policy::record_map const& of_user() const { return user_.now; }
    bool has(std::string_view node) const;  // canonical URI

    // As policy::take.
    std::optional<omadm::wanted> take(omadm::outcome const&);
    // As policy::again.
    std::vector<omadm::wanted> again(std::set<std::string> const& nodes) const;
    // It can never be sent.
    void refuse(omadm::wanted const&, std::string const& why);

    // Writes what is new.
    void keep(store::connection&, std::string const& device_id) const;

private:
    struct stored {
        std::vector<store::setting> before;  // by canonical URI
        policy::record_map now;
    };
    static stored from(std::vector<store::setting>);
    static void keep(store::connection&, std::string const& device_id, std::string const& user_id, stored const&);
    policy::record_map& records_of(std::string_view node);

    std::string user_id_;
    stored device_, user_;
};

}  // namespace mdmd::service
