// What SQLite knows of a database's files.
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <cstdio>
#include <fstream>

#include "store/check.hpp"
#include "store/files.hpp"
#include "store/schema.hpp"
#include "store/sqlite_connection.hpp"

namespace mdmd::store {
namespace {

constexpr int primary_code = 0xff;  // the lowest byte of an extended code
constexpr std::string_view magic("SQLite format 3\0", 16);
constexpr std::size_t write_version_at = 18;  // in the file's header: 2 where it needs its write-ahead log

}  // namespace

result<void> check_database(std::filesystem::path const& file) {
    std::error_code failure;
    if (!std::filesystem::exists(file, failure))
        return failure ? fail(errc::forbidden, fmt::format("{}: {}", file.string(), failure.message()))
                       : fail(errc::not_found, fmt::format("there is no {}", file.string()));
    if (::access(file.c_str(), R_OK) != 0)
        return fail(errc::forbidden, fmt::format("{}: {}", file.string(), std::generic_category().message(errno)));
    try {
        sqlite_connection db(file, true);
        auto const id = db.number("PRAGMA application_id");
        if (id != 0 && id != application_id) return fail(errc::conflict, "it is not a database of mdmd");
        auto const known = static_cast<std::int64_t>(migrations().size());
        if (auto const at = db.number("PRAGMA user_version"); at > known)
            return fail(errc::conflict, fmt::format("it has schema version {}, this mdmd knows {}", at, known));
        auto const said = db.words("PRAGMA quick_check(1)");
        if (said == "ok") return {};
        return fail(errc::malformed, said);
    } catch (store_error const& e) {
        switch (e.code & primary_code) {
            case SQLITE_CORRUPT:
            case SQLITE_NOTADB: return fail(errc::malformed, e.what());
            case SQLITE_CANTOPEN:
            case SQLITE_PERM:
            case SQLITE_READONLY:
            case SQLITE_AUTH: return fail(errc::forbidden, e.what());
            default: return fail(errc::unavailable, e.what());
        }
    }
}

void copy_database(std::filesystem::path const& from, std::filesystem::path const& to) {
    sqlite_connection db(from, true);
    db.execute("VACUUM INTO $1", {to.string()});
    sync_file(to);
}

result<std::int64_t> examine_copy(std::filesystem::path const& file) {
    char header[write_version_at + 1] = {};
    std::ifstream(file, std::ios::binary).read(header, sizeof header);
    if (std::string_view(header, magic.size()) != magic) return fail(errc::malformed, "it is not a database");
    if (header[write_version_at] != 1)
        return fail(errc::malformed, "it is the file of a database in use, which is not whole without its -wal");
    try {
        sqlite_connection db(file, true);
        if (db.number("PRAGMA application_id") != application_id)
            return fail(errc::malformed, "it is not a database of mdmd");
        auto const known = static_cast<std::int64_t>(migrations().size());
        auto const at = db.number("PRAGMA user_version");
        if (at > known)
            return fail(errc::conflict,
                fmt::format(
                    "its database has schema version {}, this mdmctl knows {}: it takes a newer mdmd", at, known));
        if (at < 1) return fail(errc::malformed, "it is an empty database");
        if (auto const said = db.words("PRAGMA integrity_check(1)"); said != "ok") return fail(errc::malformed, said);
        if (db.query("PRAGMA foreign_key_check")->next())
            return fail(errc::malformed, "rows refer to others that are not there");
        return at;
    } catch (store_error const& e) {
        auto const code = e.code & primary_code;
        return fail(code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? errc::malformed : errc::unavailable, e.what());
    }
}

void replace_database(std::filesystem::path const& by, std::filesystem::path const& database,
    std::filesystem::path const& aside, file_lock const& lock) {
    auto const must = [](bool good, std::string const& file) {
        if (!good) throw store_error(errno, fmt::format("{}: {}", file, std::generic_category().message(errno)));
    };
    auto const side = [](std::filesystem::path const& file, char const* suffix) { return file.string() + suffix; };
    struct stat old {};
    must(::fstat(lock.get(), &old) == 0, database.string());
    if (old.st_size > 0) {
        // The write-ahead log is worked in, where there is one and neither is damaged: then the file is whole by
        // itself.
        try {
            if (check_database(database)) sqlite_connection(database, false).number("PRAGMA wal_checkpoint(TRUNCATE)");
        } catch (store_error const&) {  // kept as it is
        }
        must(::link(database.c_str(), aside.c_str()) == 0, aside.string());
        auto const log = side(database, "-wal");
        struct stat s {};
        if (::stat(log.c_str(), &s) == 0 && s.st_size > 0)
            must(::link(log.c_str(), side(aside, "-wal").c_str()) == 0, side(aside, "-wal"));
    }
    // What is left of the old log must not be taken for one of the new database.
    for (auto const* suffix : {"-wal", "-shm"}) {
        auto const file = side(database, suffix);
        must(::unlink(file.c_str()) == 0 || errno == ENOENT, file);
    }
    sync_folder_of(database);
    must(::rename(by.c_str(), database.c_str()) == 0, database.string());
    sync_folder_of(database);
}

}  // namespace mdmd::store
