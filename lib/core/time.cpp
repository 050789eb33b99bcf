#include "core/time.hpp"

#include <fmt/format.h>
#include <charconv>
#include <ctime>

namespace mdmd {
namespace {

using namespace std::chrono;

std::optional<int> digits(std::string_view& s, std::size_t count) {
    if (s.size() < count) return std::nullopt;
    int v = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (s[i] < '0' || s[i] > '9') return std::nullopt;
        v = v * 10 + (s[i] - '0');
    }
    s.remove_prefix(count);
    return v;
}

bool skip(std::string_view& s, char c) {
    if (s.empty() || s.front() != c) return false;
    s.remove_prefix(1);
    return true;
}

std::optional<sys_days> date(std::string_view& s) {
    auto const y = digits(s, 4);
    if (!y || !skip(s, '-')) return std::nullopt;
    auto const m = digits(s, 2);
    if (!m || !skip(s, '-')) return std::nullopt;
    auto const d = digits(s, 2);
    if (!d) return std::nullopt;
    year_month_day const ymd{year(*y), month(static_cast<unsigned>(*m)), day(static_cast<unsigned>(*d))};
    if (!ymd.ok()) return std::nullopt;
    return sys_days(ymd);
}

std::string formatted(time_point t, bool with_ms) {
    auto const day_start = floor<days>(t);
    year_month_day const ymd(day_start);
    hh_mm_ss const clock(t - day_start);
    auto const ms = clock.subseconds().count();
    auto out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(ymd.year()),
        static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()), clock.hours().count(),
        clock.minutes().count(), clock.seconds().count());
    if (with_ms || ms != 0) out += fmt::format(".{:03}", ms);
    return out + "Z";
}

}  // namespace

std::string rfc3339(time_point t) { return formatted(t, false); }
std::chrono::milliseconds system_clock::running() const {
    timespec t{};
    ::clock_gettime(CLOCK_BOOTTIME, &t);
    return duration_cast<milliseconds>(seconds(t.tv_sec) + nanoseconds(t.tv_nsec));
}

std::string rfc3339_ms(time_point t) { return formatted(t, true); }

std::optional<time_point> parse_date(std::string_view s) {
    auto const d = date(s);
    if (!d || !s.empty()) return std::nullopt;
    return time_point(*d);
}

std::optional<time_point> parse_rfc3339(std::string_view s) {
    auto const d = date(s);
    if (!d || s.empty() || (s.front() != 'T' && s.front() != 't' && s.front() != ' ')) return std::nullopt;
    s.remove_prefix(1);
    auto const h = digits(s, 2);
    if (!h || *h > 23 || !skip(s, ':')) return std::nullopt;
    auto const m = digits(s, 2);
    if (!m || *m > 59 || !skip(s, ':')) return std::nullopt;
    auto const sec = digits(s, 2);
    if (!sec || *sec > 60) return std::nullopt;
    milliseconds fraction{0};
    if (skip(s, '.')) {
        std::size_t count = 0;
        int ms = 0;
        for (; count < s.size() && s[count] >= '0' && s[count] <= '9'; ++count)
            if (count < 3) ms = ms * 10 + (s[count] - '0');
        if (count == 0 || count > 9) return std::nullopt;
        for (auto i = count; i < 3; ++i) ms *= 10;
        fraction = milliseconds(ms);
        s.remove_prefix(count);
    }
    minutes offset{0};
    if (!skip(s, 'Z') && !skip(s, 'z')) {
        if (s.empty() || (s.front() != '+' && s.front() != '-')) return std::nullopt;
        bool const west = s.front() == '-';
        s.remove_prefix(1);
        auto const oh = digits(s, 2);
        if (!oh || *oh > 23 || !skip(s, ':')) return std::nullopt;
        auto const om = digits(s, 2);
        if (!om || *om > 59) return std::nullopt;
        offset = hours(*oh) + minutes(*om);
        if (west) offset = -offset;
    }
    if (!s.empty()) return std::nullopt;
    // By its offset a time may fall out of the years that RFC 3339 can write.
    auto const t = time_point(*d) + hours(*h) + minutes(*m) + seconds(*sec) + fraction - offset;
    constexpr auto begin = time_point(sys_days(year(0) / 1 / 1)), end = time_point(sys_days(year(10'000) / 1 / 1));
    return t >= begin && t < end ? std::optional(t) : std::nullopt;
}

std::optional<seconds> parse_duration(std::string_view s) {
    if (s.size() < 2) return std::nullopt;
    std::int64_t unit = 0;
    switch (s.back()) {
        case 's': unit = 1; break;
        case 'm': unit = 60; break;
        case 'h': unit = 3600; break;
        case 'd': unit = 86400; break;
        default: return std::nullopt;
    }
    s.remove_suffix(1);
    std::int64_t n = 0;
    auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), n);
    constexpr std::int64_t most = 100LL * 365 * 86400;
    if (ec != std::errc{} || end != s.data() + s.size() || n < 0 || n > most / unit) return std::nullopt;
    return seconds(n * unit);
}

std::string format_duration(seconds d) {
    auto const n = d.count();
    if (n != 0 && n % 86400 == 0) return fmt::format("{}d", n / 86400);
    if (n != 0 && n % 3600 == 0) return fmt::format("{}h", n / 3600);
    if (n != 0 && n % 60 == 0) return fmt::format("{}m", n / 60);
    return fmt::format("{}s", n);
}

}  // namespace mdmd
