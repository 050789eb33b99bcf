// The regular expressions of compliance rules: POSIX extended ones, matched by the C library.
//
// Not std::regex: its matcher recurses once per character and takes exponential time on expressions such as (a+)+b,
// while what it is matched against comes from devices. glibc's automaton does neither as long as an expression has
// no back-reference, which is why those are refused, and repetitions that multiply to more than 1000 states with them.
#pragma once
#include <memory>
#include <string>

#include "core/error.hpp"

namespace mdmd::config {

class pattern {
public:
    // Errors: malformed (more than 256 bytes, not an expression, a back-reference, too many repetitions).
    [[nodiscard]] static result<pattern> compile(std::string const&);

    // Whether the expression is found anywhere in the text; ^ and $ tie it to the ends.
    bool found_in(std::string const& text) const;

private:
    struct compiled;
    explicit pattern(std::shared_ptr<compiled const> c) : compiled_(std::move(c)) {}
    std::shared_ptr<compiled const> compiled_;
};

}  // namespace mdmd::config
