#include "compliance/report.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

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
constexpr milliseconds young = 1h;  // a decision of which Entra may not know the device yet
constexpr int spread = 10;          // what is told again comes up to a 10th of the refresh later

void make_due(report& r, time_point at) {
    r.phase = phase::due;
    r.next_try = at;
}

void park(report& r, time_point until) {
    r.phase = phase::parked;
    r.next_try = until;
}

double fraction(double jitter) { return std::isfinite(jitter) ? std::clamp(jitter, 0.0, 1.0) : 0.5; }

milliseconds part_of(milliseconds whole, double share) {
    return milliseconds(std::llround(static_cast<double>(whole.count()) * share));
}

// How long to wait after that many failures in a row: half of it fixed, half by chance, so that those who failed
// together do not come back together.
milliseconds back_off(int failures, double jitter) {
    auto const doublings = std::clamp(failures - 1, 0, 20);
    auto const whole = std::min(longest, shortest * (1 << doublings));
    return std::max(shortest, part_of(whole, 0.5 + fraction(jitter) / 2));
}

void take(report& r, std::int64_t revision, double jitter, time_point now, std::chrono::seconds refresh) {
    r.told = revision;
    r.last_success = now;
    r.resolved_again = false;
    if (revision != r.revision) return;
    r.attempts = 0;
    r.error.clear();
    r.phase = phase::done;
    r.next_try = r.is_managed ? now + refresh + part_of(refresh, fraction(jitter) / spread) : never;
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

std::string describe(graph_answer const& a) {
    auto out = a.status == 0 ? std::string("no answer") : std::to_string(a.status);
    if (!a.code.empty()) out += " " + a.code;
    if (!a.message.empty()) out += ": " + a.message;
    return printable(out, 500);
}

bool is_about_graph(int status) { return status == 0 || status == 408 || status == 429 || status >= 500; }

bool passes_by_itself(int status) {
    constexpr std::array of_the_device{409, 412, 423, 424};
    return is_about_graph(status) ||
           std::find(of_the_device.begin(), of_the_device.end(), status) != of_the_device.end();
}

report decided(report r, bool is_managed, bool is_compliant, bool entra_id_known, time_point now) {
    bool const changed = r.revision == 0 || r.is_managed != is_managed || r.is_compliant != is_compliant;
    if (changed) {
        r.is_managed = is_managed;
        r.is_compliant = is_compliant;
        r.decided = now;
        ++r.revision;
        r.attempts = 0;
        r.error.clear();
        r.resolved_again = false;
    }
    if (!entra_id_known)
        r.phase = phase::waiting;
    else if (changed || r.phase == phase::waiting)
        make_due(r, now);
    return r;
}

report answered(report r, std::int64_t revision, graph_answer const& a, double jitter, time_point now,
    std::chrono::seconds refresh) {
    if (a.status >= 200 && a.status < 300) {
        take(r, revision, jitter, now, refresh);
        return r;
    }
    if (a.status == 404) r.object_id.clear();
    if (revision != r.revision) return r;
    r.error = describe(a);
    bool const first = r.attempts++ == 0;
    if (a.status == 404) {
        if (std::exchange(r.resolved_again, true)) {
            r.error = "gone from Entra: " + r.error;
            park(r, now + refresh);
        } else {
            make_due(r, now);
        }
    } else if (a.status == 400) {
        park(r, never);
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

report found(report r, std::string object_id) {
    r.object_id = std::move(object_id);
    r.was_known = true;
    return r;
}

report not_found(report r, double jitter, time_point now, std::chrono::seconds refresh) {
    r.object_id.clear();
    ++r.attempts;
    if (r.was_known) {
        r.error = "gone from Entra: it has no device of this ID any more";
        park(r, now + refresh);
    } else {
        r.error = "Entra does not know this device yet";
        make_due(r, now + (now < r.decided + young ? back_off(r.attempts, jitter) : probe));
    }
    return r;
}

}  // namespace mdmd::compliance
