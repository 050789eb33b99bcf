// The API under /sim/ by which other processes steer the tenant.
#include "core/text.hpp"
#include "json_read.hpp"
#include "tenant_state.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

int status_of(error const& e) {
    switch (e.code) {
        case errc::not_found: return 404;
        case errc::conflict: return 409;
        default: return 400;
    }
}

http::response refused(error const& e) { return json_response(status_of(e), json::object{{"error", e.detail}}); }
http::response refused(std::string const& why) { return refused(fail(errc::malformed, why)); }

http::response value_list(json::array all) { return json_response(200, json::object{{"value", std::move(all)}}); }

json::object for_control(entra_device const& d) {
    auto o = as_json(d);
    o["owner"] = d.owner;
    o["object_id"] = d.object_id;
    o["device_id"] = d.device_id;
    return o;
}

template <class T> http::response created(result<T> const& made) {
    if (!made) return refused(made.error());
    return json_response(201, as_json(*made));
}

// Equal in time for equal lengths: the token is compared as one comes over the network.
bool same(std::string_view a, std::string_view b) {
    unsigned char differs = a.size() != b.size();
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) differs |= static_cast<unsigned char>(a[i] ^ b[i]);
    return differs == 0;
}

}  // namespace

http::response tenant::impl::control(http::request const& r) {
    if (!same(r.headers.get("Authorization").value_or(""), "Bearer " + control_token))
        return json_response(401, json::object{{"error", "the control token of tenant.json is needed"}});
    auto const is = [&](char const* method, char const* path) { return r.method == method && r.path == path; };
    json::object o;
    if (!r.body.empty()) {
        auto parsed = parse_object(r.body);
        if (!parsed) return refused(parsed.error());
        o = std::move(*parsed);
    }

    if (is("GET", "/sim/tenant"))
        return json_response(
            200, json::object{{"url", origin}, {"login_url", login_origin}, {"graph_url", graph_origin},
                     {"tenant_id", options.tenant_id}, {"client_id", options.client_id}, {"app_id", options.app_id}});
    if (is("POST", "/sim/users")) {
        auto made = self->add_user(text_or(o, "upn"), text_or(o, "display_name"), text_or(o, "id"));
        for (auto const& g : array_or_empty(o, "groups")) {
            if (!made || !g.is_string()) break;
            if (auto const added = self->add_member(std::string(g.as_string()), made->id); !added)
                return refused(added.error());
        }
        return created(made);
    }
    if (is("POST", "/sim/users/enabled")) {
        auto const* const on = o.if_contains("enabled");
        if (!on || !on->is_bool()) return refused("expected {\"upn\", \"enabled\": true or false}");
        return self->set_user_enabled(text_or(o, "upn"), on->as_bool())
                   ? json_response(204, nullptr)
                   : refused(fail(errc::not_found, "no such user"));
    }
    if (r.method == "DELETE" && r.path.starts_with("/sim/users/"))
        return self->remove_user(percent_decode(r.path.substr(11)).value_or(""))
                   ? json_response(204, nullptr)
                   : refused(fail(errc::not_found, "no such user"));
    if (is("POST", "/sim/groups")) {
        std::vector<std::string> members;
        for (auto const& m : array_or_empty(o, "members"))
            if (m.is_string()) members.emplace_back(m.as_string());
        auto const name = text_or(o, "name");
        if (name.empty()) return refused("a group needs a name");
        return created(self->add_group(name, members, text_or(o, "id")));
    }
    if (is("POST", "/sim/members")) {
        auto const added = self->add_member(text_or(o, "group"), text_or(o, "member"));
        return added ? json_response(204, nullptr) : refused(added.error());
    }
    if (is("POST", "/sim/devices")) {
        auto const made = self->add_device(text_or(o, "upn"), text_or(o, "name", "DESKTOP"),
            text_or(o, "trust", "joined"), text_or(o, "os_version"), text_or(o, "os", "Windows"));
        if (!made) return refused(made.error());
        return json_response(201, for_control(*made));
    }
    if (is("GET", "/sim/devices")) {
        json::array all;
        for (auto const& d : self->devices()) all.push_back(for_control(d));
        return value_list(std::move(all));
    }
    if (is("POST", "/sim/devices/hidden")) {
        auto const* const hidden = o.if_contains("hidden");
        if (!hidden || !hidden->is_bool()) return refused("expected {\"device_id\", \"hidden\": true or false}");
        return self->hide_device(text_or(o, "device_id"), hidden->as_bool())
                   ? json_response(204, nullptr)
                   : refused(fail(errc::not_found, "no such device"));
    }
    if (r.method == "DELETE" && r.path.starts_with("/sim/devices/"))
        return self->remove_device(r.path.substr(13)) ? json_response(204, nullptr)
                                                      : refused(fail(errc::not_found, "no such device"));
    if (is("GET", "/sim/users") || is("GET", "/sim/groups")) {
        std::scoped_lock const lock(mutex);
        json::array all;
        if (r.path == "/sim/users")
            for (auto const& u : what.users) all.push_back(as_json(u));
        else
            for (auto const& g : what.groups) all.push_back(as_json(g));
        return value_list(std::move(all));
    }
    if (is("POST", "/sim/token")) {
        auto const order = parse_token_order(o);
        if (!order) return refused(order.error());
        auto const made = self->make(*order);
        if (!made) return refused(made.error());
        return json_response(200,
            json::object{{"token_type", "Bearer"}, {"expires_in", order->lifetime.count()}, {"access_token", *made}});
    }
    if (is("POST", "/sim/keys/rotate"))
        return json_response(200, json::object{{"kid", self->rotate_keys(flag_or(o, "keep_previous", true))}});
    if (is("POST", "/sim/secrets")) {
        auto const value = text_or(o, "value");
        if (value.empty()) return refused("a secret needs a value");
        if (auto const state = text_of(o, "state"))
            return self->set_secret(value, *state)
                       ? json_response(204, nullptr)
                       : refused("no such secret, or state not valid|refused|expired|removed");
        auto const ends = parse_rfc3339(text_or(o, "ends", rfc3339(wall_clock() + std::chrono::hours(24 * 180))));
        if (!ends) return refused("ends: RFC 3339");
        return json_response(201, json::object{{"key_id", self->add_secret(value, *ends)}});
    }
    if (is("POST", "/sim/certificates")) {
        if (auto const state = text_of(o, "state"))
            return self->set_certificate(text_or(o, "thumbprint"), *state)
                       ? json_response(204, nullptr)
                       : refused("no such certificate, or state not valid|refused|expired|removed");
        std::optional<time_point> ends;
        if (auto const given = text_of(o, "ends"); given && !(ends = parse_rfc3339(*given)))
            return refused("ends: RFC 3339");
        auto const added = self->add_certificate(text_or(o, "pem"), ends);
        return added ? json_response(201, json::object{{"thumbprint", *added}}) : refused(added.error());
    }
    if (auto const answer = wns_control(r, o)) return *answer;
    if (is("POST", "/sim/mdm-urls")) {
        self->set_mdm_urls({text_or(o, "terms_of_use"), text_or(o, "discovery"), text_or(o, "compliance")});
        return json_response(204, nullptr);
    }
    if (is("POST", "/sim/roles")) {
        std::set<std::string> roles;
        for (auto const& role : array_or_empty(o, "roles"))
            if (role.is_string()) roles.emplace(role.as_string());
        self->set_roles(std::move(roles));
        return json_response(204, nullptr);
    }
    if (is("POST", "/sim/faults")) {
        if (auto const name = text_of(o, "name")) {
            auto rule = named_fault(*name);
            if (!rule) return refused("no fault of that name");
            rule->count = static_cast<int>(number_or(o, "count", -1));
            self->add_fault(std::move(*rule));
            return json_response(204, nullptr);
        }
        auto const rule = parse_fault(o);
        if (!rule) return refused(rule.error());
        self->add_fault(*rule);
        return json_response(204, nullptr);
    }
    if (is("GET", "/sim/faults")) {
        std::scoped_lock const lock(mutex);
        return value_list(faults.as_json());
    }
    if (is("DELETE", "/sim/faults")) {
        self->clear_faults();
        return json_response(204, nullptr);
    }
    if (is("GET", "/sim/log")) {
        json::array all;
        for (auto const& e : self->log()) all.push_back(as_json(e));
        return value_list(std::move(all));
    }
    return refused(fail(errc::not_found, "no such address under /sim/"));
}

}  // namespace mdmd::sim
