// Properties: a part lies within the content, is not empty, and is told as it is; any list of tags can be read.
#include <cstdint>
#include <cstdlib>

#include "core/http_content.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd::http;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    for (std::uint64_t const whole : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{500}, std::uint64_t{1} << 40}) {
        auto const r = choose_range(text, whole);
        switch (r.what) {
            case byte_range::kind::whole:
                if (r.offset != 0 || r.length != whole) std::abort();
                break;
            case byte_range::kind::part:
                if (r.length == 0 || r.offset >= whole || r.length > whole - r.offset) std::abort();
                if (content_range(r, whole).empty()) std::abort();
                break;
            case byte_range::kind::unsatisfiable:
                if (r.length != 0) std::abort();
                break;
        }
    }
    static_cast<void>(has_tag(text, "\"1\""));
    return 0;
}
