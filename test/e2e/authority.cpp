// The device authority as its operator meets it: over real TLS, with mdmctl, with files made by the openssl command.
#include <sys/stat.h>
#include <regex>

#include "core/text.hpp"
#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

std::string openssl(e2e::appliance const& a, std::string const& arguments) {
    auto const r =
        e2e::run({"/bin/sh", "-c", fmt::format("cd '{}' && openssl {} 2>&1", a.file("").string(), arguments)});
    INFO("openssl " << arguments << "\n" << r.out);
    REQUIRE(r.code == 0);
    return r.out;
}

// issuing.crt, for the key that there is, and chain.pem.
void certify(e2e::appliance const& a, int days) {
    openssl(a, fmt::format("x509 -req -in issuing.csr -CA root.crt -CAkey root.key -CAcreateserial -days {} -sha256 "
                           "-extfile issuing.ext -out issuing.crt",
                   days));
    a.write("chain.pem", test::read_file(a.file("issuing.crt")) + test::read_file(a.file("root.crt")));
}

// root.crt, issuing.crt and issuing.key of an authority of P-256, and chain.pem of the two certificates.
void make_authority(e2e::appliance const& a, std::string const& name) {
    openssl(
        a, fmt::format("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.crt "
                       "-days 3650 -subj '/O=Example/CN={} Root' -addext basicConstraints=critical,CA:TRUE -addext "
                       "keyUsage=critical,keyCertSign,cRLSign",
               name));
    openssl(
        a, fmt::format("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout issuing.key -out issuing.csr "
                       "-subj '/O=Example/CN={} Devices'",
               name));
    a.write("issuing.ext",
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
        "authorityKeyIdentifier=keyid\n");
    certify(a, 2000);
}

e2e::settings const from_files{{"authority.certificate_file", "chain.pem"}, {"authority.key_file", "issuing.key"}};

boost::json::object generation(e2e::appliance const& a, std::size_t at) {
    return a.ask({"ca", "show"}).at("value").as_array().at(at).as_object();
}
std::string text(boost::json::value const& v) { return std::string(v.as_string()); }

// One reload, taken.
void reload(e2e::appliance& a) {
    auto const before = a.log().size();
    a.reload();
    REQUIRE(e2e::becomes_true(10s, [&] { return a.log().find("configuration taken", before) != std::string::npos; }));
}

}  // namespace

TEST_CASE("devices of before and after a rollover connect, and the first renews onto the new authority", "[e2e]") {
    e2e::world w(e2e::settings{{"authority.key_type", "p256"}, {"enrollment.certificate_validity", "1441m"},
        {"enrollment.renewal_window", "24h"}});
    w.app->start();
    auto const first = joined(w, "ALICE-PC", "alice@contoso.test");
    e2e::require_clean(first->sync(w.sync()));
    auto const old = generation(*w.app, 0);
    CHECK(old.at("current") == true);
    CHECK(old.at("origin") == "own");
    CHECK(old.at("key_type") == "P-256");
    CHECK(old.at("devices") == 1);

    auto const rolled = w.app->mdmctl({"ca", "rollover"});
    CAPTURE(rolled.err);
    REQUIRE(rolled.code == 0);
    CHECK_THAT(rolled.out, Catch::Contains("issues from now on"));
    CHECK(generation(*w.app, 0).at("current") == true);
    CHECK(generation(*w.app, 0).at("root") == old.at("root"));
    CHECK(generation(*w.app, 1).at("fingerprint") == old.at("fingerprint"));
    CHECK(generation(*w.app, 1).at("current") == false);
    CHECK(generation(*w.app, 1).at("valid") == true);

    // Without a restart both are let in; and after one, both.
    auto const second = joined(w, "BOB-PC", "bob@contoso.test");
    for (bool const restarted : {false, true}) {
        CAPTURE(restarted);
        if (restarted) {
            REQUIRE(w.app->stop() == 0);
            w.app->start();
        }
        e2e::require_clean(first->sync(w.sync()));
        e2e::require_clean(second->sync(w.sync()));
        CHECK(generation(*w.app, 0).at("devices") == 1);
        CHECK(generation(*w.app, 1).at("devices") == 1);
    }
    CHECK(w.app->ask({"status"}).at("authority").at("ends") == generation(*w.app, 0).at("to"));

    auto const renewed = first->renew({.net = w.app->net()});
    INFO((renewed.failure ? renewed.failure->step + ": " + renewed.failure->text : ""));
    REQUIRE_FALSE(renewed.failure);
    e2e::require_clean(first->sync(w.sync()));
    CHECK(generation(*w.app, 0).at("devices") == 2);
    CHECK(generation(*w.app, 1).at("devices") == 0);
    CHECK(w.app->stop() == 0);
}

TEST_CASE("mdmctl ca shows and exports certificates, and never a key", "[e2e]") {
    e2e::world w;
    w.app->start();
    auto const g = generation(*w.app, 0);
    for (auto const& [flag, subjects] : std::vector<std::pair<std::string, std::vector<std::string>>>{
             {"--root", {text(g.at("root").at("subject"))}}, {"--issuing", {text(g.at("subject"))}},
             {"--chain", {text(g.at("subject")), text(g.at("root").at("subject"))}},
             {"", {text(g.at("subject")), text(g.at("root").at("subject"))}}}) {
        CAPTURE(flag);
        std::vector<std::string> arguments{"ca", "export"};
        if (!flag.empty()) arguments.push_back(flag);
        auto const r = w.app->mdmctl(arguments);
        REQUIRE(r.code == 0);
        CHECK(text(w.app->ask(arguments).at("pem")) == r.out);
        w.app->write("export.pem", r.out);
        auto const shown = openssl(*w.app, "crl2pkcs7 -nocrl -certfile export.pem | openssl pkcs7 -print_certs -noout");
        std::string wanted;
        for (auto const& s : subjects) wanted += s + ";";
        std::string got;
        for (auto const line : split(shown, '\n'))
            if (line.starts_with("subject=")) {
                auto name = std::string(line.substr(8));
                std::erase(name, ' ');
                got += name + ";";
            }
        std::erase(wanted, ' ');
        CHECK(got == wanted);
    }
    w.app->write("chain.pem", w.app->mdmctl({"ca", "export", "--chain"}).out);
    w.app->write("root.pem", w.app->mdmctl({"ca", "export", "--root"}).out);
    CHECK_THAT(openssl(*w.app, "verify -x509_strict -CAfile root.pem chain.pem"), Catch::Contains("OK"));
    auto const shown = w.app->mdmctl({"ca", "show"});
    CHECK(shown.code == 0);
    for (auto const* part : {"current, own, RSA 2048, 0 devices", "root CN=", "SHA-256 ", "serial 01"})
        CHECK_THAT(shown.out, Catch::Contains(part));
    CHECK(w.app->mdmctl({"ca", "export", "--root", "--issuing"}).code == 2);
    CHECK(w.app->mdmctl({"ca"}).code == 2);
    auto const everything = shown.out + boost::json::serialize(w.app->ask({"ca", "show"})) + w.app->log();
    CHECK_THAT(everything, !Catch::Contains("PRIVATE KEY"));
}

TEST_CASE(
    "an authority that openssl made takes over at a reload, and gives way again, without a device lost", "[e2e]") {
    e2e::world w(e2e::settings{{"authority.key_type", "p256"}});
    w.app->start();
    auto const before = joined(w, "ALICE-PC", "alice@contoso.test");
    make_authority(*w.app, "Example");
    w.app->configure(from_files);
    auto const checked = w.app->check_config();
    CAPTURE(checked.err);
    REQUIRE(checked.code == 0);
    reload(*w.app);
    auto const external = generation(*w.app, 0);
    CHECK(external.at("origin") == "external");
    CHECK(external.at("current") == true);
    CHECK(external.at("subject") == "CN=Example Devices,O=Example");
    auto const during = joined(w, "BOB-PC", "bob@contoso.test");
    auto const refused = w.app->mdmctl({"ca", "rollover"});
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, Catch::Contains("authority.certificate_file"));

    // A new one of theirs, as at their rollover; then none.
    make_authority(*w.app, "Second");
    reload(*w.app);
    CHECK(generation(*w.app, 0).at("subject") == "CN=Second Devices,O=Example");
    auto const later = joined(w, "CAROL-PC", "carol@contoso.test");
    w.app->configure({});
    reload(*w.app);
    auto const after = joined(w, "DAVE-PC", "dave@contoso.test");
    for (bool const restarted : {false, true}) {
        CAPTURE(restarted);
        if (restarted) {
            REQUIRE(w.app->stop() == 0);
            w.app->start();
        }
        for (auto const* d : {&before, &during, &later, &after}) e2e::require_clean((*d)->sync(w.sync()));
    }
    int own = 0;
    auto const shown = w.app->ask({"ca", "show"});
    for (auto const& g : shown.at("value").as_array()) {
        bool const is_own = g.at("origin") == "own";
        own += is_own;
        CHECK(g.at("devices") == (is_own ? 2 : 1));
        CHECK(g.at("current") == is_own);
    }
    CHECK(own == 1);
}

TEST_CASE("an authority that is certified anew for its key loses no device, and new ones hang on the new certificate",
    "[e2e]") {
    e2e::world w(e2e::settings{{"authority.key_type", "p256"}, {"enrollment.certificate_validity", "1441m"},
        {"enrollment.renewal_window", "24h"}});
    make_authority(*w.app, "Example");
    w.app->configure(from_files);
    w.app->start();
    auto const before = joined(w, "ALICE-PC", "alice@contoso.test");
    auto const old = generation(*w.app, 0);
    certify(*w.app, 3000);
    reload(*w.app);
    auto const anew = generation(*w.app, 0);
    CHECK(anew.at("subject") == old.at("subject"));
    CHECK(anew.at("fingerprint") != old.at("fingerprint"));
    CHECK(anew.at("current") == true);
    CHECK(generation(*w.app, 1).at("fingerprint") == old.at("fingerprint"));
    CHECK(generation(*w.app, 1).at("valid") == true);
    auto const after = joined(w, "BOB-PC", "bob@contoso.test");
    for (bool const restarted : {false, true}) {
        CAPTURE(restarted);
        if (restarted) {
            REQUIRE(w.app->stop() == 0);
            w.app->start();
        }
        for (auto const* d : {&before, &after}) e2e::require_clean((*d)->sync(w.sync()));
    }
    auto const renewed = before->renew({.net = w.app->net()});
    INFO((renewed.failure ? renewed.failure->step + ": " + renewed.failure->text : ""));
    REQUIRE_FALSE(renewed.failure);
    e2e::require_clean(before->sync(w.sync()));
}

TEST_CASE("files of an authority that cannot be used are told by --check-config, and not taken at a reload", "[e2e]") {
    e2e::world w(e2e::settings{{"authority.key_type", "p256"}});
    make_authority(*w.app, "Example");
    w.app->configure(from_files);
    REQUIRE(w.app->check_config().code == 0);
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    auto const good_chain = test::read_file(w.app->file("chain.pem"));
    auto const refused = [&](std::string const& line, std::string const& why) {
        CAPTURE(line, why);
        auto const r = w.app->check_config();
        CHECK(r.code == 1);
        CAPTURE(r.err);
        CHECK(std::regex_search(
            r.err, std::regex("^config\\.yaml(:[0-9]+:[0-9]+)?: authority\\." + line + ": expected ")));
        CHECK_THAT(r.err, Catch::Contains(why));
        auto const from = w.app->log().size();
        w.app->reload();
        CHECK(e2e::becomes_true(10s, [&] {
            auto const at = w.app->log().find("configuration not taken", from);
            return at != std::string::npos && w.app->log().find(why, from) != std::string::npos;
        }));
        CHECK(generation(*w.app, 0).at("subject") == "CN=Example Devices,O=Example");
    };
    w.app->write("chain.pem", test::read_file(w.app->file("issuing.crt")));
    refused("certificate_file", "the root that signed it");
    w.app->write("chain.pem", good_chain);
    auto const key = test::read_file(w.app->file("issuing.key"));
    w.app->write("issuing.key", test::read_file(w.app->file("root.key")));
    refused("key_file", "that of another certificate");
    w.app->write("issuing.key", key);
    REQUIRE(::chmod(w.app->file("issuing.key").c_str(), 0644) == 0);
    refused("key_file", "chmod");
    REQUIRE(::chmod(w.app->file("issuing.key").c_str(), 0600) == 0);

    // Its key encrypted, with and without the passphrase.
    openssl(*w.app, "pkey -in issuing.key -aes256 -passout pass:s1mS3cret-passphrase -out sealed.key");
    auto sealed = from_files;
    sealed["authority.key_file"] = "sealed.key";
    w.app->configure(sealed);
    refused("key_file", "authority.passphrase_file");
    sealed["authority.passphrase_file"] = "passphrase";
    w.app->configure(sealed);
    w.app->write("passphrase", "s1mS3cret-other\n");
    refused("key_file", "does not open");
    w.app->write("passphrase", "s1mS3cret-passphrase\n");
    REQUIRE(::chmod(w.app->file("passphrase").c_str(), 0644) == 0);
    refused("passphrase_file", "chmod");
    REQUIRE(::chmod(w.app->file("passphrase").c_str(), 0600) == 0);
    CHECK(w.app->check_config().code == 0);
    reload(*w.app);
    e2e::require_clean(d->sync(w.sync()));
    CHECK(joined(w, "BOB-PC", "bob@contoso.test")->enrolled());
}

TEST_CASE("mdmd does not start without the passphrase of the keys in its store, and says exactly that", "[e2e]") {
    e2e::world w(e2e::settings{{"authority.key_type", "p256"}, {"authority.passphrase_file", "passphrase"}});
    w.app->write("passphrase", "s1mS3cret-first\n");
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    REQUIRE(w.app->stop() == 0);
    CHECK_THAT(test::read_file(w.app->file("mdmd.db")), !Catch::Contains("BEGIN PRIVATE KEY"));

    auto const does_not_start = [&](std::string const& why) {
        auto const r = e2e::run({MDMD_BIN, "--config", w.app->config_file().string()});
        CAPTURE(r.err);
        CHECK(r.code == 1);
        CHECK_THAT(r.err,
            Catch::Contains("mdmd ends") && Catch::Contains("authority.passphrase_file") && Catch::Contains(why));
        CHECK_THAT(r.err, !Catch::Contains("s1mS3cret"));
    };
    w.app->configure({{"authority.passphrase_file", ""}});
    does_not_start("got none");
    w.app->configure({});
    w.app->write("passphrase", "s1mS3cret-wrong\n");
    does_not_start("got another one");

    // Another passphrase is taken by a reload, which knows the one before.
    w.app->write("passphrase", "s1mS3cret-first\n");
    w.app->start();
    w.app->write("passphrase", "s1mS3cret-second\n");
    reload(*w.app);
    REQUIRE(w.app->stop() == 0);
    w.app->start();
    e2e::require_clean(d->sync(w.sync()));
    CHECK(w.app->mdmctl({"ca", "rollover"}).code == 0);
}
