// Property: keys that are accepted have a name and refuse a signature of zeros; metadata points to https.
#include <cstdint>
#include <cstdlib>

#include "core/text.hpp"
#include "entra/token.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    if (auto const keys = entra::parse_jwks(text)) {
        if (keys->empty()) std::abort();
        for (auto const& key : *keys)
            if (key.kid.empty() || key.key.verify_rs256("text", std::string(256, '\0'))) std::abort();
    }
    if (auto const found = entra::parse_metadata(text, "11111111-2222-3333-4444-555555555555")) {
        if (found->issuer.empty() || !iequals(found->jwks_uri.substr(0, 8), "https://")) std::abort();
        for (char const c : found->jwks_uri)
            if (c <= ' ') std::abort();
    }
    return 0;
}
