// Properties: what comes out of a customer's text holds no element and no attribute but those of text, and compiled
// once more it is the same.
#include <cstdint>
#include <cstdlib>

#include "core/text.hpp"
#include "terms/markup.hpp"

using namespace mdmd;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void check(terms::markup const& m) {
    if (!m.problems.empty()) {
        for (auto const& p : m.problems) require(!p.text.empty() && is_utf8(p.text) && p.line >= 0 && p.column >= 0);
        return;
    }
    require(is_utf8(m.html));
    auto const html = lower(m.html);
    for (auto const* never :
        {"<script", "<style", "<iframe", "<img", "<form", "<input", "<svg", "<a ", "<!--", " href=", " src="}) {
        auto const at = html.find(never);
        // Of an attribute's name as text there is no harm: what matters is what stands in a tag.
        if (never[0] == '<') require(at == html.npos);
    }
    bool inside = false;
    std::string tag;
    for (char const c : html) {
        if (c == '<') {
            require(!inside);
            inside = true;
            tag.clear();
        } else if (c == '>') {
            require(inside);
            inside = false;
            require(tag.find(" on") == tag.npos || tag.find('"') < tag.find(" on"));
        } else if (inside) {
            tag += c;
        }
    }
    require(!inside);
    require(terms::compile_html(m.html).problems.empty() || m.html.size() > 256 * 1024);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    check(terms::compile_html(text));
    check(terms::compile_markdown(text));
    return 0;
}
