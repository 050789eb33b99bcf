// All that is SQLite's alone: opening, pragmas, versions of the schema, binding.
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>
#include <map>

#include "store/check.hpp"
#include "store/database.hpp"
#include "store/schema.hpp"

namespace mdmd::store {
namespace {

constexpr int application_id = 0x6d646d64;    // "mdmd"
constexpr std::size_t most_statements = 256;  // that a connection keeps

[[noreturn]] void raise(sqlite3* db, std::string_view doing) {
    throw store_error(sqlite3_extended_errcode(db), fmt::format("{}: {}", doing, sqlite3_errmsg(db)));
}

struct finalize {
    void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
};
struct close {
    void operator()(sqlite3* d) const noexcept { sqlite3_close_v2(d); }
};

struct statement {
    std::unique_ptr<sqlite3_stmt, finalize> handle;
    std::vector<int> index;  // of $1, $2… among SQLite's own indices; 0: not used in the text
    bool busy = false;
};

class sqlite_rows final : public rows {
public:
    sqlite_rows(statement& s, sqlite3* db) : statement_(s), db_(db) { statement_.busy = true; }
    sqlite_rows(sqlite_rows const&) = delete;
    sqlite_rows& operator=(sqlite_rows const&) = delete;
    ~sqlite_rows() override {
        sqlite3_reset(stmt());
        sqlite3_clear_bindings(stmt());
        statement_.busy = false;
    }

    bool next() override {
        auto const rc = sqlite3_step(stmt());
        if (rc == SQLITE_ROW) return true;
        if (rc == SQLITE_DONE) return false;
        raise(db_, sqlite3_sql(stmt()));
    }
    bool null(int column) const override { return sqlite3_column_type(stmt(), column) == SQLITE_NULL; }
    std::int64_t integer(int column) const override { return sqlite3_column_int64(stmt(), column); }
    std::string text(int column) const override {
        auto const* p = sqlite3_column_text(stmt(), column);
        return p ? std::string(
                       reinterpret_cast<char const*>(p), static_cast<std::size_t>(sqlite3_column_bytes(stmt(), column)))
                 : std::string();
    }

private:
    sqlite3_stmt* stmt() const { return statement_.handle.get(); }
    statement& statement_;
    sqlite3* db_;
};

class sqlite_connection final : public connection {
public:
    sqlite_connection(std::filesystem::path const& file, bool read_only) {
        sqlite3* raw = nullptr;
        int const flags =
            (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX;
        int const rc = sqlite3_open_v2(file.c_str(), &raw, flags, nullptr);
        db_.reset(raw);  // owned even when opening failed
        if (rc != SQLITE_OK) raise(raw, file.string());
        sqlite3_extended_result_codes(raw, 1);
        sqlite3_busy_timeout(raw, 10'000);
        sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
        sqlite3_db_config(raw, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
        sqlite3_db_config(raw, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
        sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
        script(
            "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; "
            "PRAGMA secure_delete = ON");
        if (!read_only) script("PRAGMA journal_mode = WAL");
    }

    std::int64_t execute(std::string_view sql, std::initializer_list<parameter> values) override {
        auto const all = run(sql, std::span(values.begin(), values.size()));
        while (all->next()) {}
        return sqlite3_changes(db_.get());  // the 64 bit one came after RHEL 9's SQLite 3.34
    }

    void script(char const* sql) {
        if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) raise(db_.get(), "script");
    }

protected:
    std::unique_ptr<rows> run(std::string_view sql, std::span<parameter const> values) override {
        auto& s = prepared(sql);
        auto cursor = std::make_unique<sqlite_rows>(s, db_.get());
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (i + 1 >= s.index.size() || s.index[i + 1] == 0)
                throw std::logic_error(fmt::format("parameter ${} is not in: {}", i + 1, sql));
            bind(s, s.index[i + 1], values[i]);
        }
        if (values.size() + 1 != s.index.size())
            throw std::logic_error(fmt::format("{} values for {}", values.size(), sql));
        return cursor;
    }

private:
    statement& prepared(std::string_view sql) {
        auto const known = statements_.find(sql);
        if (known != statements_.end()) {
            if (known->second.busy) throw std::logic_error(fmt::format("already running: {}", sql));
            return known->second;
        }
        // Statements whose text depends on what a client asks for come without end.
        if (statements_.size() >= most_statements)
            std::erase_if(statements_, [](auto const& s) { return !s.second.busy; });
        sqlite3_stmt* raw = nullptr;
        if (sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw,
                nullptr) != SQLITE_OK)
            raise(db_.get(), sql);
        statement s{std::unique_ptr<sqlite3_stmt, finalize>(raw), {0}};
        for (int i = 1; i <= sqlite3_bind_parameter_count(raw); ++i) {
            auto const* name = sqlite3_bind_parameter_name(raw, i);
            auto const number = name ? static_cast<std::size_t>(std::atoi(name + 1)) : 0;
            if (number == 0) throw std::logic_error(fmt::format("parameters are $1, $2…: {}", sql));
            if (s.index.size() <= number) s.index.resize(number + 1);
            s.index[number] = i;
        }
        return statements_.emplace(std::string(sql), std::move(s)).first->second;
    }

    void bind(statement const& s, int index, parameter const& p) {
        auto* const stmt = s.handle.get();
        int rc = SQLITE_OK;
        if (auto const* n = std::get_if<std::int64_t>(&p.value()))
            rc = sqlite3_bind_int64(stmt, index, *n);
        else if (auto const* t = std::get_if<std::string_view>(&p.value()))
            rc = sqlite3_bind_text64(stmt, index, t->data() ? t->data() : "", t->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
        else
            rc = sqlite3_bind_null(stmt, index);
        if (rc != SQLITE_OK) raise(db_.get(), "bind");
    }

    std::unique_ptr<sqlite3, close> db_;
    std::map<std::string, statement, std::less<>> statements_;
};

class sqlite final : public engine {
public:
    explicit sqlite(std::filesystem::path file) : file_(std::move(file)) {}

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
        // Made here rather than by SQLite, so that neither it nor its -wal and -shm, which take over its mode, are
        // ever readable by others.
        int const fd = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            throw store_error(errno, fmt::format("{}: {}", file_.string(), std::generic_category().message(errno)));
        ::fchmod(fd, 0600);
        ::close(fd);

        sqlite_connection db(file_, false);
        auto const number = [&](char const* sql) {
            auto const r = db.query(sql);
            return r->next() ? r->integer(0) : 0;
        };
        auto const id = number("PRAGMA application_id");
        if (id != 0 && id != application_id)
            throw store_error(0, fmt::format("{} is not a database of mdmd", file_.string()));
        auto const known = static_cast<std::int64_t>(migrations().size());
        while (true) {
            db.execute("BEGIN IMMEDIATE", {});
            auto const at = number("PRAGMA user_version");  // read under the lock: another process may have moved it
            if (at > known) {
                db.execute("ROLLBACK", {});
                throw store_error(
                    0, fmt::format("{} has schema version {}, this mdmd knows {}: it was written by a newer version; "
                                   "install that one, or restore a backup made before the upgrade",
                           file_.string(), at, known));
            }
            if (at == known) {
                db.execute("ROLLBACK", {});
                return;
            }
            try {
                db.script(migrations()[static_cast<std::size_t>(at)]);
                db.script(fmt::format("PRAGMA user_version = {}; PRAGMA application_id = {}", at + 1, application_id)
                              .c_str());
                db.execute("COMMIT", {});
            } catch (...) {
                try {
                    db.execute("ROLLBACK", {});
                } catch (store_error const&) {  // SQLite has already rolled back
                }
                throw;
            }
        }
    }

private:
    std::filesystem::path file_;
};

}  // namespace

result<void> check_database(std::filesystem::path const& file) {
    constexpr int primary_code = 0xff;  // the lowest byte of an extended code
    std::error_code failure;
    if (!std::filesystem::exists(file, failure))
        return failure ? fail(errc::forbidden, fmt::format("{}: {}", file.string(), failure.message()))
                       : fail(errc::not_found, fmt::format("there is no {}", file.string()));
    if (::access(file.c_str(), R_OK) != 0)
        return fail(errc::forbidden, fmt::format("{}: {}", file.string(), std::generic_category().message(errno)));
    try {
        sqlite_connection db(file, true);
        auto const number = [&](char const* sql) {
            auto const r = db.query(sql);
            return r->next() ? r->integer(0) : 0;
        };
        auto const id = number("PRAGMA application_id");
        if (id != 0 && id != application_id) return fail(errc::conflict, "it is not a database of mdmd");
        auto const known = static_cast<std::int64_t>(migrations().size());
        if (auto const at = number("PRAGMA user_version"); at > known)
            return fail(errc::conflict, fmt::format("it has schema version {}, this mdmd knows {}", at, known));
        auto const found = db.query("PRAGMA quick_check(1)");
        auto const said = found->next() ? found->text(0) : std::string("no answer");
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

std::unique_ptr<engine> sqlite_engine(std::filesystem::path const& file) { return std::make_unique<sqlite>(file); }

}  // namespace mdmd::store
