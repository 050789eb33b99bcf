// A store with many devices, made of one.
#pragma once
#include <filesystem>

#include "bench/load.hpp"

namespace mdmd::bench {

// Gives an appliance's database, which nobody has open, so many devices more that are as the one of that name is:
// enrolled, with its settings, inventory, verdict and report, under IDs of their own. Returns the first `playable`
// ones, whose certificates are for `key`. Throws std::runtime_error.
std::vector<device> multiply(std::filesystem::path const& database, std::string const& name, std::size_t many,
    std::size_t playable, sim::private_key const& key);

}  // namespace mdmd::bench
