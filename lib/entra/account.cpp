// A user's account, as Graph has it.
// Source: Microsoft Graph, "Get user": accountEnabled
#include <fmt/format.h>

#include "core/text.hpp"
#include "entra/answers.hpp"

namespace mdmd::entra {

http::call read_account(
    application const& app, access_token const& token, std::string_view user_id, std::string client_request_id) {
    return {.method = "GET",
        .url = fmt::format(
            "{}/v1.0/users/{}?$select=id,accountEnabled", without_last_slash(app.graph_url), percent_encode(user_id)),
        .headers = graph_headers(token, std::move(client_request_id)),
        .body = {}};
}

result<account_state> parse_account(http::response const& answer) {
    if (answer.status == 404) return account_state::gone;
    if (answer.status != 200) {
        auto const e = parse_graph_error(answer);
        return fail(answer.status == 403 ? errc::forbidden : errc::unavailable,
            fmt::format("Graph answered the request for a user's account with {} {} {}{}", answer.status, e.code,
                e.request_id,
                answer.status == 403
                    ? ": the application needs the permission User.Read.All, with the administrator's consent"
                    : ""));
    }
    auto const body = parse_object(answer.body, largest_answer, "Graph's account of a user");
    if (!body) return body.error();
    auto const* enabled = body->if_contains("accountEnabled");
    if (!enabled || !enabled->is_bool())
        return fail(errc::malformed, "Graph's account of a user has no accountEnabled");
    return enabled->as_bool() ? account_state::enabled : account_state::disabled;
}

}  // namespace mdmd::entra
