#include "service/tries.hpp"

#include <algorithm>
#include <vector>

#include "core/text.hpp"

namespace mdmd::service {
namespace {

constexpr std::size_t most = 20'000;

}  // namespace

int tries::counted(std::string const& by, time_point now) const {
    auto const at = all_.find(by);
    return at == all_.end() || at->second.until <= now ? 0 : at->second.count;
}

void tries::count(std::string const& by, time_point now) {
    if (all_.size() >= most && !all_.contains(by)) make_room(now);
    auto& e = all_[by];
    if (e.until <= now) e = {0, now + window_};
    ++e.count;
}

void tries::uncount(std::string const& by) {
    if (auto const at = all_.find(by); at != all_.end() && --at->second.count <= 0) all_.erase(at);
}

// What has ended goes; where that is not enough, half of the rest, those with the fewest tries.
void tries::make_room(time_point now) {
    std::erase_if(all_, [&](auto const& t) { return t.second.until <= now; });
    if (all_.size() < most) return;
    std::vector<int> counts;
    for (auto const& [by, e] : all_) counts.push_back(e.count);
    auto const middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
    std::nth_element(counts.begin(), middle, counts.end());
    std::erase_if(all_, [&](auto const& t) { return t.second.count <= *middle; });
}

std::string place_of(std::string_view address) {
    constexpr std::string_view mapped = "::ffff:";  // an IPv4 client of a listener for both
    if (address.starts_with(mapped)) address.remove_prefix(mapped.size());
    if (address.find(':') == address.npos) return std::string(address);
    std::string out;
    int groups = 0;
    for (auto const group : split(address, ':')) {
        if (group.empty() || groups++ == 4) break;
        out += std::string(group) + ":";
    }
    return out + ":/64";
}

}  // namespace mdmd::service
