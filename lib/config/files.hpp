// The files that config.yaml names. Private to lib/config.
#pragma once
#include <filesystem>
#include <string>

#include "core/error.hpp"
#include "core/secret.hpp"

namespace mdmd::config {

enum class readers {
    anyone,
    owner_and_group,  // no bit for others, and the group may not write
};

// The content of a regular file of at most 1 MiB. An error's detail is "expected …, got …"; it never holds content.
// Never waits: a pipe or a device in its place is an error.
[[nodiscard]] result<std::string> read_file(std::filesystem::path const&, readers);

// One line of printable ASCII, its end of line taken off.
[[nodiscard]] result<secret> read_key_text(std::filesystem::path const&);

// PEM with a certificate in it.
[[nodiscard]] result<std::string> read_certificate(std::filesystem::path const&);
// PEM with an unencrypted private key in it.
[[nodiscard]] result<secret> read_private_key(std::filesystem::path const&);

}  // namespace mdmd::config
