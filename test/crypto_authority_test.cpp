// Certificates, the device authority and what it accepts.
#include <algorithm>
#include <set>

#include "core/text.hpp"
#include "test/crypto_support.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

std::string const device_id = "0b2c7f0e-98a1-4a34-a7cb-53b8b9f8a001";

signing_request device_request() {
    static auto const request = parse_signing_request(make_request(device_key())).value();
    return request;
}

certificate issue(std::optional<std::string> upn = {}, std::chrono::seconds validity = 365 * 24h) {
    return issue_device_certificate(contoso_authority(), device_request(),
        {.common_name = device_id, .upn = std::move(upn), .validity = validity}, noon);
}

// openssl's own description of the certificate, without what is random or depends on the key.
std::string description(certificate const& c) {
    bio_handle const out(BIO_new(BIO_s_mem()));
    REQUIRE(X509_print_ex(out.get(), c.get().x509.get(), XN_FLAG_RFC2253,
                X509_FLAG_NO_SERIAL | X509_FLAG_NO_PUBKEY | X509_FLAG_NO_SIGDUMP) == 1);
    std::string text;
    auto const all = text_of(out.get());
    for (auto const line : split(all, '\n')) {
        bool const identifier = std::count(line.begin(), line.end(), ':') == 19;
        text += std::string(line.substr(0, line.find_last_not_of(' ') + 1)) + "\n";
        if (identifier) text = text.substr(0, text.size() - line.size() - 1) + "                (20 bytes)\n";
    }
    for (auto const& name : {contoso().root.common_name(), contoso().issuing.common_name()})
        for (std::size_t at; (at = text.find(name)) != text.npos;) text.replace(at + name.size() - 8, 8, "xxxxxxxx");
    return text;
}

}  // namespace

TEST_CASE("root, intermediate and device certificates have the profile that they should", "[crypto]") {
    matches_golden("crypto/root.txt", description(contoso().root));
    matches_golden("crypto/issuing.txt", description(contoso().issuing));
    matches_golden("crypto/device.txt", description(issue("user@contoso.com")));
}

TEST_CASE("a certificate says what it was made with", "[crypto]") {
    auto const c = issue();
    CHECK(c.subject() == "CN=" + device_id);
    CHECK(c.common_name() == device_id);
    CHECK(c.issuer() == contoso().issuing.subject());
    CHECK(rfc3339(c.not_before()) == "2026-06-15T11:00:00Z");
    CHECK(rfc3339(c.not_after()) == "2027-06-15T12:00:00Z");
    CHECK(c.thumbprint() == hex_upper(crypto::sha1(c.der())));
    CHECK(c.fingerprint() == hex(crypto::sha256(c.der())));
    CHECK(c.public_key_digest() == device_request().public_key_digest);
    CHECK(certificate::from_der(c.der()).value().fingerprint() == c.fingerprint());
    CHECK(certificate::from_pem("a comment\n" + c.pem() + contoso().root.pem()).value().der() == c.der());
}

TEST_CASE("serials are positive, over 64 bits and do not repeat", "[crypto]") {
    std::set<std::string> seen;
    for (int i = 0; i < 20; ++i) {
        auto const serial = issue().serial();
        CHECK(serial.size() == 34);
        CHECK(serial.substr(0, 2) == "01");
        seen.insert(serial);
    }
    CHECK(seen.size() == 20);
}

TEST_CASE("a device certificate does not outlive its issuer", "[crypto]") {
    CHECK(issue({}, 100 * 8766h).not_after() == contoso().issuing.not_after());
    auto const later = contoso().issuing.not_after();
    CHECK_THROWS_AS(issue_device_certificate(contoso_authority(), device_request(),
                        {.common_name = device_id, .upn = {}, .validity = 1h}, later),
        crypto_error);
}

TEST_CASE("a long organization is cut between characters", "[crypto]") {
    auto const made = make_authority("  " + std::string(39, 'x') + "ü GmbH & Co. KG", noon);
    CHECK(made.root.common_name().substr(0, 48) == std::string(39, 'x') + " Root CA ");
    CHECK(made.root.common_name().size() == 56);
}

TEST_CASE("what is not exactly one DER certificate is malformed", "[crypto]") {
    auto const good = contoso().root.der();
    // The same certificate with its outermost length in five bytes: BER.
    auto const ber = "\x30\x83" + std::string(1, '\0') + good.substr(2);
    auto const bad = GENERATE_COPY(std::string(), std::string("hello"), good.substr(0, good.size() - 1), good + '\0',
        good + good, ber, make_request(device_key()), std::string(70000, '0'));
    auto const got = certificate::from_der(bad);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::malformed);
    CHECK_FALSE(certificate::from_pem(bad));
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("a certificate of ours is accepted while it is valid", "[crypto]") {
    auto const c = issue();
    auto const ok = [&](time_point now) { return check_device_certificate(contoso_authority(), c, now).has_value(); };
    CHECK(ok(noon));
    CHECK(ok(c.not_before()));
    CHECK(ok(c.not_after() - 1s));
    CHECK_FALSE(ok(c.not_before() - 1s));
    CHECK_FALSE(ok(c.not_after() + 1s));
    CHECK(check_device_certificate(contoso_authority(),
        issue_device_certificate(contoso_authority(),
            parse_signing_request(make_request(private_key::make_p256())).value(),
            {.common_name = device_id, .upn = {}, .validity = 1h}, noon),
        noon));
}

TEST_CASE("a forged leaf is refused, and why is said", "[crypto]") {
    auto const& ours = contoso();
    auto const& key = device_key();
    auto const with = [](std::vector<std::pair<int, std::string>> extensions) {
        leaf_options o;
        o.extensions = std::move(extensions);
        return o;
    };
    auto const refused = [&](certificate const& c, std::string const& why) {
        auto const got = check_device_certificate(contoso_authority(), c, noon);
        CAPTURE(why);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::unauthenticated);
        CAPTURE(got.error().detail);
        CHECK(got.error().detail.find(why) != std::string::npos);
    };
    std::pair<int, std::string> const leaf{NID_basic_constraints, "CA:FALSE"};
    std::pair<int, std::string> const client{NID_ext_key_usage, "clientAuth"};

    REQUIRE(check_device_certificate(contoso_authority(), make_leaf(ours.issuing, ours.issuing_key, key, {}), noon));
    refused(make_leaf(ours.issuing, ours.issuing_key, key, with({{NID_basic_constraints, "CA:TRUE"}, client})),
        "authority");
    refused(make_leaf(ours.issuing, ours.issuing_key, key, with({leaf})), "client authentication alone");
    refused(make_leaf(ours.issuing, ours.issuing_key, key, with({leaf, {NID_ext_key_usage, "serverAuth"}})), "purpose");
    refused(make_leaf(ours.issuing, ours.issuing_key, key, with({leaf, {NID_ext_key_usage, "clientAuth,serverAuth"}})),
        "client authentication alone");
    refused(make_leaf(ours.issuing, ours.issuing_key, key, with({leaf, {NID_ext_key_usage, "anyExtendedKeyUsage"}})),
        "purpose");
    refused(
        make_leaf(ours.issuing, ours.issuing_key, key, with({leaf, client, {NID_key_usage, "critical,keyCertSign"}})),
        "purpose");
    refused(make_leaf(ours.issuing, ours.issuing_key, key,
                with({leaf, client, {OBJ_create("1.3.6.1.4.1.99999.1", "odd", "odd"), "critical,DER:0500"}})),
        "critical extension");
    leaf_options weak;
    weak.digest = EVP_sha1();
    refused(make_leaf(ours.issuing, ours.issuing_key, key, weak), "too weak");
    leaf_options later;
    later.from = 1h;
    refused(make_leaf(ours.issuing, ours.issuing_key, key, later), "not yet valid");
    leaf_options over;
    over.to = -1s;
    refused(make_leaf(ours.issuing, ours.issuing_key, key, over), "expired");

    refused(make_leaf(ours.root, ours.root_key, key, {}), "intermediate");
    refused(make_leaf(ours.issuing, private_key::make_rsa(2048), key, {}), "signature");
    auto const foreign = make_authority("Contoso", noon);
    refused(make_leaf(foreign.issuing, foreign.issuing_key, key, {}), "issuer");
    refused(ours.issuing, "");
    refused(ours.root, "");
    refused(foreign.root, "");

    // A device cannot issue for another device.
    auto const device = make_leaf(ours.issuing, ours.issuing_key, key, {});
    leaf_options second;
    second.common_name = "second";
    refused(make_leaf(device, key, key, second), "issuer");
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("an authority that names itself like ours is not ours", "[crypto]") {
    auto const& ours = contoso();
    auto const impostor_key = private_key::make_rsa(2048);
    // The same name as our intermediate, self-signed by another key: an issuer like any other to look at.
    x509_handle const x(X509_dup(ours.issuing.get().x509.get()));
    REQUIRE(X509_set_pubkey(x.get(), raw(impostor_key)) == 1);
    REQUIRE(X509_sign(x.get(), raw(impostor_key), EVP_sha256()) > 0);
    auto const impostor = certificate::from_der(to_der(x.get(), i2d_X509, "i2d_X509")).value();
    CHECK(impostor.subject() == ours.issuing.subject());
    auto const forged = issue_device_certificate({ours.root, impostor, impostor_key}, device_request(),
        {.common_name = device_id, .upn = {}, .validity = 1h}, noon);
    auto const got = check_device_certificate(contoso_authority(), forged, noon);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unauthenticated);
    // Nor does it stand under our root where it is put in the intermediate's place.
    CHECK_FALSE(check_device_certificate({ours.root, impostor, impostor_key}, forged, noon));
}
