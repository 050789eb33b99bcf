// The power goes off at any moment: what was promised is kept.
#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

constexpr int nodes = 2000;  // of the device, with a value of its own each

constexpr std::string_view node_prefix = "./Vendor/MSFT/Crash/n";

std::string node_uri(int n) { return fmt::format("{}{}", node_prefix, n); }

std::string text(boost::json::value const& v) { return v.is_string() ? std::string(v.as_string()) : ""; }

// What mdmd has said yes to; every thread writes here what it was told, before it goes on.
struct promises {
    std::mutex mutex;
    std::map<std::string, int> queued;            // command id -> node that it reads
    std::set<int> told;                           // nodes whose value was told in a session that came to its end
    std::map<std::string, std::string> enrolled;  // folder of the device -> Entra device id
};

// Checks everything promised so far against what the appliance, started again, says.
void check_kept(e2e::world& w, promises const& p) {
    std::map<std::string, boost::json::object> commands;
    auto const listed = w.app->ask({"commands", "list", "ALICE-PC"});
    for (auto const& c : listed.at("value").as_array()) commands[text(c.at("id"))] = c.as_object();
    int lost_commands = 0, lost_results = 0, lost_devices = 0;
    for (auto const& [id, node] : p.queued) {
        auto const c = commands.find(id);
        if (c == commands.end() || text(c->second.at("uri")) != node_uri(node)) {
            ++lost_commands;
            continue;
        }
        if (p.told.contains(node) &&
            (text(c->second.at("state")) != "done" || text(c->second.at("result")) != fmt::format("value {}", node)))
            ++lost_results;
    }
    std::map<std::string, std::string> states;
    auto const devices = w.app->ask({"devices", "list"});
    for (auto const& d : devices.at("value").as_array()) states[text(d.at("entra_device_id"))] = text(d.at("state"));
    for (auto const& [name, id] : p.enrolled)
        if (states[id] != "enrolled") ++lost_devices;
    CHECK(lost_commands == 0);
    CHECK(lost_results == 0);
    CHECK(lost_devices == 0);
}

}  // namespace

TEST_CASE("kill -9 at any moment loses no command, no result and no device that was acknowledged", "[e2e]") {
    e2e::world w(e2e::settings{{"enrollment.max_devices_per_user", "1000"}});
    auto const seed = std::random_device{}();
    CAPTURE(seed);
    std::minstd_rand random(seed);
    w.app->start();
    auto const alice = joined(w, "ALICE-PC", "alice@contoso.test");
    for (int n = 0; n < nodes; ++n) alice->tree().set(node_uri(n), {"chr", fmt::format("value {}", n), "G"});
    REQUIRE(w.tenant.add_user("bob@contoso.test"));

    promises p;
    p.enrolled["ALICE-PC"] = alice->entra_device_id();
    std::atomic<int> next_node = 0, next_device = 0;
    auto const note_told = [&](sim::session_report const& r) {
        std::scoped_lock const lock(p.mutex);
        for (auto const& c : r.commands)
            if (c.uri.starts_with(node_prefix)) p.told.insert(std::stoi(c.uri.substr(node_prefix.size())));
    };
    auto const until = std::chrono::steady_clock::now() + 40s;
    int rounds = 0;
    // On a busy machine it takes more rounds until a device gets through.
    for (; rounds < 15 && (rounds < 5 || p.enrolled.size() < 2 || std::chrono::steady_clock::now() < until); ++rounds) {
        CAPTURE(rounds);
        // None of these may use Catch's macros: they are threads, and what they ask dies under them.
        auto const queue = [&](std::stop_token const& stop, auto const& ask) {
            while (!stop.stop_requested() && next_node < nodes) {
                int const n = next_node++;
                auto const id = ask(node_uri(n));
                if (id.empty()) continue;
                std::scoped_lock const lock(p.mutex);
                p.queued[id] = n;
            }
        };
        auto const queue_by_mdmctl = [&](std::stop_token const& stop) {
            queue(stop, [&](std::string const& uri) {
                auto const r = w.app->mdmctl({"devices", "send", "ALICE-PC", "get", uri, "--json"});
                return r.code == 0 ? text(boost::json::parse(r.out).at("id")) : std::string();
            });
        };
        auto const queue_by_socket = [&](std::stop_token const& stop) {
            http::client_options o;
            o.unix_socket = w.app->file("admin.sock");
            http::client c(o);
            queue(stop, [&](std::string const& uri) {
                auto const r = c.send({.method = "POST",
                    .url = "http://localhost/devices/ALICE-PC/commands",
                    .headers = {{"Content-Type", "application/json"}},
                    .body = fmt::format(R"({{"verb":"get","uri":"{}"}})", uri)});
                return r && r->status == 201 ? text(boost::json::parse(r->body).at("id")) : std::string();
            });
        };
        auto const sync = [&](std::stop_token const& stop) {
            while (!stop.stop_requested())
                if (auto const r = alice->sync(w.sync()); r.failure.empty()) note_told(r);
        };
        auto const join = [&](std::stop_token const& stop) {
            while (!stop.stop_requested()) {
                auto const name = fmt::format("NEW-{}", next_device++);
                sim::device d(w.device(name));
                auto o = w.join("bob@contoso.test", false);
                o.name = name;
                if (d.join(o).failure) continue;
                std::scoped_lock const lock(p.mutex);
                p.enrolled[name] = d.entra_device_id();
            }
        };
        {
            std::jthread const a(queue_by_mdmctl), b(queue_by_socket), c(sync), d(join);
            std::this_thread::sleep_for(std::chrono::milliseconds(50 + random() % 900));
            w.app->kill9();
        }
        w.app->start();
        check_kept(w, p);
        // The device goes on where it was.
        auto const r = alice->sync(w.sync());
        e2e::require_clean(r);
        note_told(r);
    }
    CHECK(rounds >= 5);
    CHECK_FALSE(p.told.empty());
    CHECK(p.queued.size() >= 20);
    CHECK(p.enrolled.size() >= 2);

    // In the end everything that was queued has been done, and every device that was told yes is served.
    e2e::require_clean(alice->sync(w.sync()));
    for (auto const& [id, node] : p.queued) p.told.insert(node);
    check_kept(w, p);
    for (auto const& [name, id] : p.enrolled)
        if (name != "ALICE-PC") e2e::require_clean(sim::device(w.device(name)).sync(w.sync()));
    CHECK(w.app->stop() == 0);
}
