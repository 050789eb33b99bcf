// What an administrator does to a running appliance: checks, reloads, stops.
#include <sys/stat.h>
#include <csignal>
#include <regex>

#include "core/text.hpp"
#include "e2e/appliance.hpp"
#include "e2e/tls_peer.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

std::string discovery_request() {
    return sim::discover_request("urn:uuid:0f0e0d0c-0b0a-0908-0706-050403020100", e2e::discovery_url,
        "alice@contoso.test", "4.0", "10.0.22631.3447", "4", {"OnPremise", "Federated"});
}

constexpr std::string_view probe = "GET /EnrollmentServer/Discovery.svc HTTP/1.1\r\nHost: mdm.contoso.test\r\n\r\n";

}  // namespace

TEST_CASE("mdmd --check-config lists every mistake of the configuration with its place", "[e2e]") {
    e2e::world w;
    CHECK(w.app->check_config().code == 0);

    w.app->write("config.yaml", test::read_file(w.app->config_file()) +
                                    "terms:\n  pin_code: 1\nenrollment:\n  max_devices_per_user: many\n"
                                    "management:\n  poll: 8 hours\nlisten: 443\n");
    // What stands where is told by counting lines.
    auto const text = test::read_file(w.app->config_file());
    auto const line_of = [&](std::string const& key) {
        auto const at = text.find(key);
        REQUIRE(at != text.npos);
        return std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1;
    };
    auto const r = w.app->check_config();
    CHECK(r.code == 1);
    CHECK_THAT(r.err, Catch::Contains(fmt::format("config.yaml:{}:3: terms.pin_code: ", line_of("pin_code"))));
    for (auto const* key : {"enrollment.max_devices_per_user", "management.poll"}) {
        auto const name = std::string(key).substr(std::string(key).find('.') + 1);
        CAPTURE(r.err, key);
        CHECK(std::regex_search(
            r.err, std::regex(fmt::format("config\\.yaml:{}:[0-9]+: {}: expected [^\n]+, got ", line_of(name), key))));
    }
    CHECK_THAT(r.err, Catch::Contains(fmt::format("config.yaml:{}:1: listen: ", line_of("\nlisten") + 1)));
    for (auto const line : split(trim(r.err), '\n')) {
        CAPTURE(line);
        CHECK(std::regex_search(std::string(line), std::regex("^config\\.yaml:[0-9]+:[0-9]+: [a-z_.]+: ")));
    }
}

TEST_CASE("a key that others can read is an error that says how to mend it, not what the key is", "[e2e]") {
    e2e::world w;
    for (auto const* name : {"entra.key", "server.key"}) {
        CAPTURE(name);
        REQUIRE(::chmod(w.app->file(name).c_str(), 0644) == 0);
        auto const r = w.app->check_config();
        CHECK(r.code == 1);
        CHECK(std::regex_search(r.err, std::regex("^config\\.yaml:[0-9]+:[0-9]+: [a-z_.]+key[a-z_]*: .*chmod 640 ")));
        CHECK_THAT(r.err + r.out, !Catch::Contains(w.tenant.secret()));
        REQUIRE(::chmod(w.app->file(name).c_str(), 0640) == 0);
        CHECK(w.app->check_config().code == 0);
    }
}

TEST_CASE("an application's certificate with another one's key is told by --check-config", "[e2e]") {
    e2e::world w;
    auto const rsa = sim::private_key::rsa(2048);
    w.app->write("app.crt", sim::self_signed(rsa, "mdmd").pem());
    w.app->configure(
        {{"entra.key_file", ""}, {"entra.certificate_file", "app.crt"}, {"entra.certificate_key_file", "server.key"}});
    auto const r = w.app->check_config();
    CHECK(r.code == 1);
    CHECK_THAT(r.err, Catch::StartsWith("config.yaml: entra.certificate_key_file: expected a certificate and its"));
    w.app->write("app.key", rsa.pem());
    w.app->configure(
        {{"entra.key_file", ""}, {"entra.certificate_file", "app.crt"}, {"entra.certificate_key_file", "app.key"}});
    CHECK(w.app->check_config().code == 0);
}

TEST_CASE("mdmctl ends with 0 when it is done, 1 when it was refused, 2 when it was called wrongly", "[e2e]") {
    e2e::world w;
    auto const down = w.app->mdmctl({"status"});
    CHECK(down.code == 1);
    CHECK_THAT(down.err, Catch::Contains("is it running"));
    w.app->start();
    for (auto const& arguments : std::vector<std::vector<std::string>>{
             {"status"}, {"devices", "list"}, {"compliance", "list"}, {"events", "list", "--json"}, {"--help"}}) {
        CAPTURE(arguments);
        auto const r = w.app->mdmctl(arguments);
        CHECK(r.code == 0);
        CHECK(r.err == "");
    }
    for (auto const& arguments : std::vector<std::vector<std::string>>{{"devices", "show", "NOBODY"},
             {"devices", "send", "NOBODY", "get", "./DevDetail/SwV"}, {"events", "show", "x", "--json"}}) {
        CAPTURE(arguments);
        auto const r = w.app->mdmctl(arguments);
        CHECK(r.code == 1);
        CHECK(r.out == "");
        CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
    }
    for (auto const& arguments : std::vector<std::vector<std::string>>{{}, {"frobnicate"}, {"devices"},
             {"devices", "show"}, {"devices", "send", "X", "shout", "./DevDetail"}, {"devices", "show", ""}}) {
        CAPTURE(arguments);
        auto const r = w.app->mdmctl(arguments);
        CHECK(r.code == 2);
        CHECK(r.err != "");
    }
}

TEST_CASE("mdmctl explain knows errors of Windows, statuses of SyncML and codes of Entra apart", "[e2e]") {
    e2e::world w;
    struct row {
        std::string text, kind, code;
    };
    for (auto const& r : std::vector<row>{{"0x80180013", "enrollment", "0x80180013"}, {"418", "syncml", "418"},
             {" 516 ", "syncml", "516"}, {"620", "syncml", "600-639"}, {"AADSTS7000222", "entra", "AADSTS7000222"},
             {"7000222", "entra", "AADSTS7000222"}, {"0x86000002", "windows", "0x86000002"},
             {"CFGMGR_E_COMMANDNOTALLOWED", "windows", "0x86000011"}}) {
        CAPTURE(r.text);
        auto const told = w.app->ask({"explain", r.text});
        CHECK(told.at("kind").as_string() == r.kind);
        CHECK(told.at("code").as_string() == r.code);
        CHECK_FALSE(told.at("meaning").as_string().empty());
        CHECK_FALSE(told.at("remedy").as_string().empty());
    }
    CHECK_THAT(w.app->mdmctl({"explain", "418"}).out,
        Catch::Contains("code                 418\nname                 Already exists\n") &&
            Catch::Contains("\nWhat to do: "));
    auto const unknown = w.app->mdmctl({"explain", "419"});
    CHECK(unknown.code == 1);
    CHECK_THAT(unknown.err, Catch::Contains("a status of SyncML such as 418"));
    CHECK_THAT(
        w.app->mdmctl({"explain"}).out, Catch::Contains("0x80180013") && Catch::Contains("Atomic rollback failed"));
}

TEST_CASE("a broken configuration is not taken at SIGHUP: the old one goes on, and the log says why", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    w.app->configure({{"enrollment.personal_devices", "block"}, {"enrollment.min_os_version", "eleven"}});
    w.app->reload();
    CHECK(w.app->logs("configuration not taken"));
    CHECK(std::regex_search(
        w.app->log(), std::regex("config\\.yaml:[0-9]+:[0-9]+: enrollment\\.min_os_version: expected ")));
    CHECK(joined(w, "BOB-LAPTOP", "bob@contoso.test", false)->enrolled());

    // A policy that cannot be is a reason too, and nothing of the rest is taken.
    w.app->configure({{"enrollment.personal_devices", "block"}});
    w.app->write("policies.d/bad.yaml", "name: bad\nsettings:\n  - { uri: nowhere, format: int, value: 8 }\n");
    w.app->reload();
    CHECK(w.app->logs("bad.yaml:3:"));
    CHECK(joined(w, "CAROL-LAPTOP", "carol@contoso.test", false)->enrolled());
    e2e::require_clean(d->sync(w.sync()));

    std::filesystem::remove(w.app->file("policies.d/bad.yaml"));
    w.app->reload();
    CHECK(w.app->logs("configuration taken"));
    CHECK_THROWS(joined(w, "DAVE-LAPTOP", "dave@contoso.test", false));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("what only a restart can change is refused at SIGHUP, and all goes on as before", "[e2e]") {
    struct row {
        char const* what;
        e2e::settings change;
        char const* said;
    };
    e2e::world w;
    w.app->start();
    for (auto const& r :
        {row{"TLS of the admin listener", {{"admin.tls_certificate", "server.crt"}, {"admin.tls_key", "server.key"}},
             "TLS of admin.listen is switched on or off with a restart only"},
            row{"storage.path", {{"storage.path", "other.db"}}, "change with a restart only"}}) {
        CAPTURE(r.what);
        w.app->configure(r.change);
        w.app->reload();
        CHECK(w.app->logs(r.said));
        CHECK(w.app->admin("/healthz").status == 200);
        CHECK(joined(w, r.what, "alice@contoso.test")->enrolled());
    }
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a new TLS certificate is served within two seconds of SIGHUP, and open connections stay", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    for (auto const* listener : {"public", "management"}) CHECK_NOTHROW(w.app->port(listener));
    e2e::tls_peer before(w.app->port("public"), e2e::host);
    REQUIRE(before.send(probe));
    CHECK_THAT(before.read_until("\r\n\r\n"), Catch::StartsWith("HTTP/1.1 200"));

    auto const fresh = sim::make_server(w.app->authority(), {e2e::host});
    REQUIRE(before.certificate() != fresh.own.der());
    w.app->write_certificate(fresh);
    w.app->reload();
    CHECK(e2e::becomes_true(
        2s, [&] { return e2e::tls_peer(w.app->port("public"), e2e::host).certificate() == fresh.own.der(); }));
    REQUIRE(before.send(probe));
    CHECK_THAT(before.read_until("\r\n\r\n"), Catch::StartsWith("HTTP/1.1 200"));
    e2e::require_clean(d->sync(w.sync()));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a request that has begun when SIGTERM comes is finished, and the exit code is 0", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const body = discovery_request();
    e2e::tls_peer client(w.app->port("public"), e2e::host);
    REQUIRE(client.send(
        fmt::format("POST /EnrollmentServer/Discovery.svc HTTP/1.1\r\nHost: {}\r\nContent-Type: "
                    "application/soap+xml; charset=utf-8\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            e2e::host, body.size())));
    REQUIRE_THAT(client.read_until("\r\n\r\n"), Catch::StartsWith("HTTP/1.1 100"));
    w.app->daemon().signal(SIGTERM);
    REQUIRE(w.app->logs("stopping"));
    // Nobody new is let in, but what has begun goes on.
    CHECK(e2e::becomes_true(10s, [&] {
        try {
            e2e::tls_peer(w.app->port("public"), e2e::host);
            return false;
        } catch (std::runtime_error const&) {
            return true;
        }
    }));
    CHECK_FALSE(w.app->daemon().ended());
    REQUIRE(client.send(body));
    auto const answer = client.read_to_end();
    CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 200"));
    CHECK_THAT(answer, Catch::Contains("DiscoverResponse"));
    CHECK_THAT(answer, Catch::Contains("Connection: close"));
    CHECK(w.app->daemon().wait(20s) == 0);
    CHECK_THAT(w.app->log(), Catch::Contains(" stopped"));
}

TEST_CASE("a login host that never answers does not hold up a stop", "[e2e]") {
    test::silent_port const nowhere;
    e2e::world w;
    w.app->start();
    w.app->configure({{"entra.login_url", fmt::format("https://127.0.0.1:{}", nowhere.number())}});
    w.app->reload();
    REQUIRE(nowhere.visited(10s));
    w.app->daemon().signal(SIGTERM);
    CHECK(w.app->daemon().wait(4s) == 0);  // each call alone would take longer than that
}

TEST_CASE("neither the client secret nor any token is in the log or in what mdmctl prints", "[e2e]") {
    e2e::world w(e2e::settings{{"log.level", "trace"}});
    w.app->write(
        "policies.d/baseline.yaml", "name: baseline\ncompliance:\n  rules:\n    - min_os_version: 10.0.19045\n");
    w.app->start();
    std::vector<std::string> hidden{w.tenant.secret()};

    // A whole life: consent, a refused token, two devices, sessions with the user's token in both places, reports.
    REQUIRE(w.tenant.add_user("alice@contoso.test"));
    auto const token = w.token("alice@contoso.test");
    auto const consent = w.visit(token);
    REQUIRE(consent.accepted);
    hidden.insert(hidden.end(), {token, consent.blob});
    sim::token_order expired;
    expired.upn = "alice@contoso.test";
    expired.lifetime = -1h;
    hidden.push_back(w.tenant.make(expired).value());
    CHECK_FALSE(w.visit(hidden.back()).accepted);
    auto const alice = joined(w, "ALICE-PC", "alice@contoso.test");
    for (bool const in_alert : {false, true}) {
        auto o = w.sync();
        o.tenant = w.access();
        o.token_in_alert = in_alert;
        e2e::require_clean(alice->sync(o));
    }
    REQUIRE(e2e::becomes_true(20s, [&] { return w.registered(alice->entra_device_id()).is_managed == true; }));

    // The key is refused, then replaced by another.
    w.tenant.set_secret(w.tenant.secret(), "refused");
    w.app->reload();
    CHECK(w.app->logs("configuration taken"));
    auto out = w.app->mdmctl({"compliance", "report"});
    std::string said = out.out + out.err;
    hidden.push_back("next~Secret.0123456789-abcdefghijklmn");
    w.tenant.add_secret(hidden.back(), from_ms(to_ms(system_clock().now()) + 86'400'000));
    w.app->write("entra.key", hidden.back() + "\n");
    w.app->reload();
    REQUIRE(e2e::becomes_true(20s, [&] { return w.app->mdmctl({"compliance", "report"}).code == 0; }));

    for (auto const& arguments :
        std::vector<std::vector<std::string>>{{"status"}, {"devices", "list"}, {"devices", "show", "ALICE-PC"},
            {"compliance", "list"}, {"events", "list"}, {"commands", "list", "ALICE-PC"}})
        for (bool const as_json : {false, true}) {
            auto all = arguments;
            if (as_json) all.emplace_back("--json");
            out = w.app->mdmctl(all);
            CHECK(out.code == 0);
            said += out.out + out.err;
        }
    said += w.app->check_config().out;
    CHECK(w.app->stop() == 0);
    auto const logged = w.app->log();
    CHECK(logged.size() > 1000);
    CHECK(said.size() > 1000);
    // Every token is a JWS, whose header begins with `{"`.
    hidden.insert(hidden.end(), {"eyJ", "Bearer ", "PRIVATE KEY", "client_secret"});
    for (auto const& h : hidden)
        for (auto const* text : {&logged, &std::as_const(said)}) {
            auto const at = text->find(h);
            INFO("found: " << (at == text->npos ? "" : text->substr(at > 100 ? at - 100 : 0, 120)));
            CHECK(at == text->npos);
        }
}
