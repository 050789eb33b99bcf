// The customer's Terms of Use as files. What they mean is for lib/terms to say. Private to lib/config.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "config/settings.hpp"

namespace mdmd::config {

struct terms_folder {
    std::vector<terms_file> files;      // by path
    std::vector<std::string> problems;  // "expected …, got …", each naming its file
};

// The regular files of `folder` and of two levels of folders in it, but for names that begin with a dot or end with
// "~": 256 KiB each, style sheets, images and fonts 1 MiB, 8 MiB and 1,000 files in all. A link may lead to what is
// inside the folder. Never waits.
terms_folder read_terms_folder(std::filesystem::path const& folder);

}  // namespace mdmd::config
