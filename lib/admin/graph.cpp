#include "admin/graph.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "admin/graph_event.hpp"
#include "admin/odata.hpp"
#include "core/log.hpp"
#include "core/random.hpp"
#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "entra/json.hpp"
#include "store/events.hpp"

namespace mdmd::admin {
namespace {

namespace json = boost::json;

constexpr std::size_t largest_body = 256 * 1024;
constexpr std::int64_t default_top = 100;
constexpr std::size_t longest_request_id = 128;
constexpr std::string_view collection = "deviceManagement/troubleshootingEvents";

struct failure {
    int status;
    std::string_view code;
    std::string message;
    std::vector<std::pair<std::string, std::string>> headers{};
};
failure bad_request(std::string message) { return {400, "invalidRequest", std::move(message)}; }
failure no_such_event() { return {404, "itemNotFound", "There is no event of that id."}; }

// What a client calls its request; it comes back in the answer and stands in no log line.
std::optional<std::string> client_request_id(http::request const& r) {
    auto const given = r.headers.get("client-request-id");
    if (!given || given->empty() || given->size() > longest_request_id) return std::nullopt;
    if (std::any_of(given->begin(), given->end(), [](char c) { return c < 0x20 || c > 0x7e; })) return std::nullopt;
    return std::string(*given);
}

http::response with_ids(http::response answer, http::request const& r) {
    answer.headers.add("request-id", r.id);
    if (auto const id = client_request_id(r)) answer.headers.add("client-request-id", *id);
    answer.headers.add("Cache-Control", "no-store");
    answer.headers.add("X-Content-Type-Options", "nosniff");
    return answer;
}

http::response entity(int status, json::value const& v) {
    return {status,
        {{"Content-Type", "application/json; odata.metadata=minimal; charset=utf-8"}, {"OData-Version", "4.0"}},
        json::serialize(v)};
}

// Where a request goes: the collection, or one event of it.
struct place {
    std::string root;  // as it was asked: "v1.0", "beta", "v1"
    graph_version version = graph_version::v1;
    bool known = false;             // false: there is nothing here
    std::optional<std::string> id;  // as sent; nullopt: the collection
};

// What stands in the parentheses of troubleshootingEvents('id') or (id='id').
std::optional<std::string> key_of(std::string_view s) {
    for (std::string_view const name : {"id=", "deviceManagementTroubleshootingEventId="})
        if (s.starts_with(name)) s.remove_prefix(name.size());
    if (s.size() < 2 || !s.starts_with('\'') || !s.ends_with('\'')) return std::nullopt;
    return std::string(s.substr(1, s.size() - 2));
}

// Names are compared without regard to case, as Graph does.
place place_of(std::string_view path) {
    auto parts = split(path.substr(std::min<std::size_t>(1, path.size())), '/');
    if (parts.size() > 1 && parts.back().empty()) parts.pop_back();
    place out{.root = lower(parts[0]), .version = iequals(parts[0], "beta") ? graph_version::beta : graph_version::v1};
    if (parts.size() < 3 || parts.size() > 4 || !iequals(parts[1], "deviceManagement")) return out;
    constexpr std::string_view name = "troubleshootingEvents";
    auto const third = percent_decode(parts[2]).value_or("");
    if (iequals(third, name)) {
        out.known = true;
        if (parts.size() == 4) out.id = percent_decode(parts[3]).value_or("");
    } else if (parts.size() == 3 && iequals(third.substr(0, name.size()), name) && third[name.size()] == '(' &&
               third.ends_with(')')) {
        out.known = true;
        out.id = key_of(std::string_view(third).substr(name.size() + 1, third.size() - name.size() - 2)).value_or("");
    }
    return out;
}

bool takes_json(http::request const& r) {
    bool any = false;
    for (auto const& [name, value] : r.headers) {
        if (!iequals(name, "Accept")) continue;
        for (auto const item : split(value, ',')) {
            if (trim(item).empty()) continue;
            any = true;
            auto const parameters = split(item, ';');
            auto const type = trim(parameters[0]);
            bool const refused = std::any_of(parameters.begin() + 1, parameters.end(), [](auto const p) {
                auto const q = trim(p);
                return q == "q=0" || q == "q=0.0" || q == "q=0.00" || q == "q=0.000";
            });
            if (!refused && (type == "*/*" || iequals(type, "application/*") || iequals(type, "application/json")))
                return true;
        }
    }
    return !any;
}

bool is_json(http::request const& r) {
    auto const type = r.headers.get("Content-Type");
    if (!type) return false;
    auto const parts = split(*type, ';');
    if (!iequals(trim(parts[0]), "application/json")) return false;
    return std::none_of(parts.begin() + 1, parts.end(), [](auto const p) {
        auto const one = lower(trim(p));
        return one.starts_with("charset=") && one != "charset=utf-8" && one != "charset=\"utf-8\"";
    });
}

// --- $skiptoken: where a page ended, and the digest of what was asked for, so that it fits no other question.

std::string question_of(odata::query const& q) {
    std::string all = q.filter ? odata::to_text(*q.filter) : "";
    for (auto const& key : q.order) all += "\n" + key.property + (key.descending ? " desc" : "");
    return hex(crypto::sha256(all)).substr(0, 16);
}

std::string skip_token(odata::query const& asked, store::event_query const& q, store::event const& last) {
    json::array values;
    for (auto const& o : q.order)
        std::visit(
            [&](auto const& v) {
                if constexpr (std::is_same_v<std::decay_t<decltype(v)>, time_point>)
                    values.push_back(to_ms(v));
                else
                    values.push_back(json::string(v));
            },
            store::value_of(last, o.column));
    return base64url(json::serialize(json::array{question_of(asked), last.id, std::move(values)}));
}

bool go_on_from(std::string const& token, odata::query const& asked, store::event_query& q) {
    auto const text = unbase64url(token);
    boost::system::error_code bad;
    auto const v = text ? json::parse(*text, bad) : json::value();
    auto const* const all = !bad ? v.if_array() : nullptr;
    if (!all || all->size() != 3 || !(*all)[0].is_string() || !(*all)[1].is_string() || !(*all)[2].is_array())
        return false;
    if (std::string_view((*all)[0].get_string()) != question_of(asked)) return false;
    auto const& values = (*all)[2].get_array();
    if (values.size() != q.order.size()) return false;
    for (std::size_t i = 0; i < values.size(); ++i) {
        bool const time = q.order[i].column == store::event_column::at;
        if (time ? !values[i].is_int64() : !values[i].is_string()) return false;
        if (time)
            q.after.emplace_back(from_ms(values[i].get_int64()));
        else
            q.after.emplace_back(std::string(values[i].get_string()));
    }
    q.after_id = std::string((*all)[1].get_string());
    return !q.after_id.empty();
}

// --- the calls

class call {
public:
    call(service::appliance& a, std::string const& origin, http::request const& r)
        : appliance_(a), request_(r), place_(place_of(r.path)), base_(fmt::format("{}/{}", origin, place_.root)) {}

    http::response run() {
        try {
            auto got = answer();
            if (auto* const good = std::get_if<http::response>(&got)) return with_ids(std::move(*good), request_);
            auto const& f = std::get<failure>(got);
            auto refused = graph_error(appliance_, request_, f.status, f.code, f.message);
            for (auto const& [name, value] : f.headers) refused.headers.add(name, value);
            return refused;
        } catch (store::store_error const& e) {
            log::error("an API request failed", {{"path", request_.path}, {"reason", e.what()}});
            auto away = graph_error(appliance_, request_, 503, "serviceNotAvailable",
                "The store cannot be used now. The log names the cause under this request-id.");
            away.headers.add("Retry-After", "30");
            return away;
        } catch (std::exception const& e) {
            log::error("an API request failed", {{"path", request_.path}, {"reason", e.what()}});
            return graph_error(appliance_, request_, 500, "generalException",
                "Something went wrong here. The log names the cause under this request-id.");
        }
    }

private:
    using answered = std::variant<http::response, failure>;

    answered answer() {
        auto const who = appliance_.access.caller(request_);
        if (auto const* const no = std::get_if<service::api_refusal>(&who)) return refused(*no);
        auto const& caller = std::get<service::api_caller>(who);
        if (!place_.known) return failure{404, "itemNotFound", "There is nothing at this address."};
        bool const one = place_.id.has_value();
        auto const& method = request_.method;
        bool const read = method == "GET" || method == "HEAD";
        if (!read && (one ? method != "PATCH" && method != "DELETE" : method != "POST"))
            return failure{405, "notSupported", "This address does not take that method.",
                {{"Allow", one ? "GET, HEAD, PATCH, DELETE" : "GET, HEAD, POST"}}};
        if (!read && !caller.may_write) return denied();
        if (!takes_json(request_)) return failure{406, "notAcceptable", "Answers are application/json alone."};
        if (one && !is_guid(*place_.id)) return bad_request("The id of an event is a GUID.");
        auto const query = odata::parse_query(request_.query);
        if (!query) return bad_request(query.error().detail);
        if (read) return one ? get(*query) : list(*query);
        if (!query->empty) return bad_request("Query options are for reading.");
        if (auto const match = request_.headers.get("If-Match"); match && trim(*match) != "*")
            return failure{412, "resourceModified", "Events have no ETag; If-Match can be '*' alone."};
        if (method == "DELETE") return remove(caller);
        return method == "POST" ? create(caller) : update(caller);
    }

    static failure refused(service::api_refusal const& no) {
        auto const wait = std::pair<std::string, std::string>("Retry-After", std::to_string(no.retry_after.count()));
        switch (no.code) {
            case errc::forbidden: return denied();
            case errc::too_large:
                return {429, "activityLimitReached", "Too many wrong tokens came from this address.", {wait}};
            case errc::unavailable:
                return {503, "serviceNotAvailable", "Tokens of Entra ID cannot be checked now.", {wait}};
            default:
                return {401, "unauthenticated", "A valid access token is needed: Authorization: Bearer.",
                    {{"WWW-Authenticate", "Bearer"}}};
        }
    }
    static failure denied() {
        return {403, "accessDenied",
            "The token does not allow this: reading needs the role reader or the permission "
            "DeviceManagementManagedDevices.Read.All, writing the role operator or "
            "DeviceManagementManagedDevices.ReadWrite.All."};
    }

    std::string context(std::string_view behind) const {
        return fmt::format("{}/$metadata#{}{}", base_, collection, behind);
    }
    static std::string in_parentheses(std::vector<std::string> const& select) {
        return select.empty() ? "" : fmt::format("({})", fmt::join(select, ","));
    }
    json::object one(store::event const& e, std::vector<std::string> const& select = {},
        std::set<std::string> const& wanted = {}) const {
        json::object out{{"@odata.context", context(in_parentheses(select) + "/$entity")}};
        for (auto& [name, value] : to_json(e, place_.version, wanted)) out[name] = std::move(value);
        return out;
    }
    std::string id() const { return lower(*place_.id); }

    answered list(odata::query const& asked) const {
        store::event_query q{.top = asked.top.value_or(default_top)};
        if (asked.filter) {
            auto filter = read_filter(*asked.filter, place_.version);
            if (!filter) return bad_request(filter.error().detail);
            q.filter = *std::move(filter);
        }
        if (!asked.order.empty()) {
            auto order = read_order(asked.order, place_.version);
            if (!order) return bad_request(order.error().detail);
            q.order = *std::move(order);
        }
        auto const wanted = read_select(asked.select, place_.version);
        if (!wanted) return bad_request(wanted.error().detail);
        if (!asked.skip_token.empty() && (asked.skip != 0 || !go_on_from(asked.skip_token, asked, q)))
            return bad_request("$skiptoken: it is not of an answer to this request; follow @odata.nextLink as it is.");
        q.skip = asked.skip;
        auto const page = q.top;
        ++q.top;  // one more tells whether there is a next page

        std::vector<store::event> found;
        std::int64_t count = 0;
        appliance_.ctx.db.read([&](store::connection& db) {
            found = store::list_events(db, q);
            if (asked.count) count = store::count_events(db, q.filter);
        });
        bool const more = static_cast<std::int64_t>(found.size()) > page;
        if (more) found.pop_back();
        json::object out{{"@odata.context", context(in_parentheses(asked.select))}};
        if (asked.count) out["@odata.count"] = count;
        if (more)
            out["@odata.nextLink"] = fmt::format("{}/{}?{}{}$skiptoken={}", base_, collection, asked.repeated,
                asked.repeated.empty() ? "" : "&", skip_token(asked, q, found.back()));
        json::array value;
        for (auto const& e : found) value.push_back(to_json(e, place_.version, *wanted));
        out["value"] = std::move(value);
        return entity(200, out);
    }

    answered get(odata::query const& asked) const {
        if (asked.filter || !asked.order.empty() || asked.top || asked.skip != 0 || asked.count ||
            !asked.skip_token.empty())
            return bad_request("Of one event only $select can be asked.");
        auto const wanted = read_select(asked.select, place_.version);
        if (!wanted) return bad_request(wanted.error().detail);
        auto const found = appliance_.ctx.db.read([&](store::connection& db) { return store::find_event(db, id()); });
        if (!found) return no_such_event();
        return entity(200, one(*found, asked.select, *wanted));
    }

    // The body's changes, or why there are none.
    std::variant<event_changes, failure> body() const {
        if (!is_json(request_)) return failure{415, "unsupportedMediaType", "A body is application/json in UTF-8."};
        if (request_.body.size() > largest_body)
            return failure{413, "payloadTooLarge", fmt::format("A body has at most {} bytes.", largest_body)};
        auto const parsed = entra::parse_object(request_.body, largest_body, "The body");
        if (!parsed) return bad_request(parsed.error().detail);
        auto changes = read_changes(*parsed, place_.version);
        if (!changes) return bad_request(changes.error().detail);
        return *std::move(changes);
    }

    answered create(service::api_caller const& caller) const {
        auto const changes = body();
        if (auto const* const f = std::get_if<failure>(&changes)) return *f;
        store::event made{.id = new_guid(), .at = appliance_.ctx.time.now()};
        apply(std::get<event_changes>(changes), made);
        appliance_.ctx.db.write([&](store::connection& db) { store::add_event(db, made); });
        log::info("troubleshooting event made", {{"caller", caller.name}, {"id", made.id}});
        auto answer = entity(201, one(made));
        answer.headers.add("Location", fmt::format("{}/{}/{}", base_, collection, made.id));
        return answer;
    }

    answered update(service::api_caller const& caller) const {
        auto const changes = body();
        if (auto const* const f = std::get_if<failure>(&changes)) return *f;
        auto const& set = std::get<event_changes>(changes).set;
        if (auto const* const given = set.if_contains("id");
            given && (!given->is_string() || lower(given->get_string()) != id()))
            return bad_request("id: it cannot be changed");
        auto const changed = appliance_.ctx.db.write([&](store::connection& db) {
            auto found = store::find_event(db, id());
            if (!found) return found;
            apply(std::get<event_changes>(changes), *found);
            store::update_event(db, *found);
            return found;
        });
        if (!changed) return no_such_event();
        log::info("troubleshooting event changed", {{"caller", caller.name}, {"id", changed->id}});
        return entity(200, one(*changed));
    }

    answered remove(service::api_caller const& caller) const {
        if (!appliance_.ctx.db.write([&](store::connection& db) { return store::remove_event(db, id()); }))
            return no_such_event();
        log::info("troubleshooting event removed", {{"caller", caller.name}, {"id", id()}});
        return http::response{204, {}, ""};
    }

    service::appliance& appliance_;
    http::request const& request_;
    place place_;
    std::string base_;
};

}  // namespace

bool is_graph_path(std::string_view path) {
    auto const root = path.substr(std::min<std::size_t>(1, path.size()));
    auto const first = root.substr(0, root.find('/'));
    return iequals(first, "v1.0") || iequals(first, "beta") || iequals(first, "v1");
}

http::response graph_error(
    service::appliance& a, http::request const& r, int status, std::string_view code, std::string_view message) {
    auto date = rfc3339(std::chrono::floor<std::chrono::seconds>(a.ctx.time.now()));
    date.pop_back();  // Graph's has no zone
    json::object const v{
        {"error", {{"code", code}, {"message", message},
                      {"innerError", {{"date", date}, {"request-id", r.id},
                                         {"client-request-id", client_request_id(r).value_or(r.id)}}}}}};
    return with_ids({status, {{"Content-Type", "application/json; charset=utf-8"}}, json::serialize(v)}, r);
}

http::response serve_graph(service::appliance& a, std::string const& origin, http::request const& r) {
    return call(a, origin, r).run();
}

}  // namespace mdmd::admin
