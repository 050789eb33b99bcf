#include "admin/odata.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <utility>

#include "core/text.hpp"

namespace mdmd::admin::odata {
namespace {

constexpr std::size_t most_keys = 8;
constexpr std::size_t most_selected = 64;
constexpr std::int64_t largest_top = 1000;

constexpr std::array operators = {std::pair("eq", comparison::eq), std::pair("ne", comparison::ne),
    std::pair("gt", comparison::gt), std::pair("ge", comparison::ge), std::pair("lt", comparison::lt),
    std::pair("le", comparison::le), std::pair("in", comparison::in)};
constexpr std::array functions = {std::pair("startswith", comparison::starts_with),
    std::pair("endswith", comparison::ends_with), std::pair("contains", comparison::contains)};

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The option's text and how far it was read. The first thing that is wrong is remembered; from then on there is nothing
// more to read.
class reader {
public:
    reader(std::string_view option, std::string_view text) : option_(option), text_(text) {}

    std::optional<error> const& failure() const { return failure_; }
    int place() const { return static_cast<int>(at_) + 1; }

    void wrong(int place, std::string_view why) {
        if (!failure_) failure_ = fail(errc::malformed, fmt::format("{}, at character {}: {}", option_, place, why));
    }
    void expected(std::string_view what) {
        skip_blanks();
        wrong(place(), fmt::format("expected {}, got {}", what,
                           at_ < text_.size() ? "'" + printable(cut_utf8(text_.substr(at_), 20), 60) + "'"
                                              : std::string("the end")));
    }

    void skip_blanks() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    }
    bool at_end() {
        skip_blanks();
        return failure_ || at_ == text_.size();
    }
    bool take(char c) {
        skip_blanks();
        if (failure_ || at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    // The word that stands here: letters, digits, dots and slashes, beginning with a letter. Not taken.
    std::string_view word() {
        skip_blanks();
        auto end = at_;
        if (failure_ || end >= text_.size() || !is_letter(text_[end])) return {};
        while (end < text_.size() &&
               (is_letter(text_[end]) || is_digit(text_[end]) || text_[end] == '.' || text_[end] == '/'))
            ++end;
        return text_.substr(at_, end - at_);
    }
    bool take_word(std::string_view wanted) {
        if (word() != wanted) return false;
        at_ += wanted.size();
        return true;
    }
    std::string_view take_word() {
        auto const found = word();
        at_ += found.size();
        return found;
    }
    char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    // What follows without a blank, comma or parenthesis: a number, a time or a GUID.
    std::string_view take_plain() {
        auto const end = std::min(text_.find_first_of(" \t,()'", at_), text_.size());
        auto const found = text_.substr(at_, end - at_);
        at_ = end;
        return found;
    }
    std::string_view rest() const { return text_.substr(at_); }
    void advance(std::size_t by) { at_ += by; }

    // 'It''s': the text between the quotes.
    std::string quoted() {
        auto const begin = place();
        std::string out;
        for (++at_; at_ < text_.size(); ++at_) {
            if (text_[at_] != '\'') {
                out += text_[at_];
            } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '\'') {
                out += text_[at_++];
            } else {
                ++at_;
                return out;
            }
        }
        wrong(begin, "the text that begins here does not end");
        return out;
    }

private:
    std::string_view option_, text_;
    std::size_t at_ = 0;
    std::optional<error> failure_;
};

bool is_offset(std::string_view s) {
    return s.size() >= 6 && s[0] == ' ' && is_digit(s[1]) && is_digit(s[2]) && s[3] == ':' && is_digit(s[4]) &&
           is_digit(s[5]) && (s.size() == 6 || !is_digit(s[6]));
}

literal parse_plain(reader& in, literal out) {
    auto text = std::string(in.take_plain());
    // The plus of an offset is a blank where the address was not encoded.
    if (text.find('T') != text.npos && !text.ends_with('Z') && is_offset(in.rest())) {
        text += "+" + std::string(in.rest().substr(1, 5));
        in.advance(6);
    }
    if (is_guid(text)) {
        out.what = literal::kind::text;
        out.text = lower(text);
    } else if (auto const at = text.find('T') == text.npos ? parse_date(text) : parse_rfc3339(text)) {
        out.what = literal::kind::time;
        out.at = *at;
    } else if (text.find_first_not_of("+-.0123456789eE") == text.npos && !text.empty()) {
        out.what = literal::kind::number;
        out.text = text;
    } else {
        in.wrong(out.place, fmt::format("expected a value, such as 'text', null or 2026-01-31T23:59:59Z, got '{}'",
                                printable(text, 60)));
    }
    return out;
}

literal parse_literal(reader& in) {
    in.skip_blanks();
    literal out{.place = in.place()};
    if (in.failure()) return out;
    if (in.here() == '\'') {
        out.what = literal::kind::text;
        out.text = in.quoted();
        return out;
    }
    auto const word = in.word();
    if (word == "null" || word == "true" || word == "false") {
        in.take_word();
        out.what = word == "null" ? literal::kind::null : literal::kind::boolean;
        if (word != "null") out.text = word;
        return out;
    }
    if (!word.empty() && in.rest().size() > word.size() && in.rest()[word.size()] == '\'') {
        out.type = in.take_word();
        out.what = literal::kind::enumeration;
        out.text = in.quoted();
        return out;
    }
    if (in.here() == '\0' || in.here() == '(' || in.here() == ')' || in.here() == ',') {
        in.expected("a value");
        return out;
    }
    return parse_plain(in, std::move(out));
}

// filter  = term *( "or" term )         term = factor *( "and" factor )
// factor  = "not" factor | "(" filter ")" | function "(" property "," value ")" | property operator value
// After "not" a comparison needs parentheses: it would bind to the property alone.
class filter_parser {
public:
    explicit filter_parser(reader& in) : in_(in) {}

    expression filter() { return series("or", expression::kind::any_of); }

private:
    struct level {
        int& depth;
        explicit level(int& d) : depth(++d) {}
        level(level const&) = delete;
        level& operator=(level const&) = delete;
        ~level() { --depth; }
    };

    expression series(std::string_view word, expression::kind what) {
        auto const one = [&] {
            return what == expression::kind::any_of ? series("and", expression::kind::all_of) : factor(false);
        };
        auto first = one();
        if (in_.failure() || in_.word() != word) return first;
        expression all{.what = what, .place = first.place};
        all.parts.push_back(std::move(first));
        while (!in_.failure() && in_.take_word(word)) all.parts.push_back(one());
        return all;
    }

    expression factor(bool after_not) {
        level const here(depth_);
        in_.skip_blanks();
        auto const place = in_.place();
        if (depth_ > deepest) {
            in_.wrong(place, fmt::format("over {} levels deep", deepest));
            return {};
        }
        if (in_.take('(')) {
            auto inner = filter();
            if (!in_.take(')')) in_.expected("'and', 'or' or ')'");
            return inner;
        }
        if (in_.take_word("not")) {
            expression out{.what = expression::kind::negated, .place = place};
            out.parts.push_back(factor(true));
            return out;
        }
        if (++terms_ > most_terms) {
            in_.wrong(place, fmt::format("over {} comparisons", most_terms));
            return {};
        }
        auto const word = in_.word();
        if (word.empty()) {
            in_.expected("a property, a function, 'not' or '('");
            return {};
        }
        if (in_.rest().substr(word.size(), 1) == "(") return function(place);
        if (after_not) {
            in_.expected("'(' or a function after 'not'");
            return {};
        }
        return compare(place);
    }

    expression function(int place) {
        auto const name = in_.take_word();
        auto const known =
            std::find_if(functions.begin(), functions.end(), [&](auto const& f) { return f.first == name; });
        if (known == functions.end()) {
            in_.wrong(place, fmt::format("expected startswith, endswith or contains, got '{}'", printable(name, 40)));
            return {};
        }
        in_.take('(');
        in_.skip_blanks();
        expression out{.place = in_.place(), .op = known->second};
        out.property = in_.take_word();
        if (out.property.empty()) in_.expected("a property");
        if (!in_.take(',')) in_.expected("','");
        out.values.push_back(parse_literal(in_));
        if (!in_.failure() && out.values[0].what != literal::kind::text)
            in_.wrong(out.values[0].place, "expected a text in quotes");
        if (!in_.take(')')) in_.expected("')'");
        return out;
    }

    expression compare(int place) {
        expression out{.place = place};
        out.property = in_.take_word();
        auto const word = in_.word();
        auto const known =
            std::find_if(operators.begin(), operators.end(), [&](auto const& o) { return o.first == word; });
        if (known == operators.end()) {
            in_.expected("eq, ne, gt, ge, lt, le or in");
            return out;
        }
        in_.take_word();
        out.op = known->second;
        if (out.op != comparison::in) {
            out.values.push_back(parse_literal(in_));
            return out;
        }
        if (!in_.take('(')) in_.expected("'('");
        do {
            if (!out.values.empty() && ++terms_ > most_terms)
                in_.wrong(in_.place(), fmt::format("over {} comparisons", most_terms));
            out.values.push_back(parse_literal(in_));
        } while (!in_.failure() && in_.take(','));
        if (!in_.take(')')) in_.expected("',' or ')'");
        return out;
    }

    reader& in_;
    int depth_ = 0;
    int terms_ = 0;
};

std::string quote(std::string_view text) {
    std::string out = "'";
    for (char const c : text) out.append(c == '\'' ? 2 : 1, c);
    return out + "'";
}

std::string to_text(literal const& v) {
    switch (v.what) {
        case literal::kind::null: return "null";
        case literal::kind::text: return quote(v.text);
        case literal::kind::time: return rfc3339(v.at);
        case literal::kind::enumeration: return v.type + quote(v.text);
        case literal::kind::boolean:
        case literal::kind::number: return v.text;
    }
    return {};
}

std::string_view name_of(comparison op) {
    for (auto const& [name, one] : operators)
        if (one == op) return name;
    for (auto const& [name, one] : functions)
        if (one == op) return name;
    return {};
}

result<std::int64_t> whole_number(
    std::string_view option, std::string_view text, std::int64_t least, std::int64_t most) {
    std::int64_t n = 0;
    auto const* const last = text.data() + text.size();
    auto const [end, bad] = std::from_chars(text.data(), last, n);
    if (text.empty() || end != last || bad != std::errc() || n < least || n > most)
        return fail(errc::malformed, fmt::format("{}: expected a whole number from {} to {}, got '{}'", option, least,
                                         most, printable(text, 40)));
    return n;
}

}  // namespace

result<expression> parse_filter(std::string_view text) {
    reader in("$filter", text);
    auto out = filter_parser(in).filter();
    if (!in.failure() && !in.at_end()) in.expected("'and', 'or' or the end");
    if (in.failure()) return *in.failure();
    return out;
}

std::string to_text(expression const& e) {
    if (e.what == expression::kind::negated) return "not (" + to_text(e.parts.at(0)) + ")";
    if (e.what != expression::kind::compare) {
        std::string out;
        for (auto const& part : e.parts)
            out += (out.empty() ? "(" : e.what == expression::kind::all_of ? ") and (" : ") or (") + to_text(part);
        return out + ")";
    }
    if (e.op == comparison::starts_with || e.op == comparison::ends_with || e.op == comparison::contains)
        return fmt::format("{}({},{})", name_of(e.op), e.property, to_text(e.values.at(0)));
    if (e.op != comparison::in) return fmt::format("{} {} {}", e.property, name_of(e.op), to_text(e.values.at(0)));
    std::string all;
    for (auto const& v : e.values) all += (all.empty() ? "" : ",") + to_text(v);
    return fmt::format("{} in ({})", e.property, all);
}

result<std::vector<sort_key>> parse_order(std::string_view text) {
    reader in("$orderby", text);
    std::vector<sort_key> out;
    do {
        in.skip_blanks();
        sort_key key{.property = {}, .descending = false, .place = in.place()};
        key.property = in.take_word();
        if (key.property.empty()) in.expected("a property");
        if (out.size() >= most_keys) in.wrong(key.place, fmt::format("over {} properties", most_keys));
        if (in.take_word("desc"))
            key.descending = true;
        else
            in.take_word("asc");
        out.push_back(std::move(key));
    } while (!in.failure() && in.take(','));
    if (!in.at_end()) in.expected("'asc', 'desc', ',' or the end");
    if (in.failure()) return *in.failure();
    return out;
}

result<std::vector<std::string>> parse_select(std::string_view text) {
    reader in("$select", text);
    std::vector<std::string> out;
    do {
        auto const place = in.place();
        std::string name(in.take('*') ? std::string_view("*") : in.take_word());
        if (name.empty()) in.expected("a property or '*'");
        if (out.size() >= most_selected) in.wrong(place, fmt::format("over {} properties", most_selected));
        out.push_back(std::move(name));
    } while (!in.failure() && in.take(','));
    if (!in.at_end()) in.expected("',' or the end");
    if (in.failure()) return *in.failure();
    return out;
}

result<query> parse_query(std::string_view text) {
    query out;
    std::set<std::string, std::less<>> seen;
    for (auto const part : split(text, '&')) {
        if (part.empty()) continue;
        auto const equals = std::min(part.find('='), part.size());
        auto const name = percent_decode(part.substr(0, equals), true);
        auto const value = percent_decode(equals < part.size() ? part.substr(equals + 1) : std::string_view(), true);
        if (!name || !value) return fail(errc::malformed, "the query is not encoded as an address needs it");
        if (!name->starts_with('$')) continue;
        if (!is_utf8(*name) || !is_utf8(*value) || value->find('\0') != value->npos)
            return fail(errc::malformed, "the query is not text in UTF-8");
        auto const shown = printable(*name, 40);
        if (value->size() > longest_option)
            return fail(errc::malformed, fmt::format("{}: over {} bytes", shown, longest_option));
        if (!seen.insert(*name).second) return fail(errc::malformed, shown + ": given twice");
        out.empty = false;
        bool repeat = true;
        if (*name == "$filter") {
            auto got = parse_filter(*value);
            if (!got) return got.error();
            out.filter = *std::move(got);
        } else if (*name == "$orderby") {
            auto got = parse_order(*value);
            if (!got) return got.error();
            out.order = *std::move(got);
        } else if (*name == "$select") {
            auto got = parse_select(*value);
            if (!got) return got.error();
            out.select = *std::move(got);
        } else if (*name == "$top") {
            auto const got = whole_number(*name, *value, 1, largest_top);
            if (!got) return got.error();
            out.top = *got;
        } else if (*name == "$skip") {
            auto const got = whole_number(*name, *value, 0, std::numeric_limits<std::int32_t>::max());
            if (!got) return got.error();
            out.skip = *got;
            repeat = false;
        } else if (*name == "$count") {
            if (*value != "true" && *value != "false")
                return fail(
                    errc::malformed, fmt::format("$count: expected true or false, got '{}'", printable(*value, 40)));
            out.count = *value == "true";
        } else if (*name == "$skiptoken") {
            if (value->empty()) return fail(errc::malformed, "$skiptoken: expected the token of a next page");
            out.skip_token = *value;
            repeat = false;
        } else {
            return fail(errc::malformed, fmt::format("the query option '{}' is not supported", shown));
        }
        if (repeat)
            out.repeated += fmt::format("{}{}={}", out.repeated.empty() ? "" : "&", *name, percent_encode(*value));
    }
    return out;
}

}  // namespace mdmd::admin::odata
