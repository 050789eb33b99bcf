#include "faults.hpp"

namespace mdmd::sim {
namespace json = boost::json;

result<fault_rule> parse_fault(json::value const& value) {
    if (!value.is_object()) return fail(errc::malformed, "a fault is an object");
    fault_rule r;
    for (auto const& [name, v] : value.as_object()) {
        auto const wrong = fail(errc::malformed, fmt::format("a fault's '{}' is unknown or of the wrong type", name));
        if (name == "method" && v.is_string()) {
            r.method = v.as_string();
        } else if (name == "path" && v.is_string()) {
            r.path = v.as_string();
        } else if (name == "status" && v.is_int64()) {
            r.status = static_cast<int>(v.as_int64());
        } else if (name == "delay_ms" && v.is_int64()) {
            r.delay = std::chrono::milliseconds(v.as_int64());
        } else if (name == "drop" && v.is_bool()) {
            r.drop = v.as_bool();
        } else if (name == "apply" && v.is_bool()) {
            r.apply = v.as_bool();
        } else if (name == "count" && v.is_int64()) {
            r.count = static_cast<int>(v.as_int64());
        } else if (name == "body") {
            r.body = v.is_string() ? std::string(v.as_string()) : json::serialize(v);
        } else if (name == "headers" && v.is_object()) {
            for (auto const& [field, text] : v.as_object()) {
                if (!text.is_string()) return wrong;
                r.headers.add(std::string(field), std::string(text.as_string()));
            }
        } else {
            return wrong;
        }
    }
    if (r.path.empty()) return fail(errc::malformed, "a fault needs a path");
    if (r.status == 0 && !r.drop && (r.apply || r.delay.count() == 0))
        return fail(errc::malformed, "a fault needs a status, drop or a delay");
    if (r.path.front() == '^') {
        try {
            std::regex const tried(r.path);
        } catch (std::regex_error const& e) {
            return fail(errc::malformed, fmt::format("path: {}", e.what()));
        }
    }
    return r;
}

json::object as_json(fault_rule const& r) {
    json::object headers;
    for (auto const& [name, value] : r.headers) headers[name] = value;
    return {{"method", r.method}, {"path", r.path}, {"status", r.status}, {"headers", std::move(headers)},
        {"body", r.body}, {"delay_ms", r.delay.count()}, {"drop", r.drop}, {"apply", r.apply}, {"count", r.count}};
}

std::optional<fault_rule> named_fault(std::string_view name) {
    http::fields const json_type{{"Content-Type", "application/json"}};
    auto const rule = [&](char const* path, int status, std::string body) {
        fault_rule r;
        r.path = path;
        r.status = status;
        r.headers = json_type;
        r.body = std::move(body);
        return r;
    };
    auto const graph_error = [](char const* code, char const* message) {
        return fmt::format(R"({{"error":{{"code":"{}","message":"{}","innerError":{{}}}}}})", code, message);
    };
    if (name == "metadata") return rule("^/[^/]+(/v2\\.0)?/\\.well-known/.*", 503, "{}");
    if (name == "jwks-down") return rule("^/[^/]+/discovery/(v2\\.0/)?keys", 503, "{}");
    if (name == "jwks-broken") return rule("^/[^/]+/discovery/(v2\\.0/)?keys", 200, "<html>not keys</html>");
    if (name == "jwks-empty") return rule("^/[^/]+/discovery/(v2\\.0/)?keys", 200, R"({"keys":[]})");
    if (name == "token-down") return rule("^/[^/]+/oauth2/v2\\.0/token", 503, "{}");
    if (name == "graph-down")
        return rule("/v1.0/", 503, graph_error("serviceNotAvailable", "The service is temporarily unavailable."));
    if (name == "graph-refused")
        return rule("/v1.0/", 403,
            graph_error("Authorization_RequestDenied", "Insufficient privileges to complete the operation."));
    auto const dropped = [](char const* method, char const* path, bool apply) {
        fault_rule r;
        r.method = method;
        r.path = path;
        r.drop = true;
        r.apply = apply;
        return r;
    };
    if (name == "graph-hangs-up") return dropped("POST", "/v1.0/$batch", false);
    if (name == "graph-hangs-up-late") return dropped("POST", "/v1.0/$batch", true);
    if (name == "graph-some-dropped") return dropped("PATCH", "/v1.0/devices/", false);
    if (name == "graph-some-throttled") {
        auto r = rule("/v1.0/devices/", 429, graph_error("TooManyRequests", "Too many requests."));
        r.method = "PATCH";
        r.headers.add("Retry-After", "0.5");
        return r;
    }
    auto const wns = [&](int status, std::pair<std::string, std::string> field) {
        auto r = rule("^/(wns/)?$", status, {});
        r.headers = {std::move(field)};
        return r;
    };
    if (name == "wns-token-down") return rule("/accesstoken.srf", 503, "{}");
    if (name == "wns-unauthorized") return wns(401, {"WWW-Authenticate", "Bearer"});
    if (name == "wns-forbidden") return wns(403, {"X-WNS-Error-Description", "The channel is another application's"});
    if (name == "wns-gone") return wns(410, {"X-WNS-Error-Description", "The channel has expired"});
    if (name == "wns-throttled") return wns(406, {"Retry-After", "1"});
    if (name == "wns-down") return wns(503, {"Retry-After", "1"});
    if (name == "wns-dropped") return wns(200, {"X-WNS-Status", "dropped"});
    if (name == "graph-throttled") {
        auto r = rule("/v1.0/", 429, graph_error("TooManyRequests", "Too many requests."));
        r.headers.add("Retry-After", "1");
        return r;
    }
    return std::nullopt;
}

void fault_list::add(fault_rule rule) {
    entry e{std::move(rule), std::nullopt};
    if (e.rule.path.starts_with('^')) e.pattern.emplace(e.rule.path);
    rules_.push_back(std::move(e));
}

std::optional<fault_rule> fault_list::take(std::string_view method, std::string_view path) {
    for (auto& [rule, pattern] : rules_) {
        if (rule.count == 0 || (!rule.method.empty() && rule.method != method)) continue;
        if (pattern ? !std::regex_match(path.begin(), path.end(), *pattern) : !path.starts_with(rule.path)) continue;
        if (rule.count > 0) --rule.count;
        return rule;
    }
    return std::nullopt;
}

json::array fault_list::as_json() const {
    json::array all;
    for (auto const& e : rules_) all.push_back(sim::as_json(e.rule));
    return all;
}

}  // namespace mdmd::sim
