// Property: what an envelope or a manifest says of itself is what is read of it; anything else is refused with words.
#include <cstdint>
#include <cstdlib>

#include "backup/backup.hpp"

namespace {

using namespace mdmd;

result<std::string> content_of(std::string_view file) {
    auto from = backup::envelope_reader::open(
        [&](std::size_t most) {
            std::string const some(file.substr(0, most));
            file.remove_prefix(some.size());
            return some;
        },
        {});
    if (!from) return from.error();
    std::string all;
    while (true) {
        auto more = from->next();
        if (!more || more->empty()) return more ? result<std::string>(all) : more;
        all += *more;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    if (auto const got = content_of(text); !got && got.error().detail.empty()) std::abort();
    std::string packed;
    backup::envelope_writer to([&](std::string_view s) { packed += s; }, {});
    to.add(text);
    to.finish();
    if (content_of(packed).value() != text) std::abort();
    auto const m = backup::parse_manifest(text);
    if (!m) return m.error().detail.empty() ? (std::abort(), 0) : 0;
    auto const again = backup::parse_manifest(backup::to_json(*m));
    if (!again || backup::to_json(*again) != backup::to_json(*m)) std::abort();
    return 0;
}
