// Property: no text, as config.yaml, does harm; a value comes exactly without problems; every problem has a text and,
// where it has a line, a column.
#include <cstdint>
#include <cstdlib>

#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const text(reinterpret_cast<char const*>(data), size);
    auto const got = mdmd::config::parse_settings(text, "/nonexistent/config.yaml", {});
    if (got.value.has_value() != got.problems.empty()) std::abort();
    for (auto const& p : got.problems)
        if (p.text.empty() || p.line < 1 || p.column < 1 || p.line_text().find('\n') != std::string::npos) std::abort();
    if (got.value && got.value->enrollment.renewal_window >= got.value->enrollment.certificate_validity) std::abort();
    return 0;
}
