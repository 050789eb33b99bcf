// A fleet with many policies and several users of each device: it converges, and then falls quiet.
#include <cstdlib>
#include <fstream>

#include "e2e/appliance.hpp"
#include "sim/fleet.hpp"

using namespace mdmd;
namespace json = boost::json;

namespace {

constexpr int users = 3;
constexpr char sales[] = "5a1e5000-0000-0000-0000-000000000001";

int devices_wanted() {
    auto const* const text = std::getenv("MDMD_FLEET");
    return text ? std::stoi(text) : 16;
}

// 20 policies: of devices and of users, for all and for members of a group, one of them of DeviceLock, which Windows
// wants all at once, and one with rules.
void write_policies(e2e::appliance const& a) {
    for (int i = 0; i < 18; ++i) {
        bool const user = i % 3 == 2;
        auto text = fmt::format("name: p{:02}\ntarget:\n", i);
        text += user ? "  scope: user\n" : "  ownership: [corporate]\n";
        if (i % 6 >= 4) text += fmt::format("  groups: [{}]\n", sales);
        text += "settings:\n";
        for (int k = 0; k < 5; ++k)
            text +=
                fmt::format("  - {{ uri: ./{}/Vendor/MSFT/Policy/Config/Fleet/P{:02}x{}, format: int, value: {} }}\n",
                    user ? "User" : "Device", i, k, k);
        a.write(fmt::format("policies.d/p{:02}.yaml", i), text);
    }
    constexpr char lock[] = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/";
    a.write("policies.d/lock.yaml", fmt::format("name: lock\nsettings:\n"
                                                "  - {{ uri: {0}DevicePasswordEnabled, format: int, value: 0 }}\n"
                                                "  - {{ uri: {0}MinDevicePasswordLength, format: int, value: 8 }}\n"
                                                "  - {{ uri: {0}DevicePasswordHistory, format: int, value: 3 }}\n",
                                        lock));
    e2e::write_mode_rule(a);
}

// How much memory the process has in use, in MiB.
std::int64_t resident_of(pid_t id) {
    std::ifstream status(fmt::format("/proc/{}/status", id));
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6)) / 1024;
    return 0;
}

int changes_in(sim::fleet_report const& r) {
    int all = 0;
    for (auto const& d : r.devices) all += d.last_changes;
    return all;
}

std::int64_t metric(e2e::world const& w, std::string const& name) {
    auto const text = w.app->admin("/metrics").body;
    auto const at = text.find("\n" + name + " ");
    return at == text.npos ? -1 : std::stoll(text.substr(at + name.size() + 2));
}

}  // namespace

TEST_CASE(
    "a fleet of devices with 20 policies and three users each converges, and is then asked the rules' questions "
    "alone",
    "[e2e][fleet]") {
    int const many = devices_wanted();
    e2e::world w(e2e::settings{{"enrollment.max_devices_per_user", "1000"}, {"log.level", "info"}});
    write_policies(*w.app);
    w.app->start();
    // Every second device's first two users are in the group.
    std::vector<std::string> members;
    for (int i = 0; i < many; i += 2)
        for (int n = 0; n < 2; ++n) {
            members.push_back(fmt::format("device{}.user{}@contoso.test", i + 1, n + 1));
            REQUIRE(w.tenant.add_user(members.back()));
        }
    REQUIRE(w.tenant.add_group("sales", members, sales));

    sim::fleet_options o;
    o.directory = w.device("fleet");
    o.devices = many;
    o.users = users;
    o.terms_url = e2e::terms_url;
    o.discovery_url = e2e::discovery_url;
    o.tenant = w.access();
    o.net = w.app->net();
    o.rounds = 6;
    auto const r = sim::run_fleet(o);
    for (auto const& d : r.devices) {
        CAPTURE(d.name, d.violations);
        REQUIRE(d.failure == "");
        CHECK(d.violations.empty());
        CHECK(d.quiet_after != 0);
    }
    // Once more, all of them: each session is the question of the one rule, and its answer. Entra's groups may have
    // become known after a device had its first quiet round.
    o.rounds = 1;
    auto quiet = sim::run_fleet(o);
    for (int more = 0; more < 5 && changes_in(quiet) != 0; ++more) quiet = sim::run_fleet(o);
    for (auto const& d : quiet.devices) {
        CAPTURE(d.name);
        CHECK(d.failure == "");
        CHECK(d.last_changes == 0);
        CHECK(d.last_commands == users);
        CHECK(d.last_messages == 2 * users);
    }
    CHECK(metric(w, "mdmd_settings{state=\"pending\"}") == 0);
    CHECK(metric(w, "mdmd_settings{state=\"failed\"}") == 0);
    CHECK(metric(w, "mdmd_settings{state=\"applied\"}") > many * 60);
    auto summary = sim::as_json(r);
    summary.erase("value");
    WARN(fmt::format("{}; quiet round {} ms; mdmd has {} MiB", json::serialize(summary), quiet.took.count(),
        resident_of(w.app->daemon().id())));
}
