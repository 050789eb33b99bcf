#include "terms/language.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace mdmd::terms {
namespace {

constexpr std::size_t longest_tag = 35;  // RFC 5646 section 4.4.1
constexpr std::size_t longest_header = 4096;
constexpr std::size_t most_ranges = 32;

bool letters(std::string_view s) {
    return std::all_of(s.begin(), s.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}
bool digits(std::string_view s) {
    return std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}
bool alphanumeric(std::string_view s) {
    return std::all_of(s.begin(), s.end(), [](char c) { return letters({&c, 1}) || digits({&c, 1}); });
}
bool is_script(std::string_view s) { return s.size() == 4 && letters(s); }
bool is_region(std::string_view s) { return (s.size() == 2 && letters(s)) || (s.size() == 3 && digits(s)); }

// Lower case, and Chinese with its script.
std::string comparable(std::string_view tag) {
    auto const all = lower(tag);
    auto const parts = split(all, '-');
    if (parts.front() != "zh" || (parts.size() > 1 && is_script(parts[1]))) return all;
    bool const traditional = parts.size() > 1 && (parts[1] == "tw" || parts[1] == "hk" || parts[1] == "mo");
    return (traditional ? "zh-hant" : "zh-hans") + all.substr(2);
}

std::string_view script_of(std::vector<std::string_view> const& parts) {
    return parts.size() > 1 && is_script(parts[1]) ? parts[1] : std::string_view{};
}

// The same language, and scripts that do not contradict one another.
bool akin(std::string_view a, std::string_view b) {
    auto const x = split(a, '-');
    auto const y = split(b, '-');
    return x.front() == y.front() &&
           (script_of(x) == script_of(y) || (x.front() != "zh" && (script_of(x).empty() || script_of(y).empty())));
}

// Thousandths, of "0", "0.5", "1.000" [RFC 9110 section 12.4.2].
std::optional<int> parse_weight(std::string_view s) {
    if (s.empty() || s.size() > 5 || (s[0] != '0' && s[0] != '1') || (s.size() > 1 && s[1] != '.')) return std::nullopt;
    int value = s[0] == '1' ? 1000 : 0;
    int unit = 100;
    for (char const c : s.size() > 2 ? s.substr(2) : std::string_view{}) {
        if (c < '0' || c > '9') return std::nullopt;
        value += unit * (c - '0');
        unit /= 10;
    }
    return value <= 1000 ? std::optional(value) : std::nullopt;
}

void add_ranges(std::vector<std::string>& out, std::string_view header) {
    struct weighted {
        std::string_view tag;
        int weight;
    };
    std::vector<weighted> found;
    for (auto const item : split(header.substr(0, longest_header), ',')) {
        auto const parts = split(item, ';');
        auto const tag = trim(parts.front());
        std::optional<int> weight = 1000;
        for (std::size_t i = 1; i < parts.size(); ++i) {
            auto const parameter = trim(parts[i]);
            weight = parameter.starts_with("q=") || parameter.starts_with("Q=") ? parse_weight(parameter.substr(2))
                                                                                : std::nullopt;
        }
        if (!weight || *weight == 0 || !is_language_tag(tag)) continue;
        found.push_back({tag, *weight});
        if (found.size() == most_ranges) break;
    }
    std::stable_sort(
        found.begin(), found.end(), [](weighted const& a, weighted const& b) { return a.weight > b.weight; });
    for (auto const& f : found) out.emplace_back(f.tag);
}

}  // namespace

bool is_language_tag(std::string_view tag) {
    if (tag.size() > longest_tag) return false;
    auto const parts = split(tag, '-');
    if (parts[0].size() < 2 || parts[0].size() > 3 || !letters(parts[0])) return false;
    std::size_t i = 1;
    for (int extended = 0; extended < 3 && i < parts.size() && parts[i].size() == 3 && letters(parts[i]); ++extended)
        ++i;
    if (i < parts.size() && is_script(parts[i])) ++i;
    if (i < parts.size() && is_region(parts[i])) ++i;
    auto const is_variant = [](std::string_view s) {
        return alphanumeric(s) && ((s.size() >= 5 && s.size() <= 8) || (s.size() == 4 && digits(s.substr(0, 1))));
    };
    while (i < parts.size() && is_variant(parts[i])) ++i;
    // Extensions and private use: a single character, then at least one part more.
    while (i < parts.size()) {
        if (parts[i].size() != 1 || !alphanumeric(parts[i])) return false;
        bool const private_use = parts[i] == "x" || parts[i] == "X";
        auto const begin = ++i;
        while (i < parts.size() && parts[i].size() >= (private_use ? 1U : 2U) && parts[i].size() <= 8 &&
               alphanumeric(parts[i]))
            ++i;
        if (i == begin) return false;
        if (private_use) return i == parts.size();
    }
    return true;
}

std::string canonical_tag(std::string_view tag) {
    std::string out;
    bool single = false;  // behind an extension's letter all is lower case
    for (auto const part : split(tag, '-')) {
        auto text = lower(part);
        auto const upper = [](char& c) {
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        };
        if (!out.empty() && !single && is_script(text)) upper(text[0]);
        if (!out.empty() && !single && text.size() == 2 && letters(text))
            std::for_each(text.begin(), text.end(), upper);
        single = single || part.size() == 1;
        if (!out.empty()) out += '-';
        out += text;
    }
    return out;
}

std::string_view direction_of(std::string_view tag) {
    static constexpr std::array<std::string_view, 7> scripts{"arab", "hebr", "thaa", "syrc", "nkoo", "adlm", "rohg"};
    static constexpr std::array<std::string_view, 12> languages{
        "ar", "he", "iw", "fa", "ur", "yi", "ps", "sd", "ug", "dv", "ckb", "nqo"};
    auto const all = lower(tag);
    auto const parts = split(all, '-');
    auto const script = script_of(parts);
    auto const in = [](auto const& list, std::string_view s) {
        return std::find(list.begin(), list.end(), s) != list.end();
    };
    return (script.empty() ? in(languages, parts.front()) : in(scripts, script)) ? "rtl" : "ltr";
}

std::vector<std::string> languages_of(http::fields const& headers) {
    std::vector<std::string> out;
    add_ranges(out, headers.get("cxh-preferredLanguage").value_or(""));
    add_ranges(out, headers.get("Accept-Language").value_or(""));
    return out;
}

std::optional<std::size_t> best_language(
    std::vector<std::string> const& ranges, std::vector<std::string> const& available) {
    std::vector<std::string> tags;
    for (auto const& tag : available) tags.push_back(comparable(tag));
    for (auto const& range : ranges) {
        auto const wanted = comparable(range);
        for (auto at = wanted; !at.empty();) {
            auto const found = std::find(tags.begin(), tags.end(), at);
            if (found != tags.end()) return static_cast<std::size_t>(found - tags.begin());
            auto cut = at.rfind('-');
            // A single character begins what belongs to it: it goes with that.
            if (cut != at.npos && cut >= 2 && at[cut - 2] == '-') cut -= 2;
            at.resize(cut == at.npos ? 0 : cut);
        }
        auto const found =
            std::find_if(tags.begin(), tags.end(), [&](std::string const& tag) { return akin(tag, wanted); });
        if (found != tags.end()) return static_cast<std::size_t>(found - tags.begin());
    }
    return std::nullopt;
}

}  // namespace mdmd::terms
