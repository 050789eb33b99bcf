// A connection to SQLite. Private to lib/store: all that is SQLite's alone is in sqlite*.cpp.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <vector>

#include "store/connection.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace mdmd::store {

class sqlite_connection final : public connection {
public:
    sqlite_connection(std::filesystem::path const& file, bool read_only);
    ~sqlite_connection() override;

    std::int64_t execute(std::string_view sql, std::initializer_list<parameter> values = {}) override;
    void script(char const* sql);          // several statements, without parameters or rows
    std::int64_t number(char const* sql);  // the first column of the first row; 0: there is none
    std::string words(char const* sql);    // the same as text

    struct finalize {
        void operator()(sqlite3_stmt*) const noexcept;
    };
    struct close {
        void operator()(sqlite3*) const noexcept;
    };
    struct statement {
        std::unique_ptr<sqlite3_stmt, finalize> handle;
        std::vector<int> index;  // of $1, $2… among SQLite's own indices; 0: not used in the text
        bool busy = false;
    };

protected:
    std::unique_ptr<rows> run(std::string_view sql, std::span<parameter const> values) override;

private:
    statement& prepared(std::string_view sql);
    void bind(statement const&, int index, parameter const&);

    std::unique_ptr<sqlite3, close> db_;
    std::map<std::string, statement, std::less<>> statements_;
};

constexpr std::int64_t application_id = 0x6d646d64;  // "mdmd"

}  // namespace mdmd::store
