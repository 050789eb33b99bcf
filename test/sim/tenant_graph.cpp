// The way into the tenant's Graph: the bearer token, request ids, the log, batches.
#include "core/random.hpp"
#include "core/text.hpp"
#include "graph.hpp"
#include "json_read.hpp"
#include "tenant_state.hpp"

namespace mdmd::sim {
namespace json = boost::json;

result<std::set<std::string>> tenant::impl::graph_roles(http::request const& r) const {
    auto const header = r.headers.get("Authorization").value_or("");
    if (header.size() < 8 || !iequals(header.substr(0, 7), "bearer "))
        return fail(errc::unauthenticated, "Access token is empty.");
    auto const token = trim(header.substr(7));
    auto const kid = kid_of(token);
    auto const key = std::find_if(keys.begin(), keys.end(), [&](signing_key const& k) { return k.kid == kid; });
    if (key == keys.end()) return fail(errc::unauthenticated, "Access token validation failure. Invalid signing key.");
    auto const claims = open_token(token, *key);
    if (!claims) return fail(errc::unauthenticated, "CompactToken validation failed. " + claims.error().detail);
    if (text_or(*claims, "aud") != graph_origin)
        return fail(errc::unauthenticated, "Access token validation failure. Invalid audience.");
    auto const now = to_ms(wall_clock()) / 1000;
    if (number_or(*claims, "exp", 0) <= now || number_or(*claims, "nbf", now + 1) > now)
        return fail(errc::unauthenticated, "Lifetime validation failed, the token is expired.");
    std::set<std::string> roles;
    for (auto const& role : array_or_empty(*claims, "roles"))
        if (role.is_string()) roles.emplace(role.as_string());
    return roles;
}

http::response tenant::impl::graph_request(http::request const& r) {
    auto const request_id = new_guid();
    auto const client_id = std::string(r.headers.get("client-request-id").value_or(""));
    auto const finished = [&](graph_reply reply) {
        if (reply.body.is_object() && reply.body.as_object().contains("error"))
            reply.body.as_object()["error"].as_object()["innerError"] =
                json::object{{"date", rfc3339(wall_clock()).substr(0, 19)}, {"request-id", request_id},
                    {"client-request-id", client_id.empty() ? request_id : client_id}};
        auto out = json_response(reply.status, reply.body);
        for (auto const& [name, value] : reply.headers) out.headers.add(name, value);
        out.headers.add("request-id", request_id);
        out.headers.add("client-request-id", client_id.empty() ? request_id : client_id);
        return out;
    };

    std::unique_lock lock(mutex);
    auto const roles = graph_roles(r);
    if (!roles) {
        auto reply = graph_error(401, "InvalidAuthenticationToken", roles.error().detail);
        reply.headers.add("WWW-Authenticate", fmt::format("Bearer realm=\"\", authorization_uri=\"{}\"", login_origin));
        return finished(std::move(reply));
    }
    auto const beta = r.path.starts_with("/beta/");
    std::string const root = beta ? "/beta" : "/v1.0";
    graph_context const context{.what = what,
        .client_id = options.client_id,
        .app_id = options.app_id,
        .graph_url = graph_origin + root,
        .roles = *roles,
        .now = wall_clock()};
    auto const answer = [&](graph_call const& call) {
        auto reply = graph(call, context);
        if (call.method != "GET") {
            auto body = parse_object(call.body);
            entries.push_back({.at = wall_clock(),
                .what = "graph",
                .method = call.method,
                .path = root + call.path,
                .status = reply.status,
                .body = body ? json::value(*body) : json::value(printable(call.body, 200)),
                .client_request_id = client_id});
        }
        return reply;
    };
    graph_call const call{.method = r.method,
        .path = r.path.substr(root.size()),
        .query = r.query,
        .headers = r.headers,
        .body = r.body,
        .beta = beta};
    if (!beta && (call.path == "/$batch" || call.path == "/%24batch")) {
        if (call.method != "POST") return finished(graph_error(405, "BadRequest", "$batch wants POST."));
        std::chrono::milliseconds delay{0};
        auto reply = graph_batch(call, [&](graph_call const& inner) {
            // Members of a batch are refused and throttled one by one.
            auto const f = faults.take(inner.method, "/v1.0" + inner.path);
            if (f) delay = std::max(delay, f->delay);
            if (!f || (f->status == 0 && !f->drop)) return answer(inner);
            auto body = parse_object(f->body);
            if (f->apply)
                answer(inner);
            else
                entries.push_back({.at = wall_clock(),
                    .what = "graph",
                    .method = inner.method,
                    .path = "/v1.0" + inner.path,
                    .status = f->status,
                    .body = "answered by a fault",
                    .client_request_id = client_id});
            return graph_reply{.status = f->drop ? 0 : f->status,
                .body = body ? json::value(*body) : json::value(nullptr),
                .headers = f->headers};
        });
        lock.unlock();
        std::this_thread::sleep_for(delay);
        return finished(std::move(reply));
    }
    return finished(answer(call));
}

}  // namespace mdmd::sim
