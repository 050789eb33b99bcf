#include "service/selection.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "core/glob.hpp"
#include "core/os_version.hpp"
#include "core/text.hpp"

namespace mdmd::service {
namespace {

template <class T> bool compare(int how, T const& a, T const& b) {
    switch (how) {
        case 0: return a == b;
        case 1: return !(a == b);
        case 2: return a < b;
        case 3: return !(b < a);
        case 4: return b < a;
        default: return !(a < b);
    }
}

}  // namespace

result<selection> selection::parse(std::string_view text) {
    selection s;
    std::size_t from = 0;
    bool quoted = false;
    auto const add = [&](std::string_view part) -> result<void> {
        auto one = parse_term(trim(part));
        if (!one) return one.error();
        s.terms_.push_back(std::move(*one));
        return {};
    };
    if (trim(text).empty()) return s;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"') quoted = !quoted;
        if (quoted || !iequals(text.substr(i, 5), " and ")) continue;
        if (auto const ok = add(text.substr(from, i - from)); !ok) return ok.error();
        i += 4;
        from = i;
    }
    if (auto const ok = add(text.substr(std::min(from, text.size()))); !ok) return ok.error();
    return s;
}

result<selection::term> selection::parse_term(std::string_view text) {
    auto const at = text.find_first_of("=!<>");
    auto const shown = printable(text, 100);
    if (at == text.npos || at == 0)
        return fail(errc::malformed, fmt::format("expected a condition such as ownership=corporate, got '{}'", shown));
    term t;
    t.field = lower(trim(text.substr(0, at)));
    constexpr std::array<std::string_view, 6> fields{
        "name", "user", "ownership", "compliance", "os_version", "last_seen"};
    if (std::find(fields.begin(), fields.end(), t.field) == fields.end())
        return fail(errc::malformed,
            fmt::format("expected name, user, ownership, compliance, os_version or last_seen, got '{}'",
                printable(t.field, 32)));
    auto rest = text.substr(at);
    constexpr std::array<std::pair<std::string_view, op>, 6> ops{
        {{"!=", op::ne}, {"<=", op::le}, {">=", op::ge}, {"=", op::eq}, {"<", op::lt}, {">", op::gt}}};
    auto const how = std::find_if(ops.begin(), ops.end(), [&](auto const& o) { return rest.starts_with(o.first); });
    if (how == ops.end()) return fail(errc::malformed, fmt::format("expected one of = != < <= > >=, got '{}'", shown));
    t.how = how->second;
    rest = trim(rest.substr(how->first.size()));
    bool const quoted = rest.size() >= 2 && rest.front() == '"' && rest.back() == '"';
    if (quoted) rest = rest.substr(1, rest.size() - 2);
    if (rest.empty() || rest.find('"') != rest.npos || (!quoted && rest.find(' ') != rest.npos))
        return fail(errc::malformed,
            fmt::format("expected one value, in quotes where it has blanks, after {}{}", t.field, how->first));
    t.value = std::string(rest);
    bool const ordered = t.how != op::eq && t.how != op::ne;
    if (t.field == "os_version" && !parse_os_version(t.value))
        return fail(errc::malformed,
            fmt::format("expected a Windows version such as 10.0.22631, got '{}'", printable(rest, 32)));
    if (t.field == "last_seen" && (!parse_duration(t.value) || !ordered))
        return fail(errc::malformed, "expected < or > and a duration such as last_seen>30d");
    if (ordered && t.field != "os_version" && t.field != "last_seen")
        return fail(errc::malformed, fmt::format("expected = or != with {}", t.field));
    constexpr std::array<std::string_view, 2> owners{"corporate", "personal"};
    if (t.field == "ownership" && std::find(owners.begin(), owners.end(), t.value) == owners.end())
        return fail(errc::malformed, fmt::format("expected corporate or personal, got '{}'", printable(rest, 32)));
    return t;
}

bool selection::holds(term const& t, selectable const& d, time_point now) {
    auto const how = static_cast<int>(t.how);
    if (t.field == "os_version") {
        auto const version = parse_os_version(d.os_version);
        return version && compare(how, *version, *parse_os_version(t.value));
    }
    if (t.field == "last_seen") {
        auto const ago = d.last_seen ? std::chrono::duration_cast<std::chrono::seconds>(now - *d.last_seen)
                                     : std::chrono::seconds::max();
        return compare(how, ago, *parse_duration(t.value));
    }
    auto const& have = t.field == "name"        ? d.name
                       : t.field == "user"      ? d.user
                       : t.field == "ownership" ? d.ownership
                                                : d.compliance;
    return fits_glob(t.value, have) == (t.how == op::eq);
}

bool selection::holds(selectable const& d, time_point now) const {
    return std::all_of(terms_.begin(), terms_.end(), [&](term const& t) { return holds(t, d, now); });
}

}  // namespace mdmd::service
