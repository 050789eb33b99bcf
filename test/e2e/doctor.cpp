// mdmctl doctor and mdmctl init as an administrator runs them, against the simulated tenant.
#include <sys/stat.h>
#include <fstream>

#include "core/text.hpp"
#include "e2e/appliance.hpp"
#include "test/http_raw.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

namespace json = boost::json;

constexpr char tenant_id[] = "11111111-2222-3333-4444-555555555555";
constexpr char client_id[] = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
constexpr char client_secret[] = "Init~Secret.0123456789";

struct diagnosis {
    int code = 0;
    std::map<std::string, json::object> checks;  // the worst of each name
    std::string text;                            // all that was printed, in both forms
    std::string result(std::string const& name) const {
        auto const found = checks.find(name);
        return found == checks.end() ? "absent" : std::string(found->second.at("result").as_string());
    }
};

diagnosis examine(e2e::world const& w) {
    diagnosis d;
    auto const plain = w.app->mdmctl({"doctor"});
    auto const machine = w.app->mdmctl({"doctor", "--json"});
    d.code = machine.code;
    d.text = plain.out + plain.err + machine.out + machine.err;
    CHECK(plain.code == machine.code);
    CHECK(plain.err == "");
    auto const said = json::parse(machine.out);
    for (auto const& c : said.at("checks").as_array()) {
        auto const& o = c.as_object();
        auto const rank = [](json::object const& one) {
            return one.at("result") == "fail" ? 2 : one.at("result") == "warn" ? 1 : 0;
        };
        CHECK(o.at("remedy").is_null() == (rank(o) == 0));
        CHECK_FALSE(o.at("detail").as_string().empty());
        auto& kept = d.checks[std::string(o.at("name").as_string())];
        if (kept.empty() || rank(o) > rank(kept)) kept = o;
        // The line for people says the same, and its remedy follows.
        auto const line = fmt::format(
            "{:<4}  {:<15}  {}\n", o.at("result").as_string().c_str(), o.at("name").as_string().c_str(), "");
        CHECK_THAT(plain.out, Catch::Contains(line.substr(0, line.size() - 1)));
        if (o.at("remedy").is_string())
            CHECK_THAT(plain.out, Catch::Contains(fmt::format("\n      {}\n", o.at("remedy").as_string().c_str())));
    }
    CHECK((d.code == 0) == std::none_of(d.checks.begin(), d.checks.end(),
                               [](auto const& one) { return one.second.at("result") == "fail"; }));
    CHECK_THAT(d.text, !Catch::Contains(w.tenant.secret()));
    CHECK_THAT(d.text, !Catch::Contains("eyJ"));
    return d;
}

std::vector<std::string> init_arguments(std::filesystem::path const& folder) {
    return {MDMCTL_BIN, "init", "--directory", folder.string(), "--tenant-id", tenant_id, "--client-id", client_id,
        "--host", e2e::host, "--key", client_secret};
}

mode_t mode_of(std::filesystem::path const& file) {
    struct stat info {};
    REQUIRE(::stat(file.c_str(), &info) == 0);
    return info.st_mode & 07777;
}

}  // namespace

TEST_CASE("mdmctl doctor finds nothing that fails in an appliance that works", "[e2e]") {
    e2e::world w;
    w.tenant.set_roles(
        {"Device.ReadWrite.All", "Application.Read.All", "GroupMember.Read.All", "User.Read.All", "Policy.Read.All"});
    w.app->start();
    auto const d = examine(w);
    CAPTURE(d.text);
    CHECK(d.code == 0);
    for (auto const* name : {"config", "file_modes", "clock", "login", "graph", "key", "key_end", "permissions",
             "app_id", "mdm_urls", "database", "daemon", "ca_file"}) {
        CAPTURE(name);
        CHECK(d.result(name) == "ok");
    }
    // The tests' host has no address, and their root is trusted by nobody.
    CHECK(d.result("dns") == "warn");
    CHECK(d.result("tls_certificate") == "warn");
    CHECK(d.result("tls_lifetime") != "fail");
    CHECK(d.result("disk") != "absent");
    CHECK(w.app->stop() == 0);
}

TEST_CASE("mdmctl doctor names what is broken, with a remedy and exit code 1", "[e2e]") {
    test::silent_port const nowhere;
    struct row {
        char const* what;
        std::function<void(e2e::world&)> break_it;
        char const* check;
        char const* said;    // in its line
        char const* remedy;  // in its remedy
    };
    auto const set = [](char const* key, std::string value) {
        return [=](e2e::world& w) { w.app->configure({{key, value}}); };
    };
    for (auto const& r : std::vector<row>{
             {"a wrong key", [](e2e::world& w) { w.tenant.set_secret(w.tenant.secret(), "refused"); }, "key",
                 "AADSTS7000215", "value"},
             {"an expired key", [](e2e::world& w) { w.tenant.set_secret(w.tenant.secret(), "expired"); }, "key",
                 "AADSTS7000222", "new client secret"},
             {"a permission that is missing", [](e2e::world& w) { w.tenant.set_roles({"Application.Read.All"}); },
                 "permissions", "Device.ReadWrite.All", "Grant admin consent"},
             {"a key that others can read",
                 [](e2e::world& w) { REQUIRE(::chmod(w.app->file("entra.key").c_str(), 0644) == 0); }, "file_modes",
                 "0644", "chmod 640"},
             {"a configuration with a mistake", set("management.poll", "often"), "config", "management.poll",
                 "docs/settings.md"},
             {"no login host", set("entra.login_url", "https://127.0.0.1:1"), "login", "refused", "firewall"},
             {"a login host that never answers",
                 set("entra.login_url", fmt::format("https://127.0.0.1:{}", nowhere.number())), "login", "time-out",
                 "firewall"},
             {"a root that is not trusted", set("entra.ca_file", ""), "login", "certificate", "entra.ca_file"},
             {"no proxy there", set("entra.proxy", "http://127.0.0.1:1"), "proxy", "cannot be reached", "entra.proxy"},
             {"a certificate for another name",
                 [](e2e::world& w) {
                     w.app->write_certificate(sim::make_server(w.app->authority(), {"other.contoso.test"}));
                 },
                 "tls_certificate", "not for mdm.contoso.test, but for other.contoso.test", "server.tls_certificate"},
             {"a key of another certificate",
                 [](e2e::world& w) {
                     w.app->write("server.key", sim::make_server(w.app->authority(), {e2e::host}).key.pem());
                 },
                 "config", "server.tls_key", "docs/settings.md"},
             {"other addresses in the portal",
                 [](e2e::world& w) {
                     w.tenant.set_roles({"Device.ReadWrite.All", "Policy.Read.All"});
                     w.tenant.set_mdm_urls({.discovery = "https://old.contoso.test/d.svc"});
                 },
                 "mdm_urls", "https://old.contoso.test/d.svc", e2e::discovery_url},
             {"another application ID URI", set("entra.app_id", "api://other"), "app_id", "api://other",
                 "Expose an API"},
             {"a damaged database",
                 [](e2e::world& w) {
                     w.app->start();
                     REQUIRE(w.app->stop() == 0);
                     std::fstream f(w.app->file("mdmd.db"), std::ios::binary | std::ios::in | std::ios::out);
                     f.seekp(4096);
                     f << std::string(4096, '\x55');
                 },
                 "database", "damaged", "backup"},
         }) {
        CAPTURE(r.what);
        e2e::world w;
        r.break_it(w);
        auto const before = std::chrono::steady_clock::now();
        auto const d = examine(w);
        CAPTURE(d.text);
        CHECK(std::chrono::steady_clock::now() - before < 60s);  // twice 30 s
        CHECK(d.code == 1);
        REQUIRE(d.result(r.check) == "fail");
        auto const& found = d.checks.at(r.check);
        CHECK_THAT(std::string(found.at("detail").as_string()), Catch::Contains(r.said));
        CHECK_THAT(std::string(found.at("remedy").as_string()), Catch::Contains(r.remedy));
    }
}

TEST_CASE("mdmctl init writes a configuration that mdmd takes, and a key that nobody else can read", "[e2e]") {
    test::scratch const folder;
    auto const place = folder.path() / "etc";
    auto const written = e2e::run(init_arguments(place));
    CAPTURE(written.out, written.err);
    REQUIRE(written.code == 0);
    CHECK(mode_of(place / "entra.key") == 0600);
    CHECK(mode_of(place / "config.yaml") == 0640);
    CHECK(test::read_file(place / "entra.key") == std::string(client_secret) + "\n");
    CHECK(std::filesystem::is_directory(place / "policies.d"));
    for (auto const* said : {e2e::terms_url, e2e::discovery_url, "https://mdm.contoso.test/compliance", "mdmctl doctor",
             "systemctl enable --now mdmd", "server.tls_certificate"})
        CHECK_THAT(written.out, Catch::Contains(said));
    CHECK_THAT(written.out + written.err + test::read_file(place / "config.yaml"), !Catch::Contains(client_secret));
    for (auto const& file : std::filesystem::directory_iterator(place)) CHECK(file.path().extension() != ".new");

    auto const authority = sim::make_authority("Tests' TLS root");
    auto const server = sim::make_server(authority, {e2e::host});
    folder.write("etc/tls/server.crt", server.own.pem());
    folder.write("etc/tls/server.key", server.key.pem());
    auto const checked = e2e::run({MDMD_BIN, "--config", (place / "config.yaml").string(), "--check-config"});
    CAPTURE(checked.err);
    CHECK(checked.code == 0);
    CHECK(checked.err == "");
}

TEST_CASE("mdmctl init overwrites nothing unless told to, and keeps what it replaces", "[e2e]") {
    test::scratch const folder;
    auto const file = folder.write("config.yaml", "# mine\n");
    auto arguments = init_arguments(folder.path());
    auto const refused = e2e::run(arguments);
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, Catch::Contains("config.yaml is there already"));
    CHECK(test::read_file(file) == "# mine\n");
    CHECK_FALSE(std::filesystem::exists(folder.path() / "entra.key"));

    arguments.emplace_back("--force");
    CHECK(e2e::run(arguments).code == 0);
    CHECK(test::read_file(folder.path() / "config.yaml.bak") == "# mine\n");
    CHECK_THAT(test::read_file(file), Catch::Contains(tenant_id));

    // What a package installed is nobody's: it is filled in, and what keeps systemd from starting it goes.
    test::scratch const installed;
    installed.write("config.yaml", test::read_file(test::source("config/config.yaml")));
    auto const mark = installed.write("run-mdmctl-init", "");
    auto const unready = e2e::run({MDMD_BIN, "--config", (installed.path() / "config.yaml").string()});
    CHECK(unready.code == 1);
    CHECK_THAT(unready.err, Catch::Contains("`mdmctl init`"));
    CHECK(e2e::run(init_arguments(installed.path())).code == 0);
    CHECK_THAT(test::read_file(installed.path() / "config.yaml"), Catch::Contains(tenant_id));
    CHECK_FALSE(std::filesystem::exists(mark));
    CHECK_FALSE(std::filesystem::exists(installed.path() / "config.yaml.bak"));

    // A key alone is not overwritten either.
    test::scratch const other;
    other.write("entra.key", "the-only-copy\n");
    CHECK(e2e::run(init_arguments(other.path())).code == 1);
    CHECK(test::read_file(other.path() / "entra.key") == "the-only-copy\n");
    CHECK_FALSE(std::filesystem::exists(other.path() / "config.yaml"));
}

TEST_CASE("mdmctl init refuses what cannot be, and names what is missing, before it writes anything", "[e2e]") {
    struct row {
        char const* option;
        char const* value;  // nullptr: the option is left out
        char const* said;
    };
    for (auto const& r : {row{"--tenant-id", nullptr, "--tenant-id"}, row{"--host", nullptr, "--host"},
             row{"--key", nullptr, "--key"}, row{"--tenant-id", "contoso", "expected a GUID, got 'contoso'"},
             row{"--client-id", "1111", "expected a GUID"},
             row{"--host", "https://mdm.contoso.test", "without https://"}, row{"--host", "mdm contoso", "host name"},
             row{"--host", "mdm.contoso.test:8443", "without https://"},
             row{"--key", "0d000000-0000-0000-0000-000000000001", "secret's ID, not its value"},
             row{"--key", "two words", "without blanks"}}) {
        CAPTURE(r.option, r.value ? r.value : "-");
        test::scratch const folder;
        auto arguments = init_arguments(folder.path() / "etc");
        auto const at = std::find(arguments.begin(), arguments.end(), r.option);
        REQUIRE(at != arguments.end());
        if (r.value)
            *(at + 1) = r.value;
        else
            arguments.erase(at, at + 2);
        auto const got = e2e::run(arguments);
        CHECK(got.code == 2);
        CHECK(got.out == "");
        CHECK(std::count(got.err.begin(), got.err.end(), '\n') == 1);
        CHECK_THAT(got.err, Catch::Contains(r.said));
        CHECK_FALSE(std::filesystem::exists(folder.path() / "etc"));
        if (std::string_view(r.option) != "--key") CHECK_THAT(got.err, !Catch::Contains(client_secret));
    }
    test::scratch const folder;
    auto arguments = init_arguments(folder.path() / "etc");
    for (auto const* more : {"--app-id", "not a URI"}) arguments.emplace_back(more);
    CHECK_THAT(e2e::run(arguments).err, Catch::Contains("application ID URI"));
    arguments = init_arguments(folder.path() / "etc");
    for (auto const* more : {"--management-port", "443"}) arguments.emplace_back(more);
    CHECK_THAT(e2e::run(arguments).err, Catch::Contains("server.management_url: expected another host or port"));
    CHECK_FALSE(std::filesystem::exists(folder.path() / "etc"));
}

TEST_CASE("mdmctl init tells programs what it wrote, and takes the key from a file, a certificate too", "[e2e]") {
    test::scratch const folder;
    auto const id = sim::make_server(sim::make_authority("Application"), {"application"});
    for (auto const& content : {std::string(client_secret) + "\n", id.own.pem() + id.key.pem()}) {
        auto const place = folder.path() / std::to_string(content.size());
        auto arguments = init_arguments(place);
        auto const key = std::find(arguments.begin(), arguments.end(), "--key");
        *key = "--key-file";
        *(key + 1) = folder.write("key", content).string();
        for (auto const* more : {"--cloud", "usgov", "--app-id", "api://mdm", "--json"}) arguments.emplace_back(more);
        auto const got = e2e::run(arguments);
        CAPTURE(got.err);
        REQUIRE(got.code == 0);
        auto const said = json::parse(got.out);
        CHECK(said.at("config").as_string() == (place / "config.yaml").string());
        CHECK(said.at("key_file").as_string() == (place / "entra.key").string());
        CHECK(said.at("urls").at("terms_of_use") == e2e::terms_url);
        CHECK(said.at("urls").at("discovery") == e2e::discovery_url);
        CHECK(said.at("urls").at("compliance") == "https://mdm.contoso.test/compliance");
        CHECK(said.at("to_do").as_array().size() > 2);
        auto const text = test::read_file(place / "config.yaml");
        CHECK_THAT(text, Catch::Contains("\n  cloud: usgov\n"));
        CHECK_THAT(text, Catch::Contains("\n  app_id: \"api://mdm\"\n"));
        CHECK(mode_of(place / "entra.key") == 0600);
    }
}
