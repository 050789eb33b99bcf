// Whether a database's file is in order, from outside: nothing is changed, and mdmd may have it open.
#pragma once
#include <filesystem>

#include "core/error.hpp"

namespace mdmd::store {

// Opens it for reading and goes through all of its pages; the time this takes grows with the file. Errors: not_found
// (there is no file), forbidden (it may not be read), conflict (it is not mdmd's, or a newer mdmd's), malformed
// (damaged), unavailable (locked, or the disk fails).
[[nodiscard]] result<void> check_database(std::filesystem::path const&);

}  // namespace mdmd::store
