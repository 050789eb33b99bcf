// The compliance rules of a policy file, and what is done where they are not kept.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "config/pattern.hpp"
#include "config/policy_sections.hpp"
#include "core/text.hpp"
#include "core/time.hpp"

namespace mdmd::config {
namespace {

constexpr std::size_t most_ranges = 10'000;
constexpr std::string_view a_version = "a Windows version such as 10.0.19045.3803";

template <class T> auto word_of(std::initializer_list<std::pair<std::string_view, T>> words) {
    return [all = std::vector(words)](std::string const& s) -> std::optional<T> {
        for (auto const& [word, value] : all)
            if (word == s) return value;
        return std::nullopt;
    };
}

auto const parse_comparison = word_of<comparison>({{"eq", comparison::eq}, {"ne", comparison::ne},
    {"lt", comparison::lt}, {"le", comparison::le}, {"gt", comparison::gt}, {"ge", comparison::ge},
    {"in", comparison::in}, {"matches", comparison::matches}, {"exists", comparison::exists}});
auto const parse_type = word_of<value_type>(
    {{"boolean", value_type::boolean}, {"integer", value_type::integer}, {"number", value_type::number},
        {"text", value_type::text}, {"date_time", value_type::date_time}, {"version", value_type::version}});

// What can be ordered without a word of its type: a whole number, or a version of two to four parts.
bool is_ordered(std::string const& s) {
    auto const dots = std::count(s.begin(), s.end(), '.');
    return dots == 0 ? parse_integer(INT64_MIN, INT64_MAX)(s).has_value() : parse_os_version(s).has_value();
}

bool is_number(std::string const& s) {
    double v = 0;
    auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
    return ec == std::errc{} && end == s.data() + s.size() && std::isfinite(v);
}

// What keeps a value from being compared so, as "a …" that was expected; empty: nothing.
std::string_view value_fault(std::string const& value, comparison op, value_type type) {
    bool const ordering = op != comparison::eq && op != comparison::ne && op != comparison::in;
    switch (type) {
        case value_type::boolean:
            return value == "0" || value == "1" || iequals(value, "true") || iequals(value, "false")
                       ? ""
                       : "true, false, 1 or 0";
        case value_type::integer: return parse_integer(INT64_MIN, INT64_MAX)(value) ? "" : "a whole number";
        case value_type::number: return is_number(value) ? "" : "a number such as 1.5";
        case value_type::date_time:
            return parse_rfc3339(value) || parse_date(value) ? "" : "a time such as 2027-06-30T00:00:00Z or 2027-06-30";
        case value_type::version:
            return parse_os_version(value) ? "" : "a version of at most four parts such as 10.0.1";
        case value_type::text: return "";
        case value_type::automatic: break;
    }
    return ordering && !is_ordered(value) ? "a whole number or a version such as 10.0.19045" : "";
}

void read_rule_values(section& s, uri_rule& into) {
    auto const any_text = [](std::string const& text) { return std::optional(std::string(trim(text))); };
    if (into.op == comparison::in) {
        auto values = s.read_list("value", "values", any_text);
        if (auto const f = s.get("value"); !f) s.missing(f, "a list of values");
        if (!values) return;
        for (std::size_t i = 0; i < values->size(); ++i)
            if (auto const fault = value_fault((*values)[i], into.op, into.type); !fault.empty()) {
                auto const f = s.get("value");
                s.report({f.value, f.key, f.value->items[i].at, false},
                    fmt::format("expected {}, got '{}'", fault, printable((*values)[i], 64)));
            }
        into.values = std::move(*values);
        return;
    }
    auto const f = s.get("value");
    if (into.op == comparison::exists) {
        into.values = {"true"};
        if (auto const v = s.convert(f, "true or false", parse_bool, style::any)) into.values = {*v ? "true" : "false"};
        return;
    }
    if (!f) return s.missing(f, "a value to compare with");
    auto const value = s.convert(f, "a single value", any_text, style::any);
    if (!value) return;
    if (into.op == comparison::matches) {
        if (auto const p = pattern::compile(f.value->text); !p)
            return s.report(f, fmt::format("expected a POSIX extended regular expression, got {}", p.error().detail));
        into.values = {f.value->text};
        return;
    }
    if (auto const fault = value_fault(*value, into.op, into.type); !fault.empty())
        return s.report(f, fmt::format("expected {}, got {}", fault, got(*f.value)));
    into.values = {*value};
}

// Of these types only some comparisons make sense.
std::string_view operator_fault(comparison op, value_type type) {
    using enum comparison;
    bool const equality = op == eq || op == ne || op == in;
    if (op == exists) return type == value_type::automatic ? "" : "no type with exists";
    if (op == matches)
        return type == value_type::automatic || type == value_type::text ? "" : "no type but text with matches";
    if (equality) return "";
    if (type == value_type::boolean || type == value_type::text)
        return "integer, number, date_time or version with an operator that compares by order";
    return "";
}

uri_rule read_uri_rule(section& s, field const& uri) {
    uri_rule rule;
    if (auto const v = read_uri(s, uri_for::rule)) rule.uri = *v;
    auto const op = s.read("op", "one of eq, ne, lt, le, gt, ge, in, matches and exists", parse_comparison);
    auto const type = s.read("type", "one of boolean, integer, number, text, date_time and version", parse_type);
    rule.op = op.value_or(comparison::eq);
    rule.type = type.value_or(value_type::automatic);
    if (auto const fault = operator_fault(rule.op, rule.type); !fault.empty()) {
        auto const f = s.get("type");
        s.report(f, fmt::format("expected {}, got {}", fault, got(*f.value)));
        s.get("value");
        return rule;
    }
    bool const readable = (op || !s.get("op")) && (type || !s.get("type"));
    if (readable && uri) read_rule_values(s, rule);
    s.get("value");
    return rule;
}

void read_ranges(section& s, field const& f, named_rule& into) {
    if (f.value->what != yaml::node::kind::list || f.value->items.empty())
        return s.report(f, fmt::format("expected a list of {{lowest, highest}}, got {}", got_kind(*f.value)));
    if (f.value->items.size() > most_ranges)
        return s.report(f, fmt::format("expected at most {} ranges, got {}", most_ranges, f.value->items.size()));
    for (std::size_t i = 0; i < f.value->items.size(); ++i) {
        auto const& item = f.value->items[i];
        section range(&item, item.at, fmt::format("{}[{}]", f.key, i), s.out());
        auto const lowest = range.require("lowest", a_version, parse_os_version);
        auto const highest = range.require("highest", a_version, parse_last_os_version);
        range.read("description", "one line of text", parse_text);
        range.done();
        if (!lowest || !highest) continue;
        if (*highest < *lowest) {
            range.report(range.get("highest"),
                fmt::format("expected a version that is not below lowest, got {}", got(*range.get("highest").value)));
            continue;
        }
        auto const written = [&](char const* key) { return std::string(trim(range.get(key).value->text)); };
        into.text += fmt::format("{}{} to {}", into.text.empty() ? "" : ", ", written("lowest"), written("highest"));
        into.ranges.push_back({*lowest, *highest});
    }
}

named_rule read_named_rule(section& s, rule_kind const& kind, field const& f) {
    named_rule rule;
    rule.id = kind.id;
    if (kind.takes == rule_argument::ranges) {
        read_ranges(s, f, rule);
        return rule;
    }
    if (f.value->what == yaml::node::kind::scalar) rule.text = trim(f.value->text);
    auto const word = [&](char const* expected) {
        s.convert(
            f, expected,
            [&](std::string const& text) -> std::optional<bool> {
                return text == expected ? std::optional(true) : std::nullopt;
            },
            style::any);
    };
    auto const version = [&](std::string_view expected, auto parse) {
        if (auto const v = s.convert(f, expected, parse, style::any)) rule.version = *v;
    };
    switch (kind.takes) {
        case rule_argument::required: word("required"); break;
        case rule_argument::blocked: word("blocked"); break;
        case rule_argument::version:
            if (kind.id == rule_id::max_os_version)
                version(a_version, [](std::string const& text) { return parse_last_os_version(text); });
            else if (kind.id == rule_id::min_os_version)
                version(a_version, [](std::string const& text) { return parse_os_version(text); });
            else
                version(
                    "a version such as 4.18.23110.3", [](std::string const& text) { return parse_os_version(text); });
            break;
        case rule_argument::tpm:
            version("required, or a version such as \"2.0\"", [](std::string const& text) {
                return text == "required" ? std::optional(os_version{}) : parse_os_version(text);
            });
            break;
        case rule_argument::number:
            if (auto const n = s.convert(f, fmt::format("a whole number from {} to {}", kind.least, kind.most),
                    parse_integer(kind.least, kind.most), style::any))
                rule.number = *n;
            break;
        case rule_argument::password:
            s.convert(f, "one of device_default, numeric and alphanumeric",
                word_of<int>({{"device_default", 0}, {"numeric", 1}, {"alphanumeric", 2}}), style::any);
            break;
        case rule_argument::ranges: break;
    }
    return rule;
}

}  // namespace

void read_rule(section s, int line, policy_file& into) {
    // Each rule is one of the short names, or a node of Windows.
    std::vector<std::pair<rule_kind const*, field>> found;
    bool broken = false;
    auto const uri = s.get("uri");
    if (uri) found.emplace_back(nullptr, uri);
    for (auto const& kind : rule_kinds()) {
        auto const f = s.get(kind.name);
        broken = broken || f.broken;
        if (f) found.emplace_back(&kind, f);
    }
    if (found.empty())
        for (auto const* key : {"op", "type", "value"}) s.get(key);
    bool explained = false;
    if (!uri)
        for (auto const& key : s.others())
            if (auto const why = why_no_rule(key); !why.empty()) {
                s.out().report(s.key_at(key), s.get(key).key,
                    fmt::format(
                        "expected a rule that a node of Windows answers, got '{}': {}", printable(key, 64), why));
                explained = true;
            }
    compliance_rule out;
    out.line = line;
    out.key = uri.key.substr(0, uri.key.size() - std::string_view(".uri").size());
    if (found.size() > 1)
        s.report(found[1].second, fmt::format("expected one rule in each item of the list, got {} as well as {}",
                                      found[1].first->name, found[0].first ? found[0].first->name : "uri"));
    else if (found.empty() && s.present() && !broken && !uri.broken && !explained && s.others().empty())
        s.out().report(s.at(), out.key, "expected a rule: min_os_version, encryption, … or uri");
    if (!found.empty()) {
        auto const& [kind, f] = found.front();
        out.uri_at = to_position(f.at);
        if (kind)
            out.what = read_named_rule(s, *kind, f);
        else
            out.what = read_uri_rule(s, f);
    }
    s.done();
    into.rules.push_back(std::move(out));
}

void read_action(section s, policy_file& into) {
    auto const notify = s.get("notify");
    auto const lock = s.get("lock");
    if (notify && lock)
        s.report(lock, "expected one action in each item of the list, got lock as well as notify");
    else if (!notify && !lock && s.present() && !notify.broken && !lock.broken && s.others().empty())
        s.out().report(s.at(), notify.key, "expected notify or lock with the time after the first failure");
    else if (notify || lock)
        if (auto const after = s.convert(notify ? notify : lock, a_delay, parse_delay, style::any))
            into.actions.push_back({notify ? action_kind::notify : action_kind::lock, *after});
    s.done();
}

}  // namespace mdmd::config
