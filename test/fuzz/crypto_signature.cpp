// The input is a certificate in PEM, an empty line, a signature's header, an empty line, and a body.
// Property: a good signature is good for no other body, and a refusal says why.
#include <cstdint>
#include <cstdlib>

#include "crypto/message_signature.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    auto const first = text.find("\n\n");
    if (first == text.npos) return 0;
    auto const second = text.find("\n\n", first + 2);
    if (second == text.npos) return 0;
    auto const signer = mdmd::crypto::certificate::from_pem(text.substr(0, first + 1));
    if (!signer) return 0;
    auto const header = text.substr(first + 2, second - first - 2);
    std::string const body(text.substr(second + 2));
    auto const good = mdmd::crypto::check_message_signature(header, body, *signer);
    if (!good && good.error().detail.empty()) std::abort();
    if (good && mdmd::crypto::check_message_signature(header, body + '\0', *signer)) std::abort();
    return 0;
}
