// Structured log: one event, one line, named fields. Values are escaped and cut, so that no peer can forge a line.
#pragma once
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"

namespace mdmd::log {

enum class level { trace, debug, info, warning, error };
std::string_view name(level);

struct field {
    std::string_view key;  // snake_case
    std::string value;
};

struct record {
    level severity;
    time_point at;
    std::string_view message;
    std::vector<field> fields;  // those of the scopes first
};

// Where records go; called under a lock. text and json write one line each to standard error.
using sink = std::function<void(record const&)>;
void to_text(record const&);
void to_json(record const&);
std::string as_text(record const&);  // "2026-01-31T23:59:59.000Z info message key=value", no line end
std::string as_json(record const&);

// Both may be called at any time, by any thread.
void configure(level threshold);
void configure(sink);
bool enabled(level);

void write(level, std::string_view message, std::initializer_list<field> = {});
inline void trace(std::string_view m, std::initializer_list<field> f = {}) { write(level::trace, m, f); }
inline void debug(std::string_view m, std::initializer_list<field> f = {}) { write(level::debug, m, f); }
inline void info(std::string_view m, std::initializer_list<field> f = {}) { write(level::info, m, f); }
inline void warning(std::string_view m, std::initializer_list<field> f = {}) { write(level::warning, m, f); }
inline void error(std::string_view m, std::initializer_list<field> f = {}) { write(level::error, m, f); }

// While it lives, every record of this thread carries the field. Handlers are blocking functions on one thread,
// so a scope around a request marks all that the request caused.
class scope {
public:
    scope(std::string_view key, std::string value);
    scope(scope const&) = delete;
    scope& operator=(scope const&) = delete;
    ~scope();
};

}  // namespace mdmd::log
