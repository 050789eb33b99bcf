// What a repository sees of a database: statements with numbered parameters and rows of int64 and text. An engine
// implements this; SQL is written once for all engines ($1, ON CONFLICT, RETURNING; no blobs, times as int64
// milliseconds UTC).
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

#include "core/time.hpp"

namespace mdmd::store {

// The environment failed: disk, file, lock. `code` is the engine's own.
struct store_error : std::runtime_error {
    store_error(int engine_code, std::string const& what) : std::runtime_error(what), code(engine_code) {}
    int code;
};

// A bound value. Text is not copied: it must live until the statement has run.
class parameter {
public:
    parameter(std::nullopt_t) {}
    parameter(std::string_view text) : value_(text) {}
    parameter(std::string const& text) : value_(std::string_view(text)) {}
    parameter(char const* text) : value_(std::string_view(text)) {}
    parameter(std::int64_t number) : value_(number) {}
    parameter(int number) : value_(static_cast<std::int64_t>(number)) {}
    parameter(bool flag) : value_(static_cast<std::int64_t>(flag)) {}
    parameter(time_point t) : value_(to_ms(t)) {}
    template <class T> parameter(std::optional<T> const& maybe) {
        if (maybe) value_ = parameter(*maybe).value_;
    }
    parameter(std::optional<std::string>&&) = delete;

    using type = std::variant<std::monostate, std::int64_t, std::string_view>;
    type const& value() const { return value_; }

private:
    type value_;
};

// The rows of one statement, one after the other.
class rows {
public:
    virtual ~rows() = default;
    virtual bool next() = 0;
    virtual bool null(int column) const = 0;
    virtual std::int64_t integer(int column) const = 0;
    virtual std::string text(int column) const = 0;

    bool flag(int column) const { return integer(column) != 0; }
    time_point time(int column) const { return from_ms(integer(column)); }
    std::optional<std::string> maybe_text(int column) const {
        return null(column) ? std::nullopt : std::optional(text(column));
    }
    std::optional<std::int64_t> maybe_integer(int column) const {
        return null(column) ? std::nullopt : std::optional(integer(column));
    }
    std::optional<time_point> maybe_time(int column) const {
        return null(column) ? std::nullopt : std::optional(time(column));
    }
};

class connection {
public:
    virtual ~connection() = default;
    // Prepared once per connection and text. At most one cursor of one text is open at a time.
    std::unique_ptr<rows> query(std::string_view sql, std::initializer_list<parameter> values = {}) {
        return run(sql, std::span(values.begin(), values.size()));
    }
    std::unique_ptr<rows> query(std::string_view sql, std::span<parameter const> values) { return run(sql, values); }
    // Runs a statement to its end and returns how many rows it changed.
    virtual std::int64_t execute(std::string_view sql, std::initializer_list<parameter> values = {}) = 0;

protected:
    virtual std::unique_ptr<rows> run(std::string_view sql, std::span<parameter const> values) = 0;
};

}  // namespace mdmd::store
