// What is known of a device by the values of its nodes, in one message of a session.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compliance/compliance.hpp"
#include "omadm/session.hpp"
#include "store/management.hpp"

namespace mdmd::service {

class session_facts {
public:
    static constexpr std::string_view key_prefix = "fact:";  // of the keys of read(), before the node
    static omadm::wanted read(std::string const& node);

    explicit session_facts(time_point now) : now_(now) {}

    void load(store::connection&, std::string const& device_id);
    std::optional<std::string> value_of(std::string_view node) const;  // that the device gave
    compliance::facts const& known() const { return all_; }

    // By canonical URI. A value over 16 KiB is not kept, and its status is 416 then.
    void learn(std::string const& node, int status, std::optional<std::string> value);
    // Takes in the outcome of read(); returns what is to be read below that node.
    std::vector<omadm::wanted> take(std::string const& node, omadm::outcome const&);

    // Writes what is new. False: nothing is.
    bool keep(store::connection&, std::string const& device_id) const;

private:
    using iterator = compliance::facts::iterator;
    void note_change(std::string const& node, iterator at);

    time_point now_;
    compliance::facts all_;
    std::map<std::string, std::optional<compliance::fact>> before_;  // what was known of those that have changed
};

}  // namespace mdmd::service
