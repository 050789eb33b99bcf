#pragma once
#include <filesystem>

#include "core/error.hpp"

namespace mdmd::config {

// Where the daemon of this config.yaml takes its administrator's commands: admin.socket, or its default. Nothing else
// of the file is looked at, since an administrator's own account may not read the key files that it names.
// Errors: not_found (the file cannot be read), malformed (no YAML).
[[nodiscard]] result<std::filesystem::path> admin_socket(std::filesystem::path const& config_file);

// Where its policies are, in the same way and with the same errors: policies_dir, or its default.
[[nodiscard]] result<std::filesystem::path> policies_folder(std::filesystem::path const& config_file);

// Where its database is, in the same way and with the same errors: storage.path, or its default.
[[nodiscard]] result<std::filesystem::path> database_file(std::filesystem::path const& config_file);

}  // namespace mdmd::config
