// Property: what is accepted has a content within the message and a signer's certificate that reads the same again, and
// a byte more makes it unreadable.
#include <cstdint>
#include <cstdlib>

#include "crypto/renewal.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const der(reinterpret_cast<char const*>(data), size);
    auto const once = mdmd::crypto::read_renewal_request(der);
    if (!once) {
        if (once.error().detail.empty()) std::abort();
        return 0;
    }
    if (once->request.empty() || once->request.size() >= size) std::abort();
    if (!mdmd::crypto::certificate::from_der(once->signer.der())) std::abort();
    static_cast<void>(mdmd::crypto::principal_name(once->signer));
    static_cast<void>(mdmd::crypto::parse_signing_request(once->request));
    auto const longer = mdmd::crypto::read_renewal_request(der + '\0');
    if (longer || longer.error().code != mdmd::errc::malformed) std::abort();
    return 0;
}
