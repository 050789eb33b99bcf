// Property: what is accepted is its own only encoding, every accessor answers, and no authority of ours issued it.
#include <cstdint>
#include <cstdlib>

#include "crypto/crypto.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    if (auto const pem = crypto::certificate::from_pem(text))
        if (!crypto::certificate::from_der(pem->der())) std::abort();
    auto const got = crypto::certificate::from_der(text);
    if (!got) return 0;
    if (got->der() != text || got->thumbprint().size() != 40 || got->fingerprint().size() != 64) std::abort();
    auto const again = crypto::certificate::from_pem(got->pem());
    if (!again || again->der() != text) std::abort();
    (void)got->serial();
    (void)got->subject();
    (void)got->issuer();
    (void)got->common_name();
    (void)got->public_key_digest();

    auto const now = from_ms(1'800'000'000'000);
    static auto const made = crypto::make_authority("Fuzz", now);
    if (crypto::check_device_certificate({made.root, made.issuing, made.issuing_key}, *got, now)) std::abort();
    return 0;
}
