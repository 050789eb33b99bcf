#include "catalogue/check.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

#include "catalogue/catalogue.hpp"
#include "catalogue/value.hpp"
#include "core/text.hpp"

namespace mdmd::catalogue {
namespace {

constexpr std::size_t most_shown = 200;  // bytes of an address in a message

// What is said of one policy.
class report {
public:
    explicit report(config::policy_file const& p) : policy_(p) {}

    void error(config::position at, std::string key, std::string text) {
        add(at, std::move(key), std::move(text), true);
    }
    void warn(config::position at, std::string key, std::string text) {
        add(at, std::move(key), std::move(text), false);
    }
    config::policy_file const& policy() const { return policy_; }
    std::vector<finding> take() && { return std::move(found_); }

private:
    void add(config::position at, std::string key, std::string text, bool error) {
        found_.push_back({{policy_.file, at.line, at.column, std::move(key), std::move(text)}, error});
    }

    config::policy_file const& policy_;
    std::vector<finding> found_;
};

// Areas that an ADMX file of somebody else's makes: "Chrome~Policy~googlechrome".
bool is_ingested(std::string_view uri) {
    constexpr std::string_view area = "/Policy/Config/";
    auto const at = uri.find(area);
    if (at == uri.npos) return false;
    auto const name = uri.substr(at + area.size());
    return name.substr(0, name.find('/')).find('~') != name.npos;
}

// The node, or nullptr once it was said what is wrong with its address.
node const* known_node(report& out, std::string const& uri, std::string const& key, config::position at) {
    if (auto const* const found = find(uri)) return found;
    auto const shown = printable(uri, most_shown);
    if (is_interior(uri) || is_ingested(uri)) return nullptr;
    if (auto const* const other = find_in_other_scope(uri)) {
        bool const of_user = other->uri.starts_with("./User/");
        out.error(at, key,
            fmt::format("expected a node that {}, got '{}', which Windows has for {} only: '{}'",
                of_user ? "the device has" : "users have", shown, of_user ? "users" : "the device", other->uri));
        return nullptr;
    }
    auto const meant = nearest(uri);
    out.warn(at, key,
        fmt::format("expected a node of Windows', got '{}', which is not known{}", shown,
            meant.empty() ? "" : fmt::format(" (did you mean '{}'?)", printable(meant, most_shown))));
    return nullptr;
}

enum class match { yes, perhaps, no };

match formats_match(std::string_view written, std::string_view known) {
    if (written == known) return match::yes;
    if (known == "bin") return written == "b64" ? match::yes : match::no;
    if (known == "time" || known == "date" || known == "float") return written == "chr" ? match::yes : match::no;
    // XML is text as well, and which of the two a provider takes, not all DDF files say right.
    if ((known == "chr" && written == "xml") || (known == "xml" && written == "chr")) return match::perhaps;
    return match::no;
}

void check_setting(report& out, config::policy_setting const& s) {
    auto const* const known = known_node(out, s.uri, s.key + ".uri", s.uri_at);
    if (!known) return;
    if (known->deprecated)
        out.warn(s.uri_at, s.key + ".uri",
            fmt::format(
                "expected a node that is kept up, got '{}', which is deprecated", printable(s.uri, most_shown)));
    if (known->access.find_first_of("AR") == known->access.npos)
        return out.error(s.uri_at, s.key + ".uri",
            fmt::format("expected a node that can be set, got '{}', which can only be {}", printable(s.uri, most_shown),
                known->access.find('E') != known->access.npos ? "executed" : "read"));
    auto const since = s.since ? s.since : first_version(*known);
    if (auto const& least = out.policy().target.min_os_version; least && since && *since > *least)
        out.warn(s.uri_at, s.key + ".uri",
            fmt::format("expected a node that every targeted Windows has, got '{}', which came with {}, above "
                        "target.min_os_version",
                printable(s.uri, most_shown), known->since));
    auto const format = formats_match(s.format, known->format);
    if (format == match::no)
        return out.error(s.format_at, s.key + ".format", fmt::format("expected {}, got {}", known->format, s.format));
    if (format == match::perhaps)
        out.warn(s.format_at, s.key + ".format", fmt::format("expected {}, got {}", known->format, s.format));
    if (auto const wrong = value_fault(*known, s); !wrong.empty()) out.error(s.value_at, s.key + ".value", wrong);
}

void check_rule(report& out, config::compliance_rule const& rule) {
    auto const* const by_uri = std::get_if<config::uri_rule>(&rule.what);
    if (!by_uri) return;
    auto const key = rule.key + ".uri";
    auto const* const known = known_node(out, by_uri->uri, key, rule.uri_at);
    if (known && known->access.find('G') == known->access.npos)
        out.error(rule.uri_at, key,
            fmt::format(
                "expected a node that can be read, got '{}', which cannot", printable(by_uri->uri, most_shown)));
}

}  // namespace

std::vector<finding> check(config::policy_file const& policy) {
    report out(policy);
    for (auto const& s : policy.settings) check_setting(out, s);
    for (auto const& r : policy.rules) check_rule(out, r);
    auto found = std::move(out).take();
    std::stable_sort(found.begin(), found.end(), [](finding const& a, finding const& b) {
        return std::pair(a.what.line, a.what.column) < std::pair(b.what.line, b.what.column);
    });
    return found;
}

std::vector<finding> check(std::vector<config::policy_file> const& policies) {
    std::vector<finding> all;
    for (auto const& p : policies)
        for (auto& one : check(p)) all.push_back(std::move(one));
    return all;
}

}  // namespace mdmd::catalogue
