#include "service/renewal.hpp"

#include <openssl/cms.h>

#include "crypto/renewal.hpp"
#include "test/crypto_support.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view session_body =
    R"(<Alert><CmdID>2</CmdID><Data>1201</Data></Alert><Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft/MDM/LoginStatus</Type></Meta><Data>user</Data></Item></Alert>)";

// A certificate with its key, as a device holds it.
struct held {
    crypto::certificate own;
    EVP_PKEY* key;
};

std::string sign(std::string const& content, held const& by) {
    handle<CMS_ContentInfo, CMS_ContentInfo_free> const cms([&] {
        bio_handle const in(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
        return must(CMS_sign(by.own.get().x509.get(), by.key, nullptr, in.get(), CMS_BINARY), "CMS_sign");
    }());
    return to_der(cms.get(), i2d_CMS_ContentInfo, "i2d_CMS_ContentInfo");
}

// A device of an hour within the renewal window.
struct renewal_fixture : appliance_fixture {
    held const device = enrolled();
    crypto::private_key const new_key = crypto::private_key::make_p256();
    std::string const csr = make_request(new_key);
    int session = 0;

    held enrolled() {
        certificate = enroll_one();
        auto const own = crypto::certificate::from_der(certificate).value();
        time.advance(
            std::chrono::duration_cast<std::chrono::milliseconds>(own.not_after() - 60 * 24h + 1h - time.now()));
        return {own, shared_key().get()};
    }

    http::response ask(std::string const& cms, std::string const& tls = {}) {
        auto r = request("POST", "/EnrollmentServer/Enrollment.svc",
            rst({.csr = cms,
                .request_type = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Renew",
                .binary_type = "PKCS7"}));
        r.peer_certificate = tls;
        return appliance->enroll.enroll(r);
    }
    http::response renew(held const& by, std::string const& with) { return ask(sign(with, by), by.own.der()); }
    held renewed(held const& by, crypto::private_key const& key) {
        auto const r = renew(by, make_request(key));
        return {crypto::certificate::from_der(certificate_of(r)).value(), raw(key)};
    }
    // The status of a management session's first message.
    int manage(held const& with) {
        certificate = with.own.der();
        return post(syncml(std::to_string(++session), 1, session_body)).status;
    }
    std::vector<store::certificate> certificates() {
        auto const id = device.own.common_name();
        return db.read([&](store::connection& c) { return store::list_certificates(c, id); });
    }
    std::ptrdiff_t valid() {
        auto const all = certificates();
        return std::count_if(all.begin(), all.end(), [&](auto const& c) { return c.valid_at(time.now()); });
    }
    store::event last_event() {
        auto const all = db.read([](store::connection& c) { return store::list_events(c); });
        REQUIRE_FALSE(all.empty());
        return all.front();
    }
    void require_refused(http::response const& r, std::string const& what, std::string const& why) {
        CHECK(r.status == 500);
        CHECK_THAT(r.body, Catch::Contains(what));
        CHECK_THAT(last_event().reason.value_or(""), Catch::Contains(why));
        time.advance(1ms);  // the next event is a later one
    }
    void set_state(char const* state) {
        db.write([&](store::connection& c) { store::set_device_state(c, device.own.common_name(), state); });
    }
};

}  // namespace

TEST_CASE_METHOD(renewal_fixture, "a device renews its certificate by the old one", "[service]") {
    auto const tls = GENERATE(true, false);
    auto const r = ask(sign(csr, device), tls ? device.own.der() : "");
    REQUIRE(r.status == 200);
    auto const made = crypto::certificate::from_der(certificate_of(r)).value();
    CHECK(made.subject() == device.own.subject());
    CHECK(crypto::principal_name(made) == crypto::principal_name(device.own));
    CHECK(made.public_key_digest() == crypto::parse_signing_request(csr)->public_key_digest);
    CHECK(made.not_after() == time.now() + 365 * 24h);
    CHECK(appliance->ctx.authorities().check(made, time.now()));
    auto const document = unbase64(between(r.body, "#base64binary\">", "</")).value();
    CHECK_THAT(
        document, Catch::Contains("<characteristic type=\"System\"><characteristic type=\"" + made.thumbprint()));
    CHECK_THAT(document, !Catch::Contains("type=\"Root\"") && !Catch::Contains("type=\"CA\""));
    CHECK_THAT(document, Catch::Contains("name=\"RenewPeriod\" value=\"60\"") && Catch::Contains("value=\"mdmd\""));
    CHECK_THAT(document, !Catch::Contains("AAUTHSECRET"));
    CHECK(valid() == 2);
}

TEST_CASE_METHOD(
    appliance_fixture, "a personal device's new certificate keeps its user's name and its store", "[service]") {
    auto const old = crypto::certificate::from_der(enroll_one(false)).value();
    REQUIRE(crypto::principal_name(old) == "user@contoso.com");
    time.advance(340 * 24h);
    auto const r = appliance->enroll.enroll(request("POST", "/EnrollmentServer/Enrollment.svc",
        rst({.csr = sign(make_request(crypto::private_key::make_p256()), {old, shared_key().get()}),
            .request_type = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Renew",
            .binary_type = "PKCS7"})));
    auto const made = crypto::certificate::from_der(certificate_of(r)).value();
    CHECK(crypto::principal_name(made) == "user@contoso.com");
    CHECK(made.subject() == old.subject());
    CHECK_THAT(unbase64(between(r.body, "#base64binary\">", "</")).value(),
        Catch::Contains("<characteristic type=\"User\"><characteristic type=\"" + made.thumbprint()));
}

TEST_CASE_METHOD(renewal_fixture, "old and new are both good until a session with the new one", "[service]") {
    auto const made = renewed(device, new_key);
    CHECK(manage(device) == 200);
    CHECK(manage(device) == 200);
    CHECK(valid() == 2);
    CHECK(manage(made) == 200);
    CHECK(valid() == 1);
    CHECK(manage(device) == 403);
    require_refused(renew(device, make_request(crypto::private_key::make_p256())), "NotEligibleToRenew", "revoked");
    CHECK(manage(made) == 200);
}

TEST_CASE_METHOD(renewal_fixture, "only a session that is one ends the old certificate", "[service]") {
    auto const made = renewed(device, new_key);
    certificate = made.own.der();
    CHECK(post("<nonsense/>").status == 400);
    CHECK(post(syncml("1", 1, session_body, true, "ANOTHERDEVICE")).status == 403);
    CHECK(valid() == 2);
    CHECK(manage(device) == 200);
}

TEST_CASE_METHOD(renewal_fixture, "a session in progress ends with the certificate that it began with", "[service]") {
    auto const made = renewed(device, new_key);
    certificate = device.own.der();
    REQUIRE(post(syncml("7", 1, session_body, false)).status == 200);
    CHECK(manage(made) == 200);
    certificate = device.own.der();
    CHECK(post(syncml("7", 2, "", true)).status == 403);
}

TEST_CASE_METHOD(
    renewal_fixture, "the same request again gets the same certificate, another one another", "[service]") {
    auto const first = certificate_of(renew(device, csr));
    CHECK(certificate_of(renew(device, csr)) == first);
    CHECK(certificates().size() == 2);
    appliance = start();
    CHECK(certificate_of(renew(device, csr)) == first);

    auto const made = renewed(device, crypto::private_key::make_p256());
    CHECK(made.own.der() != first);
    CHECK(valid() == 2);
    CHECK(manage({crypto::certificate::from_der(first).value(), raw(new_key)}) == 403);
    require_refused(renew(device, csr), "NotEligibleToRenew", "not a new one");
    CHECK(manage(device) == 200);
    CHECK(manage(made) == 200);
    CHECK(valid() == 1);
}

TEST_CASE_METHOD(renewal_fixture, "however often a device asks, two certificates are good and a few are remembered",
    "[service][security]") {
    for (int i = 0; i < 20; ++i) {
        REQUIRE(renew(device, make_request(crypto::private_key::make_p256())).status == 200);
        REQUIRE(valid() == 2);
    }
    CHECK(certificates().size() == 12);
    CHECK(manage(device) == 200);
}

TEST_CASE_METHOD(renewal_fixture, "a renewal by a new certificate ends the one before", "[service]") {
    auto const second = renewed(device, new_key);
    time.advance(310 * 24h);  // the first one has ended, the second was never used in a session
    auto const third = renewed(second, crypto::private_key::make_p256());
    CHECK(valid() == 2);
    CHECK(manage(third) == 200);
    CHECK(valid() == 1);
    CHECK(manage(second) == 403);
}

TEST_CASE_METHOD(renewal_fixture, "the window opens where it was set, and ends with the certificate", "[service]") {
    auto const end = device.own.not_after();
    auto const at = [&](time_point when) {
        time.advance(std::chrono::duration_cast<std::chrono::milliseconds>(when - time.now()));
        return renew(device, make_request(crypto::private_key::make_p256()));
    };
    SECTION("60 days") {
        require_refused(at(end - 61 * 24h), "NotEligibleToRenew", "can be renewed from");
        require_refused(at(end - 60 * 24h - 1h - 1s), "NotEligibleToRenew", "can be renewed from");
        CHECK(at(end - 60 * 24h - 1h).status == 200);  // as far as clocks may differ
        CHECK(at(end - 1s).status == 200);
        require_refused(at(end), "NotEligibleToRenew", "expired");
    }
    SECTION("as configured now") {
        config.settings.enrollment.renewal_window = 30s;
        reconfigure();
        require_refused(at(end - 32s), "NotEligibleToRenew", "can be renewed from");
        CHECK(at(end - 30s).status == 200);
    }
}

TEST_CASE_METHOD(renewal_fixture, "every renewal that may not be is refused as such", "[service][security]") {
    auto const other_key = crypto::private_key::make_rsa(2048);
    auto const& issuing = appliance->ctx.authority();
    auto const request_of_device = crypto::parse_signing_request(make_request(other_key)).value();
    auto const unknown = crypto::issue_device_certificate(
        issuing, request_of_device, {.common_name = device.own.common_name(), .upn = {}, .validity = 24h}, time.now());
    auto const foreign_ca = crypto::make_authority("mdm.test", time.now());
    auto const foreign = crypto::issue_device_certificate({foreign_ca.root, foreign_ca.issuing, foreign_ca.issuing_key},
        request_of_device, {.common_name = device.own.common_name(), .upn = {}, .validity = 24h}, time.now());
    auto const good = sign(csr, device);
    auto flipped = good;
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    auto const not_eligible = std::string("NotEligibleToRenew");

    SECTION("not a signed request") {
        for (auto const& bytes : {csr, good + "x", good.substr(0, 200), std::string("\x30\x00", 2)})
            require_refused(ask(bytes), "MessageFormat", "the signed request ");
    }
    SECTION("a signature that is not its signer's") { require_refused(ask(flipped), not_eligible, "signature"); }
    SECTION("a certificate of ours that is in no record") {
        require_refused(renew({unknown, raw(other_key)}, csr), not_eligible, "not one of this appliance's");
    }
    SECTION("a certificate of another authority") {
        require_refused(renew({foreign, raw(other_key)}, csr), not_eligible, "not one of this appliance's");
    }
    SECTION("a revoked certificate") {
        db.write([&](store::connection& c) { store::revoke_certificates(c, device.own.common_name(), time.now()); });
        require_refused(ask(good), not_eligible, "revoked");
    }
    SECTION("a device that is not enrolled any more") {
        auto const state = GENERATE("unenrolled", "replaced", "retired");
        set_state(state);
        require_refused(ask(good), not_eligible, state);
    }
    SECTION("another device's certificate in TLS") {
        require_refused(ask(good, unknown.der()), not_eligible, "another than the signer's");
    }
    SECTION("the key that it has") {
        require_refused(renew(device, shared_key().request()), not_eligible, "not a new one");
    }
    SECTION("a weak key") {
        require_refused(renew(device, make_request(crypto::private_key::make_rsa(1024))), not_eligible, "1024");
    }
    SECTION("a request that is not signed by its key") {
        require_refused(renew(device, make_request(raw(new_key), raw(crypto::private_key::make_p256()))), not_eligible,
            "not signed by the key");
    }
    SECTION("no request inside") { require_refused(renew(device, "no request"), "CertificateRequest", "PKCS#10"); }
    CHECK(valid() <= 1);
}

TEST_CASE_METHOD(renewal_fixture, "an event of a refused renewal names the device, once it is known", "[service]") {
    set_state("unenrolled");
    renew(device, csr);
    auto const e = last_event();
    CHECK(e.managed_device_id == device.own.common_name());
    CHECK(e.user_id == user_id);
    CHECK(e.entra_device_id == entra_device);
    CHECK(e.category == "authorization");
    CHECK(e.enrollment_type == "windowsAzureADJoin");
}

TEST_CASE_METHOD(renewal_fixture, "neither maintenance nor the rules of enrollment stop renewals", "[service]") {
    appliance->ctx.set_maintenance(true);
    config.settings.enrollment.enabled = false;
    config.settings.enrollment.personal_devices = false;
    config.settings.enrollment.max_devices_per_user = 1;
    reconfigure();
    CHECK(renew(device, csr).status == 200);
}

TEST_CASE_METHOD(renewal_fixture, "who renews gets the certificate policy without a password", "[service]") {
    enroll::username_token const nobody{.username = "user@contoso.com", .password = secret()};
    enroll::username_token const somebody{.username = "user@contoso.com", .password = secret("x")};
    auto const renewing = [&](std::string const& tls, enroll::credential const& c) {
        auto r = request("POST", "/EnrollmentServer/Policy.svc");
        r.peer_certificate = tls;
        return appliance->renew.renewing(r, c);
    };
    auto const own = device.own.der();
    auto const stranger = crypto::issue_device_certificate(appliance->ctx.authority(),
        crypto::parse_signing_request(csr).value(), {.common_name = "x", .upn = {}, .validity = 24h}, time.now());
    for (auto const& tls : {own, stranger.der(), std::string()}) {
        CHECK(renewing(tls, nobody));
        CHECK_FALSE(renewing(tls, somebody));
        CHECK_FALSE(renewing(tls, enroll::entra_token{secret("x")}));
        CHECK(renewing(tls, enroll::no_credential{}) == (tls == own));
    }
    CHECK_FALSE(renewing("no certificate", enroll::no_credential{}));
    // Why a certificate cannot be renewed is told where that is asked for.
    time.advance(61 * 24h);
    CHECK(renewing(own, enroll::no_credential{}));
    set_state("retired");
    CHECK(renewing(own, enroll::no_credential{}));
}

TEST_CASE_METHOD(
    renewal_fixture, "a renewal under a new intermediate brings it along, also when asked again", "[service]") {
    REQUIRE(appliance->ctx.authorities().rollover());
    auto const newer = appliance->ctx.authority().issuing;
    for (int i = 0; i < 2; ++i) {
        auto const r = renew(device, csr);
        auto const made = crypto::certificate::from_der(certificate_of(r)).value();
        CHECK(made.issuer() == newer.subject());
        auto const document = unbase64(between(r.body, "#base64binary\">", "</")).value();
        CHECK_THAT(document, Catch::Contains("type=\"CA\"><characteristic type=\"System\"><characteristic type=\"" +
                                             newer.thumbprint()));
        CHECK_THAT(document, !Catch::Contains("type=\"Root\""));
        if (i == 0) REQUIRE(appliance->ctx.authorities().rollover());
    }
}
