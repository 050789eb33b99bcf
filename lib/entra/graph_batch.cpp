// Requests to Graph that go together, and those of reporting compliance, which do.
#include <fmt/format.h>
#include <algorithm>
#include <charconv>

#include "core/text.hpp"
#include "entra/answers.hpp"

namespace mdmd::entra {
namespace {

namespace json = boost::json;

// The requests' ids are "1", "2"…
std::optional<std::size_t> index_of(std::string_view id, std::size_t requests) {
    std::size_t number = 0;
    auto const [end, ec] = std::from_chars(id.data(), id.data() + id.size(), number);
    if (ec != std::errc() || end != id.data() + id.size() || id.starts_with('0')) return std::nullopt;
    if (number < 1 || number > requests) return std::nullopt;
    return number - 1;
}

std::optional<http::response> member(json::object const& o) {
    auto const* const status = o.if_contains("status");
    auto const* const number = status ? status->if_int64() : nullptr;
    if (!number || *number < 100 || *number > 599) return std::nullopt;
    http::response r;
    r.status = static_cast<int>(*number);
    if (auto const* const headers = find_object(o, "headers"))
        for (auto const& [name, value] : *headers) {
            auto const* const text = value.if_string();
            r.headers.add(std::string(name), text ? std::string(*text) : json::serialize(value));
        }
    if (auto const* const body = find_object(o, "body")) r.body = json::serialize(*body);
    return r;
}

}  // namespace

batch_request find_device(std::string_view device_id) {
    std::string literal;  // in an OData text a quote is written twice
    for (char const c : device_id) literal.append(c == '\'' ? 2 : 1, c);
    auto const filter = fmt::format("deviceId eq '{}'", literal);
    return {"GET", fmt::format("/devices?$filter={}&$select=id,deviceId", percent_encode(filter)), ""};
}

result<std::optional<std::string>> parse_found_device(http::response const& answer) {
    if (answer.status != 200) {
        auto const e = parse_graph_error(answer);
        return fail(errc::unavailable,
            fmt::format("Graph answered the search for a device with {} {} {}", answer.status, e.code, e.request_id));
    }
    auto const body = parse_object(answer.body, largest_answer, "Graph's list of devices");
    if (!body) return body.error();
    auto const* value = body->if_contains("value");
    auto const* devices = value ? value->if_array() : nullptr;
    if (!devices) return fail(errc::malformed, "Graph's list of devices has no array `value`");
    if (devices->empty()) return std::optional<std::string>();
    if (devices->size() > 1) return fail(errc::malformed, "Graph's list has several devices of one deviceId");
    auto const* device = devices->front().if_object();
    auto const id = device ? find_text(*device, "id") : std::nullopt;
    auto const plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    };
    if (!id || id->empty() || id->size() > 64 || !std::all_of(id->begin(), id->end(), plain))
        return fail(errc::malformed, "Graph's list holds a device without a usable id");
    return std::optional<std::string>(*id);
}

batch_request report_compliance(std::string_view object_id, bool is_managed, bool is_compliant) {
    return {"PATCH", "/devices/" + percent_encode(object_id),
        fmt::format(R"({{"isManaged":{},"isCompliant":{}}})", is_managed, is_compliant)};
}

http::call batch(application const& app, access_token const& token, std::span<batch_request const> requests,
    std::string client_request_id) {
    json::array all;
    for (auto const& r : requests) {
        json::object one{{"id", std::to_string(all.size() + 1)}, {"method", r.method}, {"url", r.url}};
        if (!r.body.empty()) {
            one["headers"] = json::object{{"Content-Type", "application/json"}};
            one["body"] = json::parse(r.body);
        }
        all.push_back(std::move(one));
    }
    auto headers = graph_headers(token, std::move(client_request_id));
    headers.add("Content-Type", "application/json");
    return {.method = "POST",
        .url = fmt::format("{}/v1.0/$batch", without_last_slash(app.graph_url)),
        .headers = std::move(headers),
        .body = json::serialize(json::object{{"requests", std::move(all)}})};
}

result<std::vector<std::optional<http::response>>> parse_batch(http::response const& answer, std::size_t requests) {
    auto const body = parse_object(answer.body, largest_answer, "Graph's answer to a batch");
    if (!body) return body.error();
    auto const* const value = body->if_contains("responses");
    auto const* const responses = value ? value->if_array() : nullptr;
    if (!responses) return fail(errc::malformed, "Graph's answer to a batch has no array `responses`");
    std::vector<std::optional<http::response>> all(requests);
    for (auto const& one : *responses) {
        auto const* const o = one.if_object();
        auto const id = o ? find_text(*o, "id") : std::nullopt;
        auto const index = id ? index_of(*id, requests) : std::nullopt;
        if (index && !all[*index]) all[*index] = member(*o);
    }
    return all;
}

}  // namespace mdmd::entra
