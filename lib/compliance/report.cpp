#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "compliance/report.hpp"
#include "core/text.hpp"

namespace mdmd::compliance {
namespace {

using namespace std::chrono_literals;
using milliseconds = std::chrono::milliseconds;
using phase = enum report::phase;

constexpr milliseconds shortest = 1s;
constexpr milliseconds longest = 5min;
constexpr milliseconds longest_told = 24h;  // of a Retry-After
constexpr milliseconds probe = 1h;

void make_due(report& r, time_point at) {
    r.phase = phase::due;
    r.next_try = at;
}

void park(report& r, time_point until) {
    r.phase = phase::parked;
    r.next_try = until;
}

// How long to wait after that many failures in a row: half of it fixed, half by chance, so that those who failed
// together do not come back together.
milliseconds back_off(int failures, double jitter) {
    auto const doublings = std::clamp(failures - 1, 0, 20);
    auto const whole = std::min(longest, shortest * (1 << doublings));
    auto const chance = std::isfinite(jitter) ? std::clamp(jitter, 0.0, 1.0) : 0.5;
    auto const part = milliseconds(std::llround(static_cast<double>(whole.count()) * (0.5 + chance / 2)));
    return std::max(shortest, part);
}

bool passes_by_itself(int status) {
    constexpr std::array known{0, 408, 409, 412, 423, 424, 429};
    return status >= 500 || std::find(known.begin(), known.end(), status) != known.end();
}

std::string describe(graph_answer const& a) {
    auto out = a.status == 0 ? std::string("no answer") : std::to_string(a.status);
    if (!a.code.empty()) out += " " + a.code;
    if (!a.message.empty()) out += ": " + a.message;
    return printable(out, 500);
}

}  // namespace

std::string_view name(enum report::phase p) {
    switch (p) {
        case phase::waiting: return "waiting";
        case phase::due: return "due";
        case phase::done: return "done";
        case phase::parked: return "parked";
    }
    return "waiting";
}

std::optional<enum report::phase> parse_phase(std::string_view text) {
    for (auto const p : {phase::waiting, phase::due, phase::done, phase::parked})
        if (name(p) == text) return p;
    return std::nullopt;
}

report decided(report r, bool is_managed, bool is_compliant, bool entra_id_known, time_point now) {
    bool const changed = r.is_managed != is_managed || r.is_compliant != is_compliant;
    r.is_managed = is_managed;
    r.is_compliant = is_compliant;
    if (!entra_id_known) {
        r.phase = phase::waiting;
    } else if (changed || r.phase == phase::waiting) {
        make_due(r, now);
        r.attempts = 0;
        r.resolved_again = false;
    }
    return r;
}

report refreshed(report r, std::chrono::seconds refresh, time_point now) {
    bool const old = r.phase == phase::done && (!r.last_success || now >= *r.last_success + refresh);
    bool const over = r.phase == phase::parked && now >= r.next_try;
    if (old || over) make_due(r, now);
    return r;
}

report answered(report r, graph_answer const& a, double jitter, time_point now, std::chrono::seconds refresh) {
    told const current{r.is_managed, r.is_compliant};
    bool const overtaken = a.sent && *a.sent != current;
    if (a.status >= 200 && a.status < 300) {
        r.attempts = 0;
        r.error.clear();
        r.resolved_again = false;
        r.last_success = now;
        r.phase = phase::done;
        r.next_try = now + refresh;
        if (overtaken) make_due(r, now);
        return r;
    }
    r.error = describe(a);
    bool const first = r.attempts++ == 0;
    if (a.status == 404) {
        r.object_id.clear();
        if (std::exchange(r.resolved_again, true))
            park(r, now + refresh);
        else
            make_due(r, now);
    } else if (a.status == 400) {
        overtaken ? make_due(r, now) : park(r, never);
    } else if (a.status == 401 && first) {
        make_due(r, now);
    } else if (a.status == 401 || passes_by_itself(a.status)) {
        auto const told_to_wait = a.retry_after && *a.retry_after > 0ms;
        make_due(r, now + (told_to_wait ? std::min(*a.retry_after, longest_told) : back_off(r.attempts, jitter)));
    } else {
        park(r, now + probe);
    }
    return r;
}

}  // namespace mdmd::compliance
