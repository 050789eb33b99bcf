#include "crypto/message_signature.hpp"

#include <openssl/cms.h>

#include "core/text.hpp"
#include "test/crypto_support.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::test;

namespace {

using cms_handle = handle<CMS_ContentInfo, CMS_ContentInfo_free>;

constexpr std::string_view body = "<SyncML xmlns=\"SYNCML:SYNCML1.2\">\r\n<SyncHdr/>\n</SyncML>";

crypto::certificate const& device_certificate() {
    static auto const made = make_leaf(contoso().issuing, contoso().issuing_key, device_key(), {});
    return made;
}

struct signing {
    std::string content = std::string(body);
    EVP_MD const* digest = EVP_sha256();
    unsigned flags = CMS_BINARY | CMS_DETACHED;
    int signers = 1;
    crypto::certificate signer = device_certificate();
    crypto::private_key key = device_key();
    std::vector<crypto::certificate> more = {};  // certificates beside the signer's

    std::string der() const {
        bio_handle const in(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
        cms_handle const cms(must(CMS_sign(nullptr, nullptr, nullptr, in.get(), CMS_PARTIAL | flags), "CMS_sign"));
        for (auto const& c : more) must(CMS_add1_cert(cms.get(), c.get().x509.get()) == 1, "CMS_add1_cert");
        for (int i = 0; i < signers; ++i)
            must(CMS_add1_signer(
                     cms.get(), signer.get().x509.get(), raw(key), digest, i == 0 ? flags : flags | CMS_NOCERTS),
                "CMS_add1_signer");
        must(CMS_final(cms.get(), in.get(), nullptr, flags) == 1, "CMS_final");
        return to_der(cms.get(), i2d_CMS_ContentInfo, "i2d_CMS_ContentInfo");
    }
    std::string header() const { return base64(der()); }
};

result<crypto::message_signature> check(std::string const& header, std::string_view over = body) {
    return crypto::check_message_signature(header, over, device_certificate());
}

}  // namespace

TEST_CASE("digest credentials are those of the specification's examples", "[crypto]") {
    CHECK(crypto::md5_credential("Bruce2", secret("OhBehave"), "Nonce") == "Zz6EivR3yeaaENcRN6lpAQ==");
    CHECK(crypto::md5_credential("Bruce2", secret("OhBehave"), "nonce") != "Zz6EivR3yeaaENcRN6lpAQ==");
    CHECK(crypto::md5_credential("", secret(), std::string("\0\xff", 2)).size() == 24);
}

TEST_CASE("a device's signature of its message is good with SHA-2 and tells its time", "[crypto]") {
    auto const digest = GENERATE(EVP_sha256(), EVP_sha384(), EVP_sha512());
    auto const flags = GENERATE(0u, static_cast<unsigned>(CMS_NOCERTS), static_cast<unsigned>(CMS_USE_KEYID));
    if (flags == CMS_USE_KEYID) {
        auto const with_id = make_leaf(contoso().issuing, contoso().issuing_key, device_key(),
            {.extensions = {{NID_subject_key_identifier, "0102030405060708090a0b0c0d0e0f1011121314"}}});
        signing s{.digest = digest, .flags = CMS_BINARY | CMS_DETACHED | flags, .signer = with_id};
        CHECK(crypto::check_message_signature(s.header(), body, with_id));
        return;
    }
    auto const before = std::chrono::system_clock::now() - std::chrono::seconds(2);
    auto const r = check(signing{.digest = digest, .flags = CMS_BINARY | CMS_DETACHED | flags}.header());
    REQUIRE(r);
    REQUIRE(r->signing_time);
    CHECK(*r->signing_time > before);
    CHECK(*r->signing_time < before + std::chrono::minutes(10));
}

TEST_CASE("a signature without signed attributes is good and has no time", "[crypto]") {
    auto const r = check(signing{.flags = CMS_BINARY | CMS_DETACHED | CMS_NOATTR}.header());
    REQUIRE(r);
    CHECK_FALSE(r->signing_time);
}

TEST_CASE("a signature by an elliptic key is good", "[crypto]") {
    auto const key = crypto::private_key::make_p256();
    auto const leaf = make_leaf(contoso().issuing, contoso().issuing_key, key, {});
    signing const s{.signer = leaf, .key = key};
    CHECK(crypto::check_message_signature(s.header(), body, leaf));
}

TEST_CASE("a signature holds for its body and its signer alone", "[crypto][security]") {
    auto const other_key = crypto::private_key::make_rsa(2048);
    auto const same_name = make_leaf(contoso().issuing, contoso().issuing_key, other_key, {});  // and the same serial
    auto const other_name = make_leaf(contoso().issuing, contoso().issuing_key, other_key, {.common_name = "b"});
    auto const good = signing{}.header();
    CHECK(check(good, std::string(body) + " ").error().code == errc::unauthenticated);
    CHECK(check(good, "").error().code == errc::unauthenticated);
    CHECK(crypto::check_message_signature(good, body, contoso().issuing).error().code == errc::unauthenticated);
    CHECK(check(signing{.signer = same_name, .key = other_key}.header()).error().code == errc::unauthenticated);
    CHECK(
        check(signing{.flags = CMS_BINARY | CMS_DETACHED | CMS_NOCERTS, .signer = same_name, .key = other_key}.header())
            .error()
            .code == errc::unauthenticated);
    // Ours signed, but a certificate of the same name and serial comes along.
    CHECK(check(signing{.flags = CMS_BINARY | CMS_DETACHED | CMS_NOCERTS, .more = {same_name}}.header()).error().code ==
          errc::unauthenticated);
    CHECK(check(signing{.more = {contoso().issuing}}.header()));
}

TEST_CASE("a small key does not sign messages", "[crypto][security]") {
    auto const key = crypto::private_key::make_rsa(1024);
    auto const leaf = make_leaf(contoso().issuing, contoso().issuing_key, key, {});
    auto const r = crypto::check_message_signature(signing{.signer = leaf, .key = key}.header(), body, leaf);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::unauthenticated);
}

TEST_CASE("what is no signature of a message is told from a bad one", "[crypto][security]") {
    auto const der = signing{}.der();
    auto const header =
        GENERATE_COPY(as<std::string>(), "", "*", "AAAA", base64(der + '\0'), base64(der.substr(0, der.size() - 1)),
            base64(signing{.digest = EVP_sha1()}.der()), base64(signing{.digest = EVP_md5()}.der()),
            base64(signing{.signers = 2}.der()), base64(signing{.flags = CMS_BINARY}.der()), std::string(70'000, 'A'));
    auto const r = check(header);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::malformed);
    CHECK_FALSE(r.error().detail.empty());
    CHECK(ERR_peek_error() == 0);
}
