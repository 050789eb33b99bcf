// Reads YAML mappings into typed values, collecting every problem with its place. Private to lib/config.
#pragma once
#include <fmt/format.h>
#include <concepts>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"
#include "config/yaml.hpp"

namespace mdmd::config {

// What is found while one file is read.
class findings {
public:
    explicit findings(std::filesystem::path file) : file_(std::move(file)) {}

    void report(yaml::place, std::string key, std::string text);
    void warn(yaml::place, std::string key, std::string text);
    void asked_for(std::string key) { keys_.push_back(std::move(key)); }

    // By place; those of one place in the order of finding.
    std::vector<problem> problems() &&;
    std::vector<problem> const& warnings() const { return warnings_; }
    std::vector<std::string> const& keys() const { return keys_; }

private:
    std::filesystem::path file_;
    std::vector<problem> problems_;
    std::vector<problem> warnings_;
    std::vector<std::string> keys_;  // every key that a section was asked for, absent ones too
};

// "'text'", cut and printable, or what kind of thing stands there.
std::string got(yaml::node const&);
// The same without the text, for what may be a secret or stands where a mapping or a list should.
std::string got_kind(yaml::node const&);

// One value of a section, or its absence.
struct field {
    yaml::node const* value = nullptr;  // none: absent, or reported already
    std::string key;                    // "server.listen"
    yaml::place at;                     // of the value; of the section's key where it is absent
    bool broken = false;                // reported already
    explicit operator bool() const { return value != nullptr; }
};

enum class style { any, plain };  // plain: 15 but not "15"

class section {
public:
    // A `value` that is no mapping is reported, and none of its keys is missed; an absent one (nullptr) has no keys.
    section(yaml::node const* value, yaml::place at, std::string path, findings&);

    section child(std::string_view name);
    field get(std::string_view name);
    std::vector<std::string> others() const;  // keys that nobody asked for yet
    void done();                              // reports those; call last

    // The value of `name` as `parse` makes of its text an optional<T>; nullopt where it is absent or was reported.
    template <class Parse>
    auto read(std::string_view name, std::string_view expected, Parse parse, style how = style::any) {
        return convert(get(name), expected, parse, how);
    }
    // The same, its absence being a problem.
    template <class Parse> auto require(std::string_view name, std::string_view expected, Parse parse) {
        auto const f = get(name);
        if (!f) missing(f, expected);
        return convert(f, expected, parse, style::any);
    }
    // Leaves `target` as it is where the value is absent.
    template <class T, class Parse>
    void assign(T& target, std::string_view name, std::string_view expected, Parse parse, style how = style::any) {
        if (auto v = read(name, expected, parse, how)) target = std::move(*v);
    }
    template <class Parse>
    auto convert(field const& f, std::string_view expected, Parse parse, style how)
        -> std::invoke_result_t<Parse, std::string const&> {
        if (!f) return std::nullopt;
        if (f.value->what == yaml::node::kind::scalar && !(how == style::plain && f.value->quoted))
            if (auto v = std::invoke(parse, f.value->text)) return v;
        report(f, fmt::format("expected {}, got {}", expected, got(*f.value)));
        return std::nullopt;
    }
    // The items of a list, each as `parse` makes of its text; nullopt where absent or reported.
    template <class Parse>
    auto read_list(std::string_view name, std::string_view expected, Parse parse)
        -> std::optional<std::vector<typename std::invoke_result_t<Parse, std::string const&>::value_type>> {
        auto const f = get(name);
        if (!f) return std::nullopt;
        if (f.value->what != yaml::node::kind::list || f.value->items.empty()) {
            report(f, fmt::format("expected a list of {}, got {}", expected, got_kind(*f.value)));
            return std::nullopt;
        }
        std::vector<typename std::invoke_result_t<Parse, std::string const&>::value_type> out;
        for (auto const& item : f.value->items) {
            field const one{&item, f.key, item.at, false};
            if (item.what == yaml::node::kind::broken) continue;
            if (auto v = convert(one, expected, parse, style::any)) out.push_back(std::move(*v));
        }
        return out;
    }

    void missing(field const& f, std::string_view expected) {
        if (!f.broken) report(f, fmt::format("expected {}, got nothing", expected));
    }
    void report(field const& f, std::string text) { out_.get().report(f.at, f.key, std::move(text)); }
    findings& out() { return out_; }
    yaml::place at() const { return at_; }
    yaml::place key_at(std::string_view name) const;  // at() where there is no such key
    bool present() const { return value_ != nullptr; }

private:
    std::string path_of(std::string_view name) const;
    yaml::entry const* find(std::string_view name) const;
    bool is_other(yaml::node const& key) const;

    yaml::node const* value_;
    yaml::place at_;
    bool broken_ = false;  // stands where a mapping should, which has been reported
    std::string path_;
    std::reference_wrapper<findings> out_;
    std::vector<std::string> asked_;
};

// Text to value, for section::read; nullopt where it does not fit.
std::optional<bool> parse_bool(std::string const&);         // true, false
std::optional<std::string> parse_text(std::string const&);  // not empty, one line
auto parse_integer(std::int64_t min, std::int64_t max)
    -> std::function<std::optional<std::int64_t>(std::string const&)>;

}  // namespace mdmd::config
