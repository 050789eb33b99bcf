#include <fmt/format.h>
#include <algorithm>
#include <map>

#include "config/files.hpp"
#include "config/load.hpp"
#include "config/node_uri.hpp"
#include "config/pattern.hpp"
#include "config/reader.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

constexpr std::size_t most_value = std::size_t{256} * 1024;  // bytes: half of what one message to a device may hold
constexpr std::chrono::seconds most_grace = std::chrono::days(365);
constexpr std::size_t most_name = 100;  // bytes

auto node_uri(bool writable) {
    return [writable](std::string const& s) -> std::optional<std::string> {
        return node_uri_fault(s, writable).empty() ? std::optional(s) : std::nullopt;
    };
}

// The address of a node; its fault is said more exactly than one fixed text could.
std::optional<std::string> read_uri(section& s, bool writable) {
    auto const f = s.get("uri");
    if (!f) s.missing(f, "the address of a node such as ./Device/Vendor/MSFT/…");
    if (f && f.value->what == yaml::node::kind::scalar)
        if (auto const fault = node_uri_fault(f.value->text, writable); !fault.empty()) {
            s.report(f, fmt::format("{}, got {}", fault, got(*f.value)));
            return std::nullopt;
        }
    return s.convert(f, "the address of a node", node_uri(writable), style::any);
}

// A whole number that fits 32 bits, signed or not: what Windows keeps an "int" in.
std::optional<std::string> parse_int_value(std::string const& s) {
    auto const v = parse_integer(-2147483648LL, 4294967295LL)(s);
    return v ? std::optional(std::to_string(*v)) : std::nullopt;
}

// Text that XML can carry.
std::optional<std::string> parse_xml_text(std::string const& s) {
    for (char const c : s)
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') return std::nullopt;
    return s;
}

// The value of a setting by its format. What it holds is not shown: it may be a password of somebody's Wi-Fi.
void read_value(section& s, policy_setting& into) {
    auto const f = s.get("value");
    if (into.format == "node" || into.format == "null") {
        if (f) s.report(f, fmt::format("expected no value with the format {}, got one", into.format));
        return;
    }
    if (!f) return s.missing(f, fmt::format("a value of the format {}", into.format));
    if (f.value->what == yaml::node::kind::scalar && f.value->text.size() > most_value)
        return s.report(f, fmt::format("expected at most {} bytes, got {}", most_value, f.value->text.size()));
    if (into.format == "int") {
        into.value = s.convert(f, "a whole number of 32 bits", parse_int_value, style::any);
    } else if (into.format == "bool") {
        if (auto const v = s.convert(f, "true or false", parse_bool, style::any)) into.value = *v ? "true" : "false";
    } else if (f.value->what != yaml::node::kind::scalar) {
        s.report(f, fmt::format("expected a text (\"\" for an empty one), got {}", got_kind(*f.value)));
    } else if (into.format == "b64") {
        if (!unbase64(f.value->text)) return s.report(f, "expected base64, got something else");
        into.value = f.value->text;
    } else {
        if (!parse_xml_text(f.value->text))
            return s.report(f, "expected a text that XML can carry, got control characters");
        into.value = f.value->text;
    }
}

void read_setting(section s, int line, policy_file& into, std::map<std::string, int>& seen) {
    policy_setting out;
    out.line = line;
    auto const uri = read_uri(s, true);
    auto const format = s.require("format", "one of int, chr, bool, b64, xml, node and null",
        [](std::string const& text) -> std::optional<std::string> {
            for (std::string_view const known : {"int", "chr", "bool", "b64", "xml", "node", "null"})
                if (text == known) return text;
            return std::nullopt;
        });
    if (format) {
        out.format = *format;
        read_value(s, out);
    } else {
        s.get("value");
    }
    if (uri) {
        out.uri = *uri;
        if (auto const [known, added] = seen.emplace(canonical_node_uri(*uri), line); !added)
            s.out().report(s.at(), "settings",
                fmt::format(
                    "expected each node once, got '{}' again (first in line {})", printable(*uri, 200), known->second));
    }
    s.done();
    into.settings.push_back(std::move(out));
}

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
            if (auto const v = read_uri(s, false)) rule.uri = *v;
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

// Calls `each` with a section for every item of the list `name`.
template <class Each> void read_items(section& s, std::string_view name, Each each) {
    auto const f = s.get(name);
    if (!f) return;
    if (f.value->what != yaml::node::kind::list)
        return s.report(f, fmt::format("expected a list, got {}", got_kind(*f.value)));
    for (std::size_t i = 0; i < f.value->items.size(); ++i) {
        auto const& item = f.value->items[i];
        auto const path = fmt::format("{}[{}]", f.key, i);
        if (item.what == yaml::node::kind::nothing)
            s.out().report(f.at, path, "expected a mapping, got nothing");
        else
            each(section(&item, item.at, path, s.out()), item.at.line);
    }
}

void read_target(section s, policy_file& into) {
    s.read("scope", "device (policies for users are not available)",
        [](std::string const& text) { return text == "device" ? std::optional(text) : std::nullopt; });
    if (auto owners =
            s.read_list("ownership", "corporate and personal", [](std::string const& text) -> std::optional<ownership> {
                if (text == "corporate") return ownership::corporate;
                if (text == "personal") return ownership::personal;
                return std::nullopt;
            })) {
        std::sort(owners->begin(), owners->end());
        owners->erase(std::unique(owners->begin(), owners->end()), owners->end());
        into.ownerships = std::move(*owners);
    }
    s.done();
}

policy_file read_policy(yaml::node const& root, findings& out) {
    policy_file into;
    section s(&root, {}, "", out);
    if (auto const name = s.require("name", "a name of at most 100 bytes", [](std::string const& text) {
            return text.size() <= most_name ? parse_text(std::string(trim(text))) : std::nullopt;
        }))
        into.name = *name;
    read_target(s.child("target"), into);
    std::map<std::string, int> seen;
    read_items(s, "settings", [&](section item, int line) { read_setting(std::move(item), line, into, seen); });
    auto compliance = s.child("compliance");
    compliance.assign(into.grace_period, "grace_period", "a duration from 0s to 365d such as 24h",
        [](std::string const& text) -> std::optional<std::chrono::seconds> {
            auto const d = parse_duration(text);
            return d && *d <= most_grace ? d : std::nullopt;
        });
    read_items(compliance, "rules", [&](section item, int line) { read_rule(std::move(item), line, into); });
    compliance.done();
    s.done();
    if (into.settings.empty() && into.rules.empty()) out.warn({}, "", "this policy has neither settings nor rules");
    return into;
}

// One of another name in a folder of policies is probably meant to be one.
bool looks_like_policy(std::filesystem::path const& file) {
    auto const extension = lower(file.extension().string());
    return extension == ".yml" || (extension == ".yaml" && file.extension() != ".yaml");
}

}  // namespace

loaded<policy_file> parse_policy(std::string const& text, std::filesystem::path const& name) {
    loaded<policy_file> out;
    findings found(name);
    auto const document = yaml::parse(text);
    for (auto const& m : document.mistakes) found.report(m.at, "", m.text);
    if (document.usable) {
        out.value = read_policy(document.root, found);
        out.value->file = name.filename().string();
    }
    out.warnings = found.warnings();
    out.problems = std::move(found).problems();
    if (!out.problems.empty()) out.value.reset();
    return out;
}

loaded<std::vector<policy_file>> load_policies(std::filesystem::path const& folder) {
    loaded<std::vector<policy_file>> out;
    std::error_code failure;
    std::filesystem::directory_iterator entries(folder, failure);
    if (failure == std::errc::no_such_file_or_directory) return {std::vector<policy_file>(), {}, {}};
    std::vector<std::filesystem::path> files;
    for (; !failure && entries != std::filesystem::directory_iterator(); entries.increment(failure)) {
        auto const& file = entries->path();
        if (file.filename().string().starts_with('.')) continue;
        if (file.extension() == ".yaml")
            files.push_back(file);
        else if (looks_like_policy(file))
            out.warnings.push_back(
                fmt::format("{}: not read, since a policy's name ends in .yaml", printable(file.filename().string())));
    }
    if (failure)
        out.problems.push_back({folder, 0, 0, "policies_dir",
            fmt::format("expected a readable folder, got '{}' ({})", printable(folder.string()), failure.message())});
    std::sort(files.begin(), files.end());

    std::vector<policy_file> all;
    std::map<std::string, std::string> by_name;  // policy's name -> file
    for (auto const& file : files) {
        auto const text = read_file(file, readers::anyone);
        if (!text) {
            out.problems.push_back({file, 0, 0, "", text.error().detail});
            continue;
        }
        auto one = parse_policy(*text, file);
        out.problems.insert(out.problems.end(), one.problems.begin(), one.problems.end());
        out.warnings.insert(out.warnings.end(), one.warnings.begin(), one.warnings.end());
        if (!one.value) continue;
        if (auto const [known, added] = by_name.emplace(one.value->name, one.value->file); !added)
            out.problems.push_back({file, 1, 1, "name",
                fmt::format("expected a name of its own, got '{}', which {} has", printable(one.value->name, 100),
                    printable(known->second))});
        all.push_back(std::move(*one.value));
    }
    if (out.problems.empty()) out.value = std::move(all);
    return out;
}

}  // namespace mdmd::config
