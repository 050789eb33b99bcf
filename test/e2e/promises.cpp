#include "e2e/promises.hpp"

#include <sqlite3.h>

namespace mdmd::e2e {
namespace {

using namespace std::chrono_literals;

constexpr int most_of_a_user = 500;  // devices
constexpr std::string_view node_prefix = "./Vendor/MSFT/Crash/n";

std::string node_uri(int n) { return fmt::format("{}{}", node_prefix, n); }
std::string value_of(int n) { return fmt::format("value {}", n); }

std::string text(boost::json::value const& v) { return v.is_string() ? std::string(v.as_string()) : ""; }

struct command {
    std::string uri, state, result;
};

broken compare(promises const& p, std::map<std::string, command> const& commands,
    std::map<std::string, std::string> const& states_by_entra_id) {
    broken out;
    for (auto const& [id, node] : p.queued) {
        auto const c = commands.find(id);
        if (c == commands.end() || c->second.uri != node_uri(node)) {
            ++out.commands;
            continue;
        }
        if (p.told.contains(node) && (c->second.state != "done" || c->second.result != value_of(node))) ++out.results;
    }
    for (auto const& [name, id] : p.enrolled) {
        auto const d = states_by_entra_id.find(id);
        if (d == states_by_entra_id.end() || d->second != "enrolled") ++out.devices;
    }
    return out;
}

}  // namespace

mixed_load::mixed_load(world& w, int nodes, std::chrono::milliseconds pause)
    : w_(w), nodes_(nodes), pause_(pause), alice_(joined(w, "ALICE-PC", "alice@contoso.test")) {
    for (int n = 0; n < nodes; ++n) alice_->tree().set(node_uri(n), {"chr", value_of(n), "G"});
    if (auto const added = w.tenant.add_user("bob@contoso.test"); !added)
        throw std::runtime_error(added.error().detail);
    p_.enrolled["ALICE-PC"] = alice_->entra_device_id();
}

// None of these may use Catch's macros: they are threads, and what they ask dies under them.
mixed_load::work::work(mixed_load& l) {
    threads_.emplace_back([&l](std::stop_token const& stop) {
        l.queue(stop, [&](std::string const& uri) {
            auto const r = l.w_.app->mdmctl({"devices", "send", "ALICE-PC", "get", uri, "--json"});
            return r.code == 0 ? text(boost::json::parse(r.out).at("id")) : std::string();
        });
    });
    threads_.emplace_back([&l](std::stop_token const& stop) {
        http::client_options o;
        o.unix_socket = l.w_.app->file("admin.sock");
        http::client c(o);
        l.queue(stop, [&](std::string const& uri) {
            auto const r = c.send({.method = "POST",
                .url = "http://localhost/devices/ALICE-PC/commands",
                .headers = {{"Content-Type", "application/json"}},
                .body = fmt::format(R"({{"verb":"get","uri":"{}"}})", uri)});
            return r && r->status == 201 ? text(boost::json::parse(r->body).at("id")) : std::string();
        });
    });
    threads_.emplace_back([&l](std::stop_token const& stop) {
        while (!stop.stop_requested()) l.sync();
    });
    threads_.emplace_back([&l](std::stop_token const& stop) { l.join(stop); });
}

void mixed_load::queue(std::stop_token const& stop, std::function<std::string(std::string const& uri)> const& ask) {
    while (!stop.stop_requested() && next_node_ < nodes_) {
        std::this_thread::sleep_for(pause_);
        int const n = next_node_++;
        auto const id = ask(node_uri(n));
        if (id.empty()) continue;
        std::scoped_lock const lock(mutex_);
        p_.queued[id] = n;
    }
}

void mixed_load::join(std::stop_token const& stop) {
    while (!stop.stop_requested()) {
        int const number = next_device_++;
        auto const name = fmt::format("NEW-{}", number);
        sim::device d(w_.device(name));
        auto o = w_.join(fmt::format("bob{}@contoso.test", number / most_of_a_user), false);
        o.name = name;
        if (d.join(o).failure) continue;
        std::scoped_lock const lock(mutex_);
        p_.enrolled[name] = d.entra_device_id();
    }
}

void mixed_load::note_told(sim::session_report const& r) {
    std::scoped_lock const lock(mutex_);
    for (auto const& c : r.commands)
        if (c.uri.starts_with(node_prefix)) p_.told.insert(std::stoi(c.uri.substr(node_prefix.size())));
}

sim::session_report mixed_load::sync() {
    auto r = alice_->sync(w_.sync());
    if (r.failure.empty()) note_told(r);
    return r;
}

promises mixed_load::taken() {
    std::scoped_lock const lock(mutex_);
    return p_;
}

broken mixed_load::missing(promises const& p) const {
    std::map<std::string, command> commands;
    auto const listed = w_.app->ask({"commands", "list", "ALICE-PC"});
    for (auto const& c : listed.at("value").as_array())
        commands[text(c.at("id"))] = {text(c.at("uri")), text(c.at("state")), text(c.at("result"))};
    std::map<std::string, std::string> states;
    auto const devices = w_.app->ask({"devices", "list"});
    for (auto const& d : devices.at("value").as_array()) states[text(d.at("entra_device_id"))] = text(d.at("state"));
    return compare(p, commands, states);
}

broken mixed_load::missing_in(std::filesystem::path const& database, promises const& p) {
    sqlite3* db = nullptr;
    if (sqlite3_open_v2(database.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK)
        throw std::runtime_error(database.string() + " cannot be opened");
    std::unique_ptr<sqlite3, int (*)(sqlite3*)> const closed(db, sqlite3_close);
    auto const each = [&](char const* sql, std::function<void(char**)> row) {
        auto const call = [](void* f, int, char** values, char**) {
            (*static_cast<std::function<void(char**)>*>(f))(values);
            return 0;
        };
        if (sqlite3_exec(db, sql, call, &row, nullptr) != SQLITE_OK)
            throw std::runtime_error(fmt::format("{}: {}", sql, sqlite3_errmsg(db)));
    };
    std::string said;
    each("PRAGMA integrity_check", [&](char** v) { said += v[0]; });
    if (said != "ok") throw std::runtime_error("integrity_check: " + said);
    std::map<std::string, command> commands;
    each("SELECT id, uri, state, coalesce(result, '') FROM command", [&](char** v) {
        commands[v[0]] = {v[1], v[2], v[3]};
    });
    std::map<std::string, std::string> states;
    each("SELECT entra_device_id, state FROM device", [&](char** v) { states[v[0]] = v[1]; });
    return compare(p, commands, states);
}

void mixed_load::check_all_served() {
    require_clean(sync());
    auto p = taken();
    for (auto const& [id, node] : p.queued) p.told.insert(node);
    CHECK(missing(p).all() == 0);
    for (auto const& [name, id] : p.enrolled)
        if (name != "ALICE-PC") require_clean(sim::device(w_.device(name)).sync(w_.sync()));
}

}  // namespace mdmd::e2e
