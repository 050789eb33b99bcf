// A database's files as files: who has them, copies of them, one in the place of another.
#pragma once
#include <chrono>
#include <filesystem>
#include <optional>

#include "core/descriptor.hpp"
#include "core/error.hpp"

namespace mdmd::store {

// Held shared by every program that works with the database, alone by one that changes its schema or replaces it. Taken
// before anything else opens the file in this process.
class file_lock {
public:
    enum class kind { shared, alone };
    // The file is made, empty and for its owner alone, where there is none. Throws store_error: it cannot be opened, or
    // others hold it for longer than `patience`.
    file_lock(std::filesystem::path const& file, kind, std::chrono::milliseconds patience);
    int get() const { return file_->get(); }

private:
    std::optional<descriptor> file_;
};

// Throws store_error where the disk fails.
void sync_file(std::filesystem::path const&);
void sync_folder_of(std::filesystem::path const&);

// A file beside another one that is gone again with this object, "FILE.unfinished-…", for its owner alone. What a
// program that was killed left there is removed when the next one is made. Throws store_error.
class file_beside {
public:
    explicit file_beside(std::filesystem::path const& file);
    file_beside(file_beside const&) = delete;
    file_beside& operator=(file_beside const&) = delete;
    ~file_beside();
    int get() const { return file_->get(); }
    std::filesystem::path const& path() const { return path_; }
    void keep() { path_.clear(); }  // it has another name now

private:
    std::optional<descriptor> file_;
    std::filesystem::path path_;
};

// A consistent copy of a database, which others may be writing to, in one file without side files; on the disk when
// this returns. `to` is an empty file. Throws store_error; the content of `to` is then of no use.
void copy_database(std::filesystem::path const& from, std::filesystem::path const& to);

// Goes through all of such a copy. The schema's version. Errors: malformed (damaged, no database of mdmd's, or not one
// file by itself), conflict (a newer version than this program knows), unavailable (the disk fails).
[[nodiscard]] result<std::int64_t> examine_copy(std::filesystem::path const&);

// Puts a whole database in the place of another: afterwards, and after a crash at any moment, the name is that of the
// one or of the other. The one that was there is kept as `aside`, with its write-ahead log where that could not be
// worked in
// (`aside`-wal). The lock is that of the database, alone. Throws store_error.
void replace_database(std::filesystem::path const& by, std::filesystem::path const& database,
    std::filesystem::path const& aside, file_lock const&);

}  // namespace mdmd::store
