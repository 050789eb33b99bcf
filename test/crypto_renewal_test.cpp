#include "crypto/renewal.hpp"

#include <openssl/cms.h>
#include <openssl/pkcs7.h>

#include "test/crypto_support.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::test;

namespace {

using cms_handle = handle<CMS_ContentInfo, CMS_ContentInfo_free>;

crypto::certificate const& renewed_certificate() {
    static auto const made = crypto::issue_device_certificate(contoso_authority(),
        crypto::parse_signing_request(make_request(device_key())).value(),
        {.common_name = "device", .upn = "ada@contoso.com", .validity = std::chrono::hours(24)}, noon);
    return made;
}
std::string const& inner_request() {
    static auto const made = make_request(crypto::private_key::make_p256());
    return made;
}

struct signing {
    std::string content = inner_request();
    EVP_MD const* digest = EVP_sha256();
    unsigned flags = CMS_BINARY;
    int signers = 1;
    crypto::certificate signer = renewed_certificate();
    crypto::private_key key = device_key();
    std::vector<crypto::certificate> more = {};  // certificates beside the signer's
    int content_type = NID_pkcs7_data;

    std::string der() const {
        bio_handle const in(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
        cms_handle const cms(
            must(CMS_sign(nullptr, nullptr, nullptr, in.get(), CMS_PARTIAL | (flags & (CMS_BINARY | CMS_DETACHED))),
                "CMS_sign"));
        if (content_type != NID_pkcs7_data)
            must(CMS_set1_eContentType(cms.get(), OBJ_nid2obj(content_type)) == 1, "CMS_set1_eContentType");
        for (auto const& c : more) must(CMS_add1_cert(cms.get(), c.get().x509.get()) == 1, "CMS_add1_cert");
        for (int i = 0; i < signers; ++i) {
            auto const how = i == 0 ? flags : flags | CMS_NOCERTS;  // its certificate is there already
            must(CMS_add1_signer(cms.get(), signer.get().x509.get(), raw(key), digest, how), "CMS_add1_signer");
        }
        must(CMS_final(cms.get(), in.get(), nullptr, flags) == 1, "CMS_final");
        return to_der(cms.get(), i2d_CMS_ContentInfo, "i2d_CMS_ContentInfo");
    }
};

std::string unsigned_message() {
    handle<PKCS7, PKCS7_free> const p7(PKCS7_new());
    must(PKCS7_set_type(p7.get(), NID_pkcs7_signed) == 1, "PKCS7_set_type");
    must(PKCS7_content_new(p7.get(), NID_pkcs7_data) == 1, "PKCS7_content_new");
    must(ASN1_STRING_set(p7->d.sign->contents->d.data, "x", 1) == 1, "ASN1_STRING_set");
    return to_der(p7.get(), i2d_PKCS7, "i2d_PKCS7");
}

std::string replaced(std::string text, std::string const& what, std::string const& with) {
    auto const at = text.find(what);
    REQUIRE(at != text.npos);
    return text.replace(at, what.size(), with);
}

std::string changed(std::string text, std::string_view at_the_end_of) {
    auto const at = text.find(at_the_end_of);
    REQUIRE(at != text.npos);
    text[at + at_the_end_of.size() - 1] ^= 1;
    return text;
}

}  // namespace

TEST_CASE("a renewal's signed request gives its signer and the request inside", "[crypto]") {
    struct row {
        char const* name;
        signing with;
    };
    auto const row = GENERATE(values<struct row>({
        {"SHA-256, as Windows", {}},
        {"SHA-1", {.digest = EVP_sha1()}},
        {"SHA-384", {.digest = EVP_sha384()}},
        {"SHA-512", {.digest = EVP_sha512()}},
        {"no signed attributes", {.flags = CMS_BINARY | CMS_NOATTR}},
        {"the signer by key identifier", {.flags = CMS_BINARY | CMS_USE_KEYID}},
        {"with its chain", {.more = {contoso().root, contoso().issuing}}},
    }));
    CAPTURE(row.name);
    auto const got = crypto::read_renewal_request(row.with.der());
    REQUIRE(got);
    CHECK(got->signer.fingerprint() == renewed_certificate().fingerprint());
    CHECK(got->request == inner_request());
}

TEST_CASE("a signed request that is not plainly one is refused", "[crypto][security]") {
    auto const good = signing{}.der();
    struct row {
        char const* name;
        std::string der;
        char const* why;
    };
    std::vector<row> const rows{
        {"empty", "", "not a CMS message"},
        {"a bare PKCS#10", inner_request(), "not a CMS message"},
        {"cut", good.substr(0, good.size() - 1), "not a CMS message"},
        {"trailing bytes", good + "x", "something behind it"},
        {"long", good + std::string(64 * 1024, '\0'), "over 64 KiB"},
        {"detached", signing{.flags = CMS_BINARY | CMS_DETACHED}.der(), "does not hold what it signs"},
        {"empty content", signing{.content = ""}.der(), "does not hold what it signs"},
        {"two signers", signing{.signers = 2}.der(), "not exactly one signer"},
        {"no signer", unsigned_message(), "not exactly one signer"},
        {"no certificate", signing{.flags = CMS_BINARY | CMS_NOCERTS}.der(), "does not hold its signer's certificate"},
        {"another certificate alone", signing{.flags = CMS_BINARY | CMS_NOCERTS, .more = {contoso().issuing}}.der(),
            "does not hold its signer's certificate"},
        {"MD5", signing{.digest = EVP_md5()}.der(), "not signed with SHA-1, SHA-256"},
        {"a certificate request of CMC", signing{.content_type = NID_id_cct_PKIData}.der(), "is not plain data"},
    };
    for (auto const& r : rows) {
        CAPTURE(r.name);
        auto const got = crypto::read_renewal_request(r.der);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::malformed);
        CHECK_THAT(got.error().detail,
            Catch::Contains(std::string_view(r.why) == "is not plain data" ? "is not plain data" : r.why));
    }
    bio_handle const in(BIO_new_mem_buf("x", 1));
    cms_handle const data(CMS_data_create(in.get(), CMS_BINARY));
    CHECK(crypto::read_renewal_request(to_der(data.get(), i2d_CMS_ContentInfo, "i2d_CMS_ContentInfo")).error().detail ==
          "the signed request is no SignedData");
}

TEST_CASE("a signature that is not the certificate's is refused", "[crypto][security]") {
    auto const stranger = crypto::private_key::make_rsa(2048);
    auto const same_name = make_leaf(contoso().issuing, contoso().issuing_key, stranger, {.common_name = "device"});
    auto const weak_key = crypto::private_key::make_rsa(1024);
    auto const weak = make_leaf(contoso().issuing, contoso().issuing_key, weak_key, {});
    auto const good = signing{}.der();
    auto const other = make_request(crypto::private_key::make_p256());
    // The stranger signs, and shows the device's certificate in place of its own.
    auto const plain = signing{.flags = CMS_BINARY | CMS_NOATTR}.der();
    auto const forged = signing{.flags = CMS_BINARY | CMS_NOATTR, .signer = same_name, .key = stranger}.der();
    std::vector<std::pair<char const*, std::string>> const rows{
        {"another request inside", replaced(good, inner_request(),
                                       [&] {
                                           auto same_size = inner_request();
                                           same_size.back() ^= 1;
                                           return same_size;
                                       }())},
        {"another request inside, without attributes", changed(plain, inner_request())},
        {"a broken signature", changed(good, good)},
        {"a stranger's signature",
            replaced(plain, plain.substr(plain.size() - 256), forged.substr(forged.size() - 256))},
        {"a key of 1024 bits", signing{.signer = weak, .key = weak_key}.der()},
    };
    for (auto const& [name, der] : rows) {
        CAPTURE(name);
        auto const got = crypto::read_renewal_request(der);
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::unauthenticated);
    }
    // Certificates of others are read: whom they belong to is for the caller to judge.
    auto const read = crypto::read_renewal_request(forged);
    REQUIRE(read);
    CHECK(read->signer.fingerprint() == same_name.fingerprint());
}

TEST_CASE("a certificate's principal name is found where there is one", "[crypto]") {
    CHECK(crypto::principal_name(renewed_certificate()) == "ada@contoso.com");
    CHECK(crypto::principal_name(contoso().issuing) == std::nullopt);
    auto const other = make_leaf(contoso().issuing, contoso().issuing_key, device_key(),
        {.extensions = {{NID_subject_alt_name, "DNS:x,otherName:1.2.3.4;UTF8:no,email:a@b.test"}}});
    CHECK(crypto::principal_name(other) == std::nullopt);
}
