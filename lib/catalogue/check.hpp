// Policies against Windows' own catalogue of nodes.
#pragma once
#include <vector>

#include "config/load.hpp"

namespace mdmd::catalogue {

struct finding {
    config::problem what;
    bool error = false;  // a device would refuse it; otherwise it may well be meant
};

// In the order of the file. Errors: a node of the other scope, another format, a node that cannot be set, a value
// outside of what Windows takes, an ADMX-backed node without <enabled/> or <disabled/>. Warnings: a node that is not
// known, one that is deprecated, one that Windows does not have from target.min_os_version on. What is filled in for
// each device is not judged; nor is what the catalogue says in a way that cannot be read.
std::vector<finding> check(config::policy_file const&);
std::vector<finding> check(std::vector<config::policy_file> const&);

}  // namespace mdmd::catalogue
