// The compliance rules of a policy file.
#include <algorithm>

#include "config/pattern.hpp"
#include "config/policy_sections.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

std::optional<comparison> parse_comparison(std::string const& s) {
    static std::map<std::string_view, comparison> const all{{"eq", comparison::eq}, {"ne", comparison::ne},
        {"lt", comparison::lt}, {"le", comparison::le}, {"gt", comparison::gt}, {"ge", comparison::ge},
        {"in", comparison::in}, {"matches", comparison::matches}, {"exists", comparison::exists}};
    auto const found = all.find(s);
    return found == all.end() ? std::nullopt : std::optional(found->second);
}

// What can be ordered: a whole number, or a version of two to four parts.
bool is_ordered(std::string const& s) {
    auto const dots = std::count(s.begin(), s.end(), '.');
    return dots == 0 ? parse_integer(INT64_MIN, INT64_MAX)(s).has_value() : parse_os_version(s).has_value();
}

void read_rule_values(section& s, uri_rule& into) {
    auto const any_text = [](std::string const& text) { return std::optional(std::string(trim(text))); };
    if (into.op == comparison::in) {
        if (auto values = s.read_list("value", "values", any_text))
            into.values = std::move(*values);
        else if (auto const f = s.get("value"); !f)
            s.missing(f, "a list of values");
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
    bool const ordering = into.op != comparison::eq && into.op != comparison::ne;
    if (ordering && !is_ordered(*value))
        return s.report(
            f, fmt::format("expected a whole number or a version such as 10.0.19045, got {}", got(*f.value)));
    into.values = {*value};
}

}  // namespace

void read_rule(section s, int line, policy_file& into) {
    auto const version = s.get("min_os_version");
    auto const uri = s.get("uri");
    if (bool{version} == bool{uri}) {
        if (version)
            s.report(uri, "expected one of min_os_version and uri in a rule, got both");
        else if (s.present() && !version.broken && !uri.broken)
            s.out().report(s.at(), version.key, "expected min_os_version or uri in a rule, got neither");
    }
    compliance_rule out;
    out.line = line;
    out.key = uri.key.substr(0, uri.key.size() - std::string_view(".uri").size());
    out.uri_at = to_position(uri.at);
    if (version) {
        min_os_version_rule rule;
        if (auto const v = s.convert(
                version, "a Windows version such as 10.0.19045.3803",
                [](std::string const& text) { return parse_os_version(text); }, style::any)) {
            rule.version = *v;
            rule.text = trim(version.value->text);
        }
        out.what = std::move(rule);
    } else {
        uri_rule rule;
        if (uri)
            if (auto const v = read_uri(s, uri_for::rule)) rule.uri = *v;
        auto const op = s.read("op", "one of eq, ne, lt, le, gt, ge, in, matches and exists", parse_comparison);
        rule.op = op.value_or(comparison::eq);
        if (op || !s.get("op"))
            if (uri) read_rule_values(s, rule);
        s.get("value");
        out.what = std::move(rule);
    }
    s.done();
    into.rules.push_back(std::move(out));
}

}  // namespace mdmd::config
