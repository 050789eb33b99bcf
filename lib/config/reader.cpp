#include "config/reader.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "core/text.hpp"

namespace mdmd::config {
namespace {

constexpr std::size_t most_shown = 80;  // bytes of a value in a message

// The number of insertions, deletions and replacements that make one of the other.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            auto const replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
        }
    }
    return row.back();
}

// The known key that was probably meant; empty where none is near.
std::string_view nearest(std::string_view key, std::vector<std::string> const& known) {
    std::string_view best;
    if (key.size() > 64) return best;
    auto least = (key.size() < 4 ? 1 : std::max<std::size_t>(2, key.size() / 3)) + 1;
    for (auto const& candidate : known)
        if (auto const d = distance(key, candidate); d < least) {
            least = d;
            best = candidate;
        }
    return best;
}

}  // namespace

void findings::report(yaml::place at, std::string key, std::string text) {
    problems_.push_back({file_, at.line, at.column, std::move(key), std::move(text)});
}

void findings::warn(yaml::place at, std::string key, std::string text) {
    warnings_.push_back({file_, at.line, at.column, std::move(key), std::move(text)});
}

std::vector<problem> findings::problems() && {
    std::stable_sort(problems_.begin(), problems_.end(),
        [](problem const& a, problem const& b) { return std::tie(a.line, a.column) < std::tie(b.line, b.column); });
    return std::move(problems_);
}

std::string got_kind(yaml::node const& n) {
    switch (n.what) {
        case yaml::node::kind::scalar: return "a single value";
        case yaml::node::kind::list: return n.items.empty() ? "an empty list" : "a list";
        case yaml::node::kind::mapping: return "a mapping";
        case yaml::node::kind::nothing:
        case yaml::node::kind::broken: break;
    }
    return "nothing";
}

std::string got(yaml::node const& n) {
    if (n.what != yaml::node::kind::scalar) return got_kind(n);
    auto const text = printable(n.text, most_shown);
    return n.quoted ? fmt::format("'\"{}\"'", text) : fmt::format("'{}'", text);
}

section::section(yaml::node const* value, yaml::place at, std::string path, findings& out)
    : value_(value), at_(at), path_(std::move(path)), out_(out) {
    if (!value_) return;
    if (value_->what != yaml::node::kind::mapping) {
        // Nothing at all is a mapping whose keys are all commented out; anything else is one mistake, not one more for
        // each key that is missing.
        broken_ = value_->what != yaml::node::kind::nothing;
        if (broken_ && value_->what != yaml::node::kind::broken)
            out.report(value_->at, path_, fmt::format("expected a mapping, got {}", got_kind(*value_)));
        value_ = nullptr;
        return;
    }
    std::map<std::string_view, int> first;
    for (auto const& [key, _] : value_->entries) {
        if (key.what == yaml::node::kind::broken) continue;
        if (key.what != yaml::node::kind::scalar) {
            out.report(key.at, path_, fmt::format("expected a key, got {}", got_kind(key)));
        } else if (auto const [known, added] = first.emplace(key.text, key.at.line); !added) {
            out.report(key.at, path_of(key.text),
                fmt::format("expected each key once, got '{}' again (first in line {})",
                    printable(key.text, most_shown), known->second));
        }
    }
}

std::string section::path_of(std::string_view name) const {
    auto const shown = printable(name, most_shown);
    return path_.empty() ? shown : path_ + "." + shown;
}

yaml::entry const* section::find(std::string_view name) const {
    if (!value_) return nullptr;
    for (auto const& one : value_->entries)
        if (one.key.what == yaml::node::kind::scalar && one.key.text == name) return &one;
    return nullptr;
}

section section::child(std::string_view name) {
    asked_.emplace_back(name);
    auto const* const found = find(name);
    if (!found) {
        section absent(nullptr, {}, path_of(name), out_);
        absent.broken_ = broken_;
        return absent;
    }
    return section(&found->value, found->key.at, path_of(name), out_);
}

field section::get(std::string_view name) {
    asked_.emplace_back(name);
    auto key = path_of(name);
    out_.get().asked_for(key);
    auto const* const found = find(name);
    if (!found) return {nullptr, std::move(key), at_, broken_};
    if (found->value.what == yaml::node::kind::broken) return {nullptr, std::move(key), found->value.at, true};
    return {&found->value, std::move(key), found->value.at, false};
}

yaml::place section::key_at(std::string_view name) const {
    auto const* const found = find(name);
    return found ? found->key.at : at_;
}

bool section::is_other(yaml::node const& key) const {
    return key.what == yaml::node::kind::scalar && std::find(asked_.begin(), asked_.end(), key.text) == asked_.end();
}

std::vector<std::string> section::others() const {
    std::vector<std::string> all;
    if (value_)
        for (auto const& [key, _] : value_->entries)
            if (is_other(key)) all.push_back(key.text);
    return all;
}

void section::done() {
    if (!value_) return;
    for (auto const& [key, _] : value_->entries) {
        if (!is_other(key)) continue;
        auto const meant = nearest(key.text, asked_);
        out_.get().report(key.at, path_of(key.text),
            fmt::format("expected a known key, got '{}'{}", printable(key.text, most_shown),
                meant.empty() ? "" : fmt::format(" (did you mean '{}'?)", meant)));
    }
}

std::optional<bool> parse_bool(std::string const& s) {
    if (s == "true") return true;
    if (s == "false") return false;
    return std::nullopt;
}

std::optional<std::string> parse_text(std::string const& s) {
    if (s.empty() || printable(s, s.size()) != s) return std::nullopt;
    return s;
}

auto parse_integer(std::int64_t min, std::int64_t max)
    -> std::function<std::optional<std::int64_t>(std::string const&)> {
    return [=](std::string const& s) -> std::optional<std::int64_t> {
        std::int64_t v = 0;
        auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
        if (ec != std::errc{} || end != s.data() + s.size() || v < min || v > max) return std::nullopt;
        return v;
    };
}

}  // namespace mdmd::config
