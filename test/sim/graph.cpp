#include "graph.hpp"

#include <algorithm>
#include <random>

#include "core/text.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

graph_reply bad_request(std::string message) { return graph_error(400, "Request_BadRequest", std::move(message)); }

graph_reply no_resource(std::string_view id) {
    return graph_error(404, "Request_ResourceNotFound",
        fmt::format(
            "Resource '{}' does not exist or one of its queried reference-property objects are not present.", id));
}

graph_reply denied() {
    return graph_error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.");
}

graph_reply no_route(std::string_view path) {
    return graph_error(
        400, "BadRequest", fmt::format("Resource not found for the segment '{}'.", split(path.substr(1), '/').front()));
}

graph_reply found(json::value body) { return {.status = 200, .body = std::move(body), .headers = {}}; }

bool may(graph_context const& c, std::initializer_list<char const*> any_of) {
    return std::any_of(any_of.begin(), any_of.end(), [&](char const* r) { return c.roles.contains(r); });
}

bool may_read_devices(graph_context const& c) {
    return may(c, {"Device.ReadWrite.All", "Device.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"});
}

// Takes the properties of $select out of an entity; one it does not have is an error, as in Graph.
std::optional<graph_reply> select(json::object& entity, parameters const& query) {
    auto const wanted = find_parameter(query, "$select");
    if (!wanted) return std::nullopt;
    json::object kept;
    for (auto const name : split(*wanted, ',')) {
        auto const* const v = entity.if_contains(trim(name));
        if (!v)
            return bad_request(
                fmt::format("Could not find a property named '{}' on type 'microsoft.graph'.", trim(name)));
        kept[trim(name)] = *v;
    }
    entity = std::move(kept);
    return std::nullopt;
}

// "property eq 'value'"
struct comparison {
    std::string property, value;
};
std::optional<comparison> parse_filter(std::string_view text) {
    auto const eq = text.find(" eq '");
    if (eq == text.npos || !text.ends_with('\'') || text.size() < eq + 6) return std::nullopt;
    auto value = std::string(text.substr(eq + 5, text.size() - eq - 6));
    for (auto at = value.find('\''); at != value.npos; at = value.find('\'', at + 1)) {
        if (value.compare(at, 2, "''") != 0) return std::nullopt;
        value.erase(at, 1);
    }
    return comparison{std::string(text.substr(0, eq)), std::move(value)};
}

// An entity that is JSON already.
struct entity {
    json::object all;
};
json::object as_json(entity const& e) { return e.all; }

template <class T>
graph_reply list(std::vector<T> const& all, std::set<std::string> const& filterable, graph_call const& call,
    graph_context const& c, char const* what) {
    auto const query = parse_query(call.query);
    for (auto const& [name, value] : query)
        if (name.starts_with('$') && name != "$filter" && name != "$select" && name != "$top")
            return bad_request(fmt::format("The query parameter '{}' is not supported.", name));
    std::optional<comparison> filter;
    if (auto const text = find_parameter(query, "$filter")) {
        filter = parse_filter(*text);
        if (!filter) return bad_request(fmt::format("Invalid filter clause: {}", printable(*text, 200)));
        if (!filterable.contains(filter->property))
            return graph_error(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause.");
        if (filter->property == "deviceId" && !is_guid(filter->value))
            return bad_request("Invalid value specified for property 'deviceId' of resource 'Device'.");
    }
    json::array found_ones;
    for (auto const& one : all) {
        if constexpr (std::is_same_v<T, entra_device>)
            if (one.hidden) continue;
        auto entity = as_json(one);
        if (filter && !iequals(entity.at(filter->property).as_string(), filter->value)) continue;
        if (auto const wrong = select(entity, query)) return *wrong;
        found_ones.push_back(std::move(entity));
    }
    return found(json::object{
        {"@odata.context", fmt::format("{}/$metadata#{}", c.graph_url, what)}, {"value", std::move(found_ones)}});
}

template <class T> graph_reply one(T const& what, graph_call const& call) {
    auto entity = as_json(what);
    if (auto const wrong = select(entity, parse_query(call.query))) return *wrong;
    return found(std::move(entity));
}

// The key of "/devices(deviceId='…')": the text between the quotes.
std::optional<std::string> alternate_key(std::string_view segment, std::string_view set, std::string_view property) {
    auto const head = fmt::format("{}({}='", set, property);
    if (!segment.starts_with(head) || !segment.ends_with("')")) return std::nullopt;
    return std::string(segment.substr(head.size(), segment.size() - head.size() - 2));
}

result<json::object> body_object(graph_call const& call) {
    auto const type = call.headers.get("Content-Type").value_or("");
    if (!iequals(trim(split(type, ';').front()), "application/json"))
        return fail(errc::unsupported, "A valid Content-Type is required: application/json.");
    boost::system::error_code ec;
    auto v = json::parse(call.body, ec);
    if (ec || !v.is_object()) return fail(errc::malformed, "Unable to read JSON request payload.");
    return std::move(v.as_object());
}

graph_reply patch_device(entra_device& d, graph_call const& call, graph_context const& c) {
    if (!may(c, {"Device.ReadWrite.All", "Directory.ReadWrite.All"})) return denied();
    auto const body = body_object(call);
    if (!body) return bad_request(body.error().detail);
    if (body->empty()) return bad_request("The request body has no property to update.");
    for (auto const& [name, value] : *body) {
        if (name != "isManaged" && name != "isCompliant")
            return bad_request(fmt::format("Property '{}' is read-only and cannot be set.", name));
        if (!value.is_bool())
            return bad_request(fmt::format(
                "Invalid value specified for property '{}' of resource 'Device': Edm.Boolean expected.", name));
    }
    if (!iequals(d.os, "Windows"))
        return bad_request("Properties other than ExtendedAttribute1..15 can be modified only on windows devices.");
    if (auto const* const v = body->if_contains("isManaged")) d.is_managed = v->as_bool();
    if (auto const* const v = body->if_contains("isCompliant")) d.is_compliant = v->as_bool();
    return {.status = 204, .body = nullptr, .headers = {}};
}

graph_reply device_call(entra_device* d, std::string_view key, graph_call const& call, graph_context const& c) {
    if (!d || d->hidden) return no_resource(key);
    if (call.method == "GET") return may_read_devices(c) ? one(*d, call) : denied();
    if (call.method == "PATCH") return patch_device(*d, call, c);
    return graph_error(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.");
}

graph_reply member_groups(
    std::string const& id, bool is_user, std::string_view action, graph_call const& call, graph_context const& c) {
    if (!may(c, {"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"})) return denied();
    if (call.method != "POST")
        return graph_error(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.");
    auto const body = body_object(call);
    if (!body) return bad_request(body.error().detail);
    auto const all = c.what.groups_of(id);
    json::array out;
    if (action == "getMemberGroups") {
        auto const* const security = body->if_contains("securityEnabledOnly");
        if (!security || !security->is_bool()) return bad_request("securityEnabledOnly: Edm.Boolean expected.");
        if (security->as_bool() && !is_user) return bad_request("securityEnabledOnly may be true for users only.");
        for (auto const& g : all) out.emplace_back(g);
    } else {
        auto const* const ids = body->if_contains("groupIds");
        if (!ids || !ids->is_array()) return bad_request("groupIds: Collection(Edm.String) expected.");
        if (ids->as_array().size() > 20) return bad_request("groupIds may hold at most 20 values.");
        for (auto const& g : ids->as_array()) {
            if (!g.is_string() || !is_guid(g.as_string())) return bad_request("groupIds: a value is no GUID.");
            if (all.contains(lower(g.as_string()))) out.push_back(g);
        }
    }
    return found(
        json::object{{"@odata.context", c.graph_url + "/$metadata#Collection(Edm.String)"}, {"value", std::move(out)}});
}

graph_reply transitive_groups(std::string const& id, graph_call const& call, graph_context const& c) {
    if (!may(c, {"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"})) return denied();
    std::vector<group> all;
    for (auto const& g : c.what.groups_of(id)) all.push_back(*c.what.find_group(g));
    return list(all, {"id", "displayName"}, call, c, "directoryObjects");
}

// Who joined or registered the device: at most one.
graph_reply registered_owners(
    entra_device const* d, std::string_view key, graph_call const& call, graph_context const& c) {
    if (!may_read_devices(c)) return denied();
    if (!d) return no_resource(key);
    std::vector<entity> owners;
    if (!d->owner.empty())
        owners.push_back({{{"@odata.type", "#microsoft.graph.user"}, {"id", d->owner}, {"displayName", nullptr}}});
    return list(owners, {"displayName"}, call, c, "directoryObjects");
}

// Graph gives the times of credentials with seven digits after the second.
std::string precise(time_point t) {
    auto text = rfc3339_ms(t);
    return text.insert(text.size() - 1, "0000");
}

entity application(graph_call const& call, graph_context const& c) {
    auto const query = parse_query(call.query);
    auto const selected = split(find_parameter(query, "$select").value_or(""), ',');
    auto const with_keys =
        std::any_of(selected.begin(), selected.end(), [](auto s) { return trim(s) == "keyCredentials"; });
    json::array passwords, keys;
    for (auto const& s : c.what.secrets)
        passwords.push_back(json::object{{"customKeyIdentifier", nullptr}, {"displayName", "mdm"},
            {"endDateTime", precise(s.ends)}, {"hint", s.value.substr(0, 3)}, {"keyId", s.key_id},
            {"secretText", nullptr}, {"startDateTime", precise(s.ends - std::chrono::hours(24 * 365))}});
    for (auto const& k : c.what.certificates)
        keys.push_back(json::object{{"customKeyIdentifier", base64(sha1(k.own.der()))},
            {"displayName", k.own.subject()}, {"endDateTime", precise(k.ends)},
            {"key", with_keys ? json::value(base64(k.own.der())) : json::value(nullptr)}, {"keyId", k.key_id},
            {"startDateTime", precise(k.own.starts())}, {"type", "AsymmetricX509Cert"}, {"usage", "Verify"}});
    return {{{"id", "00000000-0000-4000-8000-00000000a991"}, {"appId", c.client_id},
        {"displayName", "On-premises MDM application"}, {"identifierUris", json::array{c.app_id}},
        {"signInAudience", "AzureADMyOrg"}, {"passwordCredentials", std::move(passwords)},
        {"keyCredentials", std::move(keys)}}};
}

bool may_read_applications(graph_context const& c) {
    return may(c,
        {"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.Read.All"});
}

graph_reply mdm_policy(graph_call const& call, graph_context const& c) {
    if (!may(c, {"Policy.Read.All"})) return denied();
    return one(entity{{{"id", c.client_id}, {"appliesTo", "all"}, {"complianceUrl", c.what.urls.compliance},
                   {"description", nullptr}, {"discoveryUrl", c.what.urls.discovery},
                   {"displayName", "On-premises MDM application"}, {"isMdmEnrollmentDuringRegistrationDisabled", false},
                   {"isValid", true}, {"termsOfUseUrl", c.what.urls.terms_of_use}}},
        call);
}

}  // namespace

graph_reply graph_error(int status, std::string code, std::string message) {
    return {.status = status,
        .body = json::object{{"error",
            json::object{{"code", std::move(code)}, {"message", std::move(message)}, {"innerError", json::object{}}}}},
        .headers = {}};
}

graph_reply graph(graph_call const& call, graph_context const& c) {
    auto const path = percent_decode(call.path);
    if (!path || !path->starts_with('/')) return bad_request("The request URI is not valid.");
    auto const parts = split(std::string_view(*path).substr(1), '/');
    auto const& set = parts.front();
    auto const get = call.method == "GET";

    if (call.beta) {  // nothing but what v1.0 does not have
        if (parts.size() != 3 || set != "policies" || parts[1] != "mobileDeviceManagementPolicies" || !get)
            return no_route(*path);
        return iequals(parts[2], c.client_id) ? mdm_policy(call, c) : no_resource(parts[2]);
    }
    if (auto const id = alternate_key(set, "devices", "deviceId"); id && parts.size() == 1)
        return device_call(c.what.by_device_id(*id), *id, call, c);
    if (set == "devices" && parts.size() == 1 && get)
        return may_read_devices(c)
                   ? list(c.what.devices, {"deviceId", "displayName", "operatingSystem"}, call, c, "devices")
                   : denied();
    if (parts.size() == 2 && parts[1] == "registeredOwners" && get) {
        if (auto const id = alternate_key(set, "devices", "deviceId"))
            return registered_owners(c.what.by_device_id(*id), *id, call, c);
    }
    if (set == "devices" && parts.size() == 3 && parts[2] == "registeredOwners" && get)
        return registered_owners(c.what.by_object_id(parts[1]), parts[1], call, c);
    if (set == "devices" && parts.size() == 2) return device_call(c.what.by_object_id(parts[1]), parts[1], call, c);

    if ((set == "users" || set == "directoryObjects" || set == "devices") && parts.size() == 3) {
        auto const is_member_call = parts[2] == "getMemberGroups" || parts[2] == "checkMemberGroups";
        if (!is_member_call && !(parts[2] == "transitiveMemberOf" && get)) return no_route(*path);
        auto const* const u = c.what.find_user(parts[1]);
        if (!u && !(set != "users" && c.what.knows_object(parts[1]))) return no_resource(parts[1]);
        auto const id = u ? u->id : lower(parts[1]);
        return is_member_call ? member_groups(id, u != nullptr, parts[2], call, c) : transitive_groups(id, call, c);
    }
    if (set == "users" && parts.size() == 2 && get) {
        if (!may(c, {"User.Read.All", "Directory.Read.All"})) return denied();
        auto const* const u = c.what.find_user(parts[1]);
        return u ? one(*u, call) : no_resource(parts[1]);
    }
    if (set == "groups" && get && parts.size() <= 2) {
        if (!may(c, {"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"})) return denied();
        if (parts.size() == 1) return list(c.what.groups, {"displayName", "id"}, call, c, "groups");
        auto const* const g = is_guid(parts[1]) ? c.what.find_group(parts[1]) : nullptr;
        return g ? one(*g, call) : no_resource(parts[1]);
    }
    if (auto const app = alternate_key(set, "applications", "appId"); app && get && parts.size() == 1) {
        if (!may_read_applications(c)) return denied();
        return iequals(*app, c.client_id) ? one(application(call, c), call) : no_resource(*app);
    }
    if (set == "applications" && get && parts.size() == 1)
        return may_read_applications(c)
                   ? list(std::vector{application(call, c)}, {"appId", "id", "displayName"}, call, c, "applications")
                   : denied();
    return no_route(*path);
}

graph_reply graph_batch(graph_call const& call, std::function<graph_reply(graph_call const&)> const& one) {
    auto const body = body_object(call);
    if (!body) return graph_error(400, "BadRequest", body.error().detail);
    auto const* const requests = body->if_contains("requests");
    if (!requests || !requests->is_array() || requests->as_array().empty())
        return graph_error(400, "BadRequest", "Invalid batch payload format.");
    if (requests->as_array().size() > 20)
        return graph_error(400, "BadRequest", "Number of batch request steps exceeds the maximum value of 20.");
    std::set<std::string> ids;
    json::array responses;
    for (auto const& r : requests->as_array()) {
        auto const text = [&](char const* name) -> std::optional<std::string> {
            auto const* const v = r.is_object() ? r.as_object().if_contains(name) : nullptr;
            if (!v || !v->is_string()) return std::nullopt;
            return std::string(v->as_string());
        };
        auto const id = text("id"), method = text("method"), url = text("url");
        if (!id || !method || !url || !ids.insert(*id).second)
            return graph_error(400, "BadRequest", "Invalid batch payload format: id, method and url, ids unique.");
        if (url->find("://") != url->npos || url->starts_with("//"))
            return graph_error(400, "BadRequest", "Invalid batch payload format: a url is relative.");
        graph_call inner{.method = *method, .path = {}, .query = {}, .headers = {}, .body = {}};
        auto const cut = url->find('?');
        inner.path = url->substr(0, cut);
        if (!inner.path.starts_with('/')) inner.path.insert(0, "/");
        if (cut != url->npos) inner.query = url->substr(cut + 1);
        if (auto const* const h = r.as_object().if_contains("headers"); h && h->is_object())
            for (auto const& [name, value] : h->as_object())
                if (value.is_string()) inner.headers.add(std::string(name), std::string(value.as_string()));
        if (auto const* const b = r.as_object().if_contains("body")) {
            if (!inner.headers.get("Content-Type"))
                return graph_error(400, "BadRequest",
                    fmt::format("Write request id : {} does not contain Content-Type header or body.", *id));
            inner.body = json::serialize(*b);
        }
        auto const reply =
            inner.path == "/$batch" ? graph_error(400, "BadRequest", "Batches do not nest.") : one(inner);
        if (reply.status == 0) continue;
        json::object headers;
        for (auto const& [name, value] : reply.headers) headers[name] = value;
        responses.push_back(
            json::object{{"id", *id}, {"status", reply.status}, {"headers", std::move(headers)}, {"body", reply.body}});
    }
    // The order of the answers is not that of the questions, as in Graph.
    std::shuffle(responses.begin(), responses.end(), std::random_device());
    return found(json::object{{"responses", std::move(responses)}});
}

}  // namespace mdmd::sim
