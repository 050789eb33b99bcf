// Property: no text, as config.yaml, does harm; a value comes exactly without problems; every problem has a text and,
// where it has a line, a column. The same for the content of a key file, which is a secret or a certificate with its
// key, never both.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>

#include "config/files.hpp"
#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const text(reinterpret_cast<char const*>(data), size);
    auto const got = mdmd::config::parse_settings(text, "/nonexistent/config.yaml", {});
    if (got.value.has_value() != got.problems.empty()) std::abort();
    for (auto const& p : got.problems)
        if (p.text.empty() || p.line < 1 || p.column < 1 || p.line_text().find('\n') != std::string::npos) std::abort();
    if (got.value && got.value->enrollment.renewal_window >= got.value->enrollment.certificate_validity) std::abort();
    if (got.value) {
        auto const& before = got.value->key_reminders;
        if (before.size() > 20 || std::adjacent_find(before.begin(), before.end(), std::less_equal{}) != before.end())
            std::abort();
        auto const& e = got.value->entra;
        if (e.key.empty() || (e.proxy && (e.proxy->host.empty() || e.proxy->port == 0))) std::abort();
    }

    auto const key = mdmd::config::parse_credential(mdmd::secret(text), "/nonexistent/entra.key");
    if (!key && key.error().detail.empty()) std::abort();
    if (key &&
        (key->empty() || key->text.empty() != key->is_certificate() || key->key_pem.empty() == key->is_certificate()))
        std::abort();
    return 0;
}
