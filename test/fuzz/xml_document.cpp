// Properties: what is accepted keeps its limits, parses to the same tree again, and reads back equal once written;
// inner XML stands for itself.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#include "xml/document.hpp"
#include "xml/writer.hpp"

using namespace mdmd;

static std::size_t depth(xml::tree const& t) {
    std::size_t most = 0;
    for (auto const& [n, c] : t)
        if (!xml::is_attributes(n)) most = std::max(most, depth(c));
    return most + 1;
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    auto const once = xml::parse(text);
    std::array<xml::name, 2> const opaque{xml::name{"SYNCML:SYNCML1.2", "Data"}, xml::name{"", "Data"}};
    auto const folded = xml::parse(text, {}, opaque);
    if (!once) return 0;
    if (depth(once->content) > xml::limits{}.depth) std::abort();
    auto const again = xml::parse(text);
    if (!again || again->content != once->content || again->root != once->root) std::abort();

    xml::writer w;
    auto const written = std::move(w.leaf("a", once->content.data())).finish();
    if (!written) std::abort();
    if (auto const read = xml::parse(*written, {.bytes = 8 << 20});
        !read || read->content.data() != once->content.data())
        std::abort();

    if (folded && folded->root.local == "Data" && !once->content.empty() && !folded->content.data().empty() &&
        folded->content.data() != once->content.data()) {
        xml::limits const roomy{.bytes = 8 << 20, .depth = 64, .nodes = 100'000, .attributes = 64};
        if (!xml::parse("<a>" + folded->content.data() + "</a>", roomy)) std::abort();
    }
    return 0;
}
