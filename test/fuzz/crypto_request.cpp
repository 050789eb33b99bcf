// Property: what is accepted has a key that we work with, reads the same again and can be issued a certificate.
#include <cstdint>
#include <cstdlib>

#include "crypto/crypto.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const der(reinterpret_cast<char const*>(data), size);
    auto const once = mdmd::crypto::parse_signing_request(der);
    if (!once) return 0;
    if (once->rsa ? once->bits < 2048 || once->bits > 8192 : once->bits != 256) std::abort();
    if (once->public_key.empty() || once->public_key_digest.size() != 64) std::abort();
    for (char const c : once->subject)
        if (static_cast<unsigned char>(c) < 0x20) std::abort();
    auto const again = mdmd::crypto::parse_signing_request(der);
    if (!again || again->public_key != once->public_key) std::abort();

    using namespace std::chrono_literals;
    auto const now = mdmd::from_ms(1'800'000'000'000);
    static auto const made = mdmd::crypto::make_authority("Fuzz", now);
    mdmd::crypto::authority const authority{made.root, made.issuing, made.issuing_key};
    auto const device = mdmd::crypto::issue_device_certificate(
        authority, *once, {.common_name = "device", .upn = {}, .validity = 1h}, now);
    if (!mdmd::crypto::check_device_certificate(authority, device, now)) std::abort();
    if (device.public_key_digest() != once->public_key_digest) std::abort();
    return 0;
}
