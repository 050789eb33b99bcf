// Property: whatever comes back from Entra's sign-in, by way of the browser or from the token endpoint, what we keep of
// it fits one line. Input: a query, or "!" and the token endpoint's answer.
#include <cstdint>
#include <cstdlib>

#include "core/text.hpp"
#include "entra/authorization_code.hpp"

static void one_line(std::string_view text) {
    for (char const c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    if (text.starts_with('!')) {
        for (int const status : {200, 400}) {
            auto const got = entra::parse_code_answer({status, {}, std::string(text.substr(1))}, from_ms(0));
            if (got.id_token && (status != 200 || got.id_token->empty())) std::abort();
            if (!got.id_token) one_line(got.refusal.summary());
        }
        return 0;
    }
    auto const got = entra::parse_authorization_answer(text);
    if (!got) {
        one_line(got.error().detail);
        return 0;
    }
    if (got->state.empty() || got->code.empty() == got->error.empty()) std::abort();
    one_line(got->error);
    one_line(got->subcode);
    return 0;
}
