// The files that config.yaml names, and others like them.
#pragma once
#include <filesystem>
#include <string>

#include "core/credential.hpp"
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

// What read_credential makes of the content of `file`, which is for its errors.
[[nodiscard]] result<credential> parse_credential(secret whole, std::filesystem::path const& file);

// One line, "user:password".
[[nodiscard]] result<secret> read_proxy_credentials(std::filesystem::path const&);

// Whether somebody may run it, and nobody but its owner change it.
[[nodiscard]] result<> check_command(std::filesystem::path const&);

// PEM with a certificate in it.
[[nodiscard]] result<std::string> read_certificate(std::filesystem::path const&);
// The same without a private key beside it, since anyone may read such a file.
[[nodiscard]] result<std::string> read_certificate_alone(std::filesystem::path const&);
// PEM with an unencrypted private key in it.
[[nodiscard]] result<secret> read_private_key(std::filesystem::path const&);
// PEM with a private key in it, encrypted or not.
[[nodiscard]] result<secret> read_any_private_key(std::filesystem::path const&);

// One line that is not empty.
[[nodiscard]] result<secret> read_passphrase(std::filesystem::path const&);

}  // namespace mdmd::config
