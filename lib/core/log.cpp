#include "core/log.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <atomic>
#include <cstdio>
#include <mutex>

#include "core/text.hpp"

namespace mdmd::log {
namespace {

struct state {
    std::atomic<level> threshold{level::info};
    std::mutex mutex;
    sink out{to_text};
};

state& global() {
    static state s;
    return s;
}

std::vector<field>& scopes() {
    thread_local std::vector<field> all;
    return all;
}

constexpr std::size_t value_limit = 1024;

void write_line(std::string line) {
    line += '\n';
    // One write a line: lines of several processes on one pipe do not mix.
    [[maybe_unused]] auto const written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::string json_text(std::string_view s) {
    std::string out = "\"";
    for (char const c : printable(s, value_limit)) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

}  // namespace

std::string_view name(level l) {
    switch (l) {
        case level::trace: return "trace";
        case level::debug: return "debug";
        case level::info: return "info";
        case level::warning: return "warning";
        case level::error: return "error";
    }
    return "";
}

std::string as_text(record const& r) {
    auto line = fmt::format("{} {:<7} {}", rfc3339_ms(r.at), name(r.severity), printable(r.message, value_limit));
    for (auto const& f : r.fields) {
        auto const v = printable(f.value, value_limit);
        bool const plain = !v.empty() && v.find_first_of(" \"=") == v.npos;
        line += fmt::format(" {}=", f.key);
        if (plain) {
            line += v;
        } else {
            line += '"';
            for (char const c : v) {
                if (c == '"') line += '\\';
                line += c;
            }
            line += '"';
        }
    }
    return line;
}

std::string as_json(record const& r) {
    auto line = fmt::format(
        R"({{"time":"{}","level":"{}","message":{})", rfc3339_ms(r.at), name(r.severity), json_text(r.message));
    for (auto const& f : r.fields) line += fmt::format(R"(,"{}":{})", f.key, json_text(f.value));
    return line + "}";
}

void to_text(record const& r) { write_line(as_text(r)); }
void to_json(record const& r) { write_line(as_json(r)); }

void configure(level threshold) { global().threshold = threshold; }

void configure(sink out) {
    std::scoped_lock const lock(global().mutex);
    global().out = std::move(out);
}

bool enabled(level l) { return l >= global().threshold.load(std::memory_order_relaxed); }

void write(level l, std::string_view message, std::initializer_list<field> fields) {
    if (!enabled(l)) return;
    record r{l, system_clock().now(), message, scopes()};
    r.fields.insert(r.fields.end(), fields.begin(), fields.end());
    std::scoped_lock const lock(global().mutex);
    if (global().out) global().out(r);
}

scope::scope(std::string_view key, std::string value) { scopes().push_back({key, std::move(value)}); }
scope::~scope() { scopes().pop_back(); }

}  // namespace mdmd::log
