#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cstdlib>

#include "config/address.hpp"
#include "config/files.hpp"
#include "config/load.hpp"
#include "config/reader.hpp"
#include "config/sections.hpp"
#include "config/terms_folder.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

using namespace std::chrono_literals;

// RFC 3986 3.1. Schemes that run code in the page they come from are no address to go to.
std::optional<std::string> parse_redirect_scheme(std::string const& s) {
    auto const scheme = lower(s);
    auto const letter = [](char c) { return c >= 'a' && c <= 'z'; };
    if (scheme.empty() || !letter(scheme.front())) return std::nullopt;
    for (char const c : scheme)
        if (!letter(c) && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.') return std::nullopt;
    if (scheme == "javascript" || scheme == "data" || scheme == "vbscript") return std::nullopt;
    return scheme;
}

void read_path(section& s, context const& in, std::filesystem::path& target, std::string_view name) {
    if (auto const p = s.read(name, "a path", parse_text)) target = resolve(in, *p);
}

void read_endpoint(section& s, endpoint& target, std::string_view name) {
    s.assign(target, name, "a numeric address and a port such as 0.0.0.0:443 or [::]:443", parse_endpoint);
}

void read_server(section s, context const& in, settings& into) {
    auto& e = into.server;
    auto const public_url = s.get("public_url");
    auto const management_url = s.get("management_url");
    for (auto const& [target, f] : {std::pair(&e.public_url, &public_url), {&e.management_url, &management_url}}) {
        if (!*f) s.missing(*f, "an https URL");
        if (auto const v = read_origin(s, *f)) *target = *v;
    }
    e.listen = {"0.0.0.0", 443};
    e.management_listen = {"0.0.0.0", 8443};
    read_endpoint(s, e.listen, "listen");
    read_endpoint(s, e.management_listen, "management_listen");
    // Port 0 gives each listener a port of its own, so that the two addresses are never one.
    bool const one_listener = e.listen == e.management_listen && e.listen.port != 0;
    if (!e.public_url.host.empty() && e.public_url.host == e.management_url.host) {
        if (e.public_url.port == e.management_url.port)
            s.report(management_url, fmt::format("expected another host or port than server.public_url has, got '{}'",
                                         e.management_url.text));
        else if (one_listener)
            s.report(management_url,
                fmt::format("expected another host than server.public_url has, since both listen on {}, got '{}'",
                    e.listen.text(), e.management_url.host));
    }
    auto const certificate = s.get("tls_certificate");
    auto const key = s.get("tls_key");
    if (!certificate) s.missing(certificate, "the path of a PEM file with the certificate chain");
    if (!key) s.missing(key, "the path of a PEM file with the private key");
    if (auto pem = content(s, in, certificate, read_certificate, &e.tls_certificate))
        e.certificate_pem = std::move(*pem);
    if (auto pem = content(s, in, key, read_private_key, &e.tls_key)) {
        e.key_pem = std::move(*pem);
        e.tls_key_at = {key.at.line, key.at.column};
    }
    s.done();
}

void read_admin(section s, context const& in, settings& into) {
    auto& e = into.admin;
    constexpr std::size_t most_socket = 107;  // sun_path without its final NUL, unix(7)
    auto const socket = s.get("socket");
    if (auto const p = s.convert(socket, "a path", parse_text, style::any)) {
        e.socket = resolve(in, *p);
        if (e.socket.string().size() > most_socket)
            s.report(socket,
                fmt::format("expected a path of at most {} bytes, got {}", most_socket, e.socket.string().size()));
    }
    auto const listen = s.get("listen");
    if (auto const v =
            s.convert(listen, "a numeric address and a port such as 127.0.0.1:8080", parse_endpoint, style::any)) {
        e.listen = *v;
        for (auto const& [other, name] : {std::pair(into.server.listen, "server.listen"),
                 {into.server.management_listen, "server.management_listen"}})
            if (*v == other && v->port != 0)
                s.report(listen, fmt::format("expected an address of its own, got that of {}", name));
    }
    if (auto const v = read_origin(s, s.get("public_url"))) e.public_url = *v;
    auto const certificate = s.get("tls_certificate");
    auto const key = s.get("tls_key");
    if (auto pem = content(s, in, certificate, read_certificate)) e.certificate_pem = std::move(*pem);
    if (auto pem = content(s, in, key, read_private_key)) {
        e.key_pem = std::move(*pem);
        e.tls_key_at = {key.at.line, key.at.column};
    }
    auto const why =
        e.listen.loopback() ? std::string() : fmt::format(" (admin.listen {} is not loopback)", e.listen.text());
    if (!certificate && (key || !why.empty())) s.missing(certificate, "a certificate for admin.listen" + why);
    if (!key && (certificate || !why.empty())) s.missing(key, "a key for admin.listen" + why);
    s.done();
}

void read_storage(section s, context const& in, settings& into) {
    read_path(s, in, into.storage.path, "path");
    s.done();
}

void read_terms(section s, context const& in, settings& into) {
    auto& e = into.terms;
    s.assign(e.required, "required", "true or false", parse_bool, style::plain);
    auto const directory = s.get("directory");
    std::error_code failure;
    if (auto const p = s.convert(directory, "a path", parse_text, style::any)) {
        e.directory = resolve(in, *p);
        if (!std::filesystem::is_directory(e.directory, failure)) {
            s.report(directory, fmt::format("expected a folder, got '{}'{}", printable(e.directory.string()),
                                    failure ? fmt::format(" ({})", failure.message()) : ""));
            e.directory.clear();
        }
    } else if (!directory && std::filesystem::is_directory(resolve(in, "terms"), failure)) {
        e.directory = resolve(in, "terms");
    }
    if (!e.directory.empty()) {
        auto found = read_terms_folder(e.directory);
        for (auto& one : found.problems) s.report(directory, std::move(one));
        e.files = std::move(found.files);
    }
    if (auto const v = s.read("pin", "off, personal or all", one_of({"off", "personal", "all"})))
        e.pin = static_cast<pin_use>(*v);
    if (auto schemes = s.read_list("redirect_schemes", "URI schemes such as ms-appx-web", parse_redirect_scheme))
        e.redirect_schemes = std::move(*schemes);
    s.done();
}

void read_apps(section s, context const& in, settings& into) {
    auto const directory = s.get("directory");
    std::error_code failure;
    if (auto const p = s.convert(directory, "a path", parse_text, style::any)) {
        into.apps.directory = resolve(in, *p);
        if (!std::filesystem::is_directory(into.apps.directory, failure))
            s.report(directory, fmt::format("expected a folder, got '{}'{}", printable(into.apps.directory.string()),
                                    failure ? fmt::format(" ({})", failure.message()) : ""));
    } else if (!directory && std::filesystem::is_directory(resolve(in, "packages"), failure)) {
        into.apps.directory = resolve(in, "packages");
    }
    s.done();
}

void read_compliance(section s, settings& into) {
    read_duration(s, into.compliance.interval, "interval");
    read_duration(s, into.compliance.refresh, "refresh");
    read_duration(s, into.compliance.stale_after, "stale_after");
    read_duration(s, into.compliance.keep_last, "keep_last");
    if (auto const word = s.read("without_policy", "compliant or noncompliant", one_of({"compliant", "noncompliant"})))
        into.compliance.compliant_without_policy = *word == 0;
    s.done();
}

void read_key_reminders(section& s, settings& into) {
    constexpr std::size_t most_reminders = 20;
    auto const list = s.get("key_reminders");
    if (!list) return;
    if (list.value->what != yaml::node::kind::list) {
        s.report(
            list, fmt::format("expected a list of durations such as [30d, 7d, 1d], got {}", got_kind(*list.value)));
        return;
    }
    auto const& items = list.value->items;
    if (items.size() > most_reminders)
        s.report(list, fmt::format("expected at most {} durations, got {}", most_reminders, items.size()));
    std::vector<seconds> found;
    for (auto const& item : items) {
        if (item.what == yaml::node::kind::broken) continue;
        field const one{&item, list.key, item.at, false};
        auto const before = s.convert(one, a_duration, parse_setting_duration, style::any);
        if (before && std::find(found.begin(), found.end(), *before) != found.end())
            s.report(one, fmt::format("expected each duration once, got {} again", format_duration(*before)));
        else if (before)
            found.push_back(*before);
    }
    std::sort(found.rbegin(), found.rend());
    into.key_reminders = std::move(found);
}

void read_notify(section s, context const& in, settings& into) {
    auto const command = s.get("command");
    if (auto const path = path_of(s, in, command)) {
        into.notify.command = *path;
        if (auto const fits = check_command(*path); !fits) s.report(command, fits.error().detail);
    }
    auto const webhook = s.get("webhook");
    if (!webhook) return s.done();
    constexpr std::string_view expected = "an https URL, or an http one of this machine, without a user name";
    auto const& value = *webhook.value;
    if (value.what == yaml::node::kind::scalar)
        if (auto v = parse_webhook(value.text)) {
            into.notify.webhook = std::move(*v);
            return s.done();
        }
    // Whoever knows the path or the query of such a URL may post to it: nothing is shown that could have one.
    auto const scheme = value.text.find("://");
    bool const bare = value.text.find_first_of("/?#@", scheme == value.text.npos ? 0 : scheme + 3) == value.text.npos;
    s.report(webhook, fmt::format("expected {}, got {}", expected, bare ? got(value) : "something else"));
    s.done();
}

void read_log(section s, settings& into) {
    using form = decltype(into.log.format);
    if (auto const v = s.read(
            "level", "trace, debug, info, warning or error", one_of({"trace", "debug", "info", "warning", "error"})))
        into.log.level = std::array{
            log::level::trace, log::level::debug, log::level::info, log::level::warning, log::level::error}[*v];
    if (auto const v = s.read("format", "auto, journald, text or json", one_of({"auto", "journald", "text", "json"})))
        into.log.format = std::array{form::automatic, form::journald, form::text, form::json}[*v];
    s.done();
}

settings read_all(yaml::node const& root, context const& in, findings& out) {
    settings into;
    into.policies_dir = resolve(in, "policies.d");
    section s(&root, {}, "", out);
    read_entra(s.child("entra"), in, into);
    read_server(s.child("server"), in, into);
    read_admin(s.child("admin"), in, into);
    read_storage(s.child("storage"), in, into);
    read_terms(s.child("terms"), in, into);
    read_enrollment(s.child("enrollment"), in, into);
    read_events(s.child("events"), into);
    read_authority(s.child("authority"), in, into);
    read_management(s.child("management"), in, into);
    read_apps(s.child("apps"), in, into);
    read_compliance(s.child("compliance"), into);
    read_key_reminders(s, into);
    read_notify(s.child("notify"), in, into);
    read_path(s, in, into.policies_dir, "policies_dir");
    read_log(s.child("log"), into);
    s.done();
    return into;
}

// What can be read of the text, in spite of its problems: nothing only where it is no YAML.
loaded<settings> parse(std::string const& text, std::filesystem::path const& file, environment const& env) {
    auto const whole = std::filesystem::absolute(file).lexically_normal();
    loaded<settings> out;
    findings found(whole);
    auto const document = yaml::parse(text);
    for (auto const& m : document.mistakes) found.report(m.at, "", m.text);
    if (document.usable) {
        out.value = read_all(document.root, {whole.parent_path(), env}, found);
        out.value->file = whole;
    }
    out.warnings = found.warnings();
    out.problems = std::move(found).problems();
    return out;
}

}  // namespace

std::optional<seconds> parse_setting_duration(std::string const& text) {
    constexpr seconds most = std::chrono::days(3650);
    auto const d = parse_duration(text);
    return d && *d >= 1s && *d <= most ? d : std::nullopt;
}

void read_duration(section& s, seconds& target, std::string_view name) {
    s.assign(target, name, a_duration, parse_setting_duration);
}

// A URL with a user name in it may hold a password: it is not shown.
std::optional<url> read_origin(section& s, field const& f) {
    constexpr std::string_view expected = "an https URL of host and port such as https://mdm.contoso.com:8443";
    if (f && f.value->what == yaml::node::kind::scalar && f.value->text.find('@') != std::string::npos) {
        s.report(f, fmt::format("expected {}, got one with a user name in it", expected));
        return std::nullopt;
    }
    return s.convert(f, expected, parse_origin, style::any);
}

std::string problem::line_text() const {
    auto out = shown.empty() ? file.filename().string() : shown;
    if (line > 0) out += fmt::format(":{}:{}", line, column);
    if (!key.empty()) out += ": " + key;
    return out + ": " + text;
}

environment from_process() {
    char const* const folder = std::getenv("CREDENTIALS_DIRECTORY");
    return {folder ? folder : ""};
}

loaded<settings> parse_settings(std::string const& text, std::filesystem::path const& file, environment const& env) {
    auto out = parse(text, file, env);
    if (!out.problems.empty()) out.value.reset();
    return out;
}

loaded<settings> load_settings(std::filesystem::path const& file, environment const& env) {
    auto const text = read_file(file, readers::anyone);
    if (!text) return {std::nullopt, {{file, 0, 0, "", text.error().detail}}, {}};
    auto out = parse(*text, file, env);
    if (out.value) {
        auto const& folder = out.value->policies_dir;
        if (std::error_code failure;
            folder != out.value->file.parent_path() / "policies.d" && !std::filesystem::exists(folder, failure))
            out.warnings.push_back({out.value->file, 0, 0, "policies_dir",
                fmt::format("there is no folder {}: no policies", printable(folder.string()))});
        auto const policies = load_policies(folder);
        out.problems.insert(out.problems.end(), policies.problems.begin(), policies.problems.end());
        out.warnings.insert(out.warnings.end(), policies.warnings.begin(), policies.warnings.end());
    }
    if (!out.problems.empty()) out.value.reset();
    return out;
}

std::vector<std::string> known_keys() {
    findings found("");
    yaml::node const nothing;
    environment const none;
    read_all(nothing, {"/", none}, found);
    return found.keys();
}

}  // namespace mdmd::config
