// Property: no text is a genuine token, and a payload that is accepted when it is genuinely signed says what the
// identity says. Input: a token, or "!" and a payload, or "?" and a header, which are signed here.
#include <cstdint>
#include <cstdlib>

#include "../entra_factory.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd;
    static auto const keys = test::tenant_keys();
    static auto const us = test::our_audience();
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    if (entra::verify(text, keys, us, test::token_noon)) std::abort();
    if (text.empty() || (text[0] != '!' && text[0] != '?')) return 0;

    bool const payload = text[0] == '!';
    auto const token = payload ? test::signer().token(test::good_header, text.substr(1))
                               : test::signer().token(text.substr(1), test::good_v1);
    auto const got = entra::verify(token, keys, us, test::token_noon);
    if (!got) {
        // The signature is good: only a header can lead away from the key.
        if (payload && got.error().code == errc::not_found) std::abort();
        return 0;
    }
    if (got->tenant_id != test::tenant || !is_guid(got->user_id)) std::abort();
    if (got->version != "1.0" && got->version != "2.0") std::abort();
    if (!got->device_id.empty() && !is_guid(got->device_id)) std::abort();
    if (got->expires <= test::token_noon - std::chrono::seconds(300)) std::abort();
    return 0;
}
