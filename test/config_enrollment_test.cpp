// The sections enrollment, events and authority of config.yaml, and the users file.
#include <fmt/format.h>

#include "config/load.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::config;
using namespace std::chrono_literals;

namespace {

std::string block(std::string const& label, std::string const& content = "AA==") {
    return "-----BEGIN " + label + "-----\n" + content + "\n-----END " + label + "-----\n";
}
// Of "x".
constexpr char hash[] = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

class installation {
public:
    installation() {
        files.write("a.crt", block("CERTIFICATE"));
        files.write("a.key", block("PRIVATE KEY", "S3cret=="));
        files.write("sealed.key", block("ENCRYPTED PRIVATE KEY", "S3cret=="));
        files.write("entra.key", "abc~DEF.123\n");
        files.write("passphrase", "correct horse S3cret\n");
    }
    test::scratch files;
    environment env;

    loaded<settings> load(std::string const& rest) const {
        return load_settings(
            files.write("config.yaml",
                "server:\n  public_url: https://a.example\n  management_url: https://b.example\n"
                "  tls_certificate: a.crt\n  tls_key: a.key\n"
                "entra:\n  tenant_id: 11111111-2222-3333-4444-555555555555\n  key_file: entra.key\n"
                "  client_id: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n  app_id: https://mdm.contoso.com\n" +
                    rest),
            env);
    }
    settings good(std::string const& rest) const {
        auto got = load(rest);
        for (auto const& p : got.problems) FAIL_CHECK(p.line_text());
        return got.value.value();
    }
    std::string problems(std::string const& rest) const {
        std::string all;
        for (auto const& p : load(rest).problems) all += p.line_text() + "\n";
        CHECK(all.find("S3cret") == std::string::npos);
        CHECK(all.find(hash) == std::string::npos);
        return all;
    }
};

}  // namespace

TEST_CASE("restrictions are read as they are written", "[config]") {
    installation const in;
    auto const e =
        in.good(
              "enrollment: {allowed_types: [bulk, device_token], max_os_version: 10.0.22631, editions: [enterprise, 48], "
              "blocked_users: [Mallory@Contoso.com, AAAAAAAA-0000-0000-0000-000000000000], federated_auth: entra, "
              "abandon_after: 5m, enabled: false, disabled_message: 'On Monday: see you'}\n")
            .enrollment;
    CHECK(e.allowed_types == std::set{enrollment_type::bulk, enrollment_type::device_token});
    REQUIRE(e.max_os_version);
    CHECK(*parse_os_version("10.0.22631.9999") <= *e.max_os_version);
    CHECK(*parse_os_version("10.0.22632") > *e.max_os_version);
    CHECK(e.editions == std::vector{4, 48});
    CHECK(e.blocked_users == std::vector<std::string>{"mallory@contoso.com", "aaaaaaaa-0000-0000-0000-000000000000"});
    CHECK(e.federated);
    CHECK_FALSE(e.on_premise);
    CHECK(e.abandon_after == 5min);
    CHECK(e.disabled_message == "On Monday: see you");
}

TEST_CASE("what restrictions cannot mean is told with its place", "[config]") {
    installation const in;
    auto const [text, problem] = GENERATE(table<std::string, std::string>({
        {"allowed_types: [bulk, hybrid]",
            "config.yaml:11:36: enrollment.allowed_types: expected entra_join, work_account, bulk or device_token, got 'hybrid'"},
        {"allowed_types: []", "expected a list of entra_join"},
        {"editions: [Windows 7]", "expected editions of Windows"},
        {"min_os_version: 10.0.22631, max_os_version: 10.0.19045",
            "expected no older version than enrollment.min_os_version"},
        {"on_premise_auth: file", "enrollment.users_file: expected the path of an htpasswd file"},
        {"federated_auth: adfs", "expected off or entra, got 'adfs'"},
        {"abandon_after: 0s", "expected a duration from 1s"},
        {"users_file: nothing.txt", "nothing.txt"},
    }));
    CHECK_THAT(in.problems("enrollment: {" + text + "}\n"), Catch::Contains(problem));
}

TEST_CASE("an htpasswd file names users by bcrypt alone", "[config][security]") {
    installation const in;
    in.files.write("users", fmt::format("# staff\n\nAlice@Contoso.com:{0}\r\nCONTOSO\\bob:{0}\n", hash));
    auto const e = in.good("enrollment: {on_premise_auth: file, users_file: users}\n").enrollment;
    REQUIRE(e.users.size() == 2);
    CHECK(e.users[0].name == "alice@contoso.com");
    CHECK(e.users[1].name == "contoso\\bob");
    CHECK(e.users[0].hash.reveal() == hash);

    auto const [line, problem] = GENERATE(table<std::string, std::string>({
        {"alice", "line 2 of"},
        {":" + std::string(hash), "expected a user's name"},
        {"alice:$apr1$S3cretab$S3cret", "expected a bcrypt hash"},
        {"alice:{SHA}S3cret=", "expected a bcrypt hash"},
        {"alice:$2y$20$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe", "a cost up to 14"},
        {"alice:" + std::string(hash) + "x", "expected a bcrypt hash"},
        {"first:" + std::string(hash), "expected another user"},
        {"11111111-2222-3333-4444-555555555555:" + std::string(hash), "expected a user's name"},
    }));
    in.files.write("users", fmt::format("First:{}\n{}\n", hash, line));
    CHECK_THAT(in.problems("enrollment: {on_premise_auth: file, users_file: users}\n"), Catch::Contains(problem));
}

TEST_CASE("a users file that others can read is an error", "[config][security]") {
    installation const in;
    auto const file = in.files.write("users", fmt::format("a:{}\n", hash));
    std::filesystem::permissions(file, static_cast<std::filesystem::perms>(0644));
    CHECK_THAT(in.problems("enrollment: {users_file: users}\n"), Catch::Contains("users_file"));
}

TEST_CASE("the authority's files and credentials are read, each from one place", "[config]") {
    installation in;
    CHECK(in.good("").authority.passphrase.empty());
    auto const a =
        in.good(
              "authority: {key_type: p256, passphrase_file: passphrase, certificate_file: a.crt, key_file: sealed.key}\n")
            .authority;
    CHECK(a.key_type == decltype(a.key_type)::p256);
    CHECK(a.passphrase.reveal() == "correct horse S3cret");
    CHECK_THAT(a.certificate_pem, Catch::StartsWith("-----BEGIN CERTIFICATE"));
    CHECK_THAT(std::string(a.key_pem.reveal()), Catch::StartsWith("-----BEGIN ENCRYPTED"));

    CHECK_THAT(in.problems("authority: {certificate_file: a.crt}\n"),
        Catch::Contains("authority.key_file: expected the private key of authority.certificate_file"));
    CHECK_THAT(in.problems("authority: {key_file: a.key}\n"), Catch::Contains("authority.certificate_file: expected"));
    in.files.write("long", std::string(600, 'x') + "\n");
    CHECK_THAT(in.problems("authority: {passphrase_file: long}\n"), Catch::Contains("at most 512 bytes, got 600"));
    in.files.write("credentials/authority-passphrase", "other S3cret\n");
    in.files.write("credentials/authority-key", block("PRIVATE KEY", "S3cret=="));
    in.env.credentials_directory = in.files.path() / "credentials";
    CHECK(in.good("authority: {certificate_file: a.crt}\n").authority.passphrase.reveal() == "other S3cret");
    CHECK_THAT(in.problems("authority: {passphrase_file: passphrase, certificate_file: a.crt}\n"),
        Catch::Contains("expected it in one place, got it in authority.passphrase_file and the systemd credential"));
    in.files.write("empty", "\n");
    CHECK_THAT(in.problems("authority: {key_file: a.key, passphrase_file: empty}\n"), Catch::Contains("in one place"));
}

TEST_CASE("how long events are kept is bounded", "[config]") {
    installation const in;
    auto const e = in.good("events: {keep: 7d, most: 500}\n").events;
    CHECK(e.keep == std::chrono::days(7));
    CHECK(e.most == 500);
    CHECK_THAT(in.problems("events: {most: 5}\n"), Catch::Contains("expected a whole number from 100 to 1000000"));
}
