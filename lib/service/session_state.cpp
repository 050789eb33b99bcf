#include "service/session_state.hpp"

#include <boost/json.hpp>

namespace mdmd::service {
namespace {

namespace json = boost::json;

std::string text_of(json::object const& o, char const* key) { return std::string(o.at(key).as_string()); }

json::object to_json(omadm::wanted const& w) {
    json::object o{{"key", w.key}, {"verb", omadm::name(w.what.what)}, {"uri", w.what.uri}, {"format", w.what.format},
        {"type", w.what.type}, {"atomic", w.atomic}};
    if (w.what.data) o["data"] = *w.what.data;
    return o;
}

omadm::wanted wanted_from(json::object const& o) {
    omadm::wanted w;
    w.key = text_of(o, "key");
    w.atomic = text_of(o, "atomic");
    w.what.what = omadm::parse_verb(text_of(o, "verb")).value_or(omadm::verb::get);
    w.what.uri = text_of(o, "uri");
    w.what.format = text_of(o, "format");
    w.what.type = text_of(o, "type");
    if (o.contains("data")) w.what.data = text_of(o, "data");
    return w;
}

}  // namespace

std::string save(session_state const& s) {
    json::array todo;
    for (auto const& w : s.todo) todo.push_back(to_json(w));
    return json::serialize(
        json::object{{"dm", omadm::save(s.dm)}, {"todo", std::move(todo)}, {"user_id", s.there.user_id},
            {"upn", s.there.upn}, {"active", s.there.active}, {"device_scope", s.there.device_scope},
            {"by_token", s.there.by_token}, {"refreshing", s.refreshing}, {"eventful", s.eventful}});
}

session_state load_session_state(std::string const& text) {
    auto const v = json::parse(text).as_object();
    session_state s{.dm = omadm::load(text_of(v, "dm")).value(),
        .todo = {},
        .there = {.user_id = text_of(v, "user_id"),
            .upn = text_of(v, "upn"),
            .active = v.at("active").as_bool(),
            .device_scope = v.at("device_scope").as_bool(),
            .by_token = v.at("by_token").as_bool()},
        .refreshing = v.at("refreshing").as_bool(),
        .eventful = v.at("eventful").as_bool()};
    for (auto const& e : v.at("todo").as_array()) s.todo.push_back(wanted_from(e.as_object()));
    return s;
}

}  // namespace mdmd::service
