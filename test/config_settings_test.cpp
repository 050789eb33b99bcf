#include <fmt/format.h>
#include <set>

#include "config/address.hpp"
#include "config/load.hpp"
#include "core/text.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::config;
using namespace std::chrono_literals;

namespace {

// An installation whose files are all in order; tests change one thing of it.
class installation {
public:
    installation() {
        files.write("entra.key", "abc~DEF.123\n");
        files.write("tls/server.crt", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
        files.write("tls/server.key", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n");
    }

    std::string entra = "  key_file: entra.key\n";
    std::string tenant = "  tenant_id: 11111111-2222-3333-4444-55555555555A\n";
    std::string server_urls = "  public_url: https://mdm.contoso.com\n  management_url: https://mdm.contoso.com:8443\n";
    std::string server_tls = "  tls_certificate: tls/server.crt\n  tls_key: tls/server.key\n";
    std::string rest;
    environment env;
    test::scratch files;

    std::string text() const {
        return "entra:\n" + tenant + "  client_id: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n" +
               "  app_id: https://mdm.contoso.com\n" + entra + "server:\n" + server_urls + server_tls + rest;
    }
    loaded<settings> load() const { return load_settings(files.write("config.yaml", text()), env); }
    std::string problems() const {
        std::string all;
        for (auto const& p : load().problems) all += p.line_text() + "\n";
        return all;
    }
};

// The problems that one line in a section of its own causes.
std::string problems_of(std::string const& section, std::string const& line) {
    installation in;
    in.rest = section + ":\n  " + line + "\n";
    return in.problems();
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

}  // namespace

TEST_CASE("an ordinary file needs the tenant, the addresses and the keys only", "[config]") {
    installation const in;
    auto const got = in.load();
    REQUIRE(in.problems() == "");
    REQUIRE(got.value);
    auto const& s = *got.value;
    CHECK(got.warnings.empty());
    CHECK(s.entra.tenant_id == "11111111-2222-3333-4444-55555555555a");
    CHECK(s.entra.key.text.reveal() == "abc~DEF.123");
    CHECK(s.entra.source == key_source::file);
    CHECK(s.entra.login_url.text == "https://login.microsoftonline.com");
    CHECK(s.entra.graph_url.text == "https://graph.microsoft.com");
    CHECK(s.entra.required_scope == "mdm_delegation");
    CHECK_FALSE(s.entra.key_expires);
    CHECK(s.entra.key_file == in.files.path() / "entra.key");
    CHECK(s.entra.next_key_file.empty());
    CHECK(s.entra.assertion == assertion_form::ps256);
    CHECK_FALSE(s.entra.proxy);
    using std::chrono::days;
    CHECK(s.key_reminders == std::vector<seconds>{days(60), days(30), days(14), days(7), days(3), days(1)});
    CHECK(s.notify.command.empty());
    CHECK(s.notify.webhook.empty());
    CHECK(s.server.public_url == url{"https://mdm.contoso.com", "mdm.contoso.com", 443});
    CHECK(s.server.management_url.port == 8443);
    CHECK(s.server.listen.text() == "0.0.0.0:443");
    CHECK(s.server.management_listen.text() == "0.0.0.0:8443");
    CHECK(s.server.tls_key == in.files.path() / "tls/server.key");
    CHECK(s.server.certificate_pem.starts_with("-----BEGIN CERTIFICATE"));
    CHECK(s.server.key_pem.reveal().starts_with("-----BEGIN PRIVATE"));
    CHECK(s.admin.listen.text() == "127.0.0.1:8080");
    CHECK(s.storage.path == "/var/lib/mdmd/mdmd.db");
    CHECK(s.terms.redirect_schemes == std::vector<std::string>{"ms-appx-web"});
    CHECK(s.terms.directory.empty());
    CHECK(s.terms.files.empty());
    CHECK(s.terms.pin == pin_use::off);
    CHECK(s.enrollment.allowed_groups.empty());
    CHECK(s.enrollment.certificate_validity == std::chrono::days(365));
    CHECK(s.policies_dir == in.files.path() / "policies.d");
    CHECK(s.file == in.files.path() / "config.yaml");
}

TEST_CASE("every setting is read", "[config]") {
    installation in;
    in.entra +=
        "  key_expires: 2027-06-30\n  login_url: https://LOGIN.example:443/\n  graph_url: https://g.example:8000\n"
        "  required_scope: \"\"\n  ca_file: tls/server.crt\n  next_key_file: next.key\n  assertion: RS256\n"
        "  cloud: china\n  proxy: http://proxy.contoso.com:3128\n  proxy_credentials_file: proxy.credentials\n";
    in.files.write("proxy.credentials", "user:pass word\n");
    in.files.write("words/de/personal.md", "Hallo");
    auto const hook = in.files.write("hooks/notify", "#!/bin/sh\n");
    std::filesystem::permissions(hook, std::filesystem::perms::owner_all);
    in.server_tls += "  listen: '[::]:443'\n  management_listen: 192.0.2.1:8443\n";
    in.rest =
        "admin:\n  socket: admin.sock\n  listen: '[::1]:0'\n  tls_certificate: tls/server.crt\n"
        "  tls_key: tls/server.key\n  public_url: https://Admin.contoso.com:443/\n"
        "storage:\n  path: db/mdmd.db\n"
        "terms:\n  required: false\n  redirect_schemes: [MS-appx-web, https]\n  directory: words\n  pin: personal\n"
        "enrollment:\n  enabled: false\n  personal_devices: block\n  min_os_version: 10.0.19045\n"
        "  allowed_groups: [AAAAAAAA-2222-3333-4444-555555555555, aaaaaaaa-2222-3333-4444-555555555555,\n"
        "    bbbbbbbb-2222-3333-4444-555555555555]\n"
        "  max_devices_per_user: 1000\n  certificate_validity: 2s\n  renewal_window: 1s\n"
        "management:\n  poll: 1s\n"
        "compliance:\n  interval: 90s\n  refresh: 2h\n  stale_after: 3650d\n"
        "key_reminders: [1d, 90m, 90d]\n"
        "notify:\n  command: hooks/notify\n  webhook: HTTPS://Hooks.contoso.com:443/Path?token=Secret\n"
        "policies_dir: /nonexistent/policies\n"
        "log:\n  level: trace\n  format: journald\n";
    REQUIRE(in.problems() == "");
    auto const got = in.load();
    auto const& s = *got.value;
    CHECK(rfc3339(*s.entra.key_expires) == "2027-06-30T00:00:00Z");
    CHECK(s.entra.login_url.text == "https://login.example");
    CHECK(s.entra.graph_url.text == "https://g.example:8000");
    CHECK(s.entra.required_scope.empty());
    CHECK(s.entra.ca_pem.starts_with("-----BEGIN CERTIFICATE"));
    CHECK(s.entra.key_file == in.files.path() / "entra.key");
    CHECK(s.entra.next_key_file == in.files.path() / "next.key");
    CHECK(s.entra.assertion == assertion_form::rs256);
    REQUIRE(s.entra.proxy);
    CHECK(s.entra.proxy->host == "proxy.contoso.com");
    CHECK(s.entra.proxy->port == 3128);
    CHECK(s.entra.proxy->credentials.reveal() == "user:pass word");
    CHECK(s.server.listen.text() == "[::]:443");
    CHECK(s.admin.socket == in.files.path() / "admin.sock");
    CHECK(s.admin.listen.loopback());
    CHECK(s.admin.public_url == url{"https://admin.contoso.com", "admin.contoso.com", 443});
    CHECK_FALSE(s.admin.key_pem.empty());
    CHECK(s.storage.path == in.files.path() / "db/mdmd.db");
    CHECK_FALSE(s.terms.required);
    CHECK(s.terms.redirect_schemes == std::vector<std::string>{"ms-appx-web", "https"});
    CHECK(s.terms.directory == in.files.path() / "words");
    CHECK(s.terms.files == std::vector<terms_file>{{"de/personal.md", "Hallo"}});
    CHECK(s.terms.pin == pin_use::personal);
    CHECK(s.enrollment.allowed_groups ==
          std::vector<std::string>{"aaaaaaaa-2222-3333-4444-555555555555", "bbbbbbbb-2222-3333-4444-555555555555"});
    CHECK_FALSE(s.enrollment.enabled);
    CHECK_FALSE(s.enrollment.personal_devices);
    CHECK(s.enrollment.min_os_version->build() == 19045);
    CHECK(s.enrollment.max_devices_per_user == 1000);
    CHECK(s.enrollment.renewal_window == 1s);
    CHECK(s.management.poll == 1s);
    CHECK(s.compliance.interval == 90s);
    CHECK(s.compliance.refresh == 2h);
    CHECK(s.compliance.stale_after == std::chrono::days(3650));
    CHECK(s.key_reminders == std::vector<seconds>{std::chrono::days(90), std::chrono::days(1), 90min});
    CHECK(s.notify.command == hook);
    CHECK(s.notify.webhook == "https://hooks.contoso.com/Path?token=Secret");
    CHECK(s.policies_dir == "/nonexistent/policies");
    CHECK(s.log.level == log::level::trace);
    CHECK(s.log.format == decltype(s.log.format)::journald);
}

TEST_CASE("all mistakes are listed at once, by place, those of policies with them", "[config]") {
    installation in;
    in.tenant = "  tenant_id: contoso\n  adress: x\n";
    in.server_urls = "  public_url: http://mdm.contoso.com\n  listen: 0.0.0.0\n";
    in.rest =
        "enrollment:\n  enabled: yes\n  max_devices_per_user: 0x10\n  enabled: true\nlogg: {}\n"
        "terms: none\nlog: {level: loud, format: }\n";
    in.files.write("policies.d/a.yaml", "name: a\nsettings: 5\n");
    CHECK(in.problems() ==
          "config.yaml:2:14: entra.tenant_id: expected a GUID, got 'contoso'\n"
          "config.yaml:3:3: entra.adress: expected a known key, got 'adress'\n"
          "config.yaml:7:1: server.management_url: expected an https URL, got nothing\n"
          "config.yaml:8:15: server.public_url: expected an https URL of host and port such as "
          "https://mdm.contoso.com:8443, got 'http://mdm.contoso.com'\n"
          "config.yaml:9:11: server.listen: expected a numeric address and a port such as 0.0.0.0:443 or [::]:443, "
          "got '0.0.0.0'\n"
          "config.yaml:13:12: enrollment.enabled: expected true or false, got 'yes'\n"
          "config.yaml:14:25: enrollment.max_devices_per_user: expected a whole number from 1 to 1000, got '0x10'\n"
          "config.yaml:15:3: enrollment.enabled: expected each key once, got 'enabled' again (first in line 13)\n"
          "config.yaml:16:1: logg: expected a known key, got 'logg' (did you mean 'log'?)\n"
          "config.yaml:17:8: terms: expected a mapping, got a single value\n"
          "config.yaml:18:14: log.level: expected trace, debug, info, warning or error, got 'loud'\n"
          "config.yaml:18:20: log.format: expected auto, journald, text or json, got nothing\n"
          "a.yaml:2:11: settings: expected a list, got a single value\n");
}

TEST_CASE("a value that does not fit is named with what was expected", "[config]") {
    auto const [section, line, complaint] = GENERATE(table<char const*, char const*, char const*>({
        {"compliance", "interval: 0s",
            "interval: expected a duration from 1s to 3650d such as 90s, 15m, 8h or 30d, got '0s'"},
        {"compliance", "interval: 15", "got '15'"},
        {"compliance", "refresh: [1h]", "got a list"},
        {"compliance", "stale_after: 4000d", "got '4000d'"},
        {"enrollment", "max_devices_per_user: 010", ""},
        {"enrollment", "max_devices_per_user: \"15\"", "got '\"15\"'"},
        {"enrollment", "max_devices_per_user: 1001", "from 1 to 1000, got '1001'"},
        {"enrollment", "enabled: \"true\"", "expected true or false, got '\"true\"'"},
        {"enrollment", "enabled: null", "expected true or false, got 'null'"},
        {"enrollment", "personal_devices: true", "expected allow or block, got 'true'"},
        {"enrollment", "min_os_version: eleven", "expected a Windows version such as 10.0.19045, got 'eleven'"},
        {"enrollment", "renewal_window: 365d", "expected less than enrollment.certificate_validity (365d), got 365d"},
        {"enrollment", "certificate_validity: 30d",
            "config.yaml:11:1: enrollment.renewal_window: expected less than "
            "enrollment.certificate_validity (30d), got 60d, the default"},
        {"terms", "redirect_schemes: []", "expected a list of URI schemes such as ms-appx-web, got an empty list"},
        {"terms", "redirect_schemes: ms-appx-web", "got a single value"},
        {"terms", "redirect_schemes: [javascript]", "got 'javascript'"},
        {"terms", "redirect_schemes: ['ms appx']", "got '\"ms appx\"'"},
        {"terms", "pin: off", ""},
        {"terms", "pin: \"off\"", ""},
        {"terms", "pin: false", "terms.pin: expected off, personal or all, got 'false'"},
        {"terms", "pins: off", "terms.pins: expected a known key, got 'pins' (did you mean 'pin'?)"},
        {"terms", "directory: absent", "config.yaml:12:14: terms.directory: expected a folder, got '"},
        {"terms", "directory: entra.key", "terms.directory: expected a folder, got '"},
        {"enrollment", "allowed_groups: []", ""},
        {"enrollment", "allowed_groups: [Sales]",
            "enrollment.allowed_groups: expected the object ID of a group, a GUID, got 'Sales'"},
        {"enrollment", "allowed_groups: 11111111-2222-3333-4444-555555555555",
            "enrollment.allowed_groups: expected a list of object IDs of groups, got a single value"},
        {"enrollment", "allowed_groups:", "expected a list of object IDs of groups, got nothing"},
        {"storage", "url: postgresql://x", "storage.url: expected a known key, got 'url'"},
        {"storage", "path: ''", "expected a path, got '\"\"'"},
        {"storage", "pathh: x", "(did you mean 'path'?)"},
        {"admin", "listen: 0.0.0.0:8080",
            "admin.tls_key: expected a key for admin.listen (admin.listen 0.0.0.0:8080 is "
            "not loopback), got nothing"},
        {"admin", "listen: 0.0.0.0:443", "expected an address of its own, got that of server.listen"},
        {"admin", "listen: localhost:1", "got 'localhost:1'"},
        {"admin", "public_url: http://admin.contoso.com",
            "admin.public_url: expected an https URL of host and port such as https://mdm.contoso.com:8443, got "
            "'http://admin.contoso.com'"},
        {"admin", "public_url: https://admin.contoso.com/api", "got 'https://admin.contoso.com/api'"},
        {"admin", "public_url: https://me:pass@admin.contoso.com", "got one with a user name in it"},
        {"admin", "tls_key: tls/server.key",
            "admin.tls_certificate: expected a certificate for admin.listen, got nothing"},
    }));
    CAPTURE(section, line);
    if (std::string_view(complaint).empty())
        CHECK(problems_of(section, line).empty());  // 10, not 8
    else
        CHECK_THAT(problems_of(section, line), Catch::Contains(complaint));
}

TEST_CASE("an address to listen on is numeric", "[config]") {
    auto const [text, read] = GENERATE(table<char const*, char const*>({
        {"0.0.0.0:443", "0.0.0.0:443"},
        {"[::]:443", "[::]:443"},
        {"[0:0::1]:0", "[::1]:0"},
        {"127.0.0.1:65535", "127.0.0.1:65535"},
        {"127.0.0.1:65536", ""},
        {"127.0.0.1:-1", ""},
        {"127.0.0.1:0443", ""},
        {"127.0.0.1:", ""},
        {"127.0.0.1", ""},
        {"127.1:80", ""},
        {"::1:80", ""},
        {"[127.0.0.1]:80", ""},
        {"[fe80::1%eth0]:80", ""},
        {"*:443", ""},
        {":443", ""},
        {"", ""},
    }));
    CAPTURE(text);
    auto const got = parse_endpoint(text);
    CHECK((got ? got->text() : "") == read);
}

TEST_CASE("a URL is https, a host and a port", "[config]") {
    auto const [text, read] = GENERATE(table<char const*, char const*>({
        {"https://mdm.contoso.com", "https://mdm.contoso.com"},
        {"HTTPS://MDM.Contoso.com:443/", "https://mdm.contoso.com"},
        {"https://localhost:8443/", "https://localhost:8443"},
        {"https://192.0.2.7", "https://192.0.2.7"},
        {"https://[2001:DB8::0:1]:444", "https://[2001:db8::1]:444"},
        {"https://", ""},
        {"https:///", ""},
        {"https://mdm.contoso.com//", ""},
        {"https://mdm.contoso.com/path", ""},
        {"https://mdm.contoso.com?x", ""},
        {"https://mdm.contoso.com#x", ""},
        {"https://user@mdm.contoso.com", ""},
        {"https://mdm.contoso.com:0", ""},
        {"https://mdm.contoso.com:", ""},
        {"https://mdm_1.contoso.com", ""},
        {"https://-mdm.contoso.com", ""},
        {"https://mdm..contoso.com", ""},
        {"https://1.2.3", ""},
        {"https://[::1", ""},
        {"https://m\xc3\xbcnchen.example", ""},
        {"http://mdm.contoso.com", ""},
        {"mdm.contoso.com", ""},
    }));
    CAPTURE(text);
    auto const got = parse_origin(text);
    CHECK((got ? got->text : "") == read);
}

TEST_CASE("the two addresses must be told apart", "[config]") {
    installation in;
    SECTION("by host or port") {
        in.server_urls = "  public_url: https://mdm.contoso.com\n  management_url: https://MDM.contoso.com:443/\n";
        CHECK_THAT(in.problems(), Catch::Contains("expected another host or port than server.public_url has"));
    }
    SECTION("by host, where they listen on one address") {
        in.server_tls += "  listen: 0.0.0.0:443\n  management_listen: 0.0.0.0:443\n";
        CHECK_THAT(in.problems(), Catch::Contains("expected another host than server.public_url has"));
        in.server_urls = "  public_url: https://a.contoso.com\n  management_url: https://b.contoso.com\n";
        CHECK(in.problems() == "");
    }
}

TEST_CASE("the application's key comes from exactly one place", "[config]") {
    installation in;
    auto const credential = in.files.write("credentials/entra-key", "from-systemd\n");
    SECTION("none") {
        in.entra = "";
        CHECK(in.problems() ==
              "config.yaml:1:1: entra.key_file: expected the application's key in entra.key_file, entra.key, "
              "entra.certificate_file or the systemd credential 'entra-key', got none\n");
    }
    SECTION("inline, with a warning that does not hold it") {
        in.entra = "  key: very-secret\n";
        auto const got = in.load();
        REQUIRE(got.value);
        CHECK(got.value->entra.key.text.reveal() == "very-secret");
        CHECK(got.value->entra.source == key_source::inline_value);
        REQUIRE(got.warnings.size() == 1);
        CHECK(got.warnings[0].line_text().starts_with("config.yaml:5:8: entra.key: "));
        CHECK_THAT(got.warnings[0].line_text(), !Catch::Contains("very-secret"));
    }
    SECTION("the systemd credential") {
        in.entra = "";
        in.env.credentials_directory = credential.parent_path();
        auto const got = in.load();
        REQUIRE(got.value);
        CHECK(got.value->entra.key.text.reveal() == "from-systemd");
        CHECK(got.value->entra.source == key_source::systemd_credential);
    }
    SECTION("two of them") {
        in.entra += "  key: very-secret\n";
        CHECK(in.problems() ==
              "config.yaml:6:8: entra.key: expected the application's key in one place, got it in entra.key_file and "
              "entra.key\n");
    }
}

TEST_CASE("no message holds a key, whatever is wrong with it", "[config]") {
    auto const lines = GENERATE(as<std::string>{}, "  key: 'Se cret'\n", "  key: [Secret]\n",
        "  key:\n    Secret: Secret\n", "  key: *Secret\n", "  key: &Secret x\n", "  key: !Secret x\n",
        "  key: \"a\\Secret\"\n", "  key: @Secret\n", "  key: {Secret\n",
        "  login_url: https://user:Secret@login.example\n", "  key: \"\\uSecret\"\n", "  key: %Secret\n");
    CAPTURE(lines);
    installation in;
    in.entra = lines;
    auto const got = in.load();
    REQUIRE_FALSE(got.value);
    auto const said = in.problems();
    CAPTURE(said);
    CHECK_THAT(said, !Catch::Contains("cret"));
    CHECK_THAT(said, !Catch::Contains("character: "));  // yaml-cpp would show the one after a backslash
    for (auto const& w : got.warnings) CHECK_THAT(w.line_text(), !Catch::Contains("cret"));
}

TEST_CASE("a key file that others can read is refused", "[config]") {
    auto const [mode, complaint] = GENERATE(table<int, char const*>({
        {0600, ""},
        {0640, ""},
        {0400, ""},
        {0644, "expected a file that others cannot read, got mode 0644 (chmod 640 "},
        {0604, "got mode 0604"},
        {0601, "got mode 0601"},
        {0660, "expected a file that its group cannot write, got mode 0660 (chmod 640 "},
    }));
    auto const file = GENERATE(as<std::string>{}, "entra.key", "tls/server.key");
    CAPTURE(file, mode);
    installation const in;
    std::filesystem::permissions(in.files.path() / file, static_cast<std::filesystem::perms>(mode));
    if (std::string_view(complaint).empty())
        CHECK(in.problems() == "");
    else
        CHECK_THAT(in.problems(), Catch::Contains(complaint));
}

TEST_CASE("a file that is not what it should be is refused", "[config]") {
    installation in;
    auto const key = in.files.path() / "entra.key";
    SECTION("missing") {
        std::filesystem::remove(key);
        CHECK_THAT(
            in.problems(), Catch::Contains("config.yaml:5:13: entra.key_file: expected a readable file, got '") &&
                               Catch::Contains("(No such file or directory)"));
    }
    SECTION("a folder") {
        std::filesystem::remove(key);
        std::filesystem::create_directory(key);
        CHECK_THAT(in.problems(), Catch::Contains("expected a regular file, got the folder '"));
    }
    SECTION("empty") {
        in.files.write("entra.key", "\r\n\n");
        CHECK_THAT(in.problems(), Catch::Contains("expected a key, got the empty file '"));
    }
    SECTION("of two lines") {
        in.files.write("entra.key", "Secret1\nSecret2\n");
        CHECK_THAT(
            in.problems(), Catch::Contains("expected one line of printable ASCII, or PEM, got something else in '") &&
                               !Catch::Contains("Secret"));
    }
    SECTION("too large") {
        in.files.write("entra.key", std::string(1024 * 1024 + 1, 'a'));
        CHECK_THAT(in.problems(), Catch::Contains("expected a file of at most 1 MiB"));
    }
    SECTION("a certificate that is none") {
        in.files.write("tls/server.crt", "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n");
        CHECK_THAT(in.problems(), Catch::Contains("server.tls_certificate: expected a PEM file with a certificate"));
    }
    SECTION("a key that is none") {
        in.files.write("tls/server.key", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
        CHECK_THAT(in.problems(), Catch::Contains("server.tls_key: expected a PEM file with a private key"));
    }
    SECTION("a key with a passphrase") {
        in.files.write(
            "tls/server.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----\n");
        CHECK_THAT(in.problems(), Catch::Contains("expected a private key without a passphrase"));
    }
}

TEST_CASE("what is not one plain YAML document is refused", "[config]") {
    auto const [text, complaint] = GENERATE(table<std::string, char const*>({
        {"a: b\n---\nc: d\n", ":2:1: expected one document, got another"},
        {"log: &x {}\n", ":1:6: expected no anchor"},
        {"log: !x {}\n", "expected no tag"},
        {"log: {\n", "expected valid YAML, got end of map flow not found"},
        {"a\t: b\n\tc: d\n", "expected valid YAML"},
        {std::string("a: \0b\n", 6), ":1:1: expected UTF-8 text, got something else"},
        {"a: \xff\n", "expected UTF-8 text"},
        {std::string(1024 * 1024 + 1, '#'), "expected at most 1 MiB, got 1048577 bytes"},
        {std::string(40, '['), "expected at most 32 levels, got more"},
        {"x: [" +
                [] {
                    std::string s;
                    for (int i = 0; i < 60000; ++i) s += "1,";
                    return s;
                }() +
                "]",
            "expected at most 50000 values"},
        {"[]", "config.yaml:1:1: expected a mapping, got an empty list"},
        {"? [a]\n: b\n", ":1:3: expected a key, got a list"},
    }));
    CAPTURE(text.substr(0, 60));
    auto const got = parse_settings(text, "config.yaml", {});
    std::string all;
    for (auto const& p : got.problems) all += p.line_text() + "\n";
    CHECK_THAT(all, Catch::Contains(complaint));
    CHECK_FALSE(got.value);
}

TEST_CASE("places count characters and lines as editors do", "[config]") {
    auto const got =
        parse_settings("\xef\xbb\xbf# \xc3\xbc\r\nlog: {\"l\xc3\xa4vel\": 1, x: 2}\r\n", "config.yaml", {});
    std::vector<std::string> at;
    for (auto const& p : got.problems)
        if (p.key.starts_with("log.")) at.push_back(fmt::format("{}:{}:{}", p.line, p.column, p.key));
    CHECK(at == std::vector<std::string>{"2:7:log.l\xc3\xa4vel", "2:19:log.x"});
}

TEST_CASE("a file that is not there is a problem, not an exception", "[config]") {
    auto const got = load_settings("/nonexistent/config.yaml", {});
    REQUIRE(got.problems.size() == 1);
    CHECK(got.problems[0].line_text() ==
          "config.yaml: expected a readable file, got '/nonexistent/config.yaml' (No such file or directory)");
}

TEST_CASE("the example shows every setting at its default", "[config]") {
    auto const example = test::read_file(test::source("config/config.yaml"));
    auto filled = replaced(example, "<tenant ID>", "11111111-2222-3333-4444-555555555555");
    filled = replaced(filled, "<application (client) ID>", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    filled = replaced(filled, "<application ID URI>", "https://mdm.contoso.com");
    filled = replaced(filled, "<host name>", "mdm.contoso.com");

    // Every commented-out key that is no example becomes a real one; all keys become names.
    std::string at_defaults;
    std::set<std::string> named;
    std::string section, group;  // "management.", "push."
    for (std::size_t at = 0; at < filled.size();) {
        auto const end = filled.find('\n', at);
        auto line = filled.substr(at, end - at);
        at = end + 1;
        auto const text = line.find_first_not_of(' ');
        if (text == line.npos) continue;
        bool const off = line[text] == '#';
        auto const key = line.substr(text + (off ? 1 : 0));
        auto const colon = key.find(':');
        auto const is_key = colon != key.npos && key.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == colon;
        if (!is_key) continue;
        auto const name = key.substr(0, colon);
        bool const bare = trim(std::string_view(key).substr(colon + 1, key.find('#') - colon - 1)).empty();
        if (text == 0 && colon + 1 == key.size()) {
            section = name + ".";
            group.clear();
        } else if (text == 2 && bare) {
            group = name + ".";
        } else {
            named.insert(text == 0 ? name : section + (text > 2 ? group : "") + name);
        }
        if (!off || key.find("# example") == key.npos) at_defaults += std::string(text, ' ') + key + "\n";
    }
    auto const known = known_keys();
    CHECK(named == std::set<std::string>(known.begin(), known.end()));

    installation const in;
    auto const plain = load_settings(in.files.write("config.yaml", filled), {});
    for (auto const& p : plain.problems) FAIL_CHECK(p.line_text());
    auto const spelled = load_settings(in.files.write("config.yaml", at_defaults), {});
    for (auto const& p : spelled.problems) FAIL_CHECK(p.line_text());
    REQUIRE(plain.value);
    REQUIRE(spelled.value);
    auto const shown = [](settings const& s) {
        std::vector<std::string> reminders;
        for (auto const before : s.key_reminders) reminders.push_back(format_duration(before));
        return fmt::format(
            "{} {} {} {} | {} {} | {} {} | {} | {} {} {} | {} {} {} {} {} {} | {} | {} {} {} | {} | {} | {} {}",
            s.entra.login_url.text, s.entra.graph_url.text, s.entra.required_scope, static_cast<int>(s.entra.assertion),
            s.server.listen.text(), s.server.management_listen.text(), s.admin.socket.string(), s.admin.listen.text(),
            s.storage.path.string(), s.terms.required, fmt::join(s.terms.redirect_schemes, ","),
            static_cast<int>(s.terms.pin), s.enrollment.enabled, fmt::join(s.enrollment.allowed_groups, ","),
            s.enrollment.personal_devices, s.enrollment.max_devices_per_user, s.enrollment.certificate_validity.count(),
            s.enrollment.renewal_window.count(), s.management.poll.count(), s.compliance.interval.count(),
            s.compliance.refresh.count(), s.compliance.stale_after.count(), fmt::join(reminders, ","),
            s.policies_dir.string(), static_cast<int>(s.log.level), static_cast<int>(s.log.format));
    };
    CHECK(shown(*plain.value) == shown(*spelled.value));
}

TEST_CASE("every setting has its row in docs/settings.md", "[config]") {
    auto const text = test::read_file(test::source("docs/settings.md"));
    std::set<std::string> rows;
    std::string section;
    for (auto const line : split(text, '\n')) {
        if (line.starts_with("# Policy files")) break;
        if (line.starts_with("## ")) section = line.substr(3);
        if (!line.starts_with("| `")) continue;
        auto const name = std::string(line.substr(3, line.find('`', 3) - 3));
        bool const bare = section == "entra" || section == "server" || section == "admin";
        rows.insert(bare ? section + "." + name : name);
    }
    auto const known = known_keys();
    CHECK(rows == std::set<std::string>(known.begin(), known.end()));
}

TEST_CASE("the example as it is shipped asks to be filled in", "[config]") {
    installation const in;
    auto const got =
        load_settings(in.files.write("config.yaml", test::read_file(test::source("config/config.yaml"))), {});
    std::set<std::string> keys;
    for (auto const& p : got.problems) keys.insert(p.key);
    CHECK(keys == std::set<std::string>{"entra.tenant_id", "entra.client_id", "entra.app_id", "server.public_url",
                      "server.management_url"});
}
