// Properties: an accepted redirect_uri has an allowed scheme and can be written into a header whatever it holds; a
// state opens only under its own seal, and then to what was sealed.
#include <cstdint>
#include <cstdlib>

#include "core/text.hpp"
#include "terms/compliance_page.hpp"
#include "terms/language.hpp"
#include "terms/library.hpp"

using namespace mdmd;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

bool fit_for_a_header(std::string_view s) {
    for (char const c : s)
        if (c <= ' ' || c >= '\x7f') return false;
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace std::chrono_literals;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    constexpr std::string_view key = "a key for fuzzing only";
    time_point const now{1'770'000'000s};

    require(!terms::open(text, key, now));  // nobody guesses an HMAC
    require(!terms::open_link(text, key, now));

    auto const q = terms::parse_query(text, {"ms-appx-web", "ms-app"});
    if (!q) {
        require(q.error().code == errc::malformed && is_utf8(q.error().detail));
        return 0;
    }
    auto const scheme = lower(q->redirect_uri.substr(0, q->redirect_uri.find(':')));
    require(scheme == "ms-appx-web" || scheme == "ms-app");
    require(!q->client_request_id.empty());
    for (auto const& r :
        {terms::accepted(*q, text), terms::declined(*q), terms::failed(*q, terms::failure::internal)}) {
        auto const location = r.headers.get("Location").value_or("");
        require(lower(location).starts_with(scheme + ":") && fit_for_a_header(location));
    }

    terms::form_state const state{.id = "id",
        .user_id = std::string(text.substr(0, size / 2)),
        .upn = std::string(text.substr(size / 2)),
        .tenant_id = {},
        .from = *q,
        .text_version = {},
        .language = std::string(text),
        .expires = now + 1s};
    auto const sealed = terms::seal(state, key);
    auto const opened = terms::open(sealed, key, now);
    if (sealed.size() > 16 * 1024) return 0;
    require(opened && opened->user_id == state.user_id && opened->upn == state.upn &&
            opened->from.redirect_uri == q->redirect_uri && opened->from.api_version == q->api_version);
    require(!terms::open(sealed, key, now + 1s));
    terms::library const built_in;
    auto const page = terms::page({}, state, sealed,
        built_in.choose(q->owner, {}, terms::languages_of({{"Accept-Language", std::string(text)}})));
    require(page.body.find("<script") == page.body.npos);
    return 0;
}
