// Properties: parsing never fails but by value; an accepted message is taken in and answered with a message that is
// XML again, has one status for the header and stays within our limits; the session survives being saved; what waits
// completes at most once, under its own key; a challenge answers with one status for each command.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <vector>

#include "omadm/session.hpp"
#include "xml/document.hpp"

using namespace mdmd;
using namespace mdmd::omadm;

namespace {

constexpr xml::limits wide{.bytes = 32 << 20, .depth = 32, .nodes = 1'000'000};

// Our first message had CmdIDs 2 to 5 by themselves and an Atomic 6 of 7 and 8, or a part of a large object with
// CmdID 2.
session waiting(header const& h, bool large) {
    session s;
    s.id = h.session_id;
    s.device_msg_id = h.msg_id - 1;
    s.server_msg_id = 1;
    auto const wait = [&](int cmd_id, verb what, int atomic = 0) -> outstanding& {
        outstanding o;
        o.msg_id = 1;
        o.cmd_id = cmd_id;
        o.key = std::to_string(cmd_id);
        o.sent.what = what;
        o.sent.uri = "./N" + o.key;
        o.atomic = atomic;
        return s.waiting.emplace_back(std::move(o));
    };
    if (large) {
        auto& o = wait(2, verb::add);
        o.sent.data = std::string(2000, '<');
        o.in_parts = true;
        o.parted = 100;
        return s;
    }
    for (int id = 2; id < 6; ++id) wait(id, id % 2 ? verb::get : verb::add);
    s.atomics = {{1, 6, std::nullopt}};
    for (int id = 7; id < 9; ++id) wait(id, verb::replace, 6);
    return s;
}

void check(answer const& a) {
    if (!xml::parse(a.text, wide)) std::abort();
    auto const kept = load(save(a.next));
    if (!kept || *kept != a.next) std::abort();
}

void converse(message const& m, session const& before) {
    addresses const to{m.hdr.source, "https://mdm.example.test/dm"};
    auto const in = receive(before, m);
    if (!in || in->statuses.empty()) std::abort();
    std::set<std::string> seen;
    for (auto const& o : in->outcomes)
        if (o.sent.uri != "./N" + o.key || !seen.insert(o.key).second) std::abort();
    for (auto const& o : in->next.waiting)
        if (!seen.insert(o.key).second) std::abort();
    if (seen.size() != before.waiting.size()) std::abort();

    std::vector<wanted> const queue{{"a", {verb::get, "./A", {}, {}, {}}},
        {"b", {verb::replace, "./B", "chr", {}, "<&>"}, "p"}, {"c", {verb::add, "./C", {}, {}, "1"}, "p"}};
    auto const a = reply_to(*in, to, queue);
    check(a);
    if (a.ended != a.next.ended || (!seen.empty() && !in->next.waiting.empty() && a.taken != 0)) std::abort();
    if (m.hdr.msg_id < 0x7fffffff) {
        message next = m;
        ++next.hdr.msg_id;
        auto const later = receive(a.next, next);
        if (!later) std::abort();
        check(reply_to(*later, to, queue));
    }
    auto const refused = challenge(before, m, to, refusal::wrong, "nonce");
    if (!refused || refused->ended) std::abort();
    check(*refused);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const m = parse({reinterpret_cast<char const*>(data), size});
    if (!m) return 0;
    converse(*m, {});
    if (m->hdr.msg_id < 2) return 0;
    converse(*m, waiting(m->hdr, false));
    converse(*m, waiting(m->hdr, true));
    return 0;
}
