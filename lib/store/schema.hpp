#pragma once
#include <filesystem>
#include <memory>
#include <span>

#include "store/connection.hpp"

namespace mdmd::store {

// One version of the schema to the next.
struct migration {
    char const* sql;                      // statements; foreign keys are checked when all steps are done, not before
    void (*then)(connection&) = nullptr;  // what SQL does not say
};

// The steps from an empty database to today's schema, in order. A step that was released never changes.
std::span<migration const> migrations();

class engine;
// sqlite_engine() with steps of the caller's own. Before they change a database, a copy of it is put beside it,
// FILE.schema-N, where N is the version that it has; the newest two are kept. All steps are taken, or none.
std::unique_ptr<engine> sqlite_engine(std::filesystem::path const&, std::span<migration const> steps);

}  // namespace mdmd::store
