// The query options of OData that a list takes, from text to values. Pure: which properties there are, and of what
// type, is not known here. Source: OData Version 4.01 Part 2 "URL Conventions", section 5.1
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/time.hpp"

namespace mdmd::admin::odata {

// Limits of one $filter: so deep in parentheses and "not", so many comparisons. An option has at most 8 KiB.
inline constexpr int deepest = 32;
inline constexpr int most_terms = 100;
inline constexpr std::size_t longest_option = 8192;

struct literal {
    enum class kind {
        null,
        boolean,      // text: "true", "false"
        number,       // text: as written
        text,         // 'It''s' is "It's"; a GUID without quotes, too
        time,         // 2026-01-31T23:59:59.5Z, +01:00; a date alone is its first moment, UTC
        enumeration,  // microsoft.graph.deviceEnrollmentType'userEnrollment': its text, its type
    } what = kind::null;
    std::string text{};
    std::string type{};
    time_point at{};
    int place = 0;  // of its first character in the option, from 1

    bool operator==(literal const& other) const {
        return what == other.what && text == other.text && type == other.type && at == other.at;
    }
};

enum class comparison { eq, ne, gt, ge, lt, le, starts_with, ends_with, contains, in };

struct expression {
    enum class kind { compare, all_of, any_of, negated };
    kind what = kind::compare;
    std::string property{};
    int place = 0;  // of the property
    comparison op = comparison::eq;
    std::vector<literal> values{};    // one; of `in` one or more
    std::vector<expression> parts{};  // of all_of and any_of two or more, of negated one
};

// Errors: malformed, naming the place: "$filter, at character 12: expected …".
[[nodiscard]] result<expression> parse_filter(std::string_view);
// The same again, every operator in parentheses: parsing it gives the same.
std::string to_text(expression const&);

struct sort_key {
    std::string property;
    bool descending = false;
    int place = 0;
};
// "eventDateTime desc, id": at most 8 keys. Errors: malformed.
[[nodiscard]] result<std::vector<sort_key>> parse_order(std::string_view);
// "id,failureCategory", "*". Errors: malformed.
[[nodiscard]] result<std::vector<std::string>> parse_select(std::string_view);

struct query {
    std::optional<expression> filter;
    std::vector<sort_key> order;      // empty: not given
    std::vector<std::string> select;  // empty: not given
    std::optional<std::int64_t> top;  // 1 to 1000
    std::int64_t skip = 0;            // 0 to 2^31 - 1
    bool count = false;
    std::string skip_token;  // as it came
    bool empty = true;       // no option was given at all
    // What the next page's address repeats, encoded: all but $skip and $skiptoken.
    std::string repeated;
};
// Of the query as sent. What does not begin with "$" is nobody's concern here. Errors: malformed, for an option that is
// unknown, comes twice, or has a bad value, and for text that is not encoded UTF-8.
[[nodiscard]] result<query> parse_query(std::string_view);

}  // namespace mdmd::admin::odata
