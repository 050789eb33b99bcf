// Who owns a device, as Graph has it.
// Source: Microsoft Graph, "List registeredOwners" of device
#include <fmt/format.h>

#include "core/text.hpp"
#include "entra/answers.hpp"

namespace mdmd::entra {

http::call registered_owners(
    application const& app, access_token const& token, std::string_view device_id, std::string client_request_id) {
    return {.method = "GET",
        .url = fmt::format("{}/v1.0/devices(deviceId='{}')/registeredOwners?$select=id",
            without_last_slash(app.graph_url), percent_encode(device_id)),
        .headers = graph_headers(token, std::move(client_request_id)),
        .body = {}};
}

result<std::set<std::string>> parse_registered_owners(http::response const& answer) {
    if (answer.status != 200) {
        auto const e = parse_graph_error(answer);
        if (answer.status == 404) return fail(errc::not_found, "Entra has no device of this ID");
        return fail(answer.status == 403 ? errc::forbidden : errc::unavailable,
            fmt::format("Graph answered the request for a device's owner with {} {}{}", answer.status, e.code,
                answer.status == 403
                    ? ": the application needs the permission Device.ReadWrite.All or Device.Read.All, "
                      "with the administrator's consent"
                    : ""));
    }
    auto const body = parse_object(answer.body, largest_answer, "Graph's list of a device's owners");
    if (!body) return body.error();
    auto const* value = body->if_contains("value");
    auto const* owners = value ? value->if_array() : nullptr;
    if (!owners) return fail(errc::malformed, "Graph's list of a device's owners has no array `value`");
    std::set<std::string> ids;
    for (auto const& one : *owners) {
        auto const* owner = one.if_object();
        auto const id = owner ? find_text(*owner, "id") : std::nullopt;
        if (!id || !is_guid(*id)) return fail(errc::malformed, "Graph's list of a device's owners holds what is no ID");
        ids.insert(lower(*id));
    }
    return ids;
}

}  // namespace mdmd::entra
