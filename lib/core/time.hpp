// Time as the project keeps it: UTC milliseconds, from a clock that is handed in so that tests move it.
#pragma once
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace mdmd {

using time_point = std::chrono::sys_time<std::chrono::milliseconds>;

class clock {
public:
    virtual ~clock() = default;
    virtual time_point now() const = 0;
    // Since some moment. It goes on evenly, whatever the clock is set to.
    virtual std::chrono::milliseconds running() const = 0;
};

class system_clock final : public clock {
public:
    time_point now() const override {
        return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    }
    std::chrono::milliseconds running() const override;  // since the machine was started, suspended time included
};

// A clock that stands still until it is moved. Safe to move while others read it.
class manual_clock final : public clock {
public:
    explicit manual_clock(time_point start) : now_(start) {}
    time_point now() const override {
        std::scoped_lock const lock(mutex_);
        return now_;
    }
    std::chrono::milliseconds running() const override {
        std::scoped_lock const lock(mutex_);
        return running_;
    }
    void advance(std::chrono::milliseconds by) {
        std::scoped_lock const lock(mutex_);
        now_ += by;
        running_ += by;
    }
    void set(time_point to) {
        std::scoped_lock const lock(mutex_);
        now_ = to;
    }

private:
    mutable std::mutex mutex_;
    time_point now_;
    std::chrono::milliseconds running_{0};
};

inline std::int64_t to_ms(time_point t) { return t.time_since_epoch().count(); }
inline time_point from_ms(std::int64_t ms) { return time_point(std::chrono::milliseconds(ms)); }

// "2026-01-31T23:59:59Z", with ".123" before the Z where the milliseconds are not 0 (RFC 3339).
std::string rfc3339(time_point);
// The same with always three digits of milliseconds, as SOAP timestamps and log lines have it.
std::string rfc3339_ms(time_point);
// Reads RFC 3339 with up to 9 fractional digits and any offset.
std::optional<time_point> parse_rfc3339(std::string_view);
// Reads "2027-06-30" as midnight UTC at its start.
std::optional<time_point> parse_date(std::string_view);

// "90s", "15m", "8h", "30d": a whole number of one unit, at most 100 years.
std::optional<std::chrono::seconds> parse_duration(std::string_view);
// The shortest such text for a duration: 3600 s is "1h".
std::string format_duration(std::chrono::seconds);

}  // namespace mdmd
