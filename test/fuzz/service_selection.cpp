// Property: whatever a condition on devices says, it is judged or refused in one line.
#include <cstdint>
#include <cstdlib>

#include "service/selection.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    auto const got = service::selection::parse(text);
    if (!got) {
        for (char const c : got.error().detail)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
        return 0;
    }
    auto const now = from_ms(1'800'000'000'000);
    static_cast<void>(got->holds({.id = "1",
                                     .name = "ALICE-PC-aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                     .user = "alice@contoso.test",
                                     .ownership = "corporate",
                                     .os_version = "10.0.22631.3447",
                                     .compliance = "compliant",
                                     .last_seen = from_ms(0)},
        now));
    static_cast<void>(got->holds({}, now));
    return 0;
}
