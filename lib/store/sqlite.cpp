// SQLite as the store's engine: opening, versions of the schema.
#include <fmt/format.h>
#include <sqlite3.h>
#include <algorithm>
#include <charconv>
#include <optional>

#include "core/log.hpp"
#include "store/database.hpp"
#include "store/files.hpp"
#include "store/schema.hpp"
#include "store/sqlite_connection.hpp"

namespace mdmd::store {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 10s;  // with other programs that have the database
constexpr std::size_t copies_kept = 2;

// Of a database that is about to be changed.
struct kept_copy {
    std::filesystem::path path;
    std::int64_t version;
    std::filesystem::file_time_type made;
};

std::filesystem::path copy_of(std::filesystem::path const& file, std::int64_t version) {
    return fmt::format("{}.schema-{}", file.string(), version);
}

// Newest first.
std::vector<kept_copy> kept_copies(std::filesystem::path const& file) {
    std::vector<kept_copy> all;
    auto const prefix = file.filename().string() + ".schema-";
    std::error_code ignored;
    for (auto const& other :
        std::filesystem::directory_iterator(std::filesystem::absolute(file).parent_path(), ignored)) {
        auto const name = other.path().filename().string();
        if (!name.starts_with(prefix)) continue;
        std::int64_t version = 0;
        auto const* const end = name.data() + name.size();
        auto const read = std::from_chars(name.data() + prefix.size(), end, version);
        if (read.ec == std::errc() && read.ptr == end)
            all.push_back({other.path(), version, other.last_write_time(ignored)});
    }
    std::sort(all.begin(), all.end(),
        [](auto const& a, auto const& b) { return std::pair(a.made, a.version) > std::pair(b.made, b.version); });
    return all;
}

class sqlite final : public engine {
public:
    sqlite(std::filesystem::path file, std::span<migration const> steps) : file_(std::move(file)), steps_(steps) {}

    std::unique_ptr<connection> connect(bool read_only) override {
        return std::make_unique<sqlite_connection>(file_, read_only);
    }

    void forget_history() override {
        // What is overwritten stays in the write-ahead log until that is emptied; in the database itself secure_delete
        // has it overwritten.
        auto const db = connect(false);
        auto const done = db->query("PRAGMA wal_checkpoint(TRUNCATE)");
        if (done->next() && done->flag(0)) throw store_error(SQLITE_BUSY, "the write-ahead log is in use");
    }

    void migrate() override {
        lock_.emplace(file_, file_lock::kind::shared, patience);
        if (version_of(sqlite_connection(file_, false)) == known()) return;
        lock_.reset();
        lock_.emplace(file_, file_lock::kind::alone, patience);
        move_up();
        lock_.reset();
        lock_.emplace(file_, file_lock::kind::shared, patience);
    }

private:
    std::int64_t known() const { return static_cast<std::int64_t>(steps_.size()); }

    // Of the schema; 0: the database is empty. Throws where it is not for this program.
    std::int64_t version_of(sqlite_connection&& db) const { return version_of(db); }
    std::int64_t version_of(sqlite_connection& db) const {
        auto const id = db.number("PRAGMA application_id");
        auto const at = db.number("PRAGMA user_version");
        if (id != application_id && (id != 0 || at != 0 || db.number("SELECT count(*) FROM sqlite_master") != 0))
            throw store_error(0, fmt::format("{} is not a database of mdmd", file_.string()));
        if (at <= known()) return at;
        auto const copies = kept_copies(file_);
        auto const fits =
            std::find_if(copies.begin(), copies.end(), [&](auto const& c) { return c.version <= known(); });
        throw store_error(0,
            fmt::format("{} has schema version {}, this mdmd knows {}: it was written by a newer version; install that "
                        "one, or go back to how things were before the upgrade with `mdmctl restore {}`",
                file_.string(), at, known(), fits == copies.end() ? std::string("BACKUP") : fits->path.string()));
    }

    void move_up() const {
        sqlite_connection db(file_, false);
        auto const at = version_of(db);  // another process may have moved it before this one had the lock
        if (at == known()) return;
        if (at > 0) {
            try {
                keep_copy(db, at);
            } catch (store_error const& e) {
                throw store_error(e.code,
                    fmt::format("{} has schema version {}, this mdmd brings it to {}, but there is no copy of it as it "
                                "was, so nothing is changed: {}",
                        file_.string(), at, known(), e.what()));
            }
        }
        db.script("PRAGMA foreign_keys = OFF");  // a step may make a table anew that others refer to
        db.execute("BEGIN IMMEDIATE");
        try {
            for (auto const& step : steps_.subspan(static_cast<std::size_t>(at))) {
                db.script(step.sql);
                if (step.then) step.then(db);
            }
            if (db.query("PRAGMA foreign_key_check")->next())
                throw store_error(SQLITE_CONSTRAINT, "rows would refer to others that are not there");
            db.script(
                fmt::format("PRAGMA user_version = {}; PRAGMA application_id = {}", known(), application_id).c_str());
            db.execute("COMMIT");
        } catch (store_error const& e) {
            try {
                db.execute("ROLLBACK");
            } catch (store_error const&) {  // SQLite has already rolled back
            }
            throw store_error(e.code, fmt::format("{} stays at schema version {}; bringing it to {} failed: {}",
                                          file_.string(), at, known(), e.what()));
        }
        if (at > 0)
            log::info("database upgraded",
                {{"from", std::to_string(at)}, {"to", std::to_string(known())}, {"copy", copy_of(file_, at).string()}});
    }

    void keep_copy(sqlite_connection& db, std::int64_t at) const {
        if (auto const said = db.words("PRAGMA quick_check(1)"); said != "ok") throw store_error(SQLITE_CORRUPT, said);
        auto const place = copy_of(file_, at);
        file_beside copy(place);
        copy_database(file_, copy.path());
        std::error_code failed;
        std::filesystem::rename(copy.path(), place, failed);
        if (failed) throw store_error(failed.value(), fmt::format("{}: {}", place.string(), failed.message()));
        copy.keep();
        sync_folder_of(place);
        auto const all = kept_copies(file_);
        for (std::size_t i = copies_kept; i < all.size(); ++i) std::filesystem::remove(all[i].path, failed);
    }

    std::filesystem::path file_;
    std::span<migration const> steps_;
    std::optional<file_lock> lock_;
};

}  // namespace

std::unique_ptr<engine> sqlite_engine(std::filesystem::path const& file) { return sqlite_engine(file, migrations()); }

std::unique_ptr<engine> sqlite_engine(std::filesystem::path const& file, std::span<migration const> steps) {
    return std::make_unique<sqlite>(file, steps);
}

}  // namespace mdmd::store
