// What the subcommands of mdm-sim have in common.
#pragma once
#include <fmt/format.h>
#include <boost/json.hpp>
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace mdmd::sim::cli {

namespace json = boost::json;

// What a command leaves behind: a JSON value for --json, lines for people, and the exit code.
struct outcome {
    int code = 0;
    json::value value;
    std::vector<std::string> lines;
    std::string problem;  // one line on standard error
};

inline outcome failed(std::string problem, json::value value = nullptr) {
    return {.code = 1, .value = std::move(value), .lines = {}, .problem = std::move(problem)};
}

template <class T> T must(result<T> r) {
    if (!r) throw std::runtime_error(r.error().detail);
    return std::move(*r);
}

// Each adds its subcommand; `run` becomes what is to be done when the command line names it.
void add_device(CLI::App&, std::function<outcome()>& run);
void add_fleet(CLI::App&, std::function<outcome()>& run);

}  // namespace mdmd::sim::cli
