// Certificates, the device authority and what it accepts.
#include <fmt/format.h>
#include <openssl/core_names.h>
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

using key_id_handle = handle<AUTHORITY_KEYID, AUTHORITY_KEYID_free>;
using constraints_handle = handle<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>;
using usages_handle = handle<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;
using general_names_handle = handle<GENERAL_NAMES, GENERAL_NAMES_free>;

new_authority const& of_kind(key_kind kind) {
    static auto const p256 = make_authority("Contoso", noon, key_kind::p256);
    return kind == key_kind::rsa ? contoso() : p256;
}
authority without_root_key(new_authority const& a) { return {a.root, a.issuing, a.issuing_key}; }

enum class role { root, issuing, device };

// What a linter of certificates says: each finding is one requirement of RFC 5280 or of our profile that is not met.
class lint {
public:
    lint(certificate const& c, certificate const& issuer, role what, std::string_view upn = {})
        : x_(c.get().x509.get()), issuer_(issuer.get().x509.get()) {
        frame();
        names();
        times(X509_get0_notBefore(x_));
        times(X509_get0_notAfter(x_));
        key_identifiers();
        each_extension_once();
        uses(what, upn);
    }
    std::vector<std::string> findings;

private:
    void must_be(bool so, std::string what) {
        if (!so) findings.push_back(std::move(what));
    }
    template <class Handle, class T = typename Handle::element_type> Handle extension(int nid, bool critical) {
        int found = 0;
        Handle h(static_cast<T*>(X509_get_ext_d2i(x_, nid, &found, nullptr)));
        must_be(h != nullptr, fmt::format("{} is there once", OBJ_nid2sn(nid)));
        if (h)
            must_be((found == 1) == critical, fmt::format("{} is {}critical", OBJ_nid2sn(nid), critical ? "" : "not "));
        return h;
    }

    void frame() {  // 4.1.1, 4.1.2.1 to 4.1.2.3
        must_be(X509_get_version(x_) == X509_VERSION_3, "version 3");
        bn_handle const serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x_), nullptr));
        must_be(!BN_is_negative(serial.get()) && BN_num_bits(serial.get()) > 64, "serial positive, over 64 bits");
        must_be(i2d_ASN1_INTEGER(X509_get0_serialNumber(x_), nullptr) - 2 <= 20, "serial of at most 20 bytes");
        X509_ALGOR const* outer = nullptr;
        X509_get0_signature(nullptr, &outer, x_);
        must_be(
            X509_ALGOR_cmp(outer, X509_get0_tbs_sigalg(x_)) == 0, "the same signature algorithm inside and outside");
        bool const rsa = EVP_PKEY_is_a(X509_get0_pubkey(issuer_), "RSA");
        must_be(X509_get_signature_nid(x_) == (rsa ? NID_sha256WithRSAEncryption : NID_ecdsa_with_SHA256),
            "SHA-256 with the issuer's kind of key");
        int parameters = 0;
        X509_ALGOR_get0(nullptr, &parameters, nullptr, outer);
        must_be(parameters == (rsa ? V_ASN1_NULL : V_ASN1_UNDEF),
            "parameters of the signature algorithm");  // RFC 4055, 5758
        must_be(X509_verify(x_, X509_get0_pubkey(issuer_)) == 1, "signed by its issuer");
    }
    void names() {  // 4.1.2.4, 4.1.2.6, A.1
        must_be(X509_NAME_cmp(X509_get_issuer_name(x_), X509_get_subject_name(issuer_)) == 0, "the issuer's name");
        for (auto* const name : {X509_get_issuer_name(x_), X509_get_subject_name(x_)}) {
            must_be(X509_NAME_entry_count(name) == 1, "one name in the subject");
            for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
                auto const* const text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));
                auto const type = ASN1_STRING_type(text);
                must_be(type == V_ASN1_UTF8STRING || type == V_ASN1_PRINTABLESTRING, "UTF8String or PrintableString");
                std::string const value(reinterpret_cast<char const*>(ASN1_STRING_get0_data(text)),
                    static_cast<std::size_t>(ASN1_STRING_length(text)));
                must_be(is_utf8(value) && trim(value) == value && !value.empty() && value.size() <= 64,
                    "a common name of 1 to 64 characters without space around it");
            }
        }
        must_be(X509_get_ext_by_NID(x_, NID_issuer_alt_name, -1) < 0, "no issuer alternative name");
    }
    void times(ASN1_TIME const* t) {  // 4.1.2.5
        std::tm tm{};
        must_be(ASN1_TIME_to_tm(t, &tm) == 1, "a time");
        must_be(ASN1_STRING_type(t) == (tm.tm_year < 150 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME),
            "UTCTime before 2050, GeneralizedTime from then on");
        std::string const text(
            reinterpret_cast<char const*>(ASN1_STRING_get0_data(t)), static_cast<std::size_t>(ASN1_STRING_length(t)));
        must_be(text.size() == (tm.tm_year < 150 ? 13 : 15) && text.back() == 'Z', "times with seconds, in UTC");
        must_be(ASN1_TIME_compare(X509_get0_notBefore(x_), X509_get0_notAfter(x_)) < 0, "a beginning before the end");
        must_be(ASN1_TIME_compare(X509_get0_notAfter(x_), X509_get0_notAfter(issuer_)) <= 0,
            "an end not after its issuer's");
    }
    void key_identifiers() {  // 4.2.1.1, 4.2.1.2
        using octets_handle = handle<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
        auto const own = extension<octets_handle>(NID_subject_key_identifier, false);
        auto const above = extension<key_id_handle>(NID_authority_key_identifier, false);
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        X509_pubkey_digest(x_, EVP_sha1(), digest.data(), &size);
        must_be(own && std::string(reinterpret_cast<char const*>(own->data), static_cast<std::size_t>(own->length)) ==
                           std::string(reinterpret_cast<char const*>(digest.data()), size),
            "a subject key identifier by method 1");
        must_be(above && above->keyid && !above->issuer && !above->serial &&
                    ASN1_OCTET_STRING_cmp(above->keyid, X509_get0_subject_key_id(issuer_)) == 0,
            "the issuer's key identifier alone");
    }
    void each_extension_once() {  // 4.2
        std::set<std::string> seen;
        for (int i = 0; i < X509_get_ext_count(x_); ++i) {
            std::array<char, 128> oid{};
            OBJ_obj2txt(oid.data(), oid.size(), X509_EXTENSION_get_object(X509_get_ext(x_, i)), 1);
            must_be(seen.insert(oid.data()).second, fmt::format("extension {} once", oid.data()));
        }
    }
    void uses(role what, std::string_view upn) {  // 4.2.1.3, 4.2.1.6, 4.2.1.9, 4.2.1.12
        bool const is_authority = what != role::device;
        auto const constraints = extension<constraints_handle>(NID_basic_constraints, is_authority);
        must_be(constraints && (constraints->ca != 0) == is_authority, is_authority ? "CA:TRUE" : "CA:FALSE");
        auto const length = constraints && constraints->pathlen ? ASN1_INTEGER_get(constraints->pathlen) : -1;
        must_be(length == (what == role::root ? 1 : what == role::issuing ? 0 : -1), "the path length");
        using bits_handle = handle<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;
        extension<bits_handle>(NID_key_usage, true);
        bool const rsa = EVP_PKEY_is_a(X509_get0_pubkey(x_), "RSA");
        must_be(X509_get_key_usage(x_) == static_cast<std::uint32_t>(is_authority ? KU_KEY_CERT_SIGN | KU_CRL_SIGN
                                                                     : rsa ? KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT
                                                                           : KU_DIGITAL_SIGNATURE),
            "the key usage of its role and kind of key");
        if (is_authority) {
            must_be(X509_get_ext_by_NID(x_, NID_ext_key_usage, -1) < 0, "no extended key usage");
            return;
        }
        auto const usages = extension<usages_handle>(NID_ext_key_usage, false);
        must_be(usages && sk_ASN1_OBJECT_num(usages.get()) == 1 && X509_get_extended_key_usage(x_) == XKU_SSL_CLIENT,
            "client authentication alone");
        if (upn.empty()) {
            must_be(X509_get_ext_by_NID(x_, NID_subject_alt_name, -1) < 0, "no subject alternative name");
            return;
        }
        auto const others = extension<general_names_handle>(NID_subject_alt_name, false);
        must_be(others && sk_GENERAL_NAME_num(others.get()) == 1, "one subject alternative name");
        if (!others) return;
        ASN1_OBJECT* type = nullptr;
        ASN1_TYPE* value = nullptr;
        must_be(GENERAL_NAME_get0_otherName(sk_GENERAL_NAME_value(others.get(), 0), &type, &value) == 1 &&
                    OBJ_obj2nid(type) == NID_ms_upn && value->type == V_ASN1_UTF8STRING &&
                    std::string(reinterpret_cast<char const*>(value->value.utf8string->data),
                        static_cast<std::size_t>(value->value.utf8string->length)) == upn,
            "the UPN as UTF8String");
    }

    X509* x_;
    X509* issuer_;
};

using strings = std::vector<std::string>;

// What the openssl command prints in `folder`; its exit code is said where it is not 0.
std::string openssl(scratch const& folder, std::string const& arguments) {
    auto const command = fmt::format("cd '{}' && openssl {} 2>&1", folder.path().string(), arguments);
    std::string out;
    auto* const pipe = ::popen(command.c_str(), "r");
    REQUIRE(pipe);
    std::array<char, 4096> some{};
    while (auto const n = std::fread(some.data(), 1, some.size(), pipe)) out.append(some.data(), n);
    auto const code = ::pclose(pipe);
    return code == 0 ? out : fmt::format("{}(ended with {})", out, code);
}

}  // namespace

TEST_CASE("certificates of both kinds of keys meet every rule of their profile", "[crypto]") {
    auto const kind = GENERATE(key_kind::rsa, key_kind::p256);
    auto const& made = of_kind(kind);
    CAPTURE(made.issuing.key_type());
    CHECK(made.root.key_type() == (kind == key_kind::rsa ? "RSA 3072" : "P-256"));
    CHECK(made.issuing.key_type() == (kind == key_kind::rsa ? "RSA 2048" : "P-256"));
    CHECK(lint(made.root, made.root, role::root).findings == strings());
    CHECK(lint(made.issuing, made.root, role::issuing).findings == strings());
    scratch const folder;
    folder.write("root.pem", made.root.pem());
    folder.write("issuing.pem", made.issuing.pem());
    for (auto const& device : {device_key(), private_key::make_p256()})
        for (auto const* upn : {"", "user@contoso.com"}) {
            auto const request = parse_signing_request(make_request(device)).value();
            auto const c = issue_device_certificate(
                without_root_key(made), request, {.common_name = device_id, .upn = upn, .validity = 365 * 24h}, noon);
            CAPTURE(c.key_type(), upn);
            CHECK(lint(c, made.issuing, role::device, upn).findings == strings());
            CHECK(check_device_certificate(without_root_key(made), c, noon));
            folder.write("device.pem", c.pem());
            CHECK(openssl(folder, fmt::format("verify -x509_strict -purpose sslclient -auth_level 2 -check_ss_sig "
                                              "-attime {} -CAfile root.pem -untrusted issuing.pem device.pem",
                                      to_ms(noon) / 1000)) == "device.pem: OK\n");
        }
}

TEST_CASE("an intermediate of another kind of key stands under the same root", "[crypto]") {
    auto const kind = GENERATE(key_kind::rsa, key_kind::p256);
    auto const& first = of_kind(kind);
    auto const next = make_intermediate(
        "Contoso", first.root, first.root_key, kind == key_kind::rsa ? key_kind::p256 : key_kind::rsa, noon + 24h);
    CHECK(next.issuing.subject() != first.issuing.subject());
    CHECK(next.issuing.key_type() != first.issuing.key_type());
    CHECK(lint(next.issuing, first.root, role::issuing).findings == strings());
    authority const second{first.root, next.issuing, next.issuing_key};
    auto const request = parse_signing_request(make_request(device_key())).value();
    device_profile const profile{.common_name = device_id, .upn = {}, .validity = 24h};
    auto const of_first = issue_device_certificate(without_root_key(first), request, profile, noon + 24h);
    auto const of_second = issue_device_certificate(second, request, profile, noon + 24h);
    CHECK(lint(of_second, next.issuing, role::device).findings == strings());
    CHECK(check_device_certificate(second, of_second, noon + 25h));
    CHECK(check_device_certificate(without_root_key(first), of_first, noon + 25h));
    CHECK_FALSE(check_device_certificate(second, of_first, noon + 25h));
    CHECK_FALSE(check_device_certificate(without_root_key(first), of_second, noon + 25h));
}

TEST_CASE("an intermediate does not outlive its root", "[crypto]") {
    auto const& a = contoso();
    CHECK(make_intermediate("Contoso", a.root, a.root_key, key_kind::p256, a.root.not_after() - 24h)
              .issuing.not_after() == a.root.not_after());
    CHECK_THROWS_AS(make_intermediate("Contoso", a.root, a.root_key, key_kind::p256, a.root.not_after()), crypto_error);
}

TEST_CASE("the linter of these tests finds what is wrong", "[crypto]") {
    auto const& ours = contoso();
    leaf_options o;
    o.extensions = {{NID_basic_constraints, "critical,CA:TRUE"}, {NID_ext_key_usage, "clientAuth,serverAuth"},
        {NID_ext_key_usage, "clientAuth"}, {NID_key_usage, "keyCertSign"}};
    o.common_name = " x";
    o.to = -2h;
    auto const got = lint(make_leaf(ours.issuing, ours.issuing_key, device_key(), o), ours.issuing, role::device);
    for (auto const* wanted :
        {"serial positive, over 64 bits", "CA:FALSE", "keyUsage is critical", "basicConstraints is not critical",
            "extension 2.5.29.37 once", "client authentication alone", "the key usage of its role and kind of key",
            "subjectKeyIdentifier is there once", "a beginning before the end", "the issuer's key identifier alone",
            "a common name of 1 to 64 characters without space around it"}) {
        CAPTURE(wanted, got.findings);
        CHECK(std::count(got.findings.begin(), got.findings.end(), wanted) > 0);
    }
    CHECK(lint(ours.issuing, ours.root, role::root).findings == strings{"the path length"});
    CHECK(lint(ours.issuing, of_kind(key_kind::p256).root, role::issuing).findings.size() > 2);
}

TEST_CASE("an encrypted private key is opened by its passphrase alone", "[crypto][security]") {
    auto const key = GENERATE(0, 1) ? private_key::make_p256() : device_key();
    secret const passphrase("correct horse battery staple \xc3\xbc");
    auto const pem = key.to_pem(passphrase);
    CHECK(pem.reveal().substr(0, 38) == "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    CHECK(is_encrypted(pem));
    CHECK_FALSE(is_encrypted(key.to_pem()));
    CHECK(key.to_pem(passphrase).reveal() != pem.reveal());  // another salt
    auto const again = private_key::from_pem(pem, passphrase);
    REQUIRE(again);
    CHECK(EVP_PKEY_eq(raw(key), raw(*again)) == 1);
    CHECK(private_key::from_pem(key.to_pem(), passphrase));  // one that is not encrypted is read all the same

    for (auto const* wrong : {"", "correct horse", "correct horse battery staple", " "}) {
        auto const got = private_key::from_pem(pem, secret(wrong));
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::unauthenticated);
        CHECK(got.error().detail.find("horse") == std::string::npos);
    }
    CHECK_FALSE(private_key::from_pem(pem, secret(std::string(5000, 'x'))));
    CHECK(ERR_peek_error() == 0);

    // What the openssl command makes of it, and how it is made: nothing of the key can be had without scrypt.
    scratch const folder;
    folder.write("key.pem", std::string(pem.reveal()));
    folder.write("passphrase", std::string(passphrase.reveal()));
    CHECK(openssl(folder, "pkey -in key.pem -passin file:passphrase -noout -check") == "Key is valid\n");
    auto const form = openssl(folder, "asn1parse -in key.pem");
    for (auto const* part : {":PBES2", ":scrypt", ":05", ":4000", ":aes-256-cbc"}) {
        CAPTURE(form, part);
        CHECK(form.find(part) != std::string::npos);
    }
}

namespace {

// Authorities as administrators make them with the openssl command: roots, intermediates, and their keys.
struct made_elsewhere {
    scratch folder;
    time_point now = system_clock().now() + 1min;  // after all that openssl makes within the test

    made_elsewhere() {
        key("root");
        root("root", "Example Root", "critical,CA:TRUE");
        key("issuing");
        issue("issuing", "Example Device CA", "root");
    }
    std::string text(std::string const& name) const { return read_file(folder.path() / name); }
    void run(std::string const& arguments) const {
        auto const said = openssl(folder, arguments);
        INFO(arguments << "\n" << said);
        REQUIRE(said.find("(ended with") == said.npos);
    }
    void key(
        std::string const& name, std::string const& kind = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256") const {
        run(fmt::format("genpkey {} -out {}.key", kind, name));
    }
    void root(std::string const& name, std::string const& cn, std::string const& constraints,
        std::string const& more = "-days 3650") const {
        run(
            fmt::format("req -x509 -new -key {0}.key -subj '/O=Example/CN={1}' -out {0}.crt {3} "
                        "-addext 'basicConstraints={2}' -addext 'keyUsage=critical,keyCertSign,cRLSign'",
                name, cn, constraints, more));
    }
    struct wish {
        std::string constraints = "critical,CA:TRUE,pathlen:0";
        std::string usage = "critical,keyCertSign,cRLSign";
        std::string more = "subjectKeyIdentifier=hash";
        std::string options = "-sha256 -days 1000";
    };
    void issue(std::string const& name, std::string const& cn, std::string const& by, wish const& w) const {
        run(fmt::format("req -new -key {0}.key -subj '/O=Example/CN={1}' -out {0}.csr", name, cn));
        folder.write(name + ".ext", fmt::format("basicConstraints={}\nkeyUsage={}\nauthorityKeyIdentifier=keyid\n{}\n",
                                        w.constraints, w.usage, w.more));
        run(fmt::format(
            "x509 -req -in {0}.csr -CA {1}.crt -CAkey {1}.key -CAcreateserial -extfile {0}.ext -out {0}.crt {2}", name,
            by, w.options));
    }
    void issue(std::string const& name, std::string const& cn, std::string const& by) const { issue(name, cn, by, {}); }

    result<authority> import(std::string const& chain, std::string const& key_file = "issuing.key",
        std::string const& passphrase = "") const {
        std::string pem;
        for (auto const name : split(chain, ' '))
            if (!name.empty()) pem += text(std::string(name) + ".crt");
        return import_authority(pem, secret(text(key_file)), secret(passphrase), now);
    }
};

}  // namespace

TEST_CASE("an authority that the openssl command made is taken, and its devices verify strictly", "[crypto]") {
    made_elsewhere m;
    auto const kind = GENERATE(as<std::string>(), "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    CAPTURE(kind);
    m.key("issuing", kind);
    m.issue("issuing", "Example Device CA", "root");
    auto const a = m.import("issuing root");
    REQUIRE(a);
    CHECK(a->root.common_name() == "Example Root");
    auto const device = issue_device_certificate(
        *a, device_request(), {.common_name = device_id, .upn = "user@contoso.com", .validity = 365 * 24h}, m.now);
    m.folder.write("device.crt", device.pem());
    CHECK(openssl(m.folder,
              "verify -x509_strict -purpose sslclient -auth_level 2 -CAfile root.crt -untrusted "
              "issuing.crt device.crt") == "device.crt: OK\n");
    CHECK(check_device_certificate(*a, device, m.now + 1h));
    CHECK(device.not_before() >= a->issuing.not_before());

    // Its key in other forms: traditional, and encrypted.
    m.run("pkey -in issuing.key -traditional -out traditional.key");
    CHECK(m.import("issuing root", "traditional.key"));
    m.run("pkey -in issuing.key -aes256 -passout pass:secret -out sealed.key");
    CHECK(m.import("issuing root", "sealed.key", "secret"));
    for (auto const* wrong : {"", "secret2"}) {
        auto const got = m.import("issuing root", "sealed.key", wrong);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::unauthenticated);
        CAPTURE(got.error().detail);
        CHECK(got.error().detail.find("authority.passphrase_file") != std::string::npos);
        CHECK(got.error().detail.find("secret2") == std::string::npos);
    }
}

TEST_CASE("a device certificate ends with an imported root that ends before its intermediate", "[crypto]") {
    made_elsewhere m;
    m.root("root", "Example Root", "critical,CA:TRUE", "-days 10");
    m.issue("issuing", "Example Device CA", "root");
    auto const a = m.import("issuing root").value();
    CHECK(end_of(a) == a.root.not_after());
    auto const device = issue_device_certificate(
        a, device_request(), {.common_name = device_id, .upn = {}, .validity = 365 * 24h}, m.now);
    CHECK(device.not_after() == a.root.not_after());
}

TEST_CASE("what cannot be a device authority is refused, and why is said", "[crypto]") {
    made_elsewhere m;
    auto const refused = [&](std::string const& chain, errc code, std::string const& why,
                             std::string const& key = "issuing.key") {
        CAPTURE(chain, why);
        auto const got = m.import(chain, key);
        REQUIRE_FALSE(got);
        CAPTURE(got.error().detail);
        CHECK(got.error().code == code);
        CHECK(got.error().detail.starts_with("expected "));
        CHECK(got.error().detail.find(why) != std::string::npos);
        CHECK(got.error().detail.find("PRIVATE") == std::string::npos);
    };
    REQUIRE(m.import("issuing root"));
    refused("", errc::malformed, "no certificate in the PEM text");
    refused("root", errc::forbidden, "let it sign an intermediate", "root.key");
    refused("root issuing", errc::forbidden, "the certificate of an intermediate authority first");
    refused("issuing", errc::forbidden, "got nothing");
    refused("issuing issuing", errc::forbidden, "its issuer");
    refused("issuing root root", errc::forbidden, "one root when it enrolls");
    refused("issuing root", errc::conflict, "that of another certificate", "root.key");
    refused("issuing root", errc::unsupported, "in PEM", "issuing.crt");

    auto const issuing_like = [&](std::string const& why, made_elsewhere::wish const& w) {
        m.issue("other", "Example Device CA", "root", w);
        refused("other root", errc::forbidden, why, "other.key");
    };
    m.key("other");
    issuing_like("no authority's", {.constraints = "CA:FALSE", .usage = "critical,digitalSignature"});
    issuing_like("may not sign certificates", {.usage = "critical,cRLSign"});
    issuing_like("without one", {.more = "subjectKeyIdentifier=none"});
    issuing_like("with which one fails", {.more = "subjectKeyIdentifier=hash\nextendedKeyUsage=serverAuth"});
    issuing_like(
        "with which one fails", {.more = "subjectKeyIdentifier=hash\nnameConstraints=critical,permitted;dirName:d\n"
                                         "[d]\nO=Example"});
    issuing_like("with which one fails", {.options = "-sha1 -days 1000"});
    m.key("other", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024");
    issuing_like("1024 bits", {});
    m.key("other", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit");
    issuing_like("a curve other than", {});
    m.key("other", "-algorithm ED25519");
    issuing_like("neither RSA nor EC", {.options = "-days 1000"});
}

TEST_CASE("a chain whose upper end cannot be a root is refused, and why is said", "[crypto]") {
    made_elsewhere m;
    auto const refused = [&](std::string const& chain, std::string const& why) {
        CAPTURE(chain, why);
        auto const got = m.import(chain);
        REQUIRE_FALSE(got);
        CAPTURE(got.error().detail);
        CHECK(got.error().code == errc::forbidden);
        CHECK(got.error().detail.find(why) != std::string::npos);
    };
    // A level more than Windows takes at enrollment, with and without its root.
    m.key("middle");
    m.issue("middle", "Example Middle CA", "root", {.constraints = "critical,CA:TRUE"});
    m.issue("issuing", "Example Device CA", "middle");
    refused("issuing middle root", "3 certificates");
    refused("issuing middle", "one root when it enrolls");
    refused("issuing root", "its issuer");

    m.issue("issuing", "Example Device CA", "root");
    REQUIRE(m.import("issuing root"));
    // A root of the same name with another key.
    m.key("twin");
    m.root("twin", "Example Root", "critical,CA:TRUE");
    refused("issuing twin", "another key");
    // The same root's key, whose certificate does not allow it.
    m.run(
        "req -x509 -new -key root.key -subj '/O=Example/CN=Example Root' -out flat.crt -days 3650 -addext "
        "'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign'");
    refused("issuing flat", "path length is 0");
    m.run(
        "req -x509 -new -key root.key -subj '/O=Example/CN=Example Root' -out leaf.crt -days 3650 -addext "
        "'basicConstraints=critical,CA:FALSE' -addext 'keyUsage=critical,digitalSignature'");
    refused("issuing leaf", "no authority's");

    auto const over = import_authority(
        m.text("issuing.crt") + m.text("root.crt"), secret(m.text("issuing.key")), {}, m.now + 1001 * 24h);
    REQUIRE_FALSE(over);
    CHECK(over.error().detail.find("ended at") != std::string::npos);
    auto const early =
        import_authority(m.text("issuing.crt") + m.text("root.crt"), secret(m.text("issuing.key")), {}, m.now - 1h);
    REQUIRE_FALSE(early);
    CHECK(early.error().detail.find("not valid before") != std::string::npos);
}

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
