// The administrator's orders to one device in one message of a session: what is sent of them, and what came of it.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "omadm/session.hpp"
#include "service/presence.hpp"
#include "store/commands.hpp"

namespace mdmd::service {

class session_orders {
public:
    // Of the keys of all that is sent for an order: its id, and after a colon what is read before or after it.
    static constexpr std::string_view key_prefix = "command:";

    explicit session_orders(time_point now) : now_(now) {}

    // Those that are open, for the device itself and for the user who is there.
    void load(store::connection&, std::string const& device_id, presence const&);
    // A session begins. What an earlier one sent and got no answer to is sent again, unless doing it twice could do
    // harm; what is followed ends after 30 days without news.
    void begin();
    // Whether the device is ordered to be read whole, and that it has been.
    bool want_refresh() const;
    void refreshed();

    // Takes in the outcome of something that was sent for an order; returns what follows in the same session.
    std::vector<omadm::wanted> take(std::string_view key, omadm::outcome const&);
    // What is to be sent, in order.
    std::vector<omadm::wanted> queue() const;
    // What of that went out, and what never can.
    void sent(std::string_view key);
    void refuse(std::string_view key, std::string const& why);
    // Whether queue() gives it again: a read that follows an order is not.
    static bool is_queued_again(std::string_view key);

    // The device has just taken the order to end its management: "wiped", "retired"; empty: it has not.
    std::string const& ended() const { return ended_; }

    // A command was taken back, or has expired, since load().
    struct outdated {};
    // Throws outdated.
    void keep(store::connection&, std::string const& device_id) const;

private:
    store::command* find(std::string_view key);
    bool may_send(store::command const&) const;
    void finish(store::command&, std::string state, std::string detail);

    time_point now_;
    presence there_;
    bool new_session_ = false;
    std::vector<store::command> all_;  // open ones, in order
    std::set<std::string> sent_, changed_;
    std::string ended_;
};

}  // namespace mdmd::service
