// Which devices an administrator means by a condition: "ownership=corporate and os_version<10.0.22631".
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/time.hpp"

namespace mdmd::service {

// What conditions are about.
struct selectable {
    std::string id, name, user, ownership, os_version, compliance;
    std::optional<time_point> last_seen;
};

class selection {
public:
    // Terms joined by "and", each a field, one of = != < <= > >= and a value without blanks or in double quotes.
    // Fields: name and user (with * and ?, without regard to case), ownership, compliance, os_version (in its order),
    // and last_seen (how long ago, such as >30d; never is longer than any). Empty: every device. Errors: malformed.
    [[nodiscard]] static result<selection> parse(std::string_view);

    bool holds(selectable const&, time_point now) const;

private:
    enum class op { eq, ne, lt, le, gt, ge };
    struct term {
        std::string field;
        op how;
        std::string value;
    };
    static result<term> parse_term(std::string_view);
    static bool holds(term const&, selectable const&, time_point now);

    std::vector<term> terms_;
};

}  // namespace mdmd::service
