#pragma once

namespace mdmd::config {

// Where a value stands in its file, 1-based; 0 where it stands nowhere.
struct position {
    int line = 0, column = 0;
};

}  // namespace mdmd::config
