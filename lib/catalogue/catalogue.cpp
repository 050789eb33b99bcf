#include "catalogue/catalogue.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "catalogue/data.hpp"
#include "config/node_uri.hpp"
#include "core/text.hpp"

namespace mdmd::catalogue {
namespace {

constexpr std::string_view any_name = "*";
constexpr std::string_view of_users = "User";

limit parse_limit(std::string_view text) {
    constexpr std::pair<std::string_view, limit> known[] = {{"", limit::none}, {"None", limit::none},
        {"ENUM", limit::one_of}, {"Flag", limit::flags}, {"Range", limit::range}, {"RegEx", limit::expression},
        {"ADMX", limit::admx}, {"XSD", limit::xsd}};
    for (auto const& [name, value] : known)
        if (name == text) return value;
    return limit::other;
}

node parse_line(std::string_view line) {
    auto const fields = split(line, '\t');
    if (fields.size() != 8) throw std::logic_error("csp.tsv: a line has not eight fields");
    return {
        fields[0], fields[1], fields[2], fields[3], fields[4], parse_limit(fields[5]), fields[6], !fields[7].empty()};
}

// The Policy CSP's own file names every area and every policy "*"; the files of the areas have them one by one.
bool is_any_policy(std::string_view uri) { return uri.find("/Policy/Config/*") != uri.npos; }

std::vector<node> read_all() {
    std::vector<node> out;
    auto text = data();
    text.remove_prefix(text.find('\n') + 1);  // the heading
    while (!text.empty()) {
        auto const end = text.find('\n');
        if (auto const one = parse_line(text.substr(0, end)); !is_any_policy(one.uri)) out.push_back(one);
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
    }
    return out;
}

// The tree of all nodes by their names.
struct branch {
    std::map<std::string, branch, std::less<>> below;
    node const* here = nullptr;
};

using names = std::vector<std::string>;

// "./Device/…" is "./…".
names names_of(std::string_view uri) {
    auto const canonical = config::canonical_node_uri(uri);
    names out;
    for (auto const name : split(canonical, '/')) out.emplace_back(name);
    return out;
}

branch grow() {
    branch root;
    for (auto const& one : all()) {
        auto* at = &root;
        for (auto& name : names_of(one.uri)) at = &at->below[std::move(name)];
        at->here = &one;
    }
    return root;
}

branch const& tree() {
    static branch const root = grow();
    return root;
}

// The branch that the names lead to; of several ways the one that fits them literally the longest. `ends` says whether
// a branch will do.
template <class Ends> branch const* walk(branch const& from, names const& uri, std::size_t i, Ends const& ends) {
    if (i == uri.size()) return ends(from) ? &from : nullptr;
    if (auto const next = from.below.find(uri[i]); next != from.below.end())
        if (auto const* const found = walk(next->second, uri, i + 1, ends)) return found;
    if (auto const next = from.below.find(any_name); next != from.below.end() && uri[i] != any_name)
        return walk(next->second, uri, i + 1, ends);
    return nullptr;
}

node const* find(names const& uri) {
    auto const* const found = walk(tree(), uri, 0, [](branch const& b) { return b.here != nullptr; });
    return found ? found->here : nullptr;
}

bool is_of_user(names const& uri) { return uri.size() > 1 && uri[1] == of_users; }

// The number of insertions, deletions and replacements that make one of the other; another case counts as one in all.
int distance(std::string_view a, std::string_view b) {
    if (a == b) return 0;
    if (iequals(a, b)) return 1;
    std::vector<int> row(b.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = std::exchange(row[0], static_cast<int>(i) + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            auto const replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
        }
    }
    return row.back();
}

// Searches the tree for the least distance, a name too many or missing counting as a few letters. Each branch carries
// the row of distances of its names to the beginnings of what is looked for; branches that cannot win are cut.
class search {
public:
    explicit search(names const& wanted) : wanted_(wanted) {}

    node const* run() {
        std::vector<int> row(wanted_.size() + 1);
        for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<int>(i) * whole_name;
        descend(tree(), row);
        return best_;
    }

private:
    static constexpr int whole_name = 5;
    static constexpr int farthest = 12;

    // What it costs that one name was written for another: half of its letters must be right.
    static int cost(std::string_view written, std::string_view known) {
        if (known == any_name) return 1;
        auto const longer = std::max(written.size(), known.size());
        auto const shorter = std::min(written.size(), known.size());
        if (longer - shorter > longer / 2 || longer > 128) return farthest;
        auto const d = distance(written, known);
        return d > static_cast<int>(longer / 2) ? farthest : d;
    }

    void descend(branch const& at, std::vector<int> const& row) {
        if (at.here && row.back() < least_) {
            least_ = row.back();
            best_ = at.here;
        }
        // What was written right comes first, so that little of the rest is worth a look.
        auto const written = [&](std::string const& name) {
            return std::find(wanted_.begin(), wanted_.end(), name) != wanted_.end();
        };
        for (bool const right : {true, false})
            for (auto const& [name, next] : at.below)
                if (written(name) == right) enter(at, name, next, row);
    }

    void enter(branch const& at, std::string const& name, branch const& next, std::vector<int> const& row) {
        if (name == of_users && &at == &tree().below.at(".") && !is_of_user(wanted_)) return;
        std::vector<int> below(row.size());
        below[0] = row[0] + whole_name;
        for (std::size_t i = 1; i < row.size(); ++i)
            below[i] = std::min({row[i] + whole_name, below[i - 1] + whole_name,
                row[i - 1] >= least_ ? farthest : row[i - 1] + cost(wanted_[i - 1], name)});
        if (*std::min_element(below.begin(), below.end()) < least_) descend(next, below);
    }

    names const& wanted_;
    int least_ = farthest;
    node const* best_ = nullptr;
};

}  // namespace

std::vector<node> const& all() {
    static std::vector<node> const nodes = read_all();
    return nodes;
}

node const* find(std::string_view uri) { return find(names_of(uri)); }

bool is_interior(std::string_view uri) {
    return walk(tree(), names_of(uri), 0, [](branch const& b) { return !b.here && !b.below.empty(); });
}

node const* find_in_other_scope(std::string_view uri) {
    auto there = names_of(uri);
    if (there.size() < 2 || there[0] != ".") return nullptr;
    if (is_of_user(there))
        there.erase(there.begin() + 1);
    else
        there.insert(there.begin() + 1, std::string(of_users));
    return find(there);
}

std::string nearest(std::string_view uri) {
    constexpr std::size_t most_names = 24;
    auto const wanted = names_of(uri);
    if (wanted.size() < 3 || wanted.size() > most_names) return {};
    auto const* const found = search(wanted).run();
    if (!found) return {};
    auto known = split(found->uri, '/');
    auto const written = split(uri, '/');
    std::string out;
    for (std::size_t i = 0; i < known.size(); ++i) {
        if (i > 0) out += '/';
        out += known[i] == any_name && known.size() == written.size() ? written[i] : known[i];
    }
    return out;
}

std::optional<os_version> first_version(node const& n) {
    auto const v = parse_os_version(n.since);
    if (!v || v->parts[0] != 10) return std::nullopt;  // 99.9.99999: in previews of Windows only
    constexpr os_version windows_11{{10, 0, 22000, 0}};
    if (*v == windows_11 && n.uri.find("/Policy/Config/ADMX_") != n.uri.npos) return os_version{{10, 0, 19041, 1202}};
    return v;
}

std::optional<os_version> first_version(std::string const& canonical_uri) {
    auto const* const found = find(canonical_uri);
    return found ? first_version(*found) : std::nullopt;
}

std::vector<std::string_view> values_of(node const& n) {
    std::vector<std::string_view> out;
    for (auto const one : split(n.values, ','))
        if (auto const value = trim(one); !value.empty()) out.push_back(value);
    return out;
}

}  // namespace mdmd::catalogue
