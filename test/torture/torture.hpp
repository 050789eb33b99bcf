// What the trials share. Each prints one row of the table.
#pragma once
#include <fmt/format.h>
#include <cstdlib>
#include <string>

namespace mdmd::torture {

inline std::size_t number_from(char const* variable, std::size_t otherwise) {
    auto const* const text = std::getenv(variable);
    return text ? std::stoul(text) : otherwise;
}

inline void row(std::string const& what, std::size_t times, std::size_t failures, std::string const& more) {
    fmt::print("| {} | {} | {} | {} |\n", what, times, failures, more);
    std::fflush(stdout);
}

}  // namespace mdmd::torture
