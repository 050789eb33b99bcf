// Property: whatever a policy says, it is judged by the catalogue without harm, and each finding has a place.
#include <cstdint>
#include <cstdlib>

#include "catalogue/catalogue.hpp"
#include "catalogue/check.hpp"

using namespace mdmd;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const text(reinterpret_cast<char const*>(data), size);
    if (size < 256) static_cast<void>(catalogue::nearest(text));
    auto const got = config::parse_policy(text, "fuzz.yaml");
    if (!got.value) return 0;
    for (auto const& f : catalogue::check(*got.value))
        if (f.what.line < 1 || f.what.column < 1 || f.what.key.empty() || f.what.text.empty()) std::abort();
    return 0;
}
