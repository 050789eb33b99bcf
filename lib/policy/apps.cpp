#include "policy/apps.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "core/backoff.hpp"
#include "core/text.hpp"
#include "xml/writer.hpp"

namespace mdmd::policy {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view msi_root = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/";
constexpr auto look_again = 24h;       // at what is done
constexpr auto longest_pause = 24h;    // between two jobs
constexpr auto removal_time = 1h;      // for an uninstallation before it is asked for again
constexpr auto delivery_time = 24h;    // for Windows to fetch a package: a computer that is off at night has a day
constexpr int retry_interval_min = 5;  // between Windows' own retries

// What a command is for: the last part of its key.
constexpr std::string_view ask_version = "version";
constexpr std::string_view ask_family = "family";                  // the product of the upgrade code
constexpr std::string_view ask_family_version = "family-version";  // of that product
constexpr std::string_view ask_status = "status";
constexpr std::string_view ask_error = "error";
constexpr std::string_view ask_error_text = "error-text";
constexpr std::string_view do_add = "add";
constexpr std::string_view do_exec = "exec";
constexpr std::string_view do_delete = "delete";

using commands = std::vector<omadm::wanted>;

std::string key_of(std::string_view product_code, std::string_view step) {
    return fmt::format("{}{}:{}", app_prefix, product_code, step);
}

std::string node_of(std::string_view product_code, std::string_view leaf = {}) {
    return fmt::format("{}{}{}{}", msi_root, percent_encode(product_code), leaf.empty() ? "" : "/", leaf);
}

omadm::wanted get(std::string_view product_code, std::string_view step, std::string uri) {
    return {key_of(product_code, step), {.what = omadm::verb::get, .uri = std::move(uri)}};
}

bool is_success(int status) { return status >= 200 && status < 300 && status != 215 && status != 216; }

// Nothing is said about the app itself. [OMA-TS-DM_RepPro 10]
bool is_passing(int status) {
    constexpr std::array passing{215, 216, 401, 407, 408, 417, 503, 506};
    return std::find(passing.begin(), passing.end(), status) != passing.end();
}

// "Optional feature not supported", "not implemented": editions without this configuration service.
bool is_not_for_this_windows(int status) { return status == 406 || status == 501; }

// A signed or unsigned decimal number, or 0x and hex digits, as 32 bits.
std::optional<std::uint32_t> parse_hresult(std::string_view text) {
    text = trim(text);
    bool const is_hex = text.starts_with("0x") || text.starts_with("0X");
    if (is_hex) text.remove_prefix(2);
    std::int64_t v = 0;
    auto const [end, e] = std::from_chars(text.data(), text.data() + text.size(), v, is_hex ? 16 : 10);
    if (text.empty() || e != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (v < std::numeric_limits<std::int32_t>::min() || v > std::numeric_limits<std::uint32_t>::max())
        return std::nullopt;
    return static_cast<std::uint32_t>(v);
}

std::string hresult_text(std::uint32_t v) { return v == 0 ? std::string() : fmt::format("0x{:08X}", v); }

// ERROR_SUCCESS_REBOOT_INITIATED (1641) and ERROR_SUCCESS_REBOOT_REQUIRED (3010), plain or as HRESULTs.
bool wants_restart(std::uint32_t v) {
    auto const code = (v & 0xffff0000U) == 0x80070000U ? v & 0xffffU : v;
    return code == 1641 || code == 3010;
}

void set_state(app_record& r, app_state state, time_point now) {
    if (r.state != state) r.since = now;
    r.state = state;
}

void set_failed(app_record& r, std::string detail, time_point now) {
    set_state(r, app_state::failed, now);
    r.detail = std::move(detail);
    auto const pause = 1h * (1 << std::clamp(r.attempts - 1, 0, 10));
    r.next_try = now + std::min<std::chrono::hours>(pause, longest_pause);
}

void set_done(app_record& r, app_state state, std::string detail, time_point now) {
    set_state(r, state, now);
    r.detail = std::move(detail);
    r.last_error.clear();
    r.next_try = now + look_again;
}

void set_not_applicable(app_record& r, time_point now) {
    set_state(r, app_state::not_applicable, now);
    r.detail = "this edition of Windows takes no MSI packages from device management";
}

bool enough(std::string_view there, std::string_view wanted) {
    if (wanted.empty()) return true;
    auto const order = compare_versions(there, wanted);
    return order ? *order >= 0 : trim(there) == wanted;
}

bool is_due(app_record const& r, time_point now) { return has_come(r.next_try, now, longest_pause + 1h); }

std::string job_of(config::app const& a) {
    if (a.intent == config::app_intent::uninstall) return "uninstall";
    return fmt::format("{} {} {}", a.sha256, a.version, a.arguments);
}

// One app of one device, while an outcome is taken in.
struct turn {
    std::string const& code;
    config::app const& app;
    app_record& r;
    time_point now;

    commands ask(std::string_view step, std::string_view leaf) const { return {get(code, step, node_of(code, leaf))}; }

    // The order to install, whose first half is the node that is executed then.
    commands begin() const {
        if (r.attempts >= most_app_attempts) {
            set_failed(r, r.detail.empty() ? "it is not there, as often as it was installed" : r.detail, now);
            return {};
        }
        set_state(r, app_state::pending, now);
        return {{key_of(code, do_add), {.what = omadm::verb::add, .uri = node_of(code, "DownloadInstall")}}};
    }
    commands remove() const {
        if (r.attempts >= most_app_attempts) {
            set_failed(r, "it is still there, as often as its removal was asked for", now);
            return {};
        }
        return {{key_of(code, do_delete), {.what = omadm::verb::remove, .uri = node_of(code)}}};
    }

    commands take_version(omadm::outcome const& o) const {
        bool const there = is_success(o.status);
        if (is_passing(o.status)) return {};
        if (there) r.installed_version = printable(trim(o.value.value_or("")), 64);
        if (is_not_for_this_windows(o.status)) {
            set_not_applicable(r, now);
            return {};
        }
        if (r.intent == config::app_intent::uninstall) return there ? still_there() : gone(o.status);
        bool const good = there && enough(r.installed_version, r.version);
        // What we have installed counts, whatever version it says it is: the policy may write it in another way. But
        // an order without an answer may have left the Status of the job before it.
        if (good || r.state == app_state::installing) {
            if (there && r.state == app_state::installed) r.attempts = 0;
            set_done(r, app_state::installed, r.state == app_state::installing ? r.detail : "", now);
            return {};
        }
        if (!there && o.status != 404 && r.state == app_state::installed) return {};  // nothing is known
        if (!there) r.installed_version.clear();
        if (!there && !app.upgrade_code.empty())
            return {get(code, ask_family, node_of("UpgradeCode", percent_encode(app.upgrade_code)))};
        return begin();
    }
    commands still_there() const {
        if (r.state == app_state::removing && !is_due(r, now)) return {};
        return remove();
    }
    commands gone(int status) const {
        if (status != 404) return {};
        r.installed_version.clear();
        set_done(r, app_state::removed, "", now);
        r.attempts = 0;
        return {};
    }

    // The value is the product code of the family's member that is there.
    commands take_family(omadm::outcome const& o) const {
        if (is_passing(o.status)) return {};
        auto const other = printable(trim(o.value.value_or("")), 64);
        bool const named = is_success(o.status) && other.size() == 38 && is_guid(std::string_view(other).substr(1, 36));
        if (!named || iequals(other, code)) return begin();
        return {get(code, ask_family_version, node_of(other, "Version"))};
    }
    commands take_family_version(omadm::outcome const& o) const {
        if (is_passing(o.status)) return {};
        if (!is_success(o.status) || r.version.empty() || !enough(o.value.value_or(""), r.version)) return begin();
        r.installed_version = printable(trim(*o.value), 64);
        set_done(r, app_state::installed, "another product of its upgrade code is there in this version", now);
        return {};
    }

    commands take_add(omadm::outcome const& o) const {
        if (is_passing(o.status)) return {};
        // 404: the whole service is not there
        if (is_not_for_this_windows(o.status) || o.status == 404) {
            set_not_applicable(r, now);
            return {};
        }
        ++r.attempts;
        if (!is_success(o.status) && o.status != 418) {
            set_failed(r, fmt::format("the device refused the node of the installation (status {})", o.status), now);
            return {};
        }
        set_state(r, app_state::sent, now);
        r.msi_status = 0;
        r.last_error.clear();
        r.detail.clear();
        return {{key_of(code, do_exec), {.what = omadm::verb::exec,
                                            .uri = node_of(code, "DownloadInstall"),
                                            .format = "xml",
                                            .type = "text/plain",
                                            .data = install_job(app)}}};
    }
    commands take_exec(omadm::outcome const& o) const {
        if (is_success(o.status))
            set_state(r, app_state::installing, now);
        else if (is_passing(o.status))
            set_state(r, app_state::pending, now);
        else if (is_not_for_this_windows(o.status))
            set_not_applicable(r, now);
        else
            set_failed(r, fmt::format("the device refused the order to install (status {})", o.status), now);
        return {};
    }

    // Not before a day, since Windows may still be at it; what it comes to by then is looked at first.
    void give_up(std::string detail) const {
        set_failed(r, std::move(detail), now);
        r.next_try = now + look_again;
    }
    bool is_overdue() const {
        return now - r.since >
               delivery_time + (app.timeout + std::chrono::minutes(retry_interval_min)) * (app.retries + 1);
    }

    bool is_busy() const { return r.state == app_state::sent || r.state == app_state::installing; }

    commands take_status(omadm::outcome const& o) const {
        if (!is_busy()) return {};
        if (o.status == 404) {  // the order never came, or what it led to is gone
            set_state(r, app_state::pending, now);
            return ask(ask_version, "Version");
        }
        auto const value = o.value ? parse_hresult(*o.value) : std::nullopt;
        if (!is_success(o.status) || !value || *value > 1000) {
            if (is_overdue())
                give_up(fmt::format("what became of the installation cannot be read (status {})", o.status));
            return {};
        }
        r.msi_status = static_cast<int>(*value);
        switch (r.msi_status) {
            case 70: return ask(ask_version, "Version");
            case 30:
            case 60:
                set_failed(r, r.msi_status == 30 ? "the package could not be downloaded" : "the installer failed", now);
                return ask(ask_error_text, "LastErrorDesc");
            case 48:
                set_state(r, app_state::installing, now);
                r.detail = "waits for a user to sign in";
                return {};
            default: break;
        }
        if (is_overdue()) {
            give_up(fmt::format("the installation did not come to an end (Status {})", r.msi_status));
            return {};
        }
        r.detail.clear();
        set_state(r, app_state::installing, now);
        return {};
    }
    commands take_error(omadm::outcome const& o) const {
        auto const value = is_success(o.status) && o.value ? parse_hresult(*o.value) : std::nullopt;
        if (value && is_busy()) r.last_error = hresult_text(*value);
        return {};
    }
    commands take_error_text(omadm::outcome const& o) const {
        auto const text = o.value ? std::string(trim(*o.value)) : std::string();
        if (r.state == app_state::failed && is_success(o.status) && !text.empty()) r.detail = printable(text, 512);
        return {};
    }

    commands take_delete(omadm::outcome const& o) const {
        if (is_passing(o.status)) return {};
        if (o.status == 404) return gone(404);
        if (is_not_for_this_windows(o.status)) {
            set_not_applicable(r, now);
            return {};
        }
        ++r.attempts;
        if (!is_success(o.status)) {
            set_failed(r, fmt::format("the device refused to remove it (status {})", o.status), now);
            return {};
        }
        r.since = now;
        r.state = app_state::removing;
        r.detail.clear();
        r.next_try = now + removal_time;
        return {};
    }

    commands take(std::string_view step, omadm::outcome const& o) const {
        r.status = o.status;
        if (step == ask_version) return take_version(o);
        if (step == ask_status) return take_status(o);
        if (step == ask_error) return take_error(o);
        if (step == ask_error_text) return take_error_text(o);
        bool const removes = r.intent == config::app_intent::uninstall;
        if (step == do_delete) return removes ? take_delete(o) : commands{};
        if (removes) return {};  // the wish has turned round meanwhile
        if (step == ask_family) return take_family(o);
        if (step == ask_family_version) return take_family_version(o);
        if (step == do_add) return take_add(o);
        if (step == do_exec) return take_exec(o);
        return {};
    }
};

}  // namespace

desired_apps wanted_apps(std::vector<config::policy_file const*> mine) {
    std::stable_sort(mine.begin(), mine.end(), [](auto const* a, auto const* b) { return a->name < b->name; });

    desired_apps out;
    std::map<std::string, std::vector<std::string>> rivals;
    for (auto const* policy : mine)
        for (auto const& a : policy->apps) {
            auto const [known, added] = out.apps.emplace(a.product_code, wanted_app{a, policy->name});
            if (!added && job_of(known->second.what) != job_of(a)) rivals[a.product_code].push_back(policy->name);
        }
    for (auto& [code, losers] : rivals) {
        desired_apps::conflict found{code, {out.apps.at(code).policy}};
        for (auto& name : losers)
            if (std::find(found.policies.begin(), found.policies.end(), name) == found.policies.end())
                found.policies.push_back(std::move(name));
        out.conflicts.push_back(std::move(found));
    }
    return out;
}

namespace {

constexpr std::array state_names{
    std::pair(app_state::pending, "pending"),
    std::pair(app_state::sent, "sent"),
    std::pair(app_state::installing, "installing"),
    std::pair(app_state::installed, "installed"),
    std::pair(app_state::failed, "failed"),
    std::pair(app_state::removing, "removing"),
    std::pair(app_state::removed, "removed"),
    std::pair(app_state::not_applicable, "not_applicable"),
};

}  // namespace

std::string_view name(app_state s) {
    for (auto const& [state, text] : state_names)
        if (state == s) return text;
    return "pending";
}

std::optional<app_state> parse_app_state(std::string_view text) {
    for (auto const& [state, known] : state_names)
        if (text == known) return state;
    return std::nullopt;
}

app_map reconcile(desired_apps const& wish, app_map records, time_point now) {
    std::erase_if(records, [&](auto const& entry) { return !wish.apps.contains(entry.first); });
    for (auto const& [code, wanted] : wish.apps) {
        auto const [at, added] = records.try_emplace(code);
        auto& r = at->second;
        r.policy = wanted.policy;
        auto const job = job_of(wanted.what);
        if (!added && r.intent == wanted.what.intent && r.job == job) continue;
        r = app_record{.policy = wanted.policy,
            .intent = wanted.what.intent,
            .job = job,
            .version = wanted.what.version,
            .installed_version = r.installed_version,
            .since = now,
            .next_try = now};
    }
    return records;
}

std::vector<omadm::wanted> first_round(desired_apps const& wish, app_map const& records, time_point now) {
    commands out;
    for (auto const& [code, r] : records) {
        if (!wish.apps.contains(code)) continue;
        switch (r.state) {
            case app_state::failed:
                if (r.attempts >= most_app_attempts) break;
                [[fallthrough]];
            case app_state::pending:
            case app_state::installed:
            case app_state::removed:
                if (r.state == app_state::pending || is_due(r, now))
                    out.push_back(get(code, ask_version, node_of(code, "Version")));
                break;
            case app_state::removing: out.push_back(get(code, ask_version, node_of(code, "Version"))); break;
            case app_state::sent:
            case app_state::installing:
                out.push_back(get(code, ask_error, node_of(code, "LastError")));
                out.push_back(get(code, ask_status, node_of(code, "Status")));
                break;
            case app_state::not_applicable: break;
        }
    }
    return out;
}

std::vector<omadm::wanted> take(desired_apps const& wish, app_map& records, omadm::outcome const& o, time_point now) {
    std::string_view key = o.key;
    if (!key.starts_with(app_prefix)) return {};
    key.remove_prefix(app_prefix.size());
    auto const colon = key.rfind(':');
    if (colon == key.npos) return {};
    auto const at = records.find(std::string(key.substr(0, colon)));
    auto const wanted = wish.apps.find(std::string(key.substr(0, colon)));
    if (at == records.end() || wanted == wish.apps.end()) return {};
    return turn{at->first, wanted->second.what, at->second, now}.take(key.substr(colon + 1), o);
}

std::vector<omadm::wanted> take_alert(
    desired_apps const& wish, app_map& records, std::string_view source, std::string_view data, time_point now) {
    auto const decoded = percent_decode(source);
    if (!decoded) return {};
    constexpr std::string_view mark = "EnterpriseDesktopAppManagement/MSI/{";
    auto const found = decoded->find(mark);
    if (found == decoded->npos) return {};
    auto code = decoded->substr(found + mark.size() - 1, 38);
    std::transform(code.begin(), code.end(), code.begin(),
        [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    auto const at = records.find(code);
    auto const wanted = wish.apps.find(code);
    auto const result = parse_hresult(data);
    if (at == records.end() || wanted == wish.apps.end() || !result) return {};
    auto& r = at->second;
    turn const t{at->first, wanted->second.what, r, now};
    if (r.intent != config::app_intent::install || !(t.is_busy() || r.state == app_state::failed)) return {};
    if (*result == 0 || wants_restart(*result)) {
        set_state(r, app_state::installing, now);
        r.msi_status = 70;
        r.detail = *result == 0 ? "" : "takes effect after a restart";
        return t.ask(ask_version, "Version");
    }
    r.last_error = hresult_text(*result);
    if (r.state == app_state::failed) return {};
    r.msi_status = 60;
    set_failed(r, "the installer failed", now);
    return t.ask(ask_error_text, "LastErrorDesc");
}

std::string app_node(std::string_view product_code) { return node_of(product_code, "DownloadInstall"); }

std::string install_job(config::app const& a) {
    std::string hash;
    for (char const c : a.sha256) hash += c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
    xml::writer out;
    out.open("MsiInstallJob")
        .attribute("id", a.product_code)
        .open("Product")
        .attribute("Version", a.version.empty() ? "1.0.0.0" : a.version)
        .open("Download")
        .open("ContentURLList")
        .leaf("ContentURL", a.url)
        .close()
        .close()
        .open("Validation")
        .leaf("FileHash", hash)
        .close()
        .open("Enforcement")
        .leaf("CommandLine", a.arguments.empty() ? "/quiet" : a.arguments)
        .leaf("TimeOut", std::to_string(a.timeout.count()))
        .leaf("RetryCount", std::to_string(a.retries))
        .leaf("RetryInterval", std::to_string(retry_interval_min))
        .close()
        .close()
        .close();
    return std::move(out).finish().value();  // a policy is UTF-8 without control characters
}

std::optional<std::strong_ordering> compare_versions(std::string_view a, std::string_view b) {
    using parts = std::array<std::uint32_t, 8>;
    auto const parse = [](std::string_view text) -> std::optional<parts> {
        parts out{};
        std::size_t n = 0;
        for (auto const part : split(trim(text), '.')) {
            if (n == out.size() || part.empty()) return std::nullopt;
            auto const [end, e] = std::from_chars(part.data(), part.data() + part.size(), out[n++]);
            if (e != std::errc() || end != part.data() + part.size()) return std::nullopt;
        }
        return out;
    };
    auto const x = parse(a), y = parse(b);
    if (!x || !y) return std::nullopt;
    return *x <=> *y;
}

}  // namespace mdmd::policy
