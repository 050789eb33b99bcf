// Properties: what is decoded comes back from its encoding; an encoding is always read again; times and lines hold what
// they promise.
#include <cstdint>
#include <cstdlib>

#include "core/os_version.hpp"
#include "core/text.hpp"
#include "core/time.hpp"

using namespace mdmd;

static void must(bool holds) {
    if (!holds) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    must(unbase64(base64(text)) == text && unbase64url(base64url(text)) == text && unhex(hex(text)) == text);
    must(percent_decode(percent_encode(text)) == text);
    if (auto const bytes = unbase64(text)) must(base64(*bytes).size() <= size);
    if (auto const bytes = unbase64url(text)) must(unbase64url(base64url(*bytes)) == *bytes);
    if (auto const bytes = unhex(text)) must(bytes->size() * 2 == size);
    if (auto const plain = percent_decode(text)) must(plain->size() <= size);

    for (bool const plus : {false, true})
        for (auto const& [name, value] : parse_query(text, plus)) must(name.size() + value.size() <= size);

    auto const cut = cut_utf8(text, 7);
    must(cut.size() <= 7 && (!is_utf8(text) || is_utf8(cut)));
    auto const line = printable(text, 64);
    must(is_utf8(line));
    for (char const c : line) must(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    must(html_escape(text).find_first_of("<>\"'") == std::string::npos);

    if (auto const t = parse_rfc3339(text)) must(parse_rfc3339(rfc3339_ms(*t)) == *t);
    static_cast<void>(parse_date(text));
    static_cast<void>(parse_duration(text));
    static_cast<void>(parse_os_version(text));
    static_cast<void>(parse_last_os_version(text));
    static_cast<void>(parse_os_edition(text));
    return 0;
}
