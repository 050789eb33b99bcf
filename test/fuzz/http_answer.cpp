// Property: however bytes are cut, they are the same answer or the same refusal, which is one line without what was
// sent; what is accepted keeps its limit. Input: "H" where it answers a HEAD, anything else where it does not, and the
// bytes.
#include <cstdlib>

#include "http/answers.hpp"

using namespace mdmd;

static void must(bool holds) {
    if (!holds) std::abort();
}

namespace {

constexpr std::size_t body_bytes = 256;

struct outcome {
    bool refused = false, done = false;
    errc code{};
    std::size_t left = 0;  // bytes that were not taken
    std::optional<http::response> answer;
    int connect_status = 0;
    bool connect_refused = false;
};

outcome read(std::string_view input, std::size_t piece, bool head) {
    outcome o;
    http::answer_reader reader(head, body_bytes);
    std::string pending;
    for (std::size_t at = 0; at < input.size(); at += piece) {
        pending += input.substr(at, piece);
        if (o.refused || reader.done()) continue;
        if (auto const r = reader.put(pending); !r) {
            o.refused = true;
            o.code = r.error().code;
            must(r.error().detail.find('\n') == std::string::npos);
        }
    }
    if (!o.refused && !reader.done()) o.refused = !reader.put_end();
    o.done = !o.refused;
    if (o.done) {
        static_cast<void>(reader.keep_alive());
        o.left = pending.size();
        o.answer = reader.take();
    }

    http::connect_reader connect;
    pending.clear();
    for (std::size_t at = 0; at < input.size() && !o.connect_refused && connect.status() == 0; at += piece) {
        pending += input.substr(at, piece);
        o.connect_refused = !connect.put(pending);
    }
    o.connect_status = connect.status();
    return o;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view input(reinterpret_cast<char const*>(data), size);
    if (input.empty()) return 0;
    bool const head = input[0] == 'H';
    input.remove_prefix(1);
    auto const whole = read(input, size, head);
    auto const pieces = read(input, 3, head);
    must(whole.done == pieces.done && whole.connect_refused == pieces.connect_refused);
    must(whole.connect_status == pieces.connect_status);
    must(whole.connect_status == 0 || (whole.connect_status >= 101 && whole.connect_status <= 999));
    if (!whole.done) return 0;
    must(whole.answer->status == pieces.answer->status && whole.answer->body == pieces.answer->body);
    must(whole.left == pieces.left);
    must(whole.answer->body.size() <= body_bytes && whole.answer->status >= 200);
    if (head) must(whole.answer->body.empty());
    return 0;
}
