#include "policy/policy.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/text.hpp"

namespace mdmd::policy {
namespace {

constexpr std::string_view key_prefix = "setting:";
constexpr std::array policy_csp{
    std::string_view("./Vendor/MSFT/Policy/Config/"), std::string_view("./User/Vendor/MSFT/Policy/Config/")};

bool has_value(wanted_setting const& w) { return w.format != "node" && w.format != "null"; }

// Whether two wishes put the same thing on a device, whoever has them and however they spell the node.
bool same_wish(wanted_setting const& a, wanted_setting const& b) {
    return a.format == b.format && a.value == b.value && a.withheld.empty() == b.withheld.empty();
}

bool is_success(int status) { return status >= 200 && status < 300 && status != 215 && status != 216; }

// Not executed (215), rolled back (216), credentials (401, 407), time-outs (408), and "try again later" (417, 503,
// 506): nothing is said about the setting itself. [OMA-TS-DM_RepPro 10]
bool is_passing(int status) {
    constexpr std::array passing{215, 216, 401, 407, 408, 417, 503, 506};
    return std::find(passing.begin(), passing.end(), status) != passing.end();
}

// An error of the device's own, which may pass. [MS-MDM; OMA-TS-DM_RepPro 10]
bool may_pass(setting_record const& r) {
    constexpr int most_attempts = 5;
    return r.state == setting_state::failed && r.attempts < most_attempts &&
           (r.status == 409 || r.status == 420 || r.status >= 500);
}

bool is_unwanted(setting_record const& r) {
    return r.state == setting_state::removing || r.state == setting_state::removal_failed;
}

// Whether something of ours may be on the device. What was refused from the start is not, and must not be deleted:
// the node may be there in its own right.
bool on_device(setting_record const& r) {
    return r.delivered || r.state == setting_state::applied || is_unwanted(r) || r.reported || is_success(r.status);
}

omadm::command write(setting_record const& r, std::string const& canonical) {
    omadm::command out;
    // Windows takes a Replace of a Policy CSP leaf as an upsert, unless it has just said otherwise.
    bool const upsert = r.status != 404 && std::any_of(policy_csp.begin(), policy_csp.end(),
                                               [&](auto const& root) { return canonical.starts_with(root); });
    out.what = on_device(r) || r.status == 418 || upsert ? omadm::verb::replace : omadm::verb::add;
    out.uri = r.wanted.uri;
    out.format = r.wanted.format;
    if (has_value(r.wanted)) {
        out.type = "text/plain";
        out.data = r.wanted.value.value_or("");
    }
    return out;
}

omadm::wanted keyed(std::string const& canonical, omadm::command what) {
    return {std::string(key_prefix) + canonical, std::move(what)};
}

omadm::wanted grouped(std::string const& canonical, setting_record const& r, std::string const& group) {
    auto w = keyed(canonical, write(r, canonical));
    w.atomic = group;
    return w;
}

std::optional<std::int64_t> integer(std::string_view s) {
    s = trim(s);
    if (s.starts_with('+')) s.remove_prefix(1);
    std::int64_t v = 0;
    auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
    return ec == std::errc{} && end == s.data() + s.size() ? std::optional(v) : std::nullopt;
}

std::optional<bool> boolean(std::string_view s) {
    s = trim(s);
    if (s == "1" || iequals(s, "true")) return true;
    if (s == "0" || iequals(s, "false")) return false;
    return std::nullopt;
}

// XML turns line ends into LF, so that they come back as that (XML 1.0, 2.11).
std::string line_ends(std::string_view s) {
    std::string out;
    for (std::size_t i = 0; i < s.size(); ++i) {
        if (s[i] == '\r' && i + 1 < s.size() && s[i + 1] == '\n') continue;
        out += s[i] == '\r' ? '\n' : s[i];
    }
    return out;
}

// "enabled" or "disabled" of an ADMX-backed policy's value, "<enabled/><data …/>"; empty for other text.
std::string_view admx_state(std::string_view s) {
    s = trim(s);
    for (std::string_view const state : {"enabled", "disabled"})
        if (s.starts_with('<') && s.substr(1).starts_with(state)) return state;
    return {};
}

// The pending records in the order they are to be written: as policies have them, but a node always before what is
// below it.
std::vector<record_map::const_pointer> write_order(record_map const& records) {
    std::vector<record_map::const_pointer> pending;
    for (auto const& entry : records) {
        auto const& r = entry.second;
        if (r.wanted.withheld.empty() && (r.state == setting_state::pending || may_pass(r))) pending.push_back(&entry);
    }
    std::stable_sort(pending.begin(), pending.end(),
        [](auto const* a, auto const* b) { return a->second.wanted.order < b->second.wanted.order; });

    std::map<std::string_view, record_map::const_pointer> waiting;
    for (auto const* entry : pending) waiting.emplace(entry->first, entry);
    std::vector<record_map::const_pointer> out;
    auto const emit = [&](std::string_view uri) {
        if (auto const found = waiting.find(uri); found != waiting.end()) {
            out.push_back(found->second);
            waiting.erase(found);
        }
    };
    for (auto const* entry : pending) {
        auto const& uri = entry->first;
        for (auto slash = uri.find('/'); slash != uri.npos; slash = uri.find('/', slash + 1))
            emit(std::string_view(uri).substr(0, slash));
        emit(uri);
    }
    return out;
}

// A Get of an applied setting came back. Drift makes it pending and is put right at once.
std::optional<omadm::wanted> take_read(std::string const& uri, setting_record& r, omadm::outcome const& o) {
    if (o.status == 404) {
        r.reported.reset();
        r.delivered = false;
        if (r.state != setting_state::applied) return std::nullopt;
        r.status = 404;
    } else if (is_success(o.status) && o.value) {
        r.reported = o.value;
        if (r.state != setting_state::applied) return std::nullopt;
        if (same_value(r.wanted.format, r.wanted.value.value_or(""), *o.value)) return std::nullopt;
        r.status = o.status;
    } else {
        return std::nullopt;  // a node that cannot be read, or an answer that got lost: nothing is known
    }
    r.state = setting_state::pending;
    r.original_error.clear();
    r.attempts = 0;
    return keyed(uri, write(r, uri));
}

std::optional<omadm::wanted> take_write(std::string const& uri, setting_record& r, omadm::outcome const& o) {
    auto const before = std::exchange(r.status, o.status);
    r.original_error = o.original_error;
    if (is_unwanted(r)) return std::nullopt;
    ++r.attempts;
    if (is_success(o.status)) r.delivered = true;
    // What was sent is no longer what is wanted: what is wanted is still owed.
    bool const current = o.sent.format == r.wanted.format && (!has_value(r.wanted) || o.sent.data == r.wanted.value);
    if (!current) {
        r.state = setting_state::pending;
        return std::nullopt;
    }
    if (is_success(o.status)) {
        r.state = setting_state::applied;
        return std::nullopt;
    }
    r.state = setting_state::pending;
    if (is_passing(o.status)) return std::nullopt;
    // "Already there" and "not there" are answered by the other verb. A device that says the one after the other is
    // asked again in its next session, not for ever in this one.
    auto again = o.sent;
    // A node that is always there takes no Add at all, which some say by 405.
    bool const taken = o.status == 418 || o.status == 405;
    if (o.sent.what == omadm::verb::add && taken) {
        again.what = omadm::verb::replace;
        return keyed(uri, std::move(again));
    }
    if (o.sent.what == omadm::verb::replace && o.status == 404) {
        r.reported.reset();
        r.delivered = false;
        if (before == 418 || before == 405) return std::nullopt;
        again.what = omadm::verb::add;
        return keyed(uri, std::move(again));
    }
    r.state = setting_state::failed;
    return std::nullopt;
}

void take_removal(record_map& records, record_map::iterator at, omadm::outcome const& o) {
    auto& r = at->second;
    bool const gone = is_success(o.status) || o.status == 404;
    bool const refused = o.status == 405 || o.status == 425;
    if (is_unwanted(r)) {
        if (gone || refused) {
            records.erase(at);
            return;
        }
        ++r.attempts;
        if (!is_passing(o.status)) r.state = setting_state::removal_failed;
    } else if (gone) {  // wanted again meanwhile
        r.state = setting_state::pending;
        r.reported.reset();
        r.delivered = false;
    }
    r.status = gone ? 404 : o.status;
    r.original_error = o.original_error;
}

}  // namespace

std::string_view name(setting_state s) {
    switch (s) {
        case setting_state::pending: return "pending";
        case setting_state::applied: return "applied";
        case setting_state::failed: return "failed";
        case setting_state::not_applicable: return "not_applicable";
        case setting_state::removing: return "removing";
        case setting_state::removal_failed: return "removal_failed";
    }
    return "pending";
}

std::optional<setting_state> parse_setting_state(std::string_view text) {
    for (auto const s : {setting_state::pending, setting_state::applied, setting_state::failed,
             setting_state::not_applicable, setting_state::removing, setting_state::removal_failed})
        if (name(s) == text) return s;
    return std::nullopt;
}

record_map reconcile(desired_state const& wish, record_map records) {
    auto const undecided = [&](setting_record const& r) { return wish.undecided.contains(r.wanted.policy); };
    for (auto it = records.begin(); it != records.end();) {
        auto& r = it->second;
        if (wish.settings.contains(it->first) || undecided(r)) {
            ++it;
        } else if (!on_device(r)) {
            it = records.erase(it);
        } else {
            if (!is_unwanted(r)) {
                r.state = setting_state::removing;
                r.attempts = 0;
            }
            ++it;
        }
    }
    for (auto const& [uri, wanted] : wish.settings) {
        auto const [found, added] = records.try_emplace(uri);
        auto& r = found->second;
        if (!added && undecided(r)) continue;
        // What a device took, its Windows has, whatever else is said of it.
        bool const absent = wanted.not_applicable && !on_device(r);
        if (!added &&
            (is_unwanted(r) || !same_wish(r.wanted, wanted) || absent != (r.state == setting_state::not_applicable))) {
            // Known to be there: the state that says so goes, what is known must not.
            if (on_device(r) && !is_success(r.status) && !r.reported) r.status = 200;
            r.state = setting_state::pending;
            r.original_error.clear();
            r.attempts = 0;
        }
        if (absent) r.state = setting_state::not_applicable;
        r.wanted = wanted;
    }
    return records;
}

std::vector<omadm::wanted> first_round(record_map const& records, bool whole) {
    std::vector<omadm::wanted> out;
    for (auto it = records.rbegin(); it != records.rend(); ++it)  // what is below a node before the node
        if (it->second.state == setting_state::removing ||
            (whole && it->second.state == setting_state::removal_failed)) {
            omadm::command remove;
            remove.what = omadm::verb::remove;
            remove.uri = it->second.wanted.uri;
            out.push_back(keyed(it->first, std::move(remove)));
        }
    auto const order = write_order(records);
    std::set<std::string> sent;  // groups
    for (auto const* entry : order) {
        auto const group = atomic_group(entry->first);
        if (group.empty()) out.push_back(keyed(entry->first, write(entry->second, entry->first)));
        if (group.empty() || !sent.insert(group).second) continue;
        for (auto const* other : order)
            if (atomic_group(other->first) == group) out.push_back(grouped(other->first, other->second, group));
    }
    return out;
}

std::vector<omadm::wanted> drift_round(record_map const& records) {
    std::vector<omadm::wanted> out;
    for (auto const& [uri, r] : records)
        if (r.state == setting_state::applied && has_value(r.wanted)) {
            omadm::command get;
            get.what = omadm::verb::get;
            get.uri = r.wanted.uri;
            out.push_back(keyed(uri, std::move(get)));
        }
    return out;
}

std::vector<omadm::wanted> again(record_map const& records, std::set<std::string> const& nodes) {
    constexpr int most_attempts = 3;
    std::vector<omadm::wanted> out;
    for (auto const* entry : write_order(records))
        if (nodes.contains(entry->first) && entry->second.state == setting_state::pending &&
            entry->second.attempts <= most_attempts)
            out.push_back(grouped(entry->first, entry->second, atomic_group(entry->first)));
    return out;
}

std::optional<omadm::wanted> take(record_map& records, omadm::outcome const& o) {
    if (!o.key.starts_with(key_prefix)) return std::nullopt;
    auto const found = records.find(o.key.substr(key_prefix.size()));
    if (found == records.end()) return std::nullopt;
    switch (o.sent.what) {
        case omadm::verb::get: return take_read(found->first, found->second, o);
        case omadm::verb::add:
        case omadm::verb::replace: return take_write(found->first, found->second, o);
        case omadm::verb::remove: take_removal(records, found, o); return std::nullopt;
        case omadm::verb::exec: break;
    }
    return std::nullopt;
}

bool same_value(std::string_view format, std::string_view wanted, std::string_view reported) {
    if (format == "xml" || format == "node" || format == "null") return true;
    if (format == "bool")
        if (auto const a = boolean(wanted), b = boolean(reported); a && b) return *a == *b;
    if (format == "int")
        if (auto const a = integer(wanted), b = integer(reported); a && b) return *a == *b;
    if (format == "b64")
        if (auto const a = unbase64(wanted), b = unbase64(reported); a && b) return *a == *b;
    // The elements behind it come back in another form.
    if (auto const want = admx_state(wanted), have = admx_state(reported); !want.empty() && !have.empty())
        return want == have;
    auto const a = line_ends(wanted);
    auto const b = line_ends(reported);
    return trim(a) == trim(b);
}

}  // namespace mdmd::policy
