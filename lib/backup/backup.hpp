// A backup: one file with a consistent copy of the database, and back again. The content of its envelope is the length
// of the manifest in 4 bytes, big-endian, the manifest, and the parts one behind the other in its order:
//
//   {"format": 1, "mdmd": "0.1.0", "schema": 1, "made": "2026-11-27T20:00:00Z", "host": "mdm1",
//    "parts": [{"name": "database", "size": 4096, "sha256": hex}]}
#pragma once
#include <optional>

#include "backup/envelope.hpp"
#include "core/time.hpp"
#include "store/files.hpp"

namespace mdmd::backup {

struct manifest {
    std::string mdmd;  // version of the program that made it
    std::int64_t schema = 0;
    time_point made{};
    std::string host;
    std::uint64_t size = 0;  // of the database, in bytes
    std::string sha256;      // of it, hex
};
std::string to_json(manifest const&);
// Errors: malformed, unsupported (a newer format).
[[nodiscard]] result<manifest> parse_manifest(std::string_view);

// Writes all of it. Throws where that fails. Throws std::system_error.
void write_all(int fd, std::string_view);

struct maker {
    std::string mdmd, host;
    time_point now;
};
// Copies the database, which may be in use, beside itself, goes through the copy and writes the backup to `fd`, without
// syncing it. Throws store_error or std::system_error. Errors: as store::examine_copy.
[[nodiscard]] result<manifest> write(
    std::filesystem::path const& database, int fd, secret const& passphrase, maker const&);

// The database of a backup, or of a copy that mdmd keeps before an upgrade, gone through and on the disk.
struct unpacked {
    std::int64_t schema = 0;
    std::optional<manifest> what;  // of a backup
    std::unique_ptr<store::file_beside> file;
};
// Puts it beside `database`. Throws store_error or std::system_error where the disk fails. Errors: those of
// envelope_reader, parse_manifest and store::examine_copy.
[[nodiscard]] result<unpacked> unpack(int fd, secret const& passphrase, std::filesystem::path const& database);

}  // namespace mdmd::backup
