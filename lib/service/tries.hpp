// How often something was tried within the last while, by whom: in memory, and bounded there.
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "core/time.hpp"

namespace mdmd::service {

// Not safe for several threads: whoever has one locks it.
class tries {
public:
    explicit tries(std::chrono::milliseconds window) : window_(window) {}

    int counted(std::string const& by, time_point now) const;
    void count(std::string const& by, time_point now);  // the first one begins a window
    void uncount(std::string const& by);                // a try that was none after all
    void forget(std::string const& by) { all_.erase(by); }
    std::size_t size() const { return all_.size(); }

private:
    void make_room(time_point now);

    struct entry {
        int count = 0;
        time_point until;
    };
    std::chrono::milliseconds window_;
    std::map<std::string, entry> all_;
};

// Whom an address stands for: an IPv4 address for itself, an IPv6 one for the 64 bits that one customer has all of.
std::string place_of(std::string_view address);

}  // namespace mdmd::service
