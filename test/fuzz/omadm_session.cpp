// Property: what loads saves to a line that loads to the same session.
#include <cstdint>
#include <cstdlib>

#include "omadm/session.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const once = mdmd::omadm::load({reinterpret_cast<char const*>(data), size});
    if (!once) return 0;
    auto const again = mdmd::omadm::load(mdmd::omadm::save(*once));
    if (!again || *again != *once) std::abort();
    return 0;
}
