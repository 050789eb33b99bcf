// Properties: parsing never fails but by value; an accepted message is taken in and answered with a message that is
// XML again, has one status for the header and stays within our limits; the session survives being saved.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "omadm/session.hpp"
#include "xml/document.hpp"

using namespace mdmd;
using namespace mdmd::omadm;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const m = parse({reinterpret_cast<char const*>(data), size});
    if (!m) return 0;
    session before{.id = m->hdr.session_id,
        .device_msg_id = m->hdr.msg_id - 1,
        .server_msg_id = 1,
        .max_msg_size = 0,
        .waiting = {},
        .login_status = {},
        .ended = false};
    for (int id = 2; id < 6; ++id)
        before.waiting.push_back({.msg_id = 1,
            .cmd_id = id,
            .key = "k",
            .sent =
                {.what = id % 2 ? verb::get : verb::add, .uri = "./N", .format = {}, .type = {}, .data = std::nullopt},
            .status = std::nullopt,
            .value = std::nullopt,
            .format = {},
            .partial = false});
    auto const in = receive(before, *m);
    if (!in || in->statuses.empty()) std::abort();
    std::vector<wanted> const queue{
        {"a", {verb::get, "./A", {}, {}, {}}}, {"b", {verb::replace, "./B", "chr", {}, "<&>"}}};
    auto const a = reply_to(*in, {m->hdr.source, "https://mdm.example.test/dm"}, queue);
    if (!xml::parse(a.text, {.bytes = 32 << 20, .depth = 32, .nodes = 1'000'000})) std::abort();
    auto const kept = load(save(a.next));
    if (!kept || *kept != a.next) std::abort();
    return 0;
}
