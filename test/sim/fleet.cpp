#include "fleet.hpp"

#include <atomic>
#include <mutex>
#include <thread>

namespace mdmd::sim {
namespace json = boost::json;
namespace {

// Runs `work` for 0 … count-1 on so many threads.
void for_each(int count, unsigned threads, std::function<void(int)> const& work) {
    std::atomic<int> next{0};
    std::vector<std::jthread> all;
    for (unsigned t = 0; t < std::max(1u, threads); ++t)
        all.emplace_back([&] {
            for (int i = next++; i < count; i = next++) work(i);
        });
}

class fleet {
public:
    explicit fleet(fleet_options const& o) : o_(o) {
        for (unsigned k = 0; k < std::max(1u, o.keys); ++k) keys_.push_back(private_key::rsa(2048));
        for (int i = 0; i < o.devices; ++i) report_.devices.push_back({.name = fmt::format("FLEET-{:04}", i + 1)});
    }

    fleet_report run() {
        auto const start = std::chrono::steady_clock::now();
        for_each(o_.devices, o_.threads, [&](int i) { guarded(i, [&] { join(i); }); });
        auto const quiet = [](fleet_device const& d) { return d.quiet_after != 0 || !d.failure.empty(); };
        for (report_.rounds = 0; report_.rounds < o_.rounds;) {
            ++report_.rounds;
            for_each(o_.devices, o_.threads, [&](int i) { guarded(i, [&] { sync(i); }); });
            if (std::all_of(report_.devices.begin(), report_.devices.end(), quiet)) break;
        }
        report_.took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
        return std::move(report_);
    }

private:
    fleet_device& at(int i) { return report_.devices[static_cast<std::size_t>(i)]; }
    std::string user(int i, int n) const { return fmt::format("device{}.user{}@{}", i + 1, n + 1, o_.domain); }

    void guarded(int i, std::function<void()> const& work) {
        try {
            work();
        } catch (std::exception const& e) {
            at(i).failure = e.what();
        }
    }

    void join(int i) {
        device d(o_.directory / at(i).name);
        at(i).device_id = d.device_id();
        if (d.enrolled()) return;
        if (o_.tenant)
            for (int n = 0; n < o_.users; ++n) {
                control_client tenant(*o_.tenant);
                auto const made = tenant.send("POST", "/sim/users", {{"upn", user(i, n)}});
                if (!made && made.error().code != errc::conflict) throw std::runtime_error(made.error().detail);
            }
        join_options j;
        j.tenant = o_.tenant;
        j.user = user(i, 0);
        j.corporate = o_.corporate;
        j.terms_url = o_.terms_url;
        j.discovery_url = o_.discovery_url;
        j.name = at(i).name;
        j.os_version = o_.os_version;
        j.key = keys_[static_cast<std::size_t>(i) % keys_.size()];
        j.net = o_.net;
        if (auto const r = d.join(j); r.failure) at(i).failure = r.failure->step + ": " + r.failure->text;
    }

    void sync(int i) {
        auto& mine = at(i);
        if (!mine.failure.empty()) return;
        mine.last_commands = mine.last_changes = mine.last_messages = 0;
        device d(o_.directory / mine.name);
        for (int n = 0; n < std::max(1, o_.users) && mine.failure.empty(); ++n) {
            sync_options s;
            s.tenant = o_.tenant;
            s.net = o_.net;
            if (o_.users == 0)
                s.login_status = "none";
            else
                s.user = user(i, n);
            auto const r = d.sync(s);
            ++mine.sessions;
            mine.last_messages += r.messages;
            mine.last_commands += static_cast<int>(r.commands.size());
            mine.last_changes += static_cast<int>(std::count_if(
                r.commands.begin(), r.commands.end(), [](done_command const& c) { return c.verb != "Get"; }));
            mine.violations.insert(mine.violations.end(), r.violations.begin(), r.violations.end());
            if (!r.failure.empty()) mine.failure = r.failure;
        }
        mine.messages += mine.last_messages;
        mine.commands += mine.last_commands;
        if (mine.failure.empty() && mine.quiet_after == 0 && mine.last_changes == 0) mine.quiet_after = report_.rounds;
    }

    fleet_options const& o_;
    std::vector<private_key> keys_;
    fleet_report report_;
};

}  // namespace

fleet_report run_fleet(fleet_options const& o) { return fleet(o).run(); }

json::object as_json(fleet_report const& r) {
    int quiet = 0, sessions = 0, messages = 0, commands = 0, failures = 0;
    std::size_t violations = 0;
    json::array all;
    for (auto const& d : r.devices) {
        quiet += d.quiet_after != 0;
        sessions += d.sessions;
        messages += d.messages;
        commands += d.commands;
        failures += !d.failure.empty();
        violations += d.violations.size();
        all.push_back(json::object{{"name", d.name}, {"device_id", d.device_id}, {"failure", d.failure},
            {"violations", json::value_from(d.violations)}, {"sessions", d.sessions}, {"messages", d.messages},
            {"commands", d.commands}, {"quiet_after", d.quiet_after}, {"last_commands", d.last_commands},
            {"last_changes", d.last_changes}, {"last_messages", d.last_messages}});
    }
    return {{"devices", r.devices.size()}, {"quiet", quiet}, {"rounds", r.rounds}, {"sessions", sessions},
        {"messages", messages}, {"commands", commands}, {"violations", violations}, {"failures", failures},
        {"took_ms", r.took.count()}, {"value", std::move(all)}};
}

}  // namespace mdmd::sim
