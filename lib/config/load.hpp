// Reads config.yaml and policy files, collecting every mistake with its place instead of stopping at the first.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/policy_file.hpp"
#include "config/settings.hpp"
#include "core/error.hpp"

namespace mdmd::config {

struct problem {
    std::filesystem::path file;
    int line = 0;  // 1-based; 0 where the file has no place for it
    int column = 0;
    std::string key;   // "server.listen"; empty where it is about the whole file
    std::string text;  // "expected host:port, got '0.0.0.0'": never a secret's value
    // "config.yaml:12:11: server.listen: expected …, got …": the file's name without its folder. Without a place
    // "config.yaml: expected …", without a key "config.yaml:12:11: expected …".
    std::string line_text() const;
    std::string shown{};  // instead of the file's name, where that alone would not tell which file it is
};

// What the environment contributes, so that tests can say it.
struct environment {
    std::filesystem::path credentials_directory;  // $CREDENTIALS_DIRECTORY, or empty
};
environment from_process();

template <class T> struct loaded {
    std::optional<T> value;  // present exactly if there is no problem
    std::vector<problem> problems;
    std::vector<problem> warnings;  // what works but should not stay: an inline key
};

// Checks everything that can be known from this machine's files: types, ranges, unknown keys, that the files named
// are there, that key files are not readable by others, that certificate and key files hold PEM. Relative paths are
// relative to the file. `policies` are read too, so that one check covers the whole installation.
[[nodiscard]] loaded<settings> load_settings(std::filesystem::path const& file, environment const&);
// The same for text that would stand in `file`, without the policies.
[[nodiscard]] loaded<settings> parse_settings(
    std::string const& yaml, std::filesystem::path const& file, environment const&);

// What key_file and next_key_file hold: one line with a client secret, or PEM with a certificate and its private key.
// Not readable by others. Errors: not_found, forbidden (its mode), malformed, unsupported (a passphrase); the detail is
// "expected …, got …" and never holds content.
[[nodiscard]] result<credential> read_credential(std::filesystem::path const&);

// Every key that config.yaml may hold, "server.listen", in the order of settings.hpp.
std::vector<std::string> known_keys();

// Every *.yaml of the folder, by file name. A missing folder is no policies. Two policies of one name are a problem.
[[nodiscard]] loaded<std::vector<policy_file>> load_policies(std::filesystem::path const& folder);
[[nodiscard]] loaded<policy_file> parse_policy(std::string const& yaml, std::filesystem::path const& name);

}  // namespace mdmd::config
