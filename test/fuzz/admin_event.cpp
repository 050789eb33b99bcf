// Property: of what a body sets, the event says the same in its answer, which can be sent back; a refusal is one line.
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>

#include "admin/graph_event.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd;
    boost::system::error_code e;
    auto const parsed = boost::json::parse({reinterpret_cast<char const*>(data), size}, e);
    if (e || !parsed.is_object()) return 0;
    for (auto const v : {admin::graph_version::v1, admin::graph_version::beta}) {
        auto const changes = admin::read_changes(parsed.get_object(), v);
        if (!changes) {
            for (char const c : changes.error().detail)
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
            continue;
        }
        store::event event{.id = "0f1e2d3c-1111-4222-8333-444455556666", .at = from_ms(0)};
        admin::apply(*changes, event);
        if (event.id != "0f1e2d3c-1111-4222-8333-444455556666") std::abort();
        auto const shown = admin::to_json(event, v);
        auto const again = admin::read_changes(shown, v);
        if (!again) std::abort();
        auto same = event;
        admin::apply(*again, same);
        if (admin::to_json(same, v) != shown) std::abort();
    }
    return 0;
}
