#include <fmt/format.h>

#include "config/address.hpp"
#include "config/load.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::config;
using namespace std::chrono_literals;

namespace {

std::string block(std::string const& label, std::string const& content = "AA==") {
    return "-----BEGIN " + label + "-----\n" + content + "\n-----END " + label + "-----\n";
}

auto const one_certificate = block("CERTIFICATE");
auto const one_key = block("PRIVATE KEY", "S3cret==");

// An installation whose lines of the section entra, and what follows it, are the test's.
class installation {
public:
    installation() {
        files.write("entra.key", "abc~DEF.123\n");
        files.write("pair.pem", one_certificate + one_key);
        files.write("app.crt", one_certificate);
        files.write("app.key", one_key);
        files.write("proxy.credentials", "user:S3cret\n");
    }
    std::string entra;
    std::string rest;
    environment env;
    test::scratch files;

    loaded<settings> load() const {
        return load_settings(
            files.write("config.yaml",
                "server:\n  public_url: https://a.example\n  management_url: https://b.example\n"
                "  tls_certificate: app.crt\n  tls_key: app.key\n"
                "entra:\n  tenant_id: 11111111-2222-3333-4444-555555555555\n"
                "  client_id: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n  app_id: https://mdm.contoso.com\n" +
                    entra + rest),
            env);
    }
    // Problems without "config.yaml:", the scratch folder's path as "DIR".
    std::string problems() const { return shown(load()); }
    std::string shown(loaded<settings> const& got) const {
        std::string all;
        for (auto const& p : got.problems) all += p.line_text() + "\n";
        for (auto const& [from, to] : {std::pair(files.path().string(), "DIR"), {std::string("config.yaml:"), ""}})
            for (auto at = all.find(from); at != all.npos; at = all.find(from, at)) all.replace(at, from.size(), to);
        return all;
    }
};

void set_mode(std::filesystem::path const& file, int mode) {
    std::filesystem::permissions(file, static_cast<std::filesystem::perms>(mode));
}

}  // namespace

TEST_CASE("a cloud chooses the hosts of login and Graph, which can be set one by one", "[config]") {
    auto const [lines, login, graph] = GENERATE(table<char const*, char const*, char const*>({
        {"", "https://login.microsoftonline.com", "https://graph.microsoft.com"},
        {"  cloud: global\n", "https://login.microsoftonline.com", "https://graph.microsoft.com"},
        {"  cloud: usgov\n", "https://login.microsoftonline.us", "https://graph.microsoft.us"},
        {"  cloud: usgov-dod\n", "https://login.microsoftonline.us", "https://dod-graph.microsoft.us"},
        {"  cloud: china\n", "https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"},
        {"  login_url: https://login.chinacloudapi.cn\n  cloud: china\n", "https://login.chinacloudapi.cn",
            "https://microsoftgraph.chinacloudapi.cn"},
        {"  cloud: usgov\n  graph_url: https://g.example:8443/\n", "https://login.microsoftonline.us",
            "https://g.example:8443"},
    }));
    CAPTURE(lines);
    installation in;
    in.entra = std::string("  key_file: entra.key\n") + lines;
    auto const got = in.load();
    REQUIRE(in.shown(got) == "");
    CHECK(got.value->entra.login_url.text == login);
    CHECK(got.value->entra.login_url.host == std::string(login).substr(8));
    CHECK(got.value->entra.graph_url.text == graph);
}

TEST_CASE("a value of entra that does not fit is named with what was expected", "[config]") {
    auto const [lines, complaint] = GENERATE(table<std::string, std::string>({
        {"cloud: Global", "11:10: entra.cloud: expected global, usgov, usgov-dod or china, got 'Global'\n"},
        {"cloud: germany", "11:10: entra.cloud: expected global, usgov, usgov-dod or china, got 'germany'\n"},
        {"assertion: ps256", "11:14: entra.assertion: expected PS256 or RS256, got 'ps256'\n"},
        {"assertion: none", "11:14: entra.assertion: expected PS256 or RS256, got 'none'\n"},
        {"next_key_file: [a]", "11:18: entra.next_key_file: expected the path of a file, got a list\n"},
        {"next_key_file: entra.key",
            "11:18: entra.next_key_file: expected another file than entra.key_file, got the same\n"},
        {"next_key_file: x/../entra.key",
            "11:18: entra.next_key_file: expected another file than entra.key_file, got the same\n"},
        {"proxy_credentials_file: proxy.credentials",
            "11:27: entra.proxy_credentials_file: expected entra.proxy, which these credentials are for, got none\n"},
        {"proxy: http://p.example:3128\n  proxy_credentials_file: none",
            "12:27: entra.proxy_credentials_file: expected a readable file, got 'DIR/none' (No such file or "
            "directory)\n"},
        {"proxy: http://p.example:3128\n  proxy_credentials_file: entra.key",
            "12:27: entra.proxy_credentials_file: expected one line, user:password, got something else in "
            "'DIR/entra.key'\n"},
        {"proxy: http://u:S3cret@p.example:3128\n  proxy_credentials_file: proxy.credentials",
            "12:27: entra.proxy_credentials_file: expected the proxy's credentials in one place, got them in "
            "entra.proxy and entra.proxy_credentials_file\n"},
    }));
    CAPTURE(lines);
    installation in;
    std::filesystem::create_directory(in.files.path() / "tls");
    in.entra = "  key_file: entra.key\n  " + lines + "\n";
    CHECK(in.problems() == complaint);
}

TEST_CASE("a proxy is http, a host and a port, with user and password or without", "[config]") {
    auto const [text, host, port, credentials] = GENERATE(table<char const*, char const*, int, char const*>({
        {"http://proxy.contoso.com:3128", "proxy.contoso.com", 3128, ""},
        {"HTTP://Proxy.Contoso.com:1/", "proxy.contoso.com", 1, ""},
        {"http://192.0.2.1:8080", "192.0.2.1", 8080, ""},
        {"http://[2001:DB8::0:1]:65535", "2001:db8::1", 65535, ""},
        {"http://user:password@p.example:3128", "p.example", 3128, "user:password"},
        {"http://CONTOSO%5Cuser:p%40s%3As%2f%25@p.example:80/", "p.example", 80, "CONTOSO\\user:p@s:s/%"},
        {"http://user:@p.example:80", "p.example", 80, "user:"},
        {"http://us+er:p+w%20d@p.example:80", "p.example", 80, "us+er:p+w d"},
        {"http://user:p%C3%BC@p.example:80", "p.example", 80, "user:p\xc3\xbc"},
        {"http://user:p%00w@p.example:80", "", 0, ""},
        {"http://user:p%0Aw@p.example:80", "", 0, ""},
        {"http://user:p%FFw@p.example:80", "", 0, ""},
        {"http://user:p%4@p.example:80", "", 0, ""},
        {"http://user:p:w@p.example:80", "", 0, ""},
        {"http://us%3Aer:pw@p.example:80", "", 0, ""},
        {"http://user:p@w@p.example:80", "", 0, ""},
        {"http://user@p.example:80", "", 0, ""},
        {"http://:pw@p.example:80", "", 0, ""},
        {"http://@p.example:80", "", 0, ""},
        {"http://p.example", "", 0, ""},
        {"http://p.example:", "", 0, ""},
        {"http://p.example:0", "", 0, ""},
        {"http://p.example:65536", "", 0, ""},
        {"http://p.example:80/path", "", 0, ""},
        {"http://p.example:80?x", "", 0, ""},
        {"http://:80", "", 0, ""},
        {"https://p.example:80", "", 0, ""},
        {"socks5://p.example:80", "", 0, ""},
        {"p.example:80", "", 0, ""},
        {"", "", 0, ""},
    }));
    CAPTURE(text);
    auto const got = parse_proxy(text);
    REQUIRE(got.has_value() == (port != 0));
    if (!got) return;
    CHECK(got->host == host);
    CHECK(got->port == port);
    CHECK(got->credentials.reveal() == credentials);
}

TEST_CASE("a proxy that cannot be read is shown only where it holds no password", "[config]") {
    std::string const expected =
        "11:10: entra.proxy: expected http://host:port, the port included, such as http://proxy.contoso.com:3128, got ";
    std::string const hidden =
        "something else, with a user name or an escape in it (user and password have their own ':', '/', '@' and '%' "
        "as %3A, %2F, %40 and %25)\n";
    auto const [value, got] = GENERATE_COPY(table<std::string, std::string>({
        {"http://p.example", "'http://p.example'\n"},
        {"https://p.example:3128", "'https://p.example:3128'\n"},
        {"''", "'\"\"'\n"},
        {"[http://u:S3cret@p.example:3128]", "a list\n"},
        {"{http://u:S3cret@p.example: 3128}", "a mapping\n"},
        {"https://u:S3cret@p.example:3128", hidden},
        {"http://u:S3cret@p.example", hidden},
        {"http://u:S3cr/et@p.example:3128", hidden},
        {"http://u:S3cret%40p.example:3128", hidden},
        {"u:S3cret@p.example:3128", hidden},
    }));
    CAPTURE(value);
    installation in;
    in.entra = "  key_file: entra.key\n  proxy: " + value + "\n";
    auto const found = in.load();
    CHECK(in.shown(found) == expected + got);
    for (auto const& w : found.warnings) CHECK_THAT(w.line_text(), !Catch::Contains("S3cr"));
}

TEST_CASE("a proxy's password in the configuration is taken with a warning that does not hold it", "[config]") {
    installation in;
    in.entra = "  key_file: entra.key\n  proxy: http://user:S3cr%65t@p.example:3128\n";
    auto const got = in.load();
    REQUIRE(got.value);
    CHECK(got.value->entra.proxy->credentials.reveal() == "user:S3cret");
    REQUIRE(got.warnings.size() == 1);
    CHECK(got.warnings[0].line_text() ==
          "config.yaml:11:10: entra.proxy: the proxy's password stands in the configuration; "
          "entra.proxy_credentials_file keeps it apart");
}

TEST_CASE("the proxy's credentials are kept in a file that others cannot read", "[config]") {
    installation in;
    in.entra = "  key_file: entra.key\n  proxy: http://p.example:3128\n  proxy_credentials_file: proxy.credentials\n";
    SECTION("as one line") {
        auto const got = in.load();
        REQUIRE(got.value);
        CHECK(got.warnings.empty());
        CHECK(got.value->entra.proxy->credentials.reveal() == "user:S3cret");
    }
    SECTION("with its mode checked") {
        set_mode(in.files.path() / "proxy.credentials", 0644);
        CHECK(in.problems() ==
              "12:27: entra.proxy_credentials_file: expected a file that others cannot read, got mode 0644 (chmod 640 "
              "DIR/proxy.credentials)\n");
    }
    SECTION("and nothing else") {
        auto const text = GENERATE(as<std::string>{}, "\n", "S3cret\n", ":S3cret\n", "user:S3cret\nuser:S3cret\n",
            "user:S3cret\t\n", "user:S3cret\xff\n");
        CAPTURE(text);
        in.files.write("proxy.credentials", text);
        CHECK(in.problems() ==
              fmt::format("12:27: entra.proxy_credentials_file: expected one line, user:password, got {} "
                          "'DIR/proxy.credentials'\n",
                  text == "\n" ? "the empty file" : "something else in"));
    }
}

TEST_CASE("a key file holds a secret, or a certificate with its private key", "[config]") {
    auto const legacy = block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nS3cret==");
    auto const pem = std::string("expected PEM with a certificate and its private key, got ");
    auto const passphrase = std::string("expected a private key without a passphrase, got one with it in 'DIR/k'");
    auto const [content, text, certificates, key,
        complaint] = GENERATE_COPY(table<std::string, std::string, std::string, std::string, std::string>({
        {"abc~DEF.123", "abc~DEF.123", "", "", ""},
        {"abc def\r\n\n", "abc def", "", "", ""},
        {one_certificate + one_key, "", one_certificate, one_key, ""},
        {one_key + one_certificate, "", one_certificate, one_key, ""},
        {"Bag Attributes\n  friendlyName: mdmd\n" + one_certificate + "subject=CN = mdmd\n" + block("RSA PRIVATE KEY") +
                block("CERTIFICATE", "BB=="),
            "", one_certificate + block("CERTIFICATE", "BB=="), block("RSA PRIVATE KEY"), ""},
        {block("EC PARAMETERS") + block("EC PRIVATE KEY") + one_certificate, "", one_certificate,
            block("EC PRIVATE KEY"), ""},
        {"", "", "", "", "expected a key, got the empty file 'DIR/k'"},
        {"\r\n", "", "", "", "expected a key, got the empty file 'DIR/k'"},
        {"S3cret\nS3cret\n", "", "", "", "expected one line of printable ASCII, or PEM, got something else in 'DIR/k'"},
        {"S3cret\xc3\xbc\n", "", "", "", "expected one line of printable ASCII, or PEM, got something else in 'DIR/k'"},
        {std::string("\x30\x82\x00\x01", 4), "", "", "",
            "expected one line of printable ASCII, or PEM, got something else in 'DIR/k'"},
        {one_certificate, "", "", "", pem + "no private key in 'DIR/k'"},
        {one_key, "", "", "", pem + "no certificate in 'DIR/k'"},
        {block("CERTIFICATE REQUEST") + one_key, "", "", "", pem + "no certificate in 'DIR/k'"},
        {block("PUBLIC KEY") + one_certificate, "", "", "", pem + "no private key in 'DIR/k'"},
        {one_certificate + one_key + one_key, "", "", "", pem + "2 private keys in 'DIR/k'"},
        {one_certificate + "-----BEGIN PRIVATE KEY-----\nS3cret==\n", "", "", "", pem + "no private key in 'DIR/k'"},
        {one_certificate + block("ENCRYPTED PRIVATE KEY", "S3cret=="), "", "", "", passphrase},
        {one_certificate + legacy, "", "", "", passphrase},
        {"-----BEGIN ", "", "", "", pem + "no certificate in 'DIR/k'"},
    }));
    CAPTURE(content);
    test::scratch const files;
    auto const got = read_credential(files.write("k", content));
    REQUIRE(got.has_value() == complaint.empty());
    if (got) {
        CHECK(got->text.reveal() == text);
        CHECK(got->certificate_pem == certificates);
        CHECK(got->key_pem.reveal() == key);
        CHECK(got->is_certificate() == text.empty());
    } else {
        auto said = got.error().detail;
        auto const at = said.find(files.path().string());
        REQUIRE(at != said.npos);
        CHECK(said.replace(at, files.path().string().size(), "DIR") == complaint);
    }
}

TEST_CASE("the kind of trouble with a key file tells what to do next", "[config]") {
    test::scratch const files;
    CHECK(read_credential(files.path() / "none").error().code == errc::not_found);
    CHECK(read_credential(files.path()).error().code == errc::malformed);
    auto const file = files.write("k", one_certificate + block("ENCRYPTED PRIVATE KEY"));
    CHECK(read_credential(file).error().code == errc::unsupported);
    set_mode(file, 0644);
    CHECK(read_credential(file).error().code == errc::forbidden);
}

TEST_CASE("a certificate signs in wherever a secret could", "[config]") {
    installation in;
    SECTION("in key_file") {
        in.entra = "  key_file: pair.pem\n";
        auto const got = in.load();
        REQUIRE(in.shown(got) == "");
        CHECK(got.value->entra.source == key_source::file);
        CHECK(got.value->entra.key_file == in.files.path() / "pair.pem");
        CHECK(got.value->entra.key.certificate_pem == one_certificate);
        CHECK(got.value->entra.key.key_pem.reveal() == one_key);
    }
    SECTION("in two files, of which the certificate may be read by all") {
        set_mode(in.files.path() / "app.crt", 0644);
        in.entra = "  certificate_file: app.crt\n  certificate_key_file: app.key\n";
        auto const got = in.load();
        REQUIRE(in.shown(got) == "");
        CHECK(got.value->entra.source == key_source::certificate);
        CHECK(got.value->entra.key_file.empty());
        CHECK(got.value->entra.certificate_file == in.files.path() / "app.crt");
        CHECK(got.value->entra.certificate_key_file == in.files.path() / "app.key");
        CHECK(got.value->entra.key.certificate_pem == one_certificate);
        CHECK(got.value->entra.key.key_pem.reveal() == one_key);
    }
    SECTION("in the systemd credential") {
        in.env.credentials_directory = in.files.write("credentials/entra-key", one_certificate + one_key).parent_path();
        auto const got = in.load();
        REQUIRE(in.shown(got) == "");
        CHECK(got.value->entra.source == key_source::systemd_credential);
        CHECK(got.value->entra.key.is_certificate());
    }
}

TEST_CASE("a certificate in two files is both of them, and the only key", "[config]") {
    auto const [lines, credential, complaint] = GENERATE(table<std::string, bool, std::string>({
        {"  certificate_file: app.crt\n", false,
            "6:1: entra.certificate_key_file: expected the private key of entra.certificate_file, got nothing\n"},
        {"  certificate_key_file: app.key\n", false,
            "6:1: entra.certificate_file: expected the certificate of entra.certificate_key_file, got nothing\n"},
        {"  certificate_file: app.key\n  certificate_key_file: app.crt\n", false,
            "10:21: entra.certificate_file: expected a PEM file with a certificate, got 'DIR/app.key' without one\n"
            "11:25: entra.certificate_key_file: expected a PEM file with a private key, got 'DIR/app.crt' without "
            "one\n"},
        {"  certificate_file: pair.pem\n  certificate_key_file: app.key\n", false,
            "10:21: entra.certificate_file: expected a PEM file with certificates alone, got 'DIR/pair.pem' with a "
            "private key in it\n"},
        {"  certificate_file: app.crt\n  certificate_key_file: open.key\n", false,
            "11:25: entra.certificate_key_file: expected a file that others cannot read, got mode 0604 (chmod 640 "
            "DIR/open.key)\n"},
        {"  certificate_file: [app.crt]\n  certificate_key_file: app.key\n", false,
            "10:21: entra.certificate_file: expected the path of a file, got a list\n"},
        {"  key_file: entra.key\n  certificate_file: app.crt\n  certificate_key_file: app.key\n", false,
            "11:21: entra.certificate_file: expected the application's key in one place, got it in entra.key_file and "
            "entra.certificate_file\n"},
        {"  key: S3cret\n  certificate_key_file: app.key\n", false,
            "11:25: entra.certificate_key_file: expected the application's key in one place, got it in entra.key and "
            "entra.certificate_key_file\n"},
        {"  certificate_file: app.crt\n  certificate_key_file: app.key\n", true,
            "10:21: entra.certificate_file: expected the application's key in one place, got it in "
            "entra.certificate_file and the systemd credential 'entra-key'\n"},
        {"  key: S3cret\n  key_file: entra.key\n", true,
            "10:8: entra.key: expected the application's key in one place, got it in entra.key_file and entra.key and "
            "the systemd credential 'entra-key'\n"},
        {"  certificate_file: app.crt\n  certificate_key_file: app.key\n  next_key_file: app.key\n", false,
            "12:18: entra.next_key_file: expected another file than entra.certificate_key_file, got the same\n"},
    }));
    CAPTURE(lines, credential);
    installation in;
    set_mode(in.files.write("open.key", one_key), 0604);
    in.entra = lines;
    if (credential) in.env.credentials_directory = in.files.write("credentials/entra-key", "S3cret\n").parent_path();
    CHECK(in.problems() == complaint);
}

TEST_CASE("the next key may come later, and what cannot be used yet is a warning, but no secret that others can read",
    "[config]") {
    installation in;
    in.entra = "  key_file: entra.key\n  next_key_file: next.key\n";
    auto const file = in.files.path() / "next.key";
    std::vector<problem> warnings;
    auto const complaint = [&] {
        auto const got = in.load();
        warnings = got.warnings;
        if (got.value) CHECK(got.value->entra.next_key_file == file);
        return in.shown(got);
    };
    SECTION("absent") { CHECK(complaint() == ""); }
    SECTION("in a folder that is not there") {
        in.entra = "  key_file: entra.key\n  next_key_file: later/next.key\n";
        CHECK(in.problems() == "");
    }
    SECTION("a secret") {
        in.files.write("next.key", "S3cret\n");
        CHECK(complaint() == "");
    }
    SECTION("a certificate") {
        in.files.write("next.key", one_certificate + one_key);
        CHECK(complaint() == "");
    }
    SECTION("readable by others") {
        set_mode(in.files.write("next.key", "S3cret\n"), 0644);
        CHECK(complaint() ==
              "11:18: entra.next_key_file: expected a file that others cannot read, got mode 0644 (chmod 640 "
              "DIR/next.key)\n");
    }
    SECTION("neither form") {
        for (auto const& text : {std::string("S3cret\nS3cret\n"), std::string("\n"), std::string(one_key)}) {
            in.files.write("next.key", text);
            CHECK(complaint() == "");
            REQUIRE(warnings.size() == 1);
            CHECK_THAT(warnings[0].line_text(), Catch::StartsWith("config.yaml:11:18: entra.next_key_file: expected "));
            CHECK_THAT(warnings[0].line_text(), !Catch::Contains("S3cret"));
        }
    }
}

TEST_CASE("the systemd credential entra-next-key is the next key unless a file is named", "[config]") {
    installation in;
    in.entra = "  key_file: entra.key\n";
    auto const credential = in.files.write("credentials/entra-next-key", "S3cret\n");
    in.env.credentials_directory = credential.parent_path();
    SECTION("is") {
        auto const got = in.load();
        REQUIRE(in.shown(got) == "");
        CHECK(got.value->entra.next_key_file == credential);
    }
    SECTION("is, and has to be in order") {
        in.files.write("credentials/entra-next-key", "");
        auto const got = in.load();
        CHECK(in.shown(got) == "");
        REQUIRE(got.warnings.size() == 1);
        CHECK_THAT(got.warnings[0].line_text(), Catch::Contains("(the systemd credential 'entra-next-key')"));
    }
    SECTION("a file is named") {
        in.files.write("credentials/entra-next-key", "");
        in.entra += "  next_key_file: next.key\n";
        auto const got = in.load();
        REQUIRE(in.shown(got) == "");
        CHECK(got.value->entra.next_key_file == in.files.path() / "next.key");
    }
}

TEST_CASE("reminders are a list of durations, the longest first", "[config]") {
    auto const [value, read, complaint] = GENERATE(table<std::string, std::vector<seconds>, std::string>({
        {"[]", {}, ""},
        {"[1d]", {24h}, ""},
        {"[1h, 3d, 90m, 1d]", {72h, 24h, 90min, 1h}, ""},
        {"[1s,2s,3s,4s,5s,6s,7s,8s,9s,10s,11s,12s,13s,14s,15s,16s,17s,18s,19s,20s]",
            {20s, 19s, 18s, 17s, 16s, 15s, 14s, 13s, 12s, 11s, 10s, 9s, 8s, 7s, 6s, 5s, 4s, 3s, 2s, 1s}, ""},
        {"[1s,2s,3s,4s,5s,6s,7s,8s,9s,10s,11s,12s,13s,14s,15s,16s,17s,18s,19s,20s,21s]", {},
            "11:16: key_reminders: expected at most 20 durations, got 21\n"},
        {"[2d, 1d, 24h]", {}, "11:25: key_reminders: expected each duration once, got 1d again\n"},
        {"[0s]", {},
            "11:17: key_reminders: expected a duration from 1s to 3650d such as 90s, 15m, 8h or 30d, got '0s'\n"},
        {"[1d, 3651d]", {},
            "11:21: key_reminders: expected a duration from 1s to 3650d such as 90s, 15m, 8h or 30d, got '3651d'\n"},
        {"[1d, [2d]]", {},
            "11:21: key_reminders: expected a duration from 1s to 3650d such as 90s, 15m, 8h or 30d, got a list\n"},
        {"30d", {}, "11:16: key_reminders: expected a list of durations such as [30d, 7d, 1d], got a single value\n"},
        {"", {}, "11:1: key_reminders: expected a list of durations such as [30d, 7d, 1d], got nothing\n"},
    }));
    CAPTURE(value);
    installation in;
    in.entra = "  key_file: entra.key\n";
    in.rest = "key_reminders: " + value + "\n";
    auto const got = in.load();
    CHECK(in.shown(got) == complaint);
    if (got.value) CHECK(got.value->key_reminders == read);
}

TEST_CASE("a program for reminders can be run, and changed by its owner alone", "[config]") {
    auto const [mode, complaint] = GENERATE(table<int, std::string>({
        {0755, ""},
        {0700, ""},
        {0010, ""},
        {0644, "12:12: notify.command: expected an executable file, got mode 0644 (chmod +x DIR/notify)\n"},
        {0775,
            "12:12: notify.command: expected a file that its owner alone can write, got mode 0775 (chmod go-w "
            "DIR/notify)\n"},
        {0757,
            "12:12: notify.command: expected a file that its owner alone can write, got mode 0757 (chmod go-w "
            "DIR/notify)\n"},
    }));
    CAPTURE(mode);
    installation in;
    in.entra = "  key_file: entra.key\n";
    in.rest = "notify:\n  command: notify\n";
    set_mode(in.files.write("notify", "#!/bin/sh\n"), mode);
    auto const got = in.load();
    CHECK(in.shown(got) == complaint);
    if (got.value) CHECK(got.value->notify.command == in.files.path() / "notify");
}

TEST_CASE("a program for reminders is a file that is there", "[config]") {
    auto const [value, complaint] = GENERATE(table<std::string, std::string>({
        {"none", "expected an executable file, got 'DIR/none' (No such file or directory)"},
        {"hooks", "expected a regular file, got the folder 'DIR/hooks'"},
        {"/dev/null", "expected a regular file, got '/dev/null'"},
        {"[a, b]", "expected the path of a file, got a list"},
        {"''", "expected the path of a file, got '\"\"'"},
    }));
    CAPTURE(value);
    installation in;
    std::filesystem::create_directory(in.files.path() / "hooks");
    in.entra = "  key_file: entra.key\n";
    in.rest = "notify:\n  command: " + value + "\n";
    CHECK(in.problems() == "12:12: notify.command: " + complaint + "\n");
}

TEST_CASE("reminders are posted by TLS, or within this machine", "[config]") {
    auto const [text, read] = GENERATE(table<char const*, char const*>({
        {"https://hooks.example", "https://hooks.example/"},
        {"HTTPS://Hooks.example:443/A/b?C=d&e=%20", "https://hooks.example/A/b?C=d&e=%20"},
        {"https://hooks.example:8443?x", "https://hooks.example:8443/?x"},
        {"https://hooks.example/a@b", "https://hooks.example/a@b"},
        {"https://[2001:DB8::1]:80/", "https://[2001:db8::1]:80/"},
        {"http://localhost:9000/x", "http://localhost:9000/x"},
        {"http://LOCALHOST:80", "http://localhost/"},
        {"http://127.0.0.2/", "http://127.0.0.2/"},
        {"http://[::1]:443/", "http://[::1]:443/"},
        {"http://hooks.example/", ""},
        {"http://127.example.com/", ""},
        {"http://localhost.example.com/", ""},
        {"http://192.0.2.1/", ""},
        {"http://[::ffff:127.0.0.1]/", ""},
        {"https://user@hooks.example/", ""},
        {"https://user:password@hooks.example/", ""},
        {"https://hooks.example/#x", ""},
        {"https://hooks.example/a b", ""},
        {"https://hooks.example/\xc3\xbc", ""},
        {"https://hooks.example/\r\nX: y", ""},
        {"https://hooks.example:0/", ""},
        {"https:///x", ""},
        {"https://", ""},
        {"ftp://localhost/", ""},
        {"hooks.example/x", ""},
        {"", ""},
    }));
    CAPTURE(text);
    CHECK(parse_webhook(text).value_or("") == read);
}

TEST_CASE("a webhook that cannot be read is shown only where it can hold no token", "[config]") {
    auto const [value, got] = GENERATE(table<std::string, std::string>({
        {"http://hooks.example", "'http://hooks.example'"},
        {"hooks.example:443", "'hooks.example:443'"},
        {"[https://hooks.example/S3cret]", "a list"},
        {"http://hooks.example/S3cret", "something else"},
        {"http://hooks.example?S3cret", "something else"},
        {"https://user:S3cret@hooks.example", "something else"},
        {"hooks.example/S3cret", "something else"},
        {"https://hooks.example:0/#S3cret", "something else"},
    }));
    CAPTURE(value);
    installation in;
    in.entra = "  key_file: entra.key\n";
    in.rest = "notify:\n  webhook: " + value + "\n";
    CHECK(in.problems() ==
          "12:12: notify.webhook: expected an https URL, or an http one of this machine, without a user name, got " +
              got + "\n");
}
