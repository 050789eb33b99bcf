#include <fmt/format.h>
#include <algorithm>

#include "config/files.hpp"
#include "config/sections.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

// The object IDs of Entra's groups: what is empty lets everybody in, so that nothing that was meant as a group may be
// lost.
void read_allowed_groups(section& s, settings& into) {
    auto const list = s.get("allowed_groups");
    if (!list) return;
    if (list.value->what != yaml::node::kind::list)
        return s.report(list, fmt::format("expected a list of object IDs of groups, got {}", got_kind(*list.value)));
    auto& groups = into.enrollment.allowed_groups;
    for (auto const& item : list.value->items) {
        if (item.what == yaml::node::kind::broken) continue;
        auto const id = s.convert(
            field{&item, list.key, item.at, false}, "the object ID of a group, a GUID", parse_guid, style::any);
        if (id && std::find(groups.begin(), groups.end(), *id) == groups.end()) groups.push_back(*id);
    }
}

// "$2y$10$" and 53 characters of bcrypt's base64. A cost above 14 would take seconds of a worker for each try.
bool is_bcrypt(std::string_view s) {
    if (s.size() != 60 || !s.starts_with("$2") || (s[2] != 'a' && s[2] != 'b' && s[2] != 'y') || s[3] != '$' ||
        s[6] != '$')
        return false;
    auto const digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!digit(s[4]) || !digit(s[5])) return false;
    int const cost = (s[4] - '0') * 10 + (s[5] - '0');
    auto const letter = [&](char c) {
        return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '/';
    };
    return cost >= 4 && cost <= 14 && std::all_of(s.begin() + 7, s.end(), letter);
}

// An htpasswd file: "name:hash", blank lines and comments. A problem names its line and never shows any of it.
void read_users(section& s, field const& f, std::filesystem::path const& file, settings& into) {
    auto const read = read_file(file, readers::owner_and_group);
    if (!read) return s.report(f, read.error().detail);
    secret const whole(*read);
    auto& users = into.enrollment.users;
    int number = 0;
    for (auto line : split(whole.reveal(), '\n')) {
        ++number;
        line = trim(line);
        if (line.empty() || line.front() == '#') continue;
        auto const wrong = [&](std::string_view expected) {
            s.report(f, fmt::format("line {} of '{}': expected {}", number, printable(file.string()), expected));
        };
        auto const colon = line.find(':');
        auto const name = lower(trim(line.substr(0, colon)));
        if (colon == line.npos || name.empty() || name.size() > 256 || is_guid(name)) {
            wrong("a user's name, a colon and a bcrypt hash, as htpasswd -B writes them");
            continue;
        }
        auto const hash = line.substr(colon + 1);
        if (!is_bcrypt(hash)) {
            wrong("a bcrypt hash of a cost up to 14 after the name, as htpasswd -B writes it");
            continue;
        }
        if (std::any_of(users.begin(), users.end(), [&](local_user const& u) { return u.name == name; })) {
            wrong("another user than in the lines before (names are compared without regard to case)");
            continue;
        }
        users.push_back({name, secret(std::string(hash))});
    }
    std::sort(users.begin(), users.end(), [](auto const& a, auto const& b) { return a.name < b.name; });
}

std::optional<enrollment_type> parse_type(std::string const& word) {
    auto const found = one_of({"entra_join", "work_account", "bulk", "device_token"})(word);
    return found ? std::optional(static_cast<enrollment_type>(*found)) : std::nullopt;
}

// The systemd credential of that name, or the file that the key names, as `read` gives its content.
template <class Read>
std::optional<secret> file_or_credential(
    section& s, context const& in, std::string_view key, char const* credential, Read read) {
    auto const f = s.get(key);
    auto const given = systemd_credential(in, credential);
    if (f && !given.empty()) {
        s.report(f,
            fmt::format("expected it in one place, got it in {} and the systemd credential '{}'", f.key, credential));
        return std::nullopt;
    }
    if (f || given.empty()) return content(s, in, f, read);
    auto found = read(given);
    if (found) return std::move(found).value();
    s.report(f, fmt::format("{} (the systemd credential '{}')", found.error().detail, credential));
    return std::nullopt;
}

}  // namespace

void read_enrollment(section s, context const& in, settings& into) {
    auto& e = into.enrollment;
    s.assign(e.enabled, "enabled", "true or false", parse_bool, style::plain);
    s.assign(e.disabled_message, "disabled_message", "one line of at most 400 bytes",
        [](std::string const& text) { return text.size() <= 400 ? parse_text(text) : std::nullopt; });
    if (auto const v = s.read("personal_devices", "allow or block", one_of({"allow", "block"})))
        e.personal_devices = *v == 0;
    if (auto const types = s.read_list("allowed_types", "entra_join, work_account, bulk or device_token", parse_type))
        e.allowed_types = {types->begin(), types->end()};
    if (auto const v = s.read("min_os_version", "a Windows version such as 10.0.19045",
            [](std::string const& text) { return parse_os_version(text); }))
        e.min_os_version = *v;
    auto const newest = s.get("max_os_version");
    if (auto const v = s.convert(
            newest, "a Windows version such as 10.0.26100",
            [](std::string const& text) { return parse_last_os_version(text); }, style::any)) {
        e.max_os_version = *v;
        if (e.min_os_version && *v < *e.min_os_version)
            s.report(newest, "expected no older version than enrollment.min_os_version, got an older one");
    }
    if (auto editions = s.read_list("editions",
            "editions of Windows such as Enterprise, Professional, Education or a product type's number",
            [](std::string const& text) { return parse_os_edition(text); }))
        e.editions = std::move(*editions);
    if (auto const v =
            s.read("max_devices_per_user", "a whole number from 1 to 1000", parse_integer(1, 1000), style::plain))
        e.max_devices_per_user = static_cast<int>(*v);
    read_allowed_groups(s, into);
    if (auto blocked = s.read_list("blocked_users", "names or object IDs of users", parse_text))
        for (auto const& name : *blocked) e.blocked_users.push_back(lower(trim(name)));
    auto const on_premise = s.get("on_premise_auth");
    if (auto const v = s.convert(on_premise, "off or file", one_of({"off", "file"}), style::any))
        e.on_premise = *v == 1;
    auto const users = s.get("users_file");
    if (auto const file = path_of(s, in, users)) read_users(s, users, *file, into);
    if (e.on_premise && !users) s.missing(users, "the path of an htpasswd file, as enrollment.on_premise_auth is file");
    if (auto const v = s.read("federated_auth", "off or entra", one_of({"off", "entra"}))) e.federated = *v == 1;
    read_duration(s, e.abandon_after, "abandon_after");
    if (auto const v = s.read("status_page", "off, device or user", one_of({"off", "device", "user"}))) {
        e.status_page.on = *v != 0;
        e.status_page.for_users = *v == 2;
    }
    s.assign(e.status_page.timeout, "status_page_timeout", "whole minutes from 1m to 1440m such as 60m",
        [](std::string const& text) -> std::optional<std::chrono::minutes> {
            auto const d = parse_duration(text);
            if (!d || *d < std::chrono::minutes(1) || *d > std::chrono::minutes(1440)) return std::nullopt;
            auto const whole = std::chrono::floor<std::chrono::minutes>(*d);
            return whole == *d ? std::optional(whole) : std::nullopt;
        });
    read_duration(s, e.certificate_validity, "certificate_validity");
    auto const before = e.renewal_window;
    auto const window = s.get("renewal_window");
    read_duration(s, e.renewal_window, "renewal_window");
    if (e.renewal_window >= e.certificate_validity)
        s.report(window, fmt::format("expected less than enrollment.certificate_validity ({}), got {}{}",
                             format_duration(e.certificate_validity), format_duration(e.renewal_window),
                             !window && e.renewal_window == before ? ", the default" : ""));
    if (window && e.renewal_window < std::chrono::days(1) && e.certificate_validity > std::chrono::days(2))
        s.out().warn(window.at, window.key,
            "Windows asks for a renewal in whole days before the end, and is refused until the window opens: use 1d or more");
    s.done();
}

void read_events(section s, settings& into) {
    read_duration(s, into.events.keep, "keep");
    if (auto const v =
            s.read("most", "a whole number from 100 to 1000000", parse_integer(100, 1'000'000), style::plain))
        into.events.most = *v;
    s.done();
}

void read_authority(section s, context const& in, settings& into) {
    using kind = decltype(into.authority.key_type);
    auto& e = into.authority;
    if (auto const v = s.read("key_type", "rsa or p256", one_of({"rsa", "p256"})))
        e.key_type = *v == 0 ? kind::rsa : kind::p256;
    if (auto passphrase = file_or_credential(s, in, "passphrase_file", "authority-passphrase", read_passphrase))
        e.passphrase = std::move(*passphrase);
    auto const certificate = s.get("certificate_file");
    if (auto pem = content(s, in, certificate, read_certificate_alone)) {
        e.certificate_pem = std::move(*pem);
        e.certificate_file_at = {certificate.at.line, certificate.at.column};
    }
    auto key = file_or_credential(s, in, "key_file", "authority-key", read_any_private_key);
    if (certificate && !key && !s.get("key_file") && systemd_credential(in, "authority-key").empty())
        s.missing(s.get("key_file"), "the private key of authority.certificate_file");
    if (key && !certificate) s.missing(certificate, "the certificate of authority.key_file and its chain");
    if (key) e.key_pem = std::move(*key);
    s.done();
}

}  // namespace mdmd::config
