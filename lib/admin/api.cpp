#include "admin/api.hpp"

#include "admin/authority.hpp"
#include "admin/json.hpp"
#include "core/log.hpp"

namespace mdmd::admin {
namespace {

namespace json = boost::json;

http::response reply(int status, json::value const& v) {
    return {status, {{"Content-Type", "application/json"}}, json::serialize(v)};
}

http::response refused(int status, std::string_view code, std::string_view message) {
    return reply(status, {{"error", {{"code", code}, {"message", message}}}});
}

http::response refused(error const& e) {
    switch (e.code) {
        case errc::not_found: return refused(404, "not_found", e.detail);
        case errc::forbidden: return refused(403, "forbidden", e.detail);
        case errc::conflict: return refused(409, "conflict", e.detail);
        case errc::too_large: return refused(413, "too_large", e.detail);
        case errc::unavailable: return refused(503, "unavailable", e.detail);
        default: return refused(400, "bad_request", e.detail);
    }
}

template <class T> http::response list(std::vector<T> const& all) {
    json::array value;
    for (auto const& one : all) value.push_back(to_json(one));
    return reply(200, {{"value", std::move(value)}});
}

template <class T> http::response one(result<T> const& r, int status = 200) {
    return r ? reply(status, to_json(*r)) : refused(r.error());
}

// What a body says of a command. Errors: malformed.
result<service::new_command> command_from(json::object const& body, std::initializer_list<std::string_view> others) {
    service::new_command command;
    std::map<std::string_view, std::string*> const texts{{"kind", &command.kind}, {"variant", &command.variant},
        {"verb", &command.verb}, {"uri", &command.uri}, {"format", &command.format}, {"user", &command.user}};
    for (auto const& [key, value] : body) {
        std::string_view const name = key;
        if (std::find(others.begin(), others.end(), name) != others.end()) continue;
        if (name == "ttl_s" && value.is_int64()) {
            command.ttl = std::chrono::seconds(value.as_int64());
            continue;
        }
        auto const known = texts.find(name);
        if (known == texts.end() && name != "value")
            return fail(
                errc::malformed, fmt::format("{}: expected kind, variant, verb, uri, format, value, user or ttl_s",
                                     printable(name, 32)));
        if (name == "value" && value.is_null()) continue;
        if (!value.is_string()) return fail(errc::malformed, fmt::format("{}: expected a string", name));
        if (name == "value")
            command.value = std::string(value.as_string());
        else
            *known->second = std::string(value.as_string());
    }
    return command;
}

http::response send(service::appliance& a, std::string const& device, std::string const& body) {
    boost::system::error_code bad;
    auto const parsed = json::parse(body, bad);
    if (bad || !parsed.is_object()) return refused(400, "bad_request", "expected a JSON object");
    auto command = command_from(parsed.as_object(), {});
    if (!command) return refused(command.error());
    return one(service::send(a, device, std::move(*command)), 201);
}

// The same for all devices that a condition holds for.
http::response send_to_all(service::appliance& a, std::string const& body) {
    boost::system::error_code bad;
    auto const parsed = json::parse(body, bad);
    auto const* const all = !bad ? parsed.if_object() : nullptr;
    auto const* const where = all ? all->if_contains("where") : nullptr;
    auto const* const count = all ? all->if_contains("count") : nullptr;
    if (!where || !where->is_string() || (count && !count->is_int64()))
        return refused(400, "bad_request", "expected {\"where\": text, \"count\": whole number, and a command}");
    auto command = command_from(*all, {"where", "count"});
    if (!command) return refused(command.error());
    auto const sent = service::send_to_all(
        a, where->as_string(), std::move(*command), count ? std::optional(count->as_int64()) : std::nullopt);
    return sent ? list(*sent) : refused(sent.error());
}

http::response selected(service::appliance& a, std::string const& query) {
    auto const chosen = service::select(a, find_parameter(parse_query(query), "where").value_or(""));
    if (!chosen) return refused(chosen.error());
    json::array value;
    for (auto const& d : *chosen) value.push_back({{"id", d.id}, {"name", d.name}, {"user", d.upn}});
    return reply(200, {{"value", std::move(value)}});
}

// "user": who is taken to be signed in, the UPN null where it is not known.
http::response plan(service::appliance& a, std::string const& device, std::string const& query) {
    auto const all = service::plan(a, device, find_parameter(parse_query(query), "user").value_or(""));
    if (!all) return refused(all.error());
    json::array value;
    for (auto const& c : all->commands) value.push_back(to_json(c));
    json::value user = nullptr;
    if (!all->user_id.empty())
        user = {{"id", all->user_id}, {"upn", all->upn.empty() ? json::value(nullptr) : json::value(all->upn)}};
    return reply(200, {{"user", std::move(user)}, {"value", std::move(value)}});
}

http::response remove_device(service::appliance& a, std::string const& id) {
    auto const gone = service::remove(a, id);
    return gone ? reply(200, {{"id", gone->id}, {"name", gone->name}}) : refused(gone.error());
}

http::response report(service::appliance& a) {
    auto const run = a.report.report_now();
    if (!run) return refused(run.error());
    if (!run->stopped.empty()) return refused(503, "unavailable", run->stopped);
    json::array waiting;
    for (auto const& r : service::why_queued(a)) waiting.push_back({{"why", r.error}, {"reports", r.reports}});
    auto const held_up = a.report.held_up();
    return reply(200, {{"sent", run->sent}, {"failed", run->failed}, {"queued", service::status(a).report.queued},
                          {"waiting", std::move(waiting)},
                          {"held_up", held_up.empty() ? json::value(nullptr) : json::value(held_up)}});
}

http::response compliance_link(service::appliance& a, std::string const& body) {
    boost::system::error_code bad;
    auto const parsed = json::parse(body, bad);
    auto const* const all = !bad ? parsed.if_object() : nullptr;
    auto const* const id = all ? all->if_contains("device") : nullptr;
    auto const* const ttl = all ? all->if_contains("ttl_s") : nullptr;
    if (!id || !id->is_string() || !ttl || !ttl->is_int64() || all->size() != 2)
        return refused(400, "bad_request", "expected {\"device\": text, \"ttl_s\": whole number}");
    auto const device = service::find(a, id->as_string());
    if (!device) return refused(device.error());
    auto const link = a.compliance.link_to(*device, std::chrono::seconds(ttl->as_int64()));
    if (!link) return refused(link.error());
    return reply(201, {{"url", link->url}, {"device", device->name.empty() ? device->id : device->name},
                          {"id", device->id}, {"expires", rfc3339(link->expires)}});
}

http::response list_pins(service::appliance& a) {
    json::array value;
    for (auto const& p : a.pins.list()) value.push_back(to_json(p, a.ctx.time.now()));
    return reply(200, {{"value", std::move(value)}});
}

http::response create_pin(service::appliance& a, std::string const& body) {
    boost::system::error_code bad;
    auto const parsed = json::parse(body, bad);
    auto const* const all = !bad ? parsed.if_object() : nullptr;
    auto const* const upn = all ? all->if_contains("upn") : nullptr;
    auto const* const ttl = all ? all->if_contains("ttl_s") : nullptr;
    if (!upn || !upn->is_string() || !ttl || !ttl->is_int64() || all->size() != 2)
        return refused(400, "bad_request", "expected {\"upn\": text, \"ttl_s\": whole number}");
    return one(a.pins.create(upn->as_string(), std::chrono::seconds(ttl->as_int64())), 201);
}

http::response revoke_pin(service::appliance& a, std::string const& upn) {
    auto const done = a.pins.revoke(upn);
    return done ? reply(200, {{"upn", lower(upn)}}) : refused(done.error());
}

http::response roll_over(service::appliance& a) {
    if (auto const made = a.ctx.authorities().rollover(); !made) return refused(made.error());
    return reply(200, authority_as_json(a));
}

http::response create_token(service::appliance& a, std::string const& body) {
    boost::system::error_code bad;
    auto const parsed = json::parse(body, bad);
    auto const* const all = !bad ? parsed.if_object() : nullptr;
    auto const* const name = all ? all->if_contains("name") : nullptr;
    auto const* const role = all ? all->if_contains("role") : nullptr;
    auto const* const ttl = all ? all->if_contains("ttl_s") : nullptr;
    if (!name || !name->is_string() || !role || !role->is_string() || !ttl || !ttl->is_int64() || all->size() != 3)
        return refused(400, "bad_request", "expected {\"name\": text, \"role\": text, \"ttl_s\": whole number}");
    return one(a.access.create(name->as_string(), role->as_string(), std::chrono::seconds(ttl->as_int64())), 201);
}

http::response revoke_token(service::appliance& a, std::string const& name) {
    auto const done = a.access.revoke(name);
    return done ? reply(200, {{"name", name}}) : refused(done.error());
}

http::response set_maintenance(service::appliance& a, std::string const& body) {
    boost::system::error_code bad;
    auto const parsed = json::parse(body, bad);
    auto const* const all = !bad ? parsed.if_object() : nullptr;
    auto const* const on = all ? all->if_contains("maintenance") : nullptr;
    if (!on || !on->is_bool() || all->size() != 1)
        return refused(400, "bad_request", "expected {\"maintenance\": true or false}");
    a.ctx.set_maintenance(on->as_bool());
    return reply(200, {{"maintenance", a.ctx.maintenance()}});
}

}  // namespace

http::response serve(service::appliance& a, about const& us, http::request const& r) {
    std::vector<std::string> path;
    for (auto const part : split(std::string_view(r.path).substr(1), '/'))
        path.push_back(percent_decode(part).value_or(""));
    bool const get = r.method == "GET";
    bool const post = r.method == "POST";
    auto const is = [&](std::initializer_list<std::string_view> want) {
        return path.size() == want.size() && std::equal(want.begin(), want.end(), path.begin(),
                                                 [](auto w, auto const& p) { return w == "*" || w == p; });
    };
    auto const no_method = [] { return refused(405, "method_not_allowed", "this address does not take that method"); };

    if (is({"status"})) return get ? reply(200, to_json(service::status(a), us, a.ctx.time.now())) : no_method();
    if (is({"key"})) return get ? reply(200, to_json(service::keys(a), a.ctx.time.now())) : no_method();
    if (is({"key", "test"})) return post ? reply(200, to_json(service::test_keys(a), a.ctx.time.now())) : no_method();
    if (is({"key", "promote"})) {
        if (!post) return no_method();
        auto const now_used = service::promote_key(a);
        return now_used ? reply(200, to_json(*now_used, a.ctx.time.now())) : refused(now_used.error());
    }
    if (is({"reload"})) {
        if (!post) return no_method();
        us.reload();
        return reply(202, json::object{});
    }
    if (is({"devices"})) return get ? list(service::devices(a)) : no_method();
    if (is({"devices", "*"})) {
        if (r.method == "DELETE") return remove_device(a, path[1]);
        return get ? one(service::details(a, path[1])) : no_method();
    }
    if (is({"devices", "*", "commands"})) {
        if (post) return send(a, path[1], r.body);
        if (!get) return no_method();
        auto const all = service::commands(a, path[1]);
        return all ? list(*all) : refused(all.error());
    }
    if (is({"devices", "*", "plan"})) {
        if (!get) return no_method();
        return plan(a, path[1], r.query);
    }
    if (is({"devices", "*", "trace"})) {
        if (!get) return no_method();
        auto const all = service::traces(a, path[1]);
        return all ? list(*all) : refused(all.error());
    }
    if (is({"devices", "*", "compliance"})) return get ? one(service::compliance_of(a, path[1])) : no_method();
    if (is({"devices", "*", "compliance", "history"})) {
        if (!get) return no_method();
        auto const all = service::compliance_history(a, path[1]);
        return all ? list(*all) : refused(all.error());
    }
    if (is({"commands"})) return post ? send_to_all(a, r.body) : get ? selected(a, r.query) : no_method();
    if (is({"commands", "*"})) return r.method == "DELETE" ? one(service::cancel(a, path[1])) : no_method();
    if (is({"compliance"})) return get ? list(service::compliance_states(a)) : no_method();
    if (is({"compliance", "report"})) return post ? report(a) : no_method();
    if (is({"compliance", "links"})) return post ? compliance_link(a, r.body) : no_method();
    if (is({"pins"})) return get ? list_pins(a) : post ? create_pin(a, r.body) : no_method();
    if (is({"pins", "*"})) return r.method == "DELETE" ? revoke_pin(a, path[1]) : no_method();
    if (is({"authority"})) return get ? reply(200, authority_as_json(a)) : no_method();
    if (is({"authority", "rollover"})) return post ? roll_over(a) : no_method();
    if (is({"tokens"})) return get ? list(a.access.list()) : post ? create_token(a, r.body) : no_method();
    if (is({"tokens", "*"})) return r.method == "DELETE" ? revoke_token(a, path[1]) : no_method();
    if (is({"maintenance"})) return post ? set_maintenance(a, r.body) : no_method();
    if (is({"consents"})) {
        auto const query = parse_query(r.query);
        return get ? list(service::consents(a, find_parameter(query, "user").value_or(""))) : no_method();
    }
    if (is({"events"})) return get ? list(service::events(a)) : no_method();
    if (is({"events", "*"})) return get ? one(service::event(a, path[1])) : no_method();
    return refused(404, "not_found", "there is nothing at this address");
}

}  // namespace mdmd::admin
