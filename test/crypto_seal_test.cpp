#include "core/text.hpp"
#include "crypto/seal.hpp"
#include "test/support.hpp"

using namespace mdmd;

TEST_CASE("sealing is AES-256-GCM", "[crypto]") {
    // The Galois/Counter Mode of Operation (McGrew, Viega), test case 16.
    auto const key = unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308").value();
    auto const nonce = unhex("cafebabefacedbaddecaf888").value();
    auto const beside = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2").value();
    auto const text = unhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
        "ba637b39")
                          .value();
    auto const sealed = crypto::seal(key, nonce, beside, text);
    CHECK(
        hex(sealed) ==
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
        "bcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
    CHECK(crypto::unseal(key, nonce, beside, sealed).value() == text);
    CHECK(crypto::unseal(key, nonce, beside, crypto::seal(key, nonce, beside, "")).value().empty());
    CHECK(crypto::unseal(std::string(32, 'k'), nonce, beside, sealed).error().code == errc::unauthenticated);
    CHECK(crypto::unseal(key, std::string(12, 'n'), beside, sealed).error().code == errc::unauthenticated);
    CHECK(crypto::unseal(key, nonce, "", sealed).error().code == errc::unauthenticated);
    CHECK(crypto::unseal(key, nonce, beside, "short").error().code == errc::unauthenticated);
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        auto bad = sealed;
        bad[i] = static_cast<char>(bad[i] ^ 1);
        CAPTURE(i);
        CHECK(crypto::unseal(key, nonce, beside, bad).error().code == errc::unauthenticated);
    }
}

TEST_CASE("scrypt is as dear as it is asked to be", "[crypto]") {
    // hashlib.scrypt(b"12345678", salt=b"0123456789abcdef", n=2**16, r=8, p=1, dklen=32, maxmem=2**28)
    CHECK(hex(crypto::scrypt("12345678", "0123456789abcdef", 16)) ==
          "52b7b3ce87038e813410250e71a4151e8ef2992348fc28fb58e184b4ecf769e5");
}
