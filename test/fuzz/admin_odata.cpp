// Property: whatever stands in a query, what is read of it is within its limits, means the same when it is written and
// read again, and a refusal is one line.
#include <cstdint>
#include <cstdlib>

#include "admin/graph_event.hpp"
#include "admin/odata.hpp"
#include "core/text.hpp"

namespace odata = mdmd::admin::odata;

static void one_line(std::string_view text) {
    for (char const c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
}

static int depth(odata::expression const& e, int& terms) {
    if (e.what == odata::expression::kind::compare) {
        terms += static_cast<int>(e.values.size());
        return 1;
    }
    int most = 0;
    for (auto const& part : e.parts) most = std::max(most, depth(part, terms));
    return most + 1;
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace mdmd;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    auto const q = odata::parse_query(text);
    if (!q) {
        one_line(q.error().detail);
        return 0;
    }
    auto const again = odata::parse_query(q->repeated);
    if (!again || again->repeated != q->repeated) std::abort();
    if (q->top && (*q->top < 1 || *q->top > 1000)) std::abort();
    for (auto const v : {admin::graph_version::v1, admin::graph_version::beta}) {
        if (auto const order = admin::read_order(q->order, v); !order) one_line(order.error().detail);
        if (auto const select = admin::read_select(q->select, v); !select) one_line(select.error().detail);
        if (!q->filter) continue;
        if (auto const filter = admin::read_filter(*q->filter, v); !filter) one_line(filter.error().detail);
    }
    if (!q->filter) return 0;
    int terms = 0;
    if (depth(*q->filter, terms) > 2 * odata::deepest + 1 || terms > odata::most_terms) std::abort();
    // Written, it has a pair of parentheses for each operator: what was deep already may be too deep then.
    auto const written = odata::to_text(*q->filter);
    if (auto const read = odata::parse_filter(written); read && odata::to_text(*read) != written) std::abort();
    return 0;
}
