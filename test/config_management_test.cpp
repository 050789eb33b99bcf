// The sections management and apps of config.yaml.
#include <fmt/format.h>

#include "config/load.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::config;

namespace {

struct installation {
    test::scratch files;
    installation() {
        files.write("entra.key", "abc~DEF.123\n");
        files.write("server.crt", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
        files.write("server.key", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n");
        files.write("push.key", "Xy+Z/secret\n");
    }
    loaded<settings> load(std::string const& rest) const {
        return load_settings(
            files.write("config.yaml",
                "entra:\n  tenant_id: 11111111-2222-3333-4444-555555555555\n  client_id: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n"
                "  app_id: https://mdm.contoso.com\n  key_file: entra.key\nserver:\n  public_url: https://mdm.contoso.com\n"
                "  management_url: https://mdm.contoso.com:8443\n  tls_certificate: server.crt\n  tls_key: server.key\n" +
                    rest),
            {});
    }
    std::string problems(std::string const& rest) const {
        std::string all;
        for (auto const& p : load(rest).problems) all += p.line_text() + "\n";
        return all;
    }
};

std::string push(std::string const& name, std::string const& sid, std::string const& more = "secret_file: push.key") {
    return fmt::format(
        "management:\n  push:\n    package_family_name: {}\n    package_sid: {}\n    {}\n", name, sid, more);
}

constexpr char name[] = "Contoso.Wake_1a2b3c4d5e6f7";
constexpr char sid[] = "ms-app://s-1-15-2-1234-5678";

}  // namespace

TEST_CASE("without management.push there is none", "[config]") {
    installation const in;
    REQUIRE(in.load("").value);
    CHECK_FALSE(in.load("").value->management.push);
    CHECK_FALSE(in.load("management:\n  poll: 1h\n").value->management.push);
}

TEST_CASE("an app identity for push is read with its secret", "[config]") {
    installation const in;
    auto const got = in.load(push(name, "MS-APP://S-1-15-2-1234-5678"));
    REQUIRE(got.value);
    auto const& p = got.value->management.push;
    REQUIRE(p);
    CHECK(p->package_family_name == name);
    CHECK(p->package_sid == sid);
    CHECK(p->key.reveal() == "Xy+Z/secret");
    CHECK(p->login_url.text == "https://login.live.com");
    auto const other = in.load(push(name, sid, "secret_file: push.key\n    login_url: https://login.test:444"));
    REQUIRE(other.value);
    CHECK(other.value->management.push->login_url.text == "https://login.test:444");
}

TEST_CASE("what is wrong with an app identity for push is named", "[config]") {
    installation const in;
    in.files.write("open.key", "secret\n");
    std::filesystem::permissions(in.files.path() / "open.key", std::filesystem::perms(0644));
    in.files.write("empty.key", "");
    struct row {
        std::string yaml;
        char const* wanted;
    };
    for (auto const& r :
        {row{push("Contoso.Wake", sid), "management.push.package_family_name: expected a package family name"},
            row{push("Contoso.Wake_1a2b3c4d5e6f", sid), "management.push.package_family_name: expected"},
            row{push("Contoso Wake_1a2b3c4d5e6f7", sid), "management.push.package_family_name: expected"},
            row{push("C_1a2b3c4d5e6f7", sid), "management.push.package_family_name: expected"},
            row{push(name, "s-1-15-2-1"), "management.push.package_sid: expected a package SID"},
            row{push(name, "ms-app://s-1-15-2-"), "management.push.package_sid: expected"},
            row{push(name, "ms-app://s-1-15-2-1-x"), "management.push.package_sid: expected"},
            row{push(name, sid, "login_url: https://login.test"),
                "management.push.secret_file: expected the path of a file"},
            row{push(name, sid, "secret_file: nothing.key"), "management.push.secret_file: expected a readable file"},
            row{push(name, sid, "secret_file: open.key"),
                "management.push.secret_file: expected a file that others cannot read"},
            row{push(name, sid, "secret_file: empty.key"), "management.push.secret_file: expected a key"},
            row{push(name, sid, "secret_file: push.key\n    login_url: http://login.test"),
                "management.push.login_url: expected an https URL"},
            row{push(name, sid, "secret_file: push.key\n    channel: x"), "management.push.channel"},
            row{"management:\n  push:\n    secret_file: push.key\n",
                "management.push.package_sid: expected a package SID"},
            row{"management:\n  push: on\n", "management.push: expected"}}) {
        INFO(r.yaml);
        auto const got = in.problems(r.yaml);
        CHECK_THAT(got, Catch::Contains(r.wanted));
        CHECK_THAT(got, !Catch::Contains("Xy+Z"));
    }
}

TEST_CASE("packages lie beside the configuration, or where it says", "[config]") {
    installation const in;
    CHECK(in.load("").value->apps.directory.empty());
    in.files.write("packages/a.msi", "x");
    CHECK(in.load("").value->apps.directory == in.files.path() / "packages");
    in.files.write("other/a.msi", "x");
    CHECK(in.load("apps:\n  directory: other\n").value->apps.directory == in.files.path() / "other");
    CHECK_THAT(
        in.problems("apps:\n  directory: nowhere\n"), Catch::Contains("apps.directory: expected a folder, got '"));
    CHECK_THAT(in.problems("apps:\n  directory: push.key\n"), Catch::Contains("apps.directory: expected a folder"));
    CHECK_THAT(in.problems("apps:\n  folder: x\n"), Catch::Contains("apps.folder"));
}
