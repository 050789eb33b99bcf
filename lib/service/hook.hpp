#pragma once
#include <chrono>
#include <filesystem>
#include <stop_token>
#include <string>

#include "core/error.hpp"

namespace mdmd::service {

// Runs the administrator's program, without arguments and without a shell, with `input` on its standard input; what it
// prints goes where this process's standard error goes. Waits for its end. It and what it started are killed when its
// time is up, or at a stop. SIGPIPE must be ignored in this process. Errors: unavailable (cannot be started, ends with
// another code than 0, takes too long).
[[nodiscard]] result<void> run_hook(std::filesystem::path const& program, std::string const& input,
    std::chrono::milliseconds limit, std::stop_token stop = {});

}  // namespace mdmd::service
