// What `mdmctl doctor` finds, check by check, against a tenant, a clock, names and a daemon that tests make up.
#include <sys/stat.h>
#include <fstream>

#include "service/doctor.hpp"
#include "store/check.hpp"
#include "test/crypto_support.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using service::verdict;
namespace json = boost::json;

namespace {

constexpr char key_text[] = "Abc~the-application-secret";
constexpr auto day = 24h;

// A chain of a leaf, an issuing authority and a root, and what is needed to break it.
struct server_chain {
    crypto::new_authority const& authority = test::contoso();
    test::leaf_options options{
        .extensions = {{NID_basic_constraints, "CA:FALSE"}, {NID_key_usage, "critical,digitalSignature"},
            {NID_ext_key_usage, "serverAuth"}, {NID_subject_alt_name, "DNS:mdm.test,DNS:*.example.test,IP:192.0.2.7"}},
        .common_name = "mdm.test",
        .to = 200 * day};
    bool with_issuing = true, with_root = false, out_of_order = false, root_is_trusted = true;

    std::string pem() const {
        auto const leaf = test::make_leaf(authority.issuing, authority.issuing_key, test::device_key(), options).pem();
        auto const issuing = with_issuing ? authority.issuing.pem() : "", root = with_root ? authority.root.pem() : "";
        return leaf + (out_of_order ? root + issuing : issuing + root);
    }
};

struct patient {
    test::scratch folder;
    manual_clock time{test::noon};
    config::settings s = test::appliance_fixture::default_configuration().settings;
    server_chain chain;
    std::map<std::string, std::string> no_address;
    std::vector<std::string> asked;  // method and URL without its query
    std::set<std::string> roles{
        "Device.ReadWrite.All", "Application.Read.All", "GroupMember.Read.All", "User.Read.All", "Policy.Read.All"};
    std::chrono::seconds their_clock{0};  // ahead of ours by so much
    std::optional<std::string> key_end = "2026-12-01T00:00:00Z";
    std::string app_id = "https://mdm.test";
    std::map<std::string, http::response> answers;  // by what the URL has in it, instead of the usual
    std::map<std::string, error> failures;          // likewise
    result<service::daemon_answer> daemon = service::daemon_answer{"1.2.3", ""};

    patient() {
        s.entra.key.text = secret(key_text);
        s.storage.path = folder.path() / "mdmd.db";
        s.file = folder.write("config.yaml", "");
        s.entra.key_file = folder.write("entra.key", std::string(key_text) + "\n");
        store::database const made(store::sqlite_engine(s.storage.path));
    }

    result<http::response> answer(http::call const& c) {
        asked.push_back(c.method + " " + c.url.substr(0, c.url.find('?')));
        for (auto const& [part, why] : failures)
            if (c.url.find(part) != c.url.npos) return why;
        for (auto const& [part, given] : answers)
            if (c.url.find(part) != c.url.npos) return given;
        auto const ok = [&](json::value const& v) {
            http::response r{200, {{"Date", "Mon, 15 Jun 2026 12:00:00 GMT"}}, json::serialize(v)};
            if (their_clock != 0s) {
                auto const t = rfc3339(test::noon + their_clock);
                r.headers = {{"Date", fmt::format("Mon, 15 Jun 2026 {} GMT", t.substr(11, 8))}};
            }
            return r;
        };
        std::string const tenant = test::tenant_id;
        if (c.url.find("openid-configuration") != c.url.npos)
            return ok({{"issuer", "https://login.test/" + tenant + "/v2.0"}, {"jwks_uri", "https://login.test/keys"}});
        if (c.url.ends_with("/token")) {
            json::array granted;
            for (auto const& r : roles) granted.emplace_back(r);
            return ok({{"token_type", "Bearer"}, {"expires_in", 3599},
                {"access_token", "e30." + base64url(json::serialize(json::object{{"roles", granted}})) + ".c2ln"}});
        }
        if (c.url == "https://graph.test/v1.0/") return http::response{401, {}, "{}"};
        if (c.url.find("/applications(") != c.url.npos) {
            json::object o{{"identifierUris", json::array{app_id}}, {"passwordCredentials", json::array{}}};
            if (key_end)
                o["passwordCredentials"] = json::array{{{"keyId", "k"}, {"hint", "Abc"}, {"endDateTime", *key_end}}};
            return ok(o);
        }
        if (c.url.find("/mobileDeviceManagementPolicies/") != c.url.npos)
            return ok({{"termsOfUseUrl", "https://mdm.test/TermsOfUse"},
                {"discoveryUrl", "https://MDM.test/EnrollmentServer/Discovery.svc"},
                {"complianceUrl", "https://mdm.test/compliance/"}});
        return http::response{404, {}, "{}"};
    }

    std::vector<service::check> examine() {
        s.server.certificate_pem = chain.pem();
        auto const root = chain.root_is_trusted ? chain.authority.root.pem() : std::string();
        return service::examine(s, {.time = time,
                                       .out = [this](http::call const& c) { return answer(c); },
                                       .look_up =
                                           [this](std::vector<std::string> const& names) {
                                               std::map<std::string, std::string> out;
                                               for (auto const& n : names) out[n] = no_address[n];
                                               return out;
                                           },
                                       .daemon = [this] { return daemon; },
                                       .version = "1.2.3",
                                       .trusted_pem = root,
                                       .system_roots = false});
    }
    // The check of that name, or one named "" where it was not made.
    service::check examine(std::string const& name) {
        service::check found;
        for (auto const& c : examine()) {
            CAPTURE(c.name, c.detail, c.remedy);
            CHECK(c.remedy.empty() == (c.result == verdict::ok));
            CHECK(c.detail.find('\n') == c.detail.npos);
            CHECK((c.detail + c.remedy).find(key_text) == std::string::npos);
            if (c.name == name) found = c;
        }
        return found;
    }
};

std::string shown(service::check const& c) {
    constexpr std::array words{"ok", "warn", "fail"};
    return fmt::format("{} {}: {} | {}", words.at(static_cast<std::size_t>(c.result)), c.name, c.detail, c.remedy);
}

// A change, the check that must notice, its result, and words of its line and its remedy.
struct row {
    char const* what;
    std::function<void(patient&)> change;
    char const* name;
    verdict result;
    char const* says;
};

void judge(std::vector<row> const& rows) {
    for (auto const& r : rows) {
        patient p;
        r.change(p);
        auto const c = p.examine(r.name);
        CAPTURE(r.what, shown(c));
        CHECK(c.name == r.name);
        CHECK(c.result == r.result);
        CHECK_THAT(c.detail + " | " + c.remedy, Catch::Contains(r.says));
    }
}

http::response refusal(int code) {
    return {401, {}, fmt::format(R"({{"error":"invalid_client","error_codes":[{}]}})", code)};
}

}  // namespace

TEST_CASE("an installation that is in order passes every check", "[doctor]") {
    patient p;
    std::vector<std::string> names;
    for (auto const& c : p.examine()) {
        CAPTURE(shown(c));
        CHECK(c.result == verdict::ok);
        names.push_back(c.name);
    }
    CHECK(names == std::vector<std::string>{"file_modes", "dns", "tls_certificate", "tls_lifetime", "login", "clock",
                       "graph", "key", "key_end", "permissions", "app_id", "mdm_urls", "disk", "database", "daemon"});
}

TEST_CASE("files that others can read fail, with the command that mends it", "[doctor]") {
    struct row {
        char const* file;
        mode_t mode;
        char const* remedy;  // nullptr: the mode is fine
    };
    for (auto const& r : {row{"entra.key", 0644, "chmod 640 "}, row{"entra.key", 0660, "chmod 640 "},
             row{"entra.key", 0640, nullptr}, row{"mdmd.db", 0640, "chmod 600 "}, row{"mdmd.db", 0604, "chmod 600 "},
             row{"config.yaml", 0644, nullptr}}) {
        CAPTURE(r.file, r.mode);
        patient p;
        auto const path = (p.folder.path() / r.file).string();
        REQUIRE(::chmod(path.c_str(), r.mode) == 0);
        auto const c = p.examine("file_modes");
        CHECK(c.result == (r.remedy ? verdict::fail : verdict::ok));
        CHECK(c.remedy == (r.remedy ? r.remedy + path : ""));
    }
    patient p;
    p.s.entra.source = config::key_source::inline_value;
    REQUIRE(::chmod(p.s.file.c_str(), 0644) == 0);
    CHECK(p.examine("file_modes").result == verdict::fail);
    patient wal;
    wal.folder.write("mdmd.db-wal", "");
    REQUIRE(::chmod((wal.folder.path() / "mdmd.db-wal").c_str(), 0644) == 0);
    CHECK(wal.examine("file_modes").result == verdict::fail);
}

TEST_CASE("a name without an address fails where we go, and warns where devices come to", "[doctor]") {
    judge({
        {"our name", [](patient& p) { p.no_address["mdm.test"] = "unknown"; }, "dns", verdict::warn, "Devices must"},
        {"login's name", [](patient& p) { p.no_address["login.test"] = "unknown"; }, "dns", verdict::fail,
            "login.test has no address (unknown)"},
        {"behind a proxy the proxy's counts alone",
            [](patient& p) {
                p.s.entra.proxy = config::proxy{"proxy.test", 3128, {}};
                p.no_address["login.test"] = "unknown";
            },
            "dns", verdict::ok, "proxy.test"},
        {"the proxy's name",
            [](patient& p) {
                p.s.entra.proxy = config::proxy{"proxy.test", 3128, {}};
                p.no_address["proxy.test"] = "unknown";
            },
            "dns", verdict::fail, "proxy.test has no address"},
    });
    patient p;
    p.no_address["login.test"] = "unknown";
    p.no_address["graph.test"] = "unknown";
    CHECK(p.examine("login").result == verdict::fail);
    CHECK(p.asked.empty());  // what has no address is not called
}

TEST_CASE("the clock is held against Entra's", "[doctor]") {
    struct row {
        std::chrono::milliseconds ahead;
        verdict result;
    };
    for (auto const& r : {row{0s, verdict::ok}, row{60s, verdict::ok}, row{-60s, verdict::ok}, row{61s, verdict::warn},
             row{-61s, verdict::warn}, row{300s, verdict::warn}, row{301s, verdict::fail}, row{-301s, verdict::fail}}) {
        CAPTURE(r.ahead.count());
        CHECK(service::judge_clock(r.ahead) == r.result);
    }
    judge({
        {"behind", [](patient& p) { p.their_clock = 301s; }, "clock", verdict::fail, "301 s behind Entra's"},
        {"ahead", [](patient& p) { p.their_clock = -100s; }, "clock", verdict::warn, "100 s ahead of Entra's"},
        {"not told", [](patient& p) { p.failures["openid"] = fail(errc::unavailable, "time-out"); }, "clock",
            verdict::warn, "not known"},
    });
}

TEST_CASE("a certificate that Windows would not take is found", "[doctor]") {
    auto const extension = [](int which, char const* text) {
        return [which, text](patient& p) {
            for (auto& [id, value] : p.chain.options.extensions)
                if (id == which) value = text;
        };
    };
    judge({
        {"another name", extension(NID_subject_alt_name, "DNS:www.test"), "tls_certificate", verdict::fail,
            "not for mdm.test, but for www.test"},
        {"a name in the subject alone", [](patient& p) { p.chain.options.extensions.pop_back(); }, "tls_certificate",
            verdict::fail, "no subject alternative names"},
        {"one host of two", [](patient& p) { p.s.server.management_url.host = "mgmt.test"; }, "tls_certificate",
            verdict::fail, "not for mgmt.test"},
        {"a wildcard", [](patient& p) { p.s.server.management_url.host = "mgmt.example.test"; }, "tls_certificate",
            verdict::ok, ""},
        {"a wildcard is one label", [](patient& p) { p.s.server.management_url.host = "a.b.example.test"; },
            "tls_certificate", verdict::fail, "a.b.example.test"},
        {"an address", [](patient& p) { p.s.server.management_url.host = "192.0.2.7"; }, "tls_certificate", verdict::ok,
            "192.0.2.7"},
        {"for clients", extension(NID_ext_key_usage, "clientAuth"), "tls_certificate", verdict::fail, "serverAuth"},
        {"for encipherment alone", extension(NID_key_usage, "critical,keyEncipherment"), "tls_certificate",
            verdict::fail, "digitalSignature"},
        {"without the issuing authority", [](patient& p) { p.chain.with_issuing = false; }, "tls_certificate",
            verdict::warn, "ends before its root"},
        {"a root of one's own",
            [](patient& p) {
                p.chain.with_root = true;
                p.chain.root_is_trusted = false;
            },
            "tls_certificate", verdict::warn, "Windows must trust"},
        {"in the wrong order",
            [](patient& p) {
                p.chain.with_root = true;
                p.chain.out_of_order = true;
            },
            "tls_certificate", verdict::warn, "out of order"},
        {"ended", [](patient& p) { p.chain.options.to = -1s; }, "tls_lifetime", verdict::fail, "has ended"},
        {"ends within the first reminder", [](patient& p) { p.chain.options.to = 59 * day; }, "tls_lifetime",
            verdict::warn, "59 days"},
        {"not begun", [](patient& p) { p.chain.options.from = 1h; }, "tls_lifetime", verdict::fail, "not valid before"},
        {"for 400 days", [](patient& p) { p.chain.options.to = 400 * day; }, "tls_lifetime", verdict::warn, "398"},
        {"no reminders",
            [](patient& p) {
                p.s.key_reminders.clear();
                p.chain.options.to = 1 * day;
            },
            "tls_lifetime", verdict::ok, "1 day"},
    });
}

TEST_CASE("what stands between us and Entra is named, and what comes after it is not tried", "[doctor]") {
    auto const away = [](char const* detail) {
        return [detail](patient& p) {
            p.failures["login.test"] = fail(errc::unavailable, detail);
            p.failures["graph.test"] = p.failures["login.test"];
        };
    };
    auto const by_proxy = [&](char const* detail) {
        return [=](patient& p) {
            p.s.entra.proxy = config::proxy{"proxy.test", 3128, secret("user:a-password")};
            away(detail)(p);
        };
    };
    judge({
        {"silent", away("https://login.test/x: time-out after 5 s"), "login", verdict::fail,
            "login.test:443 (firewall)"},
        {"silent", away("https://login.test/x: time-out after 5 s"), "graph", verdict::fail, "time-out"},
        {"silent", away("https://login.test/x: time-out after 5 s"), "key", verdict::warn, "not tried"},
        {"a TLS proxy", away("https://login.test/x: TLS handshake: certificate verify failed"), "login", verdict::fail,
            "entra.ca_file"},
        {"no credentials", by_proxy("https://login.test/x: proxy proxy.test:3128 asks for credentials"), "proxy",
            verdict::fail, "entra.proxy_credentials_file"},
        {"wrong credentials", by_proxy("https://login.test/x: proxy proxy.test:3128 does not accept its credentials"),
            "proxy", verdict::fail, "Correct user and password"},
        {"not allowed", by_proxy("https://login.test/x: proxy proxy.test:3128 refuses CONNECT to login.test:443"),
            "proxy", verdict::fail, "allow CONNECT to login.test:443 and graph.test:443"},
        {"no proxy there", by_proxy("https://login.test/x: proxy proxy.test:3128 cannot be reached: refused"), "proxy",
            verdict::fail, "host and port"},
        {"login is not to blame", by_proxy("https://login.test/x: proxy proxy.test:3128 asks for credentials"), "login",
            verdict::fail, "see the check `proxy`"},
        {"the proxy works",
            [](patient& p) {
                p.s.entra.proxy = config::proxy{"proxy.test", 3128, {}};
            },
            "proxy", verdict::ok, "proxy.test:3128"},
        {"another tenant",
            [](patient& p) {
                p.answers["openid"] = {400, {}, "{}"};
            },
            "login", verdict::fail, "entra.tenant_id"},
        {"a sign-in page",
            [](patient& p) {
                p.answers["openid"] = {200, {}, "<html>"};
            },
            "login", verdict::fail, "sign-in page"},
        {"another issuer",
            [](patient& p) {
                p.answers["openid"] = {200, {}, R"({"issuer":"https://x.test/1/v2.0","jwks_uri":"https://x.test/k"})"};
            },
            "login", verdict::fail, "not that of the tenant"},
        {"Graph is out of order",
            [](patient& p) {
                p.answers["graph.test/v1.0/"] = {503, {}, ""};
            },
            "graph", verdict::warn, "503"},
    });
    patient p;
    p.failures["login.test"] = fail(errc::unavailable, "time-out");
    p.failures["graph.test"] = fail(errc::unavailable, "time-out");
    p.examine();
    CHECK(p.asked.size() == 2);  // each host was waited for once
}

TEST_CASE("a key that Entra refuses fails with the code, its meaning and the remedy", "[doctor]") {
    judge({
        {"wrong", [](patient& p) { p.answers["/token"] = refusal(7000215); }, "key", verdict::fail,
            "AADSTS7000215: the client secret is wrong"},
        {"wrong", [](patient& p) { p.answers["/token"] = refusal(7000215); }, "key", verdict::fail, "secret's value"},
        {"expired", [](patient& p) { p.answers["/token"] = refusal(7000222); }, "key", verdict::fail, "has expired"},
        {"Entra is out of order",
            [](patient& p) {
                p.answers["/token"] = {503, {}, ""};
            },
            "key", verdict::warn, "503"},
        {"without a token nothing is said of permissions", [](patient& p) { p.answers["/token"] = refusal(7000215); },
            "permissions", verdict::warn, "no token"},
        {"no next key", [](patient& p) { p.s.entra.next_key_file = p.folder.path() / "none"; }, "key", verdict::ok, ""},
        {"a good next key", [](patient& p) { p.s.entra.next_key_file = p.folder.write("next", "Next~secret\n"); },
            "next_key", verdict::ok, "takes it"},
        {"the same again",
            [](patient& p) { p.s.entra.next_key_file = p.folder.write("next", std::string(key_text) + "\n"); },
            "next_key", verdict::warn, "same as the current"},
        {"refused",
            [](patient& p) {
                p.s.entra.next_key_file = p.folder.write("next", "Next~secret\n");
                p.answers["/token"] = refusal(7000215);
            },
            "next_key", verdict::fail, "AADSTS7000215"},
    });
    patient p;
    p.s.entra.next_key_file = p.folder.path() / "none";
    CHECK(p.examine("next_key").name == "");
}

TEST_CASE("the key's end is Graph's, else the configuration's, and is told in time", "[doctor]") {
    auto const at = [](char const* text) { return parse_rfc3339(text); };
    judge({
        {"far", [](patient&) {}, "key_end", verdict::ok, "2026-12-01T00:00:00Z (from Graph)"},
        {"near", [](patient& p) { p.key_end = "2026-06-20T12:00:00Z"; }, "key_end", verdict::warn, "5 days"},
        {"over", [](patient& p) { p.key_end = "2026-06-15T11:59:59Z"; }, "key_end", verdict::fail, "has ended"},
        {"not among Graph's", [](patient& p) { p.key_end.reset(); }, "key_end", verdict::warn, "no key"},
        {"not among Graph's, but configured",
            [&](patient& p) {
                p.key_end.reset();
                p.s.entra.key_expires = at("2027-01-01T00:00:00Z");
            },
            "key_end", verdict::ok, "entra.key_expires"},
        {"not permitted",
            [](patient& p) {
                p.answers["/applications("] = {403, {}, "{}"};
            },
            "key_end", verdict::warn, "Application.Read.All"},
        {"Entra is away, but configured",
            [&](patient& p) {
                p.failures["login.test"] = fail(errc::unavailable, "time-out");
                p.s.entra.key_expires = at("2026-06-16T00:00:00Z");
            },
            "key_end", verdict::warn, "entra.key_expires"},
    });
}

TEST_CASE("permissions that are not granted are named with what is lost without them", "[doctor]") {
    auto const without = [](char const* role) { return [role](patient& p) { p.roles.erase(role); }; };
    judge({
        {"devices", without("Device.ReadWrite.All"), "permissions", verdict::fail, "may not report compliance"},
        {"devices", without("Device.ReadWrite.All"), "permissions", verdict::fail, "Grant admin consent"},
        {"the application", without("Application.Read.All"), "permissions", verdict::warn, "key's end"},
        {"groups", without("GroupMember.Read.All"), "permissions", verdict::warn, "groups of users"},
        {"users", without("User.Read.All"), "permissions", verdict::warn, "users cannot be looked up"},
        {"more than enough",
            [](patient& p) {
                p.roles = {"Device.ReadWrite.All", "Directory.Read.All"};
            },
            "permissions", verdict::ok, ""},
        {"none", [](patient& p) { p.roles.clear(); }, "permissions", verdict::fail, "granted: nothing"},
    });
}

TEST_CASE("what stands in the portal is compared as far as Graph shows it", "[doctor]") {
    judge({
        {"another application ID", [](patient& p) { p.app_id = "api://other"; }, "app_id", verdict::fail,
            "api://other"},
        {"a slash and case do not count", [](patient& p) { p.app_id = "https://MDM.test/"; }, "app_id", verdict::ok,
            ""},
        {"not permitted",
            [](patient& p) {
                p.answers["/applications("] = {403, {}, "{}"};
            },
            "app_id", verdict::warn, "must be https://mdm.test"},
        {"another discovery URL",
            [](patient& p) {
                p.answers["/mobileDevice"] = {200, {},
                    R"({"termsOfUseUrl":"https://mdm.test/TermsOfUse","discoveryUrl":"https://mdm.test/discovery.svc",
                        "complianceUrl":null})"};
            },
            "mdm_urls", verdict::fail,
            "the discovery URL is https://mdm.test/discovery.svc; the compliance URL is not set"},
        {"not permitted",
            [](patient& p) {
                p.answers["/mobileDevice"] = {403, {}, "{}"};
            },
            "mdm_urls", verdict::warn,
            "https://mdm.test/TermsOfUse, MDM discovery URL https://mdm.test/EnrollmentServer/Discovery.svc, MDM "
            "compliance URL https://mdm.test/compliance"},
    });
}

TEST_CASE("a damaged, foreign or newer database fails; one that is not there yet does not", "[doctor]") {
    auto const put = [](patient& p, std::string const& content) { p.folder.write("mdmd.db", content); };
    judge({
        {"absent", [](patient& p) { std::filesystem::remove(p.s.storage.path); }, "database", verdict::warn,
            "at its first start"},
        {"no database", [&](patient& p) { put(p, std::string(8192, 'x')); }, "database", verdict::fail, "damaged"},
        {"cut off", [&](patient& p) { put(p, test::read_file(p.s.storage.path).substr(0, 3 * 4096)); }, "database",
            verdict::fail, "damaged"},
        {"a page overwritten",
            [&](patient& p) {
                auto all = test::read_file(p.s.storage.path);
                REQUIRE(all.size() > 5 * 4096);
                std::fill(all.begin() + 4096, all.begin() + 2 * 4096, '\x55');
                put(p, all);
            },
            "database", verdict::fail, "restore the last backup"},
        {"a newer mdmd's",
            [](patient& p) {
                auto const db = store::sqlite_engine(p.s.storage.path)->connect(false);
                db->execute("PRAGMA user_version = 9999", {});
            },
            "database", verdict::fail, "schema version 9999"},
        {"another program's",
            [](patient& p) {
                auto const db = store::sqlite_engine(p.s.storage.path)->connect(false);
                db->execute("PRAGMA application_id = 7", {});
            },
            "database", verdict::fail, "not a database of mdmd"},
        {"no folder", [](patient& p) { p.s.storage.path = p.folder.path() / "none" / "mdmd.db"; }, "disk",
            verdict::fail, "No such file"},
    });
    patient p;
    store::database const open(store::sqlite_engine(p.s.storage.path));
    CHECK(p.examine("database").result == verdict::ok);  // while mdmd has it open, too
}

TEST_CASE("a disk that fills up is told of before it is full", "[doctor]") {
    constexpr std::uint64_t mib = 1024 * 1024, gib = 1024 * mib;
    struct row {
        std::uint64_t free, all;
        verdict result;
    };
    for (auto const& r : {row{50 * gib, 100 * gib, verdict::ok}, row{9 * gib, 100 * gib, verdict::warn},
             row{1 * gib, 5 * gib, verdict::ok}, row{gib - 1, 5 * gib, verdict::warn},
             row{100 * mib, 5 * gib, verdict::warn}, row{100 * mib - 1, 5 * gib, verdict::fail}}) {
        CAPTURE(r.free, r.all);
        CHECK(service::judge_space(r.free, r.all) == r.result);
    }
}

TEST_CASE("the daemon, the program that is notified and the extra roots are looked at", "[doctor]") {
    judge({
        {"not running", [](patient& p) { p.daemon = fail(errc::unavailable, "mdmd does not answer"); }, "daemon",
            verdict::warn, "systemctl enable --now mdmd"},
        {"an older one runs",
            [](patient& p) {
                p.daemon = service::daemon_answer{"1.2.2", ""};
            },
            "daemon", verdict::warn, "mdmd 1.2.2 runs, 1.2.3 is installed"},
        {"reports fail",
            [](patient& p) {
                p.daemon = service::daemon_answer{"1.2.3", "HTTP 403"};
            },
            "daemon", verdict::warn, "HTTP 403"},
        {"a program",
            [](patient& p) {
                p.s.notify.command = p.folder.write("notify", "#!/bin/sh\n");
                REQUIRE(::chmod(p.s.notify.command.c_str(), 0755) == 0);
            },
            "notify", verdict::ok, "can be run"},
        {"no program", [](patient& p) { p.s.notify.command = p.folder.path() / "none"; }, "notify", verdict::fail,
            "cannot be run"},
        {"roots that end",
            [](patient& p) {
                p.s.entra.ca_pem = p.chain.authority.root.pem();
                p.time.advance(p.chain.authority.root.not_after() - p.time.now() - 10 * day);
            },
            "ca_file", verdict::warn, "10 days"},
        {"roots that have ended",
            [](patient& p) {
                p.s.entra.ca_pem = p.chain.authority.root.pem();
                p.time.advance(p.chain.authority.root.not_after() - p.time.now() + 1s);
            },
            "ca_file", verdict::fail, "have ended"},
    });
}
