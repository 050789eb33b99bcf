// The groups of a user, as Graph lists them.
// Source: Microsoft Graph, "directoryObject: getMemberGroups"; "Paging Microsoft Graph data in your app"
#include <fmt/format.h>

#include "core/text.hpp"
#include "entra/answers.hpp"

namespace mdmd::entra {
namespace {

constexpr std::size_t longest_page_url = 8 * 1024;

}  // namespace

http::call member_groups(
    application const& app, access_token const& token, std::string_view user_id, std::string client_request_id) {
    auto headers = graph_headers(token, std::move(client_request_id));
    headers.add("Content-Type", "application/json");
    return {.method = "POST",
        .url =
            fmt::format("{}/v1.0/users/{}/getMemberGroups", without_last_slash(app.graph_url), percent_encode(user_id)),
        .headers = std::move(headers),
        .body = R"({"securityEnabledOnly":false})"};
}

http::call next_member_groups(access_token const& token, std::string next, std::string client_request_id) {
    return {.method = "GET",
        .url = std::move(next),
        .headers = graph_headers(token, std::move(client_request_id)),
        .body = {}};
}

result<group_page> parse_member_groups(application const& app, http::response const& answer) {
    if (answer.status != 200) {
        auto const e = parse_graph_error(answer);
        auto const code = answer.status == 403   ? errc::forbidden
                          : answer.status == 404 ? errc::not_found
                                                 : errc::unavailable;
        return fail(code, fmt::format("Graph answered the request for a user's groups with {} {} {}{}", answer.status,
                              e.code, e.request_id,
                              answer.status == 403 ? ": the application needs the permissions GroupMember.Read.All and "
                                                     "User.Read.All, with the administrator's consent"
                                                   : ""));
    }
    auto const body = parse_object(answer.body, largest_answer, "Graph's list of a user's groups");
    if (!body) return body.error();
    auto const* value = body->if_contains("value");
    auto const* groups = value ? value->if_array() : nullptr;
    if (!groups) return fail(errc::malformed, "Graph's list of a user's groups has no array `value`");
    group_page page;
    for (auto const& one : *groups) {
        auto const* id = one.if_string();
        if (!id || !is_guid(*id)) return fail(errc::malformed, "Graph's list of a user's groups holds what is no ID");
        page.groups.push_back(lower(*id));
    }
    auto const* next = body->if_contains("@odata.nextLink");
    if (!next || next->is_null()) return page;
    // The token goes along with the next request, so its address may be Graph's only.
    auto const* text = next->if_string();
    auto const plain = [](char c) { return c > 0x20 && c < 0x7f; };
    if (!text || text->size() > longest_page_url || !std::all_of(text->begin(), text->end(), plain) ||
        !text->starts_with(std::string(without_last_slash(app.graph_url)) + "/"))
        return fail(errc::malformed, "Graph's list of a user's groups goes on at an address that is not Graph's");
    page.next = *text;
    return page;
}

}  // namespace mdmd::entra
