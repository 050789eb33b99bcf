// The device authority over a real store: its generations, passphrases, files from elsewhere.
#include <atomic>
#include <thread>

#include "crypto/server_certificate.hpp"
#include "store/certificates.hpp"
#include "test/crypto_support.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

using kind_setting = decltype(config::settings{}.authority.key_type);
constexpr auto day = std::chrono::days(1);

// An authority as somebody else would bring it. P-256 throughout: made in no time.
struct brought {
    new_authority made;
    std::string chain_pem() const { return made.issuing.pem() + made.root.pem(); }
    void use(config::settings& s) const {
        s.authority.certificate_pem = chain_pem();
        s.authority.key_pem = made.issuing_key.to_pem();
    }
};
// The issuing certificate once more: another serial number and other days, signed by the same root.
crypto::certificate certified_anew(new_authority const& a, time_point now) {
    x509_handle const x(must(X509_dup(a.issuing.get().x509.get()), "X509_dup"));
    must(ASN1_INTEGER_set(X509_get_serialNumber(x.get()), 4711) == 1, "ASN1_INTEGER_set");
    must(ASN1_TIME_set(X509_getm_notBefore(x.get()), to_ms(now) / 1000) != nullptr, "ASN1_TIME_set");
    must(ASN1_TIME_set(X509_getm_notAfter(x.get()), to_ms(a.root.not_after()) / 1000) != nullptr, "ASN1_TIME_set");
    must(X509_sign(x.get(), raw(a.root_key), EVP_sha256()) > 0, "X509_sign");
    return certificate::from_der(to_der(x.get(), i2d_X509, "i2d_X509")).value();
}
brought bring(time_point now) { return {make_authority("Example", now, key_kind::p256)}; }

struct authority_fixture {
    authority_fixture() {
        log::configure(log::level::error);
        settings.server.public_url = {"https://mdm.test", "mdm.test", 443};
        settings.authority.key_type = kind_setting::p256;
    }
    scratch folder;
    manual_clock time{from_ms(1'800'000'000'000)};
    store::database db{store::sqlite_engine(folder.path() / "mdmd.db")};
    config::settings settings;

    std::unique_ptr<service::device_authority> start() {
        return std::make_unique<service::device_authority>(db, time, settings);
    }
    std::string failure_of_start() {
        try {
            start();
            return "";
        } catch (std::runtime_error const& e) {
            return e.what();
        }
    }
    std::vector<store::authority_part> stored() {
        return db.read([](store::connection& c) { return store::list_authorities(c); });
    }
    crypto::certificate issue(service::device_authority const& a, std::chrono::seconds validity = 365 * day) {
        return a.issue(csr(), {.common_name = "device", .upn = {}, .validity = validity}, time.now()).device;
    }
    static signing_request csr() { return parse_signing_request(make_request(private_key::make_p256())).value(); }
    // The certificate as that of an enrolled device.
    void keep(crypto::certificate const& c, std::string const& device, char const* state = "enrolled",
        std::optional<time_point> revoked = {}) {
        db.write([&](store::connection& connection) {
            if (!store::find_device(connection, device))
                store::add_device(connection, {.id = device, .state = state, .enrolled = time.now()});
            store::certificate row;
            row.fingerprint = c.fingerprint();
            row.device_id = device;
            row.serial = c.serial();
            row.pem = c.pem();
            row.not_before = c.not_before();
            row.not_after = c.not_after();
            row.request_digest = c.fingerprint();
            row.revoked = revoked;
            store::add_certificate(connection, row);
        });
    }
    // "own current valid 2; …", newest first.
    static std::string told(service::device_authority const& a) {
        std::string all;
        for (auto const& g : a.list())
            all += fmt::format("{}{}{} {}; ", g.what.own ? "own" : "external", g.current ? " current" : "",
                g.valid ? " valid" : "", g.devices);
        return all;
    }
    static std::size_t certificates_in(std::string const& pem) {
        return pem.empty() ? 0 : crypto::certificates_of(pem).value().size();
    }
    std::string database_text() {
        return read_file(folder.path() / "mdmd.db") + read_file(folder.path() / "mdmd.db-wal");
    }
};

}  // namespace

TEST_CASE_METHOD(authority_fixture, "the authority is made once, with keys of the kind that is set", "[service]") {
    settings.authority.key_type = GENERATE(kind_setting::rsa, kind_setting::p256);
    auto const first = start();
    bool const rsa = settings.authority.key_type == kind_setting::rsa;
    CHECK(first->current().issuing.key_type() == (rsa ? "RSA 2048" : "P-256"));
    CHECK(first->current().root.key_type() == (rsa ? "RSA 3072" : "P-256"));
    CHECK(told(*first) == "own current valid 0; ");
    // Another kind is for the keys to come.
    settings.authority.key_type = rsa ? kind_setting::p256 : kind_setting::rsa;
    auto const second = start();
    CHECK(second->current().issuing.fingerprint() == first->current().issuing.fingerprint());
    auto const next = second->rollover();
    REQUIRE(next);
    CHECK(next->issuing.key_type() == (rsa ? "P-256" : "RSA 2048"));
    CHECK(next->root.fingerprint() == first->current().root.fingerprint());
}

TEST_CASE_METHOD(
    authority_fixture, "after a rollover the new one issues and the old one's devices are good", "[service]") {
    auto a = start();
    auto const before = issue(*a);
    keep(before, "first");
    auto const old = a->current().issuing;
    std::vector<std::size_t> trusted;
    a->on_change([&] {
        trusted.push_back(certificates_in(a->client_authorities_pem()));
        CHECK(a->current().issuing.fingerprint() == old.fingerprint());  // nothing issues before it is trusted
    });
    CHECK(certificates_in(a->client_authorities_pem()) == 2);
    auto const next = a->rollover();
    REQUIRE(next);
    CHECK(trusted == std::vector<std::size_t>{3});
    CHECK(a->current().issuing.fingerprint() == next->issuing.fingerprint());
    auto const after = issue(*a);
    keep(after, "second");
    for (bool const restarted : {false, true}) {
        CAPTURE(restarted);
        if (restarted) a = start();
        CHECK(a->current().issuing.fingerprint() == next->issuing.fingerprint());
        CHECK(told(*a) == "own current valid 1; own valid 1; ");
        CHECK(a->check(before, time.now()));
        CHECK(a->check(after, time.now()));
        CHECK(a->issuer_of(before)->issuing.fingerprint() == old.fingerprint());
        CHECK(a->issuer_of(after)->issuing.fingerprint() == next->issuing.fingerprint());
        CHECK(after.issuer() == next->issuing.subject());
    }
    // The key of the one before is nowhere any more.
    for (auto const& p : stored())
        CHECK(p.key_pem.empty() == (p.role == "issuing" && p.fingerprint != next->issuing.fingerprint()));

    // When it has ended, it is trusted no longer, and is still told of.
    time.advance(old.not_after() - time.now() + 1s);
    CHECK(told(*a) == "own current 0; own 0; ");
    CHECK(certificates_in(a->client_authorities_pem()) == 1);  // TLS asks for something in any case
    CHECK_FALSE(a->check(before, time.now()));
}

TEST_CASE_METHOD(authority_fixture, "devices count once, and only where their certificate is good", "[service]") {
    auto const a = start();
    keep(issue(*a), "one");
    keep(issue(*a), "one");
    keep(issue(*a), "gone", "unenrolled");
    keep(issue(*a), "revoked", "enrolled", time.now());
    keep(issue(*a, 1h), "short");
    CHECK(told(*a) == "own current valid 2; ");
    REQUIRE(a->rollover());
    keep(issue(*a), "one");  // renewed: it hangs on both for a while
    time.advance(2h);
    CHECK(told(*a) == "own current valid 1; own valid 1; ");
}

TEST_CASE_METHOD(authority_fixture, "nobody else's certificate is the authority's", "[service][security]") {
    auto const a = start();
    REQUIRE(a->rollover());
    auto const now = time.now();
    auto const foreign = make_authority("mdm.test", now, key_kind::p256);
    auto const stranger = issue_device_certificate({foreign.root, foreign.issuing, foreign.issuing_key}, csr(),
        {.common_name = "device", .upn = {}, .validity = 1h}, now);
    CHECK_FALSE(a->issuer_of(stranger));
    for (auto const& c : {stranger, foreign.issuing, foreign.root, a->current().issuing, a->current().root}) {
        auto const got = a->check(c, now);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::unauthenticated);
    }
    CHECK(a->check(issue(*a), now));
}

TEST_CASE_METHOD(authority_fixture, "of generations that devices need, no more than handshakes can carry the names of",
    "[service]") {
    bool const external = GENERATE(false, true);
    CAPTURE(external);
    auto const a = start();
    std::vector<crypto::certificate> devices;
    auto const device_of_this = [&] {
        devices.push_back(issue(*a));
        keep(devices.back(), fmt::format("device{}", devices.size()));
    };
    auto const next = [&]() -> result<void> {
        if (!external) {
            auto const got = a->rollover();
            return got ? result<void>() : got.error();
        }
        auto other = settings;
        bring(time.now()).use(other);
        auto got = a->adopt(other);
        if (got) settings = other;
        return got;
    };
    device_of_this();
    for (int i = 1; i < 16; ++i) {
        REQUIRE(next());
        device_of_this();
    }
    auto const before = a->current().issuing.fingerprint();
    auto const names = certificates_in(a->client_authorities_pem());
    auto const refused = next();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::conflict);
    CHECK_THAT(refused.error().detail, Catch::Contains("mdmctl ca show") && Catch::Contains("at most 16"));
    CHECK(a->current().issuing.fingerprint() == before);
    CHECK(stored().size() == (external ? 2 + 15 * 2 : 1 + 16));
    if (external) {
        CHECK_THAT(refused.error().detail, Catch::StartsWith("authority.certificate_file: "));
        auto other = settings;
        bring(time.now()).use(other);
        CHECK_THROWS_WITH(service::device_authority(db, time, other),
            Catch::StartsWith("authority.certificate_file: ") && Catch::Contains("at most 16"));
    }

    // A device that leaves, and one whose certificate ends, make room, the oldest first.
    db.write([](store::connection& c) { store::set_device_state(c, "device3", "unenrolled"); });
    db.write([](store::connection& c) { store::set_device_state(c, "device5", "unenrolled"); });
    REQUIRE(next());
    device_of_this();
    CHECK(certificates_in(a->client_authorities_pem()) == names);
    CHECK_FALSE(a->check(devices[2], time.now()));
    for (std::size_t i = 0; i < devices.size(); ++i)
        if (i != 2) CHECK(a->check(devices[i], time.now()));
    auto const again = start();
    CHECK(told(*again) == told(*a));
    CHECK(again->client_authorities_pem() == a->client_authorities_pem());
    CHECK(a->list().at(14).valid == false);
    CHECK(a->list().at(14).ended == false);
    REQUIRE(next());  // in place of the fifth's
    device_of_this();
    CHECK_FALSE(next());
}

TEST_CASE_METHOD(
    authority_fixture, "what no device needs makes room, but not what issued until a moment ago", "[service]") {
    auto const a = start();
    auto const first = issue(*a);
    keep(first, "first");
    for (int i = 0; i < 40; ++i) {
        auto const on_its_way = issue(*a);  // its write comes when the next one issues already
        REQUIRE(a->rollover());
        CHECK(a->check(on_its_way, time.now()));
        CHECK(a->check(first, time.now()));
        CHECK(certificates_in(a->client_authorities_pem()) <= 1 + 16);
    }
    auto const all = a->list();
    CHECK(std::count_if(all.begin(), all.end(), [](auto const& g) { return g.valid; }) == 16);
}

TEST_CASE_METHOD(authority_fixture,
    "an authority from files that is certified anew for its key vouches for what was issued before", "[service]") {
    auto const theirs = bring(time.now());
    theirs.use(settings);
    auto a = start();
    auto const before = issue(*a);
    keep(before, "before");
    time.advance(30 * day);
    auto const anew = certified_anew(theirs.made, time.now());
    REQUIRE(anew.fingerprint() != theirs.made.issuing.fingerprint());
    settings.authority.certificate_pem = anew.pem() + theirs.made.root.pem();
    REQUIRE_FALSE(service::check_authority_files(settings, time.now()));
    REQUIRE(a->adopt(settings));
    for (bool const restarted : {false, true}) {
        CAPTURE(restarted);
        if (restarted) a = start();
        CHECK(a->current().issuing.fingerprint() == anew.fingerprint());
        CHECK(a->check(before, time.now()));
        CHECK(crypto::check_device_certificate(theirs.made.root, anew, before, time.now()));
        CHECK(a->issuer_of(before)->issuing.fingerprint() == anew.fingerprint());  // the chain that is good for longer
        CHECK(certificates_in(a->client_authorities_pem()) == 2);
        auto const made = a->issue(csr(), {.common_name = "device", .upn = {}, .validity = 365 * day}, time.now());
        CHECK(made.issuing.fingerprint() == anew.fingerprint());
        CHECK(crypto::check_device_certificate(made.root, anew, made.device, time.now()));
        CHECK(a->check(made.device, time.now()));
        CHECK(a->issuer_of(made.device)->issuing.fingerprint() == anew.fingerprint());
    }
    // Of one key the newest is enough: what it was certified by before makes room.
    keep(issue(*a), "after");
    for (int i = 0; i < 15; ++i) {
        auto other = settings;
        bring(time.now()).use(other);
        REQUIRE(a->adopt(other));
        keep(issue(*a), fmt::format("device{}", i));
    }
    CHECK(certificates_in(a->client_authorities_pem()) == 16);
    CHECK(a->check(before, time.now()));
    CHECK_THAT(a->client_authorities_pem(), Catch::Contains(anew.pem()) && !Catch::Contains(theirs.made.issuing.pem()));
}

TEST_CASE_METHOD(authority_fixture, "a root that has ended signs no new intermediate", "[service]") {
    auto const a = start();
    time.advance(a->current().root.not_after() - time.now() + 1s);
    auto const got = a->rollover();
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::conflict);
    CHECK_THAT(got.error().detail, Catch::Contains("ended at"));
}

TEST_CASE_METHOD(authority_fixture, "reading the authority beside rollovers gives whole snapshots", "[service]") {
    auto const a = start();
    std::atomic<bool> stop = false;
    std::atomic<int> torn = 0, seen = 0;
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([&] {
            while (!stop) {
                auto const got = a->issue(csr(), {.common_name = "d", .upn = {}, .validity = 1h}, time.now());
                if (!crypto::check_device_certificate(got.root, got.issuing, got.device, time.now()) ||
                    !a->check(got.device, time.now()) || a->client_authorities_pem().empty())
                    ++torn;
                ++seen;
            }
        });
    for (int i = 0; i < 10; ++i) CHECK(a->rollover());
    stop = true;
    for (auto& r : readers) r.join();
    CHECK(torn == 0);
    CHECK(seen > 0);
}

TEST_CASE_METHOD(authority_fixture, "with a passphrase no key is in the store in the open", "[service][security]") {
    settings.authority.passphrase = secret("correct horse");
    auto const a = start();
    REQUIRE(a->rollover());
    for (auto const& p : stored()) {
        if (p.key_pem.empty()) continue;
        CHECK(crypto::is_encrypted(p.key_pem));
        CHECK(crypto::private_key::from_pem(p.key_pem, settings.authority.passphrase));
    }
    CHECK_THAT(database_text(), !Catch::Contains("BEGIN PRIVATE KEY"));
    CHECK_THAT(database_text(), !Catch::Contains("correct horse"));
    CHECK(start()->current().issuing.fingerprint() == a->current().issuing.fingerprint());
}

TEST_CASE_METHOD(
    authority_fixture, "mdmd does not start without the passphrase of its keys, and says so", "[service][security]") {
    settings.authority.passphrase = secret("correct horse");
    auto const before = start()->current().issuing.fingerprint();
    settings.authority.passphrase = {};
    CHECK_THAT(failure_of_start(), Catch::StartsWith("authority.passphrase_file: ") && Catch::Contains("got none") &&
                                       Catch::Contains("authority-passphrase"));
    settings.authority.passphrase = secret("wrong horse");
    auto const why = failure_of_start();
    CHECK_THAT(why, Catch::StartsWith("authority.passphrase_file: ") && Catch::Contains("got another one"));
    CHECK_THAT(why, !Catch::Contains("horse") && !Catch::Contains("PRIVATE"));
    settings.authority.passphrase = secret("correct horse");
    CHECK(start()->current().issuing.fingerprint() == before);
}

TEST_CASE_METHOD(authority_fixture, "keys are encrypted at the first start with a passphrase", "[service][security]") {
    auto const before = start()->current().issuing.fingerprint();
    CHECK_FALSE(crypto::is_encrypted(stored()[0].key_pem));
    settings.authority.passphrase = secret("correct horse");
    auto const a = start();
    CHECK(a->current().issuing.fingerprint() == before);
    for (auto const& p : stored()) CHECK(crypto::is_encrypted(p.key_pem));
    settings.authority.passphrase = {};
    CHECK_THAT(failure_of_start(), Catch::Contains("got none"));
}

TEST_CASE_METHOD(
    authority_fixture, "a reload changes the passphrase, but does not take it away", "[service][security]") {
    settings.authority.passphrase = secret("old horse");
    auto const a = start();
    auto const before = a->current().issuing.fingerprint();
    auto next = settings;
    next.authority.passphrase = {};
    auto const refused = a->adopt(next);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().detail, Catch::StartsWith("authority.passphrase_file: "));
    CHECK(start()->current().issuing.fingerprint() == before);

    next.authority.passphrase = secret("new horse");
    CHECK(a->adopt(next));
    CHECK(a->rollover());
    CHECK_THAT(failure_of_start(), Catch::Contains("got another one"));
    settings = next;
    CHECK(start()->current().issuing.fingerprint() == a->current().issuing.fingerprint());
}

TEST_CASE_METHOD(
    authority_fixture, "an authority from files issues, and its root vouches for nobody else in TLS", "[service]") {
    auto const theirs = bring(time.now());
    theirs.use(settings);
    auto const a = start();
    CHECK(told(*a) == "external current valid 0; ");
    CHECK(a->current().issuing.fingerprint() == theirs.made.issuing.fingerprint());
    CHECK(a->client_authorities_pem() == theirs.made.issuing.pem());
    auto const device = issue(*a);
    CHECK(a->check(device, time.now()));
    for (auto const& p : stored()) CHECK(p.key_pem.empty());  // no key of anybody's is in the store

    auto const refused = a->rollover();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::conflict);
    CHECK_THAT(refused.error().detail,
        Catch::Contains("authority.certificate_file") && Catch::Contains("systemctl reload mdmd"));
}

TEST_CASE_METHOD(
    authority_fixture, "authorities follow one another at reloads, and what they issued stays good", "[service]") {
    auto a = start();
    std::vector<crypto::certificate> devices{issue(*a)};
    auto const own = a->current().issuing.fingerprint();
    std::vector<brought> theirs;
    int changes = 0;
    a->on_change([&] { ++changes; });
    for (int i = 0; i < 2; ++i) {
        theirs.push_back(bring(time.now()));
        theirs.back().use(settings);
        REQUIRE(a->adopt(settings));
        CHECK(a->current().issuing.fingerprint() == theirs.back().made.issuing.fingerprint());
        devices.push_back(issue(*a));
    }
    CHECK(changes == 2);
    CHECK(a->adopt(settings));  // the same again is no change
    CHECK(changes == 2);
    CHECK(told(*a) == "external current valid 0; external valid 0; own valid 0; ");
    CHECK(certificates_in(a->client_authorities_pem()) == 4);

    settings.authority.certificate_pem.clear();
    settings.authority.key_pem = {};
    REQUIRE(a->adopt(settings));
    CHECK(a->current().issuing.fingerprint() == own);
    devices.push_back(issue(*a));
    a = start();
    CHECK(a->current().issuing.fingerprint() == own);
    CHECK(told(*a) == "external valid 0; external valid 0; own current valid 0; ");
    for (auto const& d : devices) CHECK(a->check(d, time.now()));
}

TEST_CASE_METHOD(
    authority_fixture, "files that are not good are refused with the setting, and nothing changes", "[service]") {
    auto const a = start();
    auto const before = a->current().issuing.fingerprint();
    auto const theirs = bring(time.now());
    auto const others = bring(time.now());
    struct row {
        char const* what;
        std::function<void(config::settings&)> change;
        std::string key, why;
    };
    for (auto const& r : std::vector<row>{
             {"no root", [&](auto& s) { s.authority.certificate_pem = theirs.made.issuing.pem(); },
                 "authority.certificate_file", "got nothing"},
             {"root first",
                 [&](auto& s) { s.authority.certificate_pem = theirs.made.root.pem() + theirs.made.issuing.pem(); },
                 "authority.certificate_file", "intermediate authority first"},
             {"another's key", [&](auto& s) { s.authority.key_pem = others.made.issuing_key.to_pem(); },
                 "authority.key_file", "that of another certificate"},
             {"no key", [&](auto& s) { s.authority.key_pem = secret("x"); }, "authority.key_file", "in PEM"},
             {"a key without passphrase",
                 [&](auto& s) { s.authority.key_pem = theirs.made.issuing_key.to_pem(secret("correct horse")); },
                 "authority.key_file", "no authority.passphrase_file"},
             {"a key with another passphrase",
                 [&](auto& s) {
                     s.authority.key_pem = theirs.made.issuing_key.to_pem(secret("correct horse"));
                     s.authority.passphrase = secret("wrong");
                 },
                 "authority.key_file", "does not open"},
         }) {
        CAPTURE(r.what);
        auto s = settings;
        s.file = "/etc/mdmd/config.yaml";
        s.authority.certificate_file_at = {7, 3};
        theirs.use(s);
        r.change(s);
        auto const problem = service::check_authority_files(s, time.now());
        REQUIRE(problem);
        CHECK(problem->key == r.key);
        CHECK(problem->line == (r.key == "authority.certificate_file" ? 7 : 0));
        CHECK_THAT(problem->text, Catch::StartsWith("expected ") && Catch::Contains(r.why));
        CHECK_THAT(problem->text, !Catch::Contains("horse"));
        auto const adopted = a->adopt(s);
        REQUIRE_FALSE(adopted);
        CHECK_THAT(adopted.error().detail, Catch::StartsWith(r.key + ": ") && Catch::Contains(r.why));
        CHECK_THROWS_WITH(service::device_authority(db, time, s), Catch::StartsWith(r.key + ": "));
    }
    CHECK(a->current().issuing.fingerprint() == before);
    CHECK(stored().size() == 2);
    CHECK_FALSE(service::check_authority_files(settings, time.now()));
    auto good = settings;
    theirs.use(good);
    CHECK_FALSE(service::check_authority_files(good, time.now()));
}

TEST_CASE_METHOD(authority_fixture,
    "a device certificate ends with its authority, and the log says that it is shortened", "[service]") {
    auto const a = start();
    std::vector<std::string> warned;
    log::configure([&](log::record const& r) {
        if (r.severity == log::level::warning) warned.emplace_back(r.message);
    });
    log::configure(log::level::warning);
    CHECK(issue(*a).not_after() == std::chrono::floor<std::chrono::seconds>(time.now() + 365 * day));
    CHECK(warned.empty());
    time.advance(crypto::end_of(a->current()) - time.now() - 100 * day);
    CHECK(issue(*a).not_after() == crypto::end_of(a->current()));
    CHECK(warned.size() == 1);
    CHECK_THAT(warned.at(0), Catch::Contains("shortened"));
    REQUIRE(a->rollover());  // and that is the cure
    CHECK(issue(*a).not_after() == std::chrono::floor<std::chrono::seconds>(time.now() + 365 * day));
    CHECK(warned.size() == 1);
    log::configure(log::sink(log::to_text));
    log::configure(log::level::error);
}

TEST_CASE_METHOD(
    appliance_fixture, "the same enrollment after a rollover gets its chain, the next one the new", "[service]") {
    auto const issuing_of = [](http::response const& r) {
        REQUIRE(r.status == 200);
        auto const document = unbase64(between(r.body, "#base64binary\">", "</")).value();
        return crypto::certificate::from_der(
            unbase64(between(document.substr(document.find("type=\"CA\"")), "EncodedCertificate\" value=\"", "\""))
                .value())
            .value();
    };
    auto const old = appliance->ctx.authority().issuing;
    enrollment const first{.blob = accept_terms(true), .token = device_token()};
    CHECK(issuing_of(enroll(first)).fingerprint() == old.fingerprint());
    auto const next = appliance->ctx.authorities().rollover().value();
    CHECK(appliance->ends.end_of("authority") == next.issuing.not_after());
    auto const again = enroll(first);
    CHECK(issuing_of(again).fingerprint() == old.fingerprint());
    auto const device = crypto::certificate::from_der(certificate_of(again)).value();
    CHECK(device.issuer() == old.subject());

    auto const second = enroll({.blob = accept_terms(true), .token = device_token(), .csr = rsa_key().request()});
    CHECK(issuing_of(second).fingerprint() == next.issuing.fingerprint());
    CHECK(crypto::certificate::from_der(certificate_of(second)).value().issuer() == next.issuing.subject());
}
