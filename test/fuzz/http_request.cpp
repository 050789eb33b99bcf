// Property: however bytes are cut, they are the same request or the same refusal, and what is accepted keeps the rules.
#include <cstdlib>

#include "http/framing.hpp"

using mdmd::http::request_reader;

static void must(bool holds) {
    if (!holds) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const input(reinterpret_cast<char const*>(data), size);
    mdmd::http::framing_rules const rules{
        .header_bytes = 512, .body_bytes = 128, .header_fields = 8, .chunked_allowed = true};
    request_reader whole(rules);
    auto const taken = whole.put(input);
    must(taken <= size);

    request_reader pieces(rules);
    std::string pending;
    std::size_t taken_in_pieces = 0;
    for (std::size_t at = 0; at < size; at += 3) {
        pending += input.substr(at, 3);
        auto const n = pieces.put(pending);
        must(n <= pending.size());
        pending.erase(0, n);
        taken_in_pieces += n;
    }
    must(whole.where() == pieces.where() && whole.status() == pieces.status());
    if (whole.where() == request_reader::state::refused) must(whole.status() >= 400 && whole.status() <= 599);
    if (whole.where() != request_reader::state::complete) return 0;

    must(taken == taken_in_pieces);
    auto const& r = whole.message();
    must(r.body == pieces.message().body && r.path == pieces.message().path);
    must(r.body.size() <= rules.body_bytes && r.path.starts_with('/'));
    must(r.path.find("/../") == r.path.npos && r.path.find(' ') == r.path.npos);
    std::size_t fields = 0;
    for (auto const& [name, value] : r.headers) {
        ++fields;
        must(mdmd::http::is_token(name) && mdmd::http::is_field_value(value));
    }
    must(fields <= rules.header_fields);
    return 0;
}
