#include "compliance/rules.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <compare>
#include <limits>
#include <span>

#include "core/text.hpp"
#include "policy/policy.hpp"

namespace mdmd::compliance {
namespace {

using config::comparison;
using config::rule_id;
using config::value_type;

constexpr std::size_t most_shown = 256;  // bytes of a device's value in a reason

std::string_view name_of(comparison op) {
    switch (op) {
        case comparison::eq: return "eq";
        case comparison::ne: return "ne";
        case comparison::lt: return "lt";
        case comparison::le: return "le";
        case comparison::gt: return "gt";
        case comparison::ge: return "ge";
        case comparison::in: return "in";
        case comparison::matches: return "matches";
        case comparison::exists: return "exists";
    }
    return "eq";
}

bool is_order(comparison op) {
    return op == comparison::lt || op == comparison::le || op == comparison::gt || op == comparison::ge;
}

template <class T> std::optional<T> number_of(std::string_view s) {
    T v = 0;
    auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
    return ec == std::errc{} && end == s.data() + s.size() ? std::optional(v) : std::nullopt;
}

std::optional<double> real(std::string_view s) {
    auto const v = number_of<double>(s);
    return v && std::isfinite(*v) ? v : std::nullopt;
}

std::optional<os_version> dotted(std::string_view s) {
    return s.find('.') == s.npos ? std::nullopt : parse_os_version(s);
}

std::optional<bool> truth(std::string_view s) {
    if (s == "1" || iequals(s, "true")) return true;
    if (s == "0" || iequals(s, "false")) return false;
    return std::nullopt;
}

std::optional<time_point> moment(std::string_view s) {
    auto const t = parse_rfc3339(s);
    return t ? t : parse_date(s);
}

// How the two stand to each other, by that type; nullopt where they are not of it.
std::optional<std::partial_ordering> order(std::string_view a, std::string_view b, value_type type) {
    auto const by = [&](auto parse) -> std::optional<std::partial_ordering> {
        auto const x = parse(a), y = parse(b);
        if (!x || !y) return std::nullopt;
        return *x <=> *y;
    };
    switch (type) {
        case value_type::automatic: {
            auto const as_number = by(number_of<std::int64_t>);
            return as_number ? as_number : by(dotted);
        }
        case value_type::integer: return by(number_of<std::int64_t>);
        case value_type::number: return by(real);
        case value_type::boolean: return by(truth);
        case value_type::date_time: return by(moment);
        case value_type::version: return by(parse_os_version);
        case value_type::text: break;
    }
    return std::nullopt;
}

std::optional<bool> equal(std::string_view a, std::string_view b, value_type type) {
    if (auto const by_order = order(a, b, type)) return std::is_eq(*by_order);
    if (type == value_type::text) return a == b;
    if (type != value_type::automatic) return std::nullopt;
    if (auto const x = truth(a), y = truth(b); x && y) return *x == *y;
    return a == b;
}

// What one value of a node means.
struct meaning {
    std::string_view value;
    outcome is;
    std::string_view text;
};
using enum outcome;
constexpr std::array protection{
    meaning{"0", passed, "on"},
    meaning{"1", failed, "off"},
    meaning{"2", failed, "not for everything"},
    meaning{"3", unknown, "Windows does not know yet"},
    meaning{"4", not_applicable, "not applicable"},
};
constexpr std::array antispyware{
    meaning{"0", passed, "on"},
    meaning{"1", failed, "off"},
    meaning{"2", failed, "poor"},
    meaning{"3", unknown, "Windows does not know yet"},
};
constexpr std::array signatures{
    meaning{"0", failed, "out of date"},
    meaning{"1", passed, "current"},
    meaning{"2", not_applicable, "not applicable"},
};
constexpr std::array encryption{meaning{"1", passed, "encrypted"}, meaning{"0", failed, "not encrypted"}};
constexpr std::array secure_boot{
    meaning{"1", passed, "on"}, meaning{"0", failed, "not supported"}, meaning{"2", failed, "off"}};
constexpr std::array memory_integrity{
    meaning{"0", passed, "running"},
    meaning{"1", failed, "a restart is needed"},
    meaning{"2", failed, "not configured"},
    meaning{"3", failed, "virtualization-based security does not run"},
};
constexpr std::array virtualization_based_security{
    meaning{"0", passed, "running"},
    meaning{"1", failed, "a restart is needed"},
    meaning{"2", failed, "not a 64-bit system"},
    meaning{"3", failed, "not licensed"},
    meaning{"4", failed, "not configured"},
    meaning{"5", failed, "the hardware does not support it"},
    meaning{"42", failed, "does not run, for another reason"},
};
constexpr std::array kernel_dma_protection{meaning{"1", passed, "on"}, meaning{"2", failed, "off"}};
constexpr std::array firmware_protection{
    meaning{"0", passed, "running"},
    meaning{"1", failed, "a restart is needed"},
    meaning{"2", failed, "not configured"},
    meaning{"3", failed, "the hardware does not support it"},
};
constexpr std::array on{meaning{"true", passed, "on"}, meaning{"false", failed, "off"}};
constexpr std::array out_of_date{meaning{"false", passed, "current"}, meaning{"true", failed, "out of date"}};
constexpr std::array password{meaning{"0", passed, "required"}, meaning{"1", failed, "not required"}};
constexpr std::array password_simple{meaning{"0", passed, "blocked"}, meaning{"1", failed, "allowed"}};
constexpr std::array password_after_idle{meaning{"0", passed, "required"}, meaning{"1", failed, "not required"}};
constexpr std::array any_password{
    meaning{"0", passed, "alphanumeric"}, meaning{"1", passed, "numeric"}, meaning{"2", passed, "any"}};
constexpr std::array numeric_password{
    meaning{"0", passed, "alphanumeric"}, meaning{"1", passed, "numeric"}, meaning{"2", failed, "any"}};
constexpr std::array alphanumeric_password{
    meaning{"0", passed, "alphanumeric"}, meaning{"1", failed, "numeric"}, meaning{"2", failed, "any"}};

// The values of a rule's node; empty where it is judged otherwise.
std::span<meaning const> meanings_of(config::named_rule const& r) {
    switch (r.id) {
        case rule_id::encryption: return encryption;
        case rule_id::secure_boot: return secure_boot;
        case rule_id::memory_integrity: return memory_integrity;
        case rule_id::virtualization_based_security: return virtualization_based_security;
        case rule_id::kernel_dma_protection: return kernel_dma_protection;
        case rule_id::firmware_protection: return firmware_protection;
        case rule_id::firewall:
        case rule_id::antivirus: return protection;
        case rule_id::antispyware: return antispyware;
        case rule_id::defender:
        case rule_id::realtime_protection: return on;
        case rule_id::defender_signatures: return out_of_date;
        case rule_id::password: return password;
        case rule_id::password_simple: return password_simple;
        case rule_id::password_after_idle: return password_after_idle;
        case rule_id::password_type:
            if (r.text == "alphanumeric") return alphanumeric_password;
            if (r.text == "numeric") return numeric_password;
            return any_password;
        default: return {};
    }
}

// The nodes of which one value says that Windows does not know yet.
constexpr std::array transient{
    std::pair{std::string_view("./Vendor/MSFT/DeviceStatus/Firewall/Status"), std::string_view("3")},
    std::pair{std::string_view("./Vendor/MSFT/DeviceStatus/Antivirus/Status"), std::string_view("3")},
    std::pair{std::string_view("./Vendor/MSFT/DeviceStatus/Antispyware/Status"), std::string_view("3")},
};

// BitLocker CSP, Status/DeviceEncryptionStatus.
constexpr std::array<std::string_view, 18> bitlocker_bits{"the user has not consented to the encryption",
    "another method on the system drive", "the system drive is not protected", "no TPM-only protector", "no TPM+PIN",
    "no TPM+startup key", "no TPM+PIN+startup key", "no TPM protector", "the recovery key was not backed up",
    "a fixed drive is not protected", "another method on a fixed drive", "an administrator has to sign in",
    "no recovery environment", "no TPM", "the TPM is not ready", "no network to back up the recovery key",
    "another encryption type on the system drive", "another encryption type on a fixed drive"};

std::string bitlocker_text(std::int64_t bits) {
    std::vector<std::string_view> all;
    for (std::size_t i = 0; i < bitlocker_bits.size(); ++i)
        if ((bits >> i & 1) != 0) all.push_back(bitlocker_bits[i]);
    return all.empty() ? "not as its policies want it" : fmt::format("{}", fmt::join(all, ", "));
}

finding by_meaning(std::span<meaning const> all, std::string_view value) {
    for (auto const& m : all)
        if (equal(value, m.value, value_type::automatic).value_or(false))
            return {m.is, fmt::format("{} ({})", printable(value, most_shown), m.text), true};
    return {outcome::error, "not comparable: " + printable(value, most_shown), true};
}

// A fact that cannot be judged, in words; empty where it has a value.
std::string missing(fact const* f) {
    if (!f || f->status == 0) return "never asked";
    if (f->status != 200) return fmt::format("unknown ({})", f->status);
    return f->value ? "" : "unknown (no value)";
}

fact const* find(facts const& known, std::string const& node) {
    auto const found = known.find(node);
    return found == known.end() ? nullptr : &found->second;
}

std::string version_text(os_version const& v) { return fmt::format("{}", fmt::join(v.parts, ".")); }

// The value and its neighbours, as text: whatever keeps a bound keeps it at one of these.
void add_neighbours(std::vector<std::string>& all, std::string const& value, value_type type) {
    all.push_back(value);
    auto const wanted = trim(value);
    if (type == value_type::date_time) {
        if (auto const t = moment(wanted))
            for (auto const d : {-1, 1}) all.push_back(rfc3339(*t + std::chrono::seconds(d)));
    } else if (auto const n = number_of<std::int64_t>(wanted); n && type != value_type::version) {
        if (*n > std::numeric_limits<std::int64_t>::min()) all.push_back(std::to_string(*n - 1));
        if (*n < std::numeric_limits<std::int64_t>::max()) all.push_back(std::to_string(*n + 1));
    } else if (auto const d = real(wanted); d && type == value_type::number) {
        for (auto const by : {-1.0, 1.0}) all.push_back(fmt::format("{}", *d + by));
    } else if (auto v = parse_os_version(wanted)) {
        auto const last = v->parts.back();
        if (last < std::numeric_limits<std::uint32_t>::max()) {
            v->parts.back() = last + 1;
            all.push_back(version_text(*v));
        }
        // The greatest version below this one.
        v->parts.back() = last;
        for (std::size_t i = 4; i-- > 0;) {
            if (v->parts[i] > 0) {
                --v->parts[i];
                break;
            }
            v->parts[i] = std::numeric_limits<std::uint32_t>::max();
        }
        all.push_back(version_text(*v));
    }
}

}  // namespace

std::string_view name(outcome o) {
    switch (o) {
        case outcome::passed: return "passed";
        case outcome::not_applicable: return "not_applicable";
        case outcome::failed: return "failed";
        case outcome::unknown: return "unknown";
        case outcome::error: return "error";
        case outcome::conflict: return "conflict";
    }
    return "unknown";
}

std::optional<outcome> parse_outcome(std::string_view text) {
    for (auto const o : {passed, not_applicable, failed, unknown, outcome::error, conflict})
        if (compliance::name(o) == text) return o;
    return std::nullopt;
}

rule::rule(config::compliance_rule const& written) : what_(written.what) {
    if (auto const* const r = std::get_if<config::uri_rule>(&what_)) {
        name = "uri";
        uri = r->uri;
        wanted = fmt::format("{} {}", name_of(r->op), fmt::join(r->values, ", "));
        nodes = {policy::canonical_uri(uri)};
        if (r->op == comparison::matches && !r->values.empty())
            if (auto compiled = config::pattern::compile(r->values.front())) pattern_ = std::move(*compiled);
        return;
    }
    auto const& r = std::get<config::named_rule>(what_);
    auto const& kind = config::kind_of(r.id);
    name = kind.name;
    uri = kind.node;
    nodes.emplace_back(kind.node);
    if (!kind.also.empty()) nodes.emplace_back(kind.also);
    using enum config::rule_argument;
    bool const at_most = r.id == rule_id::max_os_version || r.id == rule_id::password_expiration_days ||
                         r.id == rule_id::password_lock_after_minutes;
    bool const measured = kind.takes == version || kind.takes == number || (kind.takes == tpm && r.text != "required");
    wanted = measured               ? fmt::format("{} {}", at_most ? "le" : "ge", r.text)
             : kind.takes == ranges ? "in " + r.text
                                    : r.text;
}

finding rule::judge(facts const& known) const {
    auto const* const f = find(known, nodes.front());
    bool const asked = f && f->status != 0;
    if (auto const* const r = std::get_if<config::uri_rule>(&what_); r && r->op == comparison::exists) {
        if (!asked || (f->status != 200 && f->status != 404)) return {unknown, missing(f), asked};
        bool const there = f->status == 200;
        bool const wants_it = r->values.empty() || r->values.front() == "true";
        return {there == wants_it ? passed : failed, there ? "there" : "not there", true};
    }
    if (auto words = missing(f); !words.empty()) {
        auto const* const named = std::get_if<config::named_rule>(&what_);
        auto const* const second = nodes.size() > 1 ? find(known, nodes[1]) : nullptr;
        if (named && named->id == rule_id::defender_signatures && missing(second).empty()) {
            auto by_second = by_meaning(signatures, trim(*second->value));
            if (by_second.result != outcome::error) return by_second;
        }
        return {unknown, std::move(words), asked};
    }
    return judge_value(trim(*f->value), known);
}

finding rule::judge_value(std::string_view value, facts const& known) const {
    auto const* const by_uri = std::get_if<config::uri_rule>(&what_);
    return by_uri ? judge_uri(*by_uri, value) : judge_named(std::get<config::named_rule>(what_), value, known);
}

finding rule::judge_named(config::named_rule const& r, std::string_view value, facts const& known) const {
    if (auto const all = meanings_of(r); !all.empty()) return by_meaning(all, value);
    auto const shown = printable(value, most_shown);
    auto const is = [&](bool good) { return finding{good ? passed : failed, shown, true}; };
    finding const incomparable{outcome::error, "not comparable: " + shown, true};
    auto const by_version = [&](auto good) {
        auto const v = parse_os_version(value);
        return v ? is(good(*v)) : incomparable;
    };
    auto const by_number = [&](auto good) {
        auto const n = number_of<std::int64_t>(value);
        return n ? is(good(*n)) : incomparable;
    };
    switch (r.id) {
        case rule_id::min_os_version:
        case rule_id::defender_version: return by_version([&](os_version const& v) { return v >= r.version; });
        case rule_id::max_os_version: return by_version([&](os_version const& v) { return v <= r.version; });
        case rule_id::os_builds:
            return by_version([&](os_version const& v) {
                return std::any_of(r.ranges.begin(), r.ranges.end(),
                    [&](auto const& range) { return range.lowest <= v && v <= range.highest; });
            });
        case rule_id::tpm: {
            // "2.0, 0, 1.38": the first is the version of the specification. Without a TPM "Not available".
            if (iequals(value, "Not available")) return is(false);
            auto const v = parse_os_version(trim(value.substr(0, value.find(','))));
            if (!v) return incomparable;
            return is(*v > os_version{} && *v >= r.version);
        }
        case rule_id::bitlocker: {
            auto const bits = number_of<std::int64_t>(value);
            if (!bits) return incomparable;
            if (*bits != 0) return {failed, fmt::format("{} ({})", shown, bitlocker_text(*bits)), true};
            // 0 says no more than that the device is as its policies want it, and there may be none.
            auto const* const drive = find(known, nodes[1]);
            if (missing(drive).empty() && by_meaning(encryption, trim(*drive->value)).result == failed)
                return {failed, "0 (the system drive is not encrypted)", true};
            return is(true);
        }
        case rule_id::password_min_length:
        case rule_id::password_min_character_sets:
        case rule_id::password_history: return by_number([&](std::int64_t n) { return n >= r.number; });
        case rule_id::password_expiration_days:
        case rule_id::password_lock_after_minutes:  // 0: never
            return by_number([&](std::int64_t n) { return n >= 1 && n <= r.number; });
        default: return incomparable;
    }
}

finding rule::judge_uri(config::uri_rule const& r, std::string_view value) const {
    auto const shown = printable(value, most_shown);
    for (auto const& [node, passing] : transient)
        if (nodes.front() == node && value == passing &&
            std::none_of(r.values.begin(), r.values.end(), [&](auto const& v) { return trim(v) == passing; }))
            return {unknown, shown + " (Windows does not know yet)", true};
    auto const is = [&](std::optional<bool> good) {
        if (!good) return finding{outcome::error, "not comparable: " + shown, true};
        return finding{*good ? passed : failed, shown, true};
    };
    if (r.values.empty()) return is(std::nullopt);
    auto const limit = trim(r.values.front());
    if (is_order(r.op)) {
        auto const o = order(value, limit, r.type);
        if (!o) return is(std::nullopt);
        switch (r.op) {
            case comparison::lt: return is(std::is_lt(*o));
            case comparison::le: return is(std::is_lteq(*o));
            case comparison::gt: return is(std::is_gt(*o));
            default: return is(std::is_gteq(*o));
        }
    }
    if (r.op == comparison::matches)
        return is(pattern_ ? std::optional(pattern_->found_in(std::string(value))) : std::nullopt);
    if (r.op == comparison::ne) {
        auto const same = equal(value, limit, r.type);
        return is(same ? std::optional(!*same) : std::nullopt);
    }
    // eq and in: equal to one of them, and comparable with all.
    bool found = false;
    for (auto const& v : r.values) {
        auto const same = equal(value, trim(v), r.type);
        if (!same) return is(std::nullopt);
        found = found || *same;
    }
    return is(found);
}

bool rule::is_pattern() const {
    auto const* const r = std::get_if<config::uri_rule>(&what_);
    return r && r->op == comparison::matches;
}

// Answers of which at least one satisfies the rule together with any other rule that it does not contradict.
std::vector<fact> rule::candidates() const {
    std::vector<std::string> values;
    std::vector<fact> all;
    if (auto const* const r = std::get_if<config::uri_rule>(&what_)) {
        if (r->op == comparison::exists) all.push_back({.status = 404, .value = {}, .at = {}});
        if (r->op == comparison::ne) values.emplace_back("another value");
        bool const named = r->op == comparison::eq || r->op == comparison::in;
        for (auto const& v : r->values) {
            if (named) values.push_back(v);
            if (r->op == comparison::ne || is_order(r->op)) add_neighbours(values, v, r->type);
        }
    } else {
        auto const& n = std::get<config::named_rule>(what_);
        auto const type =
            config::kind_of(n.id).takes == config::rule_argument::number ? value_type::integer : value_type::version;
        for (auto const& m : meanings_of(n)) values.emplace_back(m.value);
        for (auto const& range : n.ranges)
            for (auto const& v : {range.lowest, range.highest}) add_neighbours(values, version_text(v), type);
        if (type == value_type::integer)
            add_neighbours(values, std::to_string(n.number), type);
        else if (n.id == rule_id::bitlocker)
            values.emplace_back("0");
        else if (meanings_of(n).empty() && n.ranges.empty())
            add_neighbours(values, version_text(n.version), type);
    }
    for (auto& v : values) all.push_back({.status = 200, .value = std::move(v), .at = {}});
    return all;
}

bool rule::contradicts(rule const& other) const {
    if (nodes.front() != other.nodes.front() || (is_pattern() && other.is_pattern())) return false;
    auto const bounded = [](rule const& r) {
        auto const* const u = std::get_if<config::uri_rule>(&r.what_);
        return !u || u->op == comparison::eq || u->op == comparison::in ||
               (u->op == comparison::exists && !u->values.empty() && u->values.front() == "false");
    };
    // An expression can be tried only on the values that the other names.
    if ((is_pattern() && !bounded(other)) || (other.is_pattern() && !bounded(*this))) return false;
    auto const is_existence = [](rule const& r) {
        auto const* const u = std::get_if<config::uri_rule>(&r.what_);
        return u && u->op == comparison::exists;
    };
    if (is_existence(*this) != is_existence(other)) {
        // Being there is compatible with any value, not being there with none.
        return bounded(is_existence(*this) ? *this : other);
    }
    auto all = candidates();
    auto const more = other.candidates();
    all.insert(all.end(), more.begin(), more.end());
    if (is_existence(*this)) all.push_back({.status = 200, .value = "", .at = {}});
    // Between two bounds on numbers there may be room that neither has as a neighbour.
    constexpr std::size_t of_two_bounds = 6;
    for (std::size_t i = 0, n = all.size(); i < n && n <= of_two_bounds; ++i)
        for (std::size_t k = 0; k < i; ++k) {
            if (!all[i].value || !all[k].value) continue;
            auto const a = real(trim(*all[i].value)), b = real(trim(*all[k].value));
            if (a && b && *a != *b) all.push_back({200, fmt::format("{}", *a / 2 + *b / 2), {}});
        }
    auto const satisfied = [](rule const& r, fact const& f) {
        auto const result = r.judge({{r.nodes.front(), f}}).result;
        return result == passed || result == not_applicable;
    };
    return std::none_of(
        all.begin(), all.end(), [&](fact const& f) { return satisfied(*this, f) && satisfied(other, f); });
}

}  // namespace mdmd::compliance
