#include "config/pattern.hpp"

#include <regex.h>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace mdmd::config {
namespace {

constexpr std::size_t most_bytes = 256;
constexpr std::uint64_t most_repeats = 1000;

// What the C library must not be given; empty: nothing. Reads escapes and intervals outside of bracket expressions.
std::string fault(std::string_view s) {
    std::uint64_t repeats = 1;
    for (std::size_t i = 0; i < s.size(); ++i) {
        if (static_cast<unsigned char>(s[i]) < 0x20) return "control characters";
        if (s[i] == '\\' && i + 1 < s.size()) {
            if (s[++i] >= '1' && s[i] <= '9') return "a back-reference";
        } else if (s[i] == '[') {
            auto end = i + 1;
            if (end < s.size() && s[end] == '^') ++end;
            if (end < s.size() && s[end] == ']') ++end;  // stands for itself in the first place
            for (; end < s.size() && s[end] != ']'; ++end)
                if (s[end] == '[' && end + 1 < s.size() && std::string_view(".:=").find(s[end + 1]) != s.npos) {
                    auto const close = s.find(std::string{s[end + 1], ']'}, end + 2);
                    if (close == s.npos) return "an unclosed bracket";
                    end = close + 1;
                }
            i = end;
        } else if (s[i] == '{') {
            // The larger bound says how often the C library writes the part out.
            auto const close = s.find('}', i);
            if (close == s.npos) return "an unclosed interval";
            auto const bounds = s.substr(i + 1, close - i - 1);
            std::uint64_t most = 1;
            for (std::size_t at = 0; at < bounds.size();) {
                std::uint64_t n = 0;
                auto const* const begin = bounds.data() + at;
                auto const [end, ec] = std::from_chars(begin, bounds.data() + bounds.size(), n);
                if (ec == std::errc::result_out_of_range) return "too many repetitions";
                if (ec == std::errc{}) most = std::max(most, n);
                at = static_cast<std::size_t>(end - bounds.data()) + 1;
            }
            if (most > most_repeats) return "too many repetitions";
            repeats *= most;
            if (repeats > most_repeats) return "too many repetitions";
            i = close;
        }
    }
    return {};
}

}  // namespace

struct pattern::compiled {
    regex_t expression{};
    bool ready = false;

    explicit compiled(std::string const& text) {
        ready = ::regcomp(&expression, text.c_str(), REG_EXTENDED | REG_NOSUB) == 0;
    }
    compiled(compiled const&) = delete;
    compiled& operator=(compiled const&) = delete;
    ~compiled() {
        if (ready) ::regfree(&expression);
    }
};

result<pattern> pattern::compile(std::string const& text) {
    if (text.empty()) return fail(errc::malformed, "an empty one");
    if (text.size() > most_bytes) return fail(errc::malformed, "one of more than 256 bytes");
    if (auto const why = fault(text); !why.empty()) return fail(errc::malformed, "one with " + why);
    auto c = std::make_shared<compiled const>(text);
    if (!c->ready) return fail(errc::malformed, "one that does not compile");
    return pattern(std::move(c));
}

bool pattern::found_in(std::string const& text) const {
    return ::regexec(&compiled_->expression, text.c_str(), 0, nullptr, 0) == 0;
}

}  // namespace mdmd::config
