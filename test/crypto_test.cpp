// Digests, keys, signing requests and signatures.
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "core/text.hpp"
#include "test/crypto_support.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::test;

TEST_CASE("digests are those of the published examples", "[crypto]") {
    CHECK(hex(crypto::sha1("abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(hex(crypto::sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(hex(crypto::sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // RFC 4231, test case 2.
    CHECK(hex(crypto::hmac_sha256("Jefe", "what do ya want for nothing?")) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(hex(crypto::hmac_sha256({}, {})) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("scrypt is that of RFC 7914, with parameters of ours", "[crypto]") {
    // hashlib.scrypt(b"12345678", salt=b"0123456789abcdef", n=2**14, r=8, p=1, dklen=32)
    CHECK(hex(crypto::scrypt("12345678", "0123456789abcdef")) ==
          "c1a01cce5aa620446c63ea56b950007d113384a8a2dee11eee2dff9db38bcc7f");
    CHECK(hex(crypto::scrypt("", "")) == "d72c87d0f077c7766f2985dfab30e8955c373a13a1e93d315203939f542ff86e");
    CHECK(crypto::scrypt("12345678", "0123456789abcdee") != crypto::scrypt("12345678", "0123456789abcdef"));
}

TEST_CASE("texts are equal in constant time only where every byte and the length are", "[crypto]") {
    CHECK(crypto::equal_in_constant_time("", ""));
    CHECK(crypto::equal_in_constant_time(std::string_view("a\0b", 3), std::string_view("a\0b", 3)));
    CHECK_FALSE(crypto::equal_in_constant_time(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
    CHECK_FALSE(crypto::equal_in_constant_time("a", "ab"));
}

TEST_CASE("a private key is read back from its own PEM", "[crypto]") {
    auto const key = GENERATE(0, 1) ? private_key::make_p256() : device_key();
    auto const pem = key.to_pem();
    CHECK(pem.reveal().substr(0, 28) == "-----BEGIN PRIVATE KEY-----\n");
    auto const again = private_key::from_pem(pem);
    REQUIRE(again);
    CHECK(EVP_PKEY_eq(raw(key), raw(*again)) == 1);
}

TEST_CASE("traditional keys are read, curve parameters before them included", "[crypto]") {
    bio_handle const out(BIO_new(BIO_s_mem()));
    auto const key = private_key::make_p256();
    REQUIRE(PEM_write_bio_PrivateKey_traditional(out.get(), raw(key), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    // Object identifier 1.2.840.10045.3.1.7, as `openssl ecparam -genkey` writes it first.
    auto const pem =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + text_of(out.get());
    auto const again = private_key::from_pem(secret(pem));
    REQUIRE(again);
    CHECK(EVP_PKEY_eq(raw(key), raw(*again)) == 1);
}

TEST_CASE("what is no open private key is refused without being quoted", "[crypto]") {
    auto const good = std::string(device_key().to_pem().reveal());
    bio_handle const out(BIO_new(BIO_s_mem()));
    REQUIRE(PEM_write_bio_PKCS8PrivateKey(
                out.get(), raw(device_key()), EVP_aes_256_cbc(), "hunter2", 7, nullptr, nullptr) == 1);
    auto const encrypted = text_of(out.get());
    auto const text = GENERATE_COPY(std::string(), std::string("c3VwZXJzZWNyZXQ="), good.substr(0, 300), encrypted,
        contoso().root.pem(), "-----BEGIN PRIVATE KEY-----\nc3VwZXJzZWNyZXQ=\n-----END PRIVATE KEY-----\n",
        std::string(70000, 'x'));
    auto const got = private_key::from_pem(secret(text));
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::malformed);
    CHECK(got.error().detail.find("c3Vw") == std::string::npos);
    CHECK((text.find("ENCRYPTED") != std::string::npos) == (got.error().detail.find("encrypted") != std::string::npos));
}

TEST_CASE("a signing request gives up its key once its signature is checked", "[crypto]") {
    auto const* digest = GENERATE(EVP_sha1(), EVP_sha256(), EVP_sha384());
    auto const request = crypto::parse_signing_request(make_request(device_key(), digest));
    REQUIRE(request);
    CHECK(request->rsa);
    CHECK(request->bits == 2048);
    CHECK(request->subject == "CN=device");
    CHECK(request->public_key == to_der(raw(device_key()), i2d_PUBKEY, "i2d_PUBKEY"));
    CHECK(request->public_key_digest == hex(crypto::sha256(request->public_key)));

    auto const curve = crypto::parse_signing_request(make_request(private_key::make_p256()));
    REQUIRE(curve);
    CHECK_FALSE(curve->rsa);
    CHECK(curve->bits == 256);
}

TEST_CASE("requests of real Windows devices are read", "[crypto]") {
    auto const [name, subject] = GENERATE(table<std::string, std::string>({
        {"csr/A-win10-19043.der", "CN=562A7F9A-6CD8-40B0-9E7E-0DBDD8!B5B954E81FBCB94EB79BD08BE625F4EE\\\\00"},
        {"csr/mdmtest-win-22598.der", "CN=0F3B8E6C-A271-4556-9B72-A26CBD!8090C8B484A0E24EB5C56E806CB4EE5B"},
    }));
    auto const der = trace(name);
    if (!der) return;
    auto const request = crypto::parse_signing_request(*der);
    REQUIRE(request);
    CHECK(request->rsa);
    CHECK(request->bits == 2048);
    CAPTURE(request->subject, subject);
    CHECK(request->subject.substr(0, 40) == subject.substr(0, 40));
    // And what is made of it stands.
    auto const made = issue_device_certificate(contoso_authority(), *request,
        {.common_name = "00000000-0000-4000-8000-000000000001", .upn = {}, .validity = std::chrono::hours(24)}, noon);
    CHECK(check_device_certificate(contoso_authority(), made, noon));
    CHECK(made.public_key_digest() == request->public_key_digest);
}

TEST_CASE("the request inside a captured enrollment is read", "[crypto]") {
    auto const message = trace("windows10-enroll-manage-unenroll/04-wstep-rst.request.body.xml");
    if (!message) return;
    auto const from = message->find("MIIC");
    auto const der = unbase64(message->substr(from, message->find('<', from) - from));
    REQUIRE(der);
    auto const request = crypto::parse_signing_request(*der);
    REQUIRE(request);
    CHECK(request->bits == 2048);
    CHECK(request->subject.find("0DBDD8!B5B954E8") != std::string::npos);
}

TEST_CASE("what is not exactly one request is malformed", "[crypto]") {
    auto const good = make_request(device_key());
    auto const bad = GENERATE_COPY(std::string(), std::string("hello"), good.substr(0, good.size() - 1), good + '\0',
        good + good, contoso().root.der(), std::string(70000, '0'), std::string("\x30\x80\x00\x00", 4));
    auto const got = crypto::parse_signing_request(bad);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::malformed);
}

namespace {

pkey_handle rsa_with_exponent(int bits, unsigned long e) {
    handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free> const context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    bn_handle const exponent(BN_new());
    EVP_PKEY* made = nullptr;
    REQUIRE(BN_set_word(exponent.get(), e) == 1);
    REQUIRE(EVP_PKEY_keygen_init(context.get()) == 1);
    REQUIRE(EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), bits) == 1);
    REQUIRE(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context.get(), exponent.get()) == 1);
    REQUIRE(EVP_PKEY_keygen(context.get(), &made) == 1);
    return pkey_handle(made);
}

pkey_handle p256_with_explicit_parameters() {
    handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free> const context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    EVP_PKEY* made = nullptr;
    REQUIRE(EVP_PKEY_keygen_init(context.get()) == 1);
    REQUIRE(EVP_PKEY_CTX_set_group_name(context.get(), "P-256") == 1);
    REQUIRE(EVP_PKEY_CTX_set_ec_param_enc(context.get(), OPENSSL_EC_EXPLICIT_CURVE) == 1);
    REQUIRE(EVP_PKEY_keygen(context.get(), &made) == 1);
    return pkey_handle(made);
}

std::string flip(std::string text, std::size_t from_end) {
    text[text.size() - from_end] = static_cast<char>(text[text.size() - from_end] ^ 1);
    return text;
}

}  // namespace

TEST_CASE("a request that proves nothing, or holds a weak key, is forbidden", "[crypto]") {
    auto const forbidden = [](std::string const& der, std::string const& why) {
        CAPTURE(why);
        auto const got = crypto::parse_signing_request(der);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::forbidden);
        CAPTURE(got.error().detail);
        CHECK(got.error().detail.find(why) != std::string::npos);
    };
    auto const other = private_key::make_rsa(2048);
    forbidden(make_request(raw(device_key()), raw(other)), "not signed by the key");
    forbidden(flip(make_request(device_key()), 5), "not signed by the key");
    forbidden(make_request(device_key(), EVP_md5()), "not signed with SHA");
    forbidden(make_request(private_key::make_rsa(1024)), "1024 bits");
    auto const small = rsa_with_exponent(2048, 3);
    forbidden(make_request(small.get(), small.get()), "exponent");
    pkey_handle const curve(EVP_EC_gen("P-384"));
    forbidden(make_request(curve.get(), curve.get()), "P-256");
    auto const spelled_out = p256_with_explicit_parameters();
    forbidden(make_request(spelled_out.get(), spelled_out.get()), "P-256");
    pkey_handle const edwards(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    forbidden(make_request(edwards.get(), edwards.get(), nullptr), "neither RSA nor EC");
    handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free> const context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA-PSS", nullptr));
    EVP_PKEY* made = nullptr;
    REQUIRE(EVP_PKEY_keygen_init(context.get()) == 1);
    REQUIRE(EVP_PKEY_keygen(context.get(), &made) == 1);
    pkey_handle const pss(made);
    forbidden(make_request(pss.get(), pss.get()), "neither RSA nor EC");
}

namespace {

std::string number(EVP_PKEY* key, char const* which) {
    BIGNUM* raw_number = nullptr;
    REQUIRE(EVP_PKEY_get_bn_param(key, which, &raw_number) == 1);
    bn_handle const n(raw_number);
    std::string out(static_cast<std::size_t>(BN_num_bytes(n.get())), '\0');
    BN_bn2bin(n.get(), bytes(out));
    return out;
}
std::string modulus(private_key const& key) { return number(raw(key), OSSL_PKEY_PARAM_RSA_N); }

std::string rs256(private_key const& key, std::string_view text) {
    handle<EVP_MD_CTX, EVP_MD_CTX_free> const context(EVP_MD_CTX_new());
    std::size_t size = 0;
    REQUIRE(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, raw(key)) == 1);
    REQUIRE(EVP_DigestSign(context.get(), nullptr, &size, bytes(text), text.size()) == 1);
    std::string out(size, '\0');
    REQUIRE(EVP_DigestSign(context.get(), bytes(out), &size, bytes(text), text.size()) == 1);
    return out;
}

}  // namespace

TEST_CASE("a published RS256 signature verifies", "[crypto]") {
    // RFC 7515, appendix A.2.
    auto const n = unbase64url(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
        "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
        "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
        "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ");
    auto const signature = unbase64url(
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU"
        "Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO"
        "--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN"
        "_IoypGlUPQGe77Rw");
    std::string_view const text =
        "eyJhbGciOiJSUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    REQUIRE(n);
    REQUIRE(signature);
    auto const key = rsa_public_key::from_jwk(*n, std::string("\x01\x00\x01", 3));
    REQUIRE(key);
    CHECK(key->verify_rs256(text, *signature));
    CHECK_FALSE(key->verify_rs256(text, std::string(256, '\0')));
}

TEST_CASE("a signature stands for one key and one text", "[crypto]") {
    auto const& mine = device_key();
    auto const key = rsa_public_key::from_jwk(modulus(mine), std::string("\x01\x00\x01", 3)).value();
    auto const good = rs256(mine, "text");
    CHECK(key.verify_rs256("text", good));
    CHECK_FALSE(key.verify_rs256("Text", good));
    CHECK_FALSE(key.verify_rs256("text", flip(good, 1)));
    CHECK_FALSE(key.verify_rs256("text", {}));
    CHECK_FALSE(key.verify_rs256("text", good.substr(1)));
    CHECK_FALSE(key.verify_rs256("text", std::string(1, '\0') + good));
    CHECK_FALSE(key.verify_rs256("text", good + '\0'));
    CHECK_FALSE(key.verify_rs256("text", rs256(private_key::make_rsa(2048), "text")));
    CHECK(ERR_peek_error() == 0);
    auto const with_zero =
        rsa_public_key::from_jwk(std::string(1, '\0') + modulus(mine), std::string("\x01\x00\x01", 3));
    REQUIRE(with_zero);
    CHECK(with_zero->verify_rs256("text", good));
}

TEST_CASE("weak and impossible RSA keys are refused", "[crypto]") {
    std::string const f4("\x01\x00\x01", 3);
    auto const good = modulus(device_key());
    auto const refused = [](std::string const& n, std::string const& e, errc code) {
        auto const got = rsa_public_key::from_jwk(n, e);
        REQUIRE_FALSE(got);
        CAPTURE(got.error().detail);
        CHECK(got.error().code == code);
    };
    refused("", f4, errc::malformed);
    refused(good, "", errc::malformed);
    refused(std::string(256, '\0'), f4, errc::malformed);
    refused(good, std::string(1, '\0'), errc::malformed);
    refused(modulus(private_key::make_rsa(1024)), f4, errc::forbidden);
    refused(flip(good, 1), f4, errc::forbidden);
    refused(good, "\x01", errc::forbidden);
    refused(good, "\x03", errc::forbidden);
    refused(good, std::string("\x01\x00\x02", 3), errc::forbidden);
    refused(good, std::string(9, '\x7f'), errc::forbidden);
    refused(std::string(1026, '\xff'), f4, errc::forbidden);
    refused(std::string("\x01") + std::string(1024, '\xff'), f4, errc::forbidden);
}

namespace {

bool verifies(private_key const& key, std::string_view text, std::string_view signature, int padding) {
    handle<EVP_MD_CTX, EVP_MD_CTX_free> const context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* options = nullptr;
    REQUIRE(EVP_DigestVerifyInit(context.get(), &options, EVP_sha256(), nullptr, raw(key)) == 1);
    REQUIRE(EVP_PKEY_CTX_set_rsa_padding(options, padding) == 1);
    if (padding == RSA_PKCS1_PSS_PADDING) {
        REQUIRE(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 32) == 1);
        REQUIRE(EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha256()) == 1);
    }
    auto const got = EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(text), text.size());
    ERR_clear_error();
    return got == 1;
}

}  // namespace

TEST_CASE("RS256 and PS256 signatures verify by their own rules and not by the other's", "[crypto]") {
    auto const rs = crypto::sign_rs256(device_key(), "text");
    auto const ps = crypto::sign_ps256(device_key(), "text");
    REQUIRE(rs);
    REQUIRE(ps);
    CHECK(*rs == rs256(device_key(), "text"));
    CHECK(ps->size() == 256);
    CHECK(verifies(device_key(), "text", *rs, RSA_PKCS1_PADDING));
    CHECK(verifies(device_key(), "text", *ps, RSA_PKCS1_PSS_PADDING));
    CHECK_FALSE(verifies(device_key(), "text", *rs, RSA_PKCS1_PSS_PADDING));
    CHECK_FALSE(verifies(device_key(), "text", *ps, RSA_PKCS1_PADDING));
    CHECK_FALSE(verifies(device_key(), "other", *ps, RSA_PKCS1_PSS_PADDING));
    CHECK(*ps != crypto::sign_ps256(device_key(), "text").value());  // the salt
    CHECK(verifies(device_key(), "", crypto::sign_ps256(device_key(), {}).value(), RSA_PKCS1_PSS_PADDING));
}

TEST_CASE("only RSA keys of a fit size sign", "[crypto]") {
    auto const key = GENERATE(0, 1) ? private_key::make_p256() : private_key::make_rsa(1024);
    for (auto const& got : {crypto::sign_rs256(key, "text"), crypto::sign_ps256(key, "text")}) {
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::unsupported);
        CHECK_FALSE(got.error().detail.empty());
    }
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("a certificate and a private key are a pair, or not", "[crypto]") {
    auto const ours = make_leaf(contoso().issuing, contoso().issuing_key, device_key(), {});
    CHECK(is_pair(ours, device_key()));
    CHECK(is_pair(ours, private_key::from_pem(device_key().to_pem()).value()));
    CHECK_FALSE(is_pair(ours, private_key::make_rsa(2048)));
    CHECK_FALSE(is_pair(ours, private_key::make_p256()));
    CHECK(is_pair(contoso().root, contoso().root_key));
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("a digest of pieces is that of the whole", "[crypto]") {
    std::string const text(100'000, 'x');
    for (std::size_t const piece : {1UL, 63UL, 64UL, 65'536UL, 200'000UL}) {
        crypto::sha256_stream digest;
        for (std::size_t at = 0; at < text.size(); at += piece) digest.add(std::string_view(text).substr(at, piece));
        CHECK(digest.finish() == crypto::sha256(text));
    }
    CHECK(crypto::sha256_stream().finish() == crypto::sha256(""));
}
