// Properties: what loads saves to a line that loads to the same session; and whatever was waiting in it, a message that
// follows is taken in and answered.
#include <cstdint>
#include <cstdlib>

#include "omadm/session.hpp"

using namespace mdmd::omadm;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const once = load({reinterpret_cast<char const*>(data), size});
    if (!once) return 0;
    auto const again = load(save(*once));
    if (!again || *again != *once) std::abort();

    // What we save came out of XML, was found sendable, and counts no further than its messages do.
    constexpr int far = 1 << 20;
    if (once->device_msg_id > far || once->server_msg_id > far || once->messages > far) return 0;
    for (auto const& o : once->waiting)
        if (!sendable(o.sent)) return 0;
    message m;
    m.hdr.session_id = "1";
    m.hdr.msg_id = once->device_msg_id + 1;
    m.hdr.source = "d";
    auto before = *once;
    before.id = "1";
    for (auto const& o : before.waiting) {
        m.body.push_back(status{.cmd_id = 0, .msg_ref = o.msg_id, .cmd_ref = o.cmd_id, .cmd = {}, .data = 213});
        m.body.push_back(results{.cmd_id = 1, .msg_ref = o.msg_id, .cmd_ref = o.cmd_id, .items = {{.data = "v"}}});
    }
    m.body.push_back(status{.cmd_id = 0,
        .msg_ref = before.server_msg_id,
        .cmd_ref = 0,
        .cmd = {},
        .data = 401,
        .challenge = chal{.next_nonce = "n"}});
    m.final = true;
    auto const in = receive(before, m);
    if (!in) std::abort();
    auto const a = reply_to(*in, {"d", "https://mdm.example.test/dm"}, {});
    auto const kept = load(save(a.next));
    if (!kept || *kept != a.next) std::abort();
    return 0;
}
