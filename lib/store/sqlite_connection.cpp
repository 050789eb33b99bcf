#include "store/sqlite_connection.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

namespace mdmd::store {
namespace {

constexpr std::size_t most_statements = 256;  // that a connection keeps

[[noreturn]] void raise(sqlite3* db, std::string_view doing) {
    throw store_error(sqlite3_extended_errcode(db), fmt::format("{}: {}", doing, sqlite3_errmsg(db)));
}

class sqlite_rows final : public rows {
public:
    sqlite_rows(sqlite_connection::statement& s, sqlite3* db) : statement_(s), db_(db) { statement_.busy = true; }
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
    sqlite_connection::statement& statement_;
    sqlite3* db_;
};

}  // namespace

void sqlite_connection::finalize::operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
void sqlite_connection::close::operator()(sqlite3* d) const noexcept { sqlite3_close_v2(d); }

sqlite_connection::sqlite_connection(std::filesystem::path const& file, bool read_only) {
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

sqlite_connection::~sqlite_connection() = default;

std::int64_t sqlite_connection::execute(std::string_view sql, std::initializer_list<parameter> values) {
    auto const all = run(sql, std::span(values.begin(), values.size()));
    while (all->next()) {}
    return sqlite3_changes(db_.get());  // the 64 bit one came after RHEL 9's SQLite 3.34
}

void sqlite_connection::script(char const* sql) {
    if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) raise(db_.get(), "script");
}

std::int64_t sqlite_connection::number(char const* sql) {
    auto const r = query(sql);
    return r->next() ? r->integer(0) : 0;
}

std::string sqlite_connection::words(char const* sql) {
    auto const r = query(sql);
    return r->next() ? r->text(0) : std::string("no answer");
}

std::unique_ptr<rows> sqlite_connection::run(std::string_view sql, std::span<parameter const> values) {
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

sqlite_connection::statement& sqlite_connection::prepared(std::string_view sql) {
    auto const known = statements_.find(sql);
    if (known != statements_.end()) {
        if (known->second.busy) throw std::logic_error(fmt::format("already running: {}", sql));
        return known->second;
    }
    // Statements whose text depends on what a client asks for come without end.
    if (statements_.size() >= most_statements) std::erase_if(statements_, [](auto const& s) { return !s.second.busy; });
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v3(
            db_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr) != SQLITE_OK)
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

void sqlite_connection::bind(statement const& s, int index, parameter const& p) {
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

}  // namespace mdmd::store
