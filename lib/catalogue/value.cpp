#include "catalogue/value.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

#include "config/pattern.hpp"
#include "core/text.hpp"
#include "xml/document.hpp"

namespace mdmd::catalogue {
namespace {

std::optional<std::int64_t> integer(std::string_view s) {
    s = trim(s);
    int base = 10;
    if (s.starts_with("0x") || s.starts_with("0X")) {
        s.remove_prefix(2);
        base = 16;
    }
    std::int64_t v = 0;
    auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v, base);
    return ec == std::errc{} && end == s.data() + s.size() ? std::optional(v) : std::nullopt;
}

// Numbers by their value, words in any case.
bool same_word(std::string_view a, std::string_view b) {
    auto const m = integer(a), n = integer(b);
    return m && n ? *m == *n : iequals(trim(a), trim(b));
}

// Whether each part of the value is one of the words; DDF files have lists with several separators.
bool all_known(std::string_view value, std::vector<std::string_view> const& words) {
    auto const known = [&](std::string_view part) {
        return std::any_of(words.begin(), words.end(), [&](auto const& w) { return same_word(part, w); });
    };
    if (known(value)) return true;
    while (!value.empty()) {
        auto const end = value.find_first_of(",;|");
        if (!known(value.substr(0, end))) return false;
        value.remove_prefix(end == value.npos ? value.size() : end + 1);
    }
    return true;
}

std::string one_of_fault(node const& n, std::string const& value) {
    auto const words = values_of(n);
    if (words.empty() || trim(value).empty() || all_known(value, words)) return {};
    return fmt::format(
        "expected {}{}, got '{}'", words.size() > 1 ? "one of " : "", fmt::join(words, ", "), printable(value, 80));
}

std::string flags_fault(node const& n, std::string const& value) {
    std::int64_t mask = 0;
    for (auto const word : values_of(n)) {
        auto const bit = integer(word);
        if (!bit) return {};
        mask |= *bit;
    }
    auto const v = integer(value);
    if (!v || (*v & ~mask) == 0) return {};
    return fmt::format("expected a sum of {}, got {}", fmt::join(values_of(n), ", "), *v);
}

// "[4-16]", "[(-1)-2147483647]".
std::optional<std::pair<std::int64_t, std::int64_t>> bounds(std::string_view s) {
    s = trim(s);
    if (s.size() < 5 || s.front() != '[' || s.back() != ']') return std::nullopt;
    s = s.substr(1, s.size() - 2);
    auto const dash = s.find('-', s.starts_with('(') ? s.find(')') : 1);
    if (dash == s.npos) return std::nullopt;
    auto const number = [](std::string_view part) {
        part = trim(part);
        if (part.size() > 2 && part.front() == '(' && part.back() == ')') part = part.substr(1, part.size() - 2);
        return integer(part);
    };
    auto const least = number(s.substr(0, dash)), most = number(s.substr(dash + 1));
    return least && most && *least <= *most ? std::optional(std::pair(*least, *most)) : std::nullopt;
}

std::string range_fault(node const& n, std::string const& value) {
    auto const range = bounds(n.values);
    auto const v = integer(value);
    if (!range || !v || (*v >= range->first && *v <= range->second)) return {};
    return fmt::format("expected a number from {} to {}, got {}", range->first, range->second, *v);
}

// A .NET expression as a POSIX one, as far as the two have the same; nullopt where not.
std::optional<config::pattern> expression(std::string_view text) {
    std::string out;
    bool bracket = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char const c = text[i];
        if (c == '\\') {
            if (++i == text.size()) return std::nullopt;
            char const e = text[i];
            bool const letter = (e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z') || (e >= '0' && e <= '9');
            if (e == 'd')
                out += bracket ? "0-9" : "[0-9]";
            else if (letter || (bracket && (e == '-' || e == ']' || e == '^' || e == '\\')))
                return std::nullopt;
            else if (bracket || e == '-' || e == '/')
                out += e;
            else
                (out += '\\') += e;
            continue;
        }
        if (!bracket && c == '(' && i + 1 < text.size() && text[i + 1] == '?') return std::nullopt;
        if (!bracket && c == '[')
            bracket = true;
        else if (bracket && c == ']')
            bracket = false;
        out += c;
    }
    if (out.starts_with('/')) return std::nullopt;  // a literal of another language
    auto compiled = config::pattern::compile(out);
    return compiled ? std::optional(std::move(*compiled)) : std::nullopt;
}

std::string expression_fault(node const& n, std::string const& value) {
    auto const wanted = expression(n.values);
    if (!wanted || value.empty() || wanted->found_in(value)) return {};
    return fmt::format("expected a text that fits {}, got another", n.values);
}

// Windows reads "<enabled/><data …/>": elements without one around them.
std::string admx_fault(node const& n, std::string const& value) {
    auto const text = fmt::format("<policy>{}</policy>", value);
    auto const parsed = xml::parse(text);
    if (parsed)
        for (auto const& [name, _] : parsed->content)
            if (!xml::is_attributes(name) && (name.local == "enabled" || name.local == "disabled")) return {};
    return fmt::format(
        "expected <enabled/> or <disabled/> (or `admx` instead of `value`) for the ADMX policy {}, got {}", n.values,
        parsed ? "something else" : "what is no XML");
}

}  // namespace

std::string value_fault(node const& n, config::policy_setting const& s) {
    if (!s.value) return {};
    bool const open = (s.format == "chr" || s.format == "xml") && s.value->find("{{") != s.value->npos;
    if (n.how == limit::admx) return open && !s.value->starts_with('<') ? "" : admx_fault(n, *s.value);
    if (open || s.format == "b64") return {};
    switch (n.how) {
        case limit::one_of: return one_of_fault(n, *s.value);
        case limit::flags: return flags_fault(n, *s.value);
        case limit::range: return range_fault(n, *s.value);
        case limit::expression: return expression_fault(n, *s.value);
        case limit::admx:
        case limit::none:
        case limit::xsd:
        case limit::other: break;
    }
    return {};
}

}  // namespace mdmd::catalogue
