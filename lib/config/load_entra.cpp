#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "config/address.hpp"
#include "config/files.hpp"
#include "config/sections.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

// One or several names as RFC 6749 3.3 has scopes; none where nothing is to be checked.
std::optional<std::string> parse_scope(std::string const& s) {
    bool const fits =
        std::all_of(s.begin(), s.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
    return fits ? std::optional(s) : std::nullopt;
}

// The key itself, in config.yaml. No message shows any of it.
void read_inline_key(section& s, field const& f, settings& into) {
    auto const& value = *f.value;
    bool const scalar = value.what == yaml::node::kind::scalar;
    if (!scalar || value.text.empty())
        s.report(f, fmt::format("expected a key, got {}", scalar ? "nothing" : got_kind(value)));
    else if (!std::all_of(value.text.begin(), value.text.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
        s.report(f, "expected a key of printable ASCII without blanks, got something else");
    else
        into.entra.key.text = secret(value.text);
    s.out().warn(f.at, f.key, "the key stands in the configuration; entra.key_file keeps it apart");
}

void read_certificate_pair(section& s, context const& in, field const& certificate, field const& key, settings& into) {
    auto& e = into.entra;
    if (!certificate) s.missing(certificate, "the certificate of entra.certificate_key_file");
    if (!key) s.missing(key, "the private key of entra.certificate_file");
    if (auto pem = content(s, in, certificate, read_certificate_alone, &e.certificate_file))
        e.key.certificate_pem = std::move(*pem);
    if (auto pem = content(s, in, key, read_private_key, &e.certificate_key_file)) e.key.key_pem = std::move(*pem);
}

// The application's key from the one of four places that has it.
void read_key(section& s, context const& in, settings& into) {
    auto& e = into.entra;
    auto const file = s.get("key_file");
    auto const text = s.get("key");
    auto const certificate = s.get("certificate_file");
    auto const certificate_key = s.get("certificate_key_file");
    auto const credential = systemd_credential(in, "entra-key");

    std::vector<std::string> places;
    field last = file;
    for (auto const& f : {file, text, certificate ? certificate : certificate_key})
        if (f) {
            places.push_back(f.key);
            last = f;
        }
    if (!credential.empty()) places.emplace_back("the systemd credential 'entra-key'");

    if (places.size() > 1) {
        s.report(
            last, fmt::format("expected the application's key in one place, got it in {}", fmt::join(places, " and ")));
    } else if (file) {
        e.source = key_source::file;
        if (auto key = content(s, in, file, read_credential, &e.key_file)) e.key = std::move(*key);
    } else if (text) {
        e.source = key_source::inline_value;
        read_inline_key(s, text, into);
    } else if (certificate || certificate_key) {
        e.source = key_source::certificate;
        read_certificate_pair(s, in, certificate, certificate_key, into);
    } else if (!credential.empty()) {
        e.source = key_source::systemd_credential;
        auto key = read_credential(credential);
        if (key)
            e.key = std::move(key).value();
        else
            s.report(file, fmt::format("{} (the systemd credential 'entra-key')", key.error().detail));
    } else if (!file.broken && !text.broken && !certificate.broken && !certificate_key.broken) {
        s.report(file,
            "expected the application's key in entra.key_file, entra.key, entra.certificate_file or the systemd "
            "credential 'entra-key', got none");
    }
}

// The staged successor. That its file is not there, or not yet, is nothing to complain about; what it holds is for
// later, and only looked at here.
void read_next_key(section& s, context const& in, settings& into) {
    auto& e = into.entra;
    auto const f = s.get("next_key_file");
    std::string_view from;
    if (auto const path = path_of(s, in, f)) {
        e.next_key_file = *path;
    } else if (!f && !f.broken) {
        e.next_key_file = systemd_credential(in, "entra-next-key");
        from = " (the systemd credential 'entra-next-key')";
    }
    if (e.next_key_file.empty()) return;
    for (auto const& [other, name] : {std::pair(&e.key_file, "entra.key_file"),
             {&e.certificate_file, "entra.certificate_file"}, {&e.certificate_key_file, "entra.certificate_key_file"}})
        if (*other == e.next_key_file) {
            s.report(f, fmt::format("expected another file than {}, got the same", name));
            return;
        }
    std::error_code ignored;
    if (std::filesystem::status(e.next_key_file, ignored).type() == std::filesystem::file_type::not_found) return;
    auto const key = read_credential(e.next_key_file);
    if (key) return;
    // A successor that cannot be used yet must not stop the key that can; one that others may read is no secret any
    // more.
    auto const text = fmt::format("{}{}", key.error().detail, from);
    if (key.error().code == errc::forbidden)
        s.report(f, text);
    else
        s.out().warn(f.at, f.key, text);
}

void read_hosts(section& s, settings& into) {
    auto& e = into.entra;
    struct hosts {
        char const* login;
        char const* graph;
    };
    constexpr std::array<hosts, 4> clouds{{
        {"https://login.microsoftonline.com", "https://graph.microsoft.com"},
        {"https://login.microsoftonline.us", "https://graph.microsoft.us"},
        {"https://login.microsoftonline.us", "https://dod-graph.microsoft.us"},
        {"https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"},
    }};
    auto const cloud =
        s.read("cloud", "global, usgov, usgov-dod or china", one_of({"global", "usgov", "usgov-dod", "china"}));
    auto const& usual = clouds[cloud.value_or(0)];
    e.login_url = *parse_origin(usual.login);
    e.graph_url = *parse_origin(usual.graph);
    for (auto const& [target, name] : {std::pair(&e.login_url, "login_url"), {&e.graph_url, "graph_url"}})
        if (auto const v = read_origin(s, s.get(name))) *target = *v;
}

// A value with '@' or '%' in it may hold a password: it is not shown.
void read_proxy(section& s, context const& in, settings& into) {
    constexpr std::string_view expected = "http://host:port, the port included, such as http://proxy.contoso.com:3128";
    auto& e = into.entra;
    auto const f = s.get("proxy");
    auto const file = s.get("proxy_credentials_file");
    if (f && f.value->what == yaml::node::kind::scalar) {
        e.proxy = parse_proxy(f.value->text);
        if (!e.proxy && f.value->text.find_first_of("@%") != std::string::npos)
            s.report(f, fmt::format("expected {}, got something else, with a user name or an escape in it (user and "
                                    "password have their own ':', '/', '@' and '%' as %3A, %2F, %40 and %25)",
                            expected));
        else if (!e.proxy)
            s.report(f, fmt::format("expected {}, got {}", expected, got(*f.value)));
    } else if (f) {
        s.report(f, fmt::format("expected {}, got {}", expected, got_kind(*f.value)));
    }
    bool const with_credentials = e.proxy && !e.proxy->credentials.empty();
    if (with_credentials)
        s.out().warn(f.at, f.key,
            "the proxy's password stands in the configuration; entra.proxy_credentials_file keeps it apart");

    auto credentials = content(s, in, file, read_proxy_credentials);
    if (file && !f && !f.broken)
        s.report(file, "expected entra.proxy, which these credentials are for, got none");
    else if (file && with_credentials)
        s.report(file,
            "expected the proxy's credentials in one place, got them in entra.proxy and entra.proxy_credentials_file");
    else if (credentials && e.proxy)
        e.proxy->credentials = std::move(*credentials);
}

}  // namespace

std::filesystem::path systemd_credential(context const& in, char const* name) {
    if (in.env.credentials_directory.empty()) return {};
    auto file = in.env.credentials_directory / name;
    std::error_code ignored;
    return std::filesystem::exists(file, ignored) ? file : std::filesystem::path();
}

void read_entra(section s, context const& in, settings& into) {
    auto& e = into.entra;
    if (auto v = s.require("tenant_id", "a GUID", parse_guid)) e.tenant_id = *v;
    if (auto v = s.require("client_id", "a GUID", parse_guid)) e.client_id = *v;
    if (auto v = s.require("app_id", "an application ID URI, https://… or api://…", parse_app_id)) e.app_id = *v;
    read_key(s, in, into);
    read_next_key(s, in, into);
    if (auto const v = s.read("assertion", "PS256 or RS256", one_of({"PS256", "RS256"})))
        e.assertion = *v == 0 ? assertion_form::ps256 : assertion_form::rs256;
    s.assign(e.key_expires, "key_expires", "a date such as 2027-06-30",
        [](std::string const& text) -> std::optional<std::optional<time_point>> {
            if (auto const date = parse_date(text)) return date;
            return std::nullopt;
        });
    read_hosts(s, into);
    s.assign(e.required_scope, "required_scope", "the name of a scope, or \"\"", parse_scope);
    auto const ca_file = s.get("ca_file");
    if (auto pem = content(s, in, ca_file, read_certificate)) {
        e.ca_pem = std::move(*pem);
        e.ca_file_at = {ca_file.at.line, ca_file.at.column};
    }
    read_proxy(s, in, into);
    s.done();
}

}  // namespace mdmd::config
