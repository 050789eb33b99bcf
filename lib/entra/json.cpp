#include "entra/json.hpp"

#include <fmt/format.h>
#include <boost/json/basic_parser_impl.hpp>
#include <set>
#include <vector>

namespace mdmd::entra {
namespace {

namespace json = boost::json;

constexpr std::size_t deepest = 8;

// Takes the events of a parse and stops it at the second member of one name in one object. Everything else passes.
struct member_check {
    static constexpr std::size_t max_object_size = std::size_t(-1);
    static constexpr std::size_t max_array_size = std::size_t(-1);
    static constexpr std::size_t max_key_size = std::size_t(-1);
    static constexpr std::size_t max_string_size = std::size_t(-1);

    std::vector<std::set<std::string>> open;  // the names seen in each object that has begun and not ended
    std::string part;                         // of a name that comes in pieces
    bool twice = false;

    bool on_object_begin(json::error_code&) {
        open.emplace_back();
        return true;
    }
    bool on_object_end(std::size_t, json::error_code&) {
        open.pop_back();
        return true;
    }
    bool on_key_part(json::string_view s, std::size_t, json::error_code&) {
        part.append(s.data(), s.size());
        return true;
    }
    bool on_key(json::string_view s, std::size_t, json::error_code& ec) {
        part.append(s.data(), s.size());
        if (!open.back().insert(std::exchange(part, {})).second) {
            twice = true;
            ec = json::error::syntax;
            return false;
        }
        return true;
    }
    bool on_document_begin(json::error_code&) { return true; }
    bool on_document_end(json::error_code&) { return true; }
    bool on_array_begin(json::error_code&) { return true; }
    bool on_array_end(std::size_t, json::error_code&) { return true; }
    bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
    bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
    bool on_number_part(json::string_view, json::error_code&) { return true; }
    bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
    bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
    bool on_double(double, json::string_view, json::error_code&) { return true; }
    bool on_bool(bool, json::error_code&) { return true; }
    bool on_null(json::error_code&) { return true; }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }
};

}  // namespace

result<json::object> parse_object(std::string_view text, std::size_t most, std::string_view what) {
    auto const bad = [&](std::string_view why) { return fail(errc::malformed, fmt::format("{} {}", what, why)); };
    if (text.size() > most) return bad(fmt::format("is over {} bytes", most));
    json::parse_options options;  // RFC 8259: no comments, no trailing commas, UTF-8 only
    options.max_depth = deepest;

    json::basic_parser<member_check> check(options);
    json::error_code ec;
    auto const read = check.write_some(false, text.data(), text.size(), ec);
    if (check.handler().twice) return bad("names a member twice");
    if (ec == json::error::too_deep) return bad("is nested too deeply");
    if (ec || read != text.size()) return bad("is not JSON");

    auto value = json::parse({text.data(), text.size()}, ec, {}, options);
    if (ec) return bad("is not JSON");
    if (!value.is_object()) return bad("is not a JSON object");
    return std::move(value.get_object());
}

std::optional<std::string_view> find_text(json::object const& o, std::string_view name) {
    auto const* value = o.if_contains({name.data(), name.size()});
    auto const* text = value ? value->if_string() : nullptr;
    if (!text) return std::nullopt;
    return std::string_view(text->data(), text->size());
}

json::object const* find_object(json::object const& o, std::string_view name) {
    auto const* value = o.if_contains({name.data(), name.size()});
    return value ? value->if_object() : nullptr;
}

}  // namespace mdmd::entra
