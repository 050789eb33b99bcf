// mdm-sim fleet: many devices at once.
#include "sim/fleet.hpp"
#include "sim/cli/command.hpp"

namespace mdmd::sim::cli {

void add_fleet(CLI::App& app, std::function<outcome()>& run) {
    struct arguments {
        fleet_options fleet;
        std::string directory, tenant, ca_file, ownership = "corporate";
        std::vector<std::string> connect_to;
        int timeout_s = 60;
    };
    auto const a = std::make_shared<arguments>();
    auto& f = a->fleet;
    auto* const sub = app.add_subcommand(
        "fleet", "Many devices with several users each, until no session changes anything; exit 1 where one failed");
    sub->add_option("--dir", a->directory, "The devices' folders; those that are there go on")->required();
    sub->add_option("--devices", f.devices, "How many")->capture_default_str();
    sub->add_option("--users", f.users, "Of each device, its own; 0: nobody is ever logged on")->capture_default_str();
    sub->add_option("--threads", f.threads, "How many are at it at once")->capture_default_str();
    sub->add_option("--rounds", f.rounds, "At the most: in each, every user of every device has a session")
        ->capture_default_str();
    sub->add_option("--keys", f.keys, "RSA keys that all devices share")->capture_default_str();
    sub->add_option("--domain", f.domain, "Of the users, who are made in the tenant")->capture_default_str();
    sub->add_option("--os-version", f.os_version, "Windows version")->capture_default_str();
    sub->add_option("--ownership", a->ownership, "corporate or personal")
        ->check(CLI::IsMember({"corporate", "personal"}));
    sub->add_option("--terms", f.terms_url, "Address of the Terms of Use; none are visited without");
    sub->add_option("--discovery", f.discovery_url, "Address of the discovery service")->required();
    sub->add_option("--tenant", a->tenant, "The tenant's folder, with its tenant.json")->required();
    sub->add_option("--server-ca", a->ca_file, "PEM of what to trust for the management server")->required();
    sub->add_option("--connect-to", a->connect_to, "HOST:PORT=ADDRESS:PORT, where to connect instead of asking DNS");
    sub->add_option("--timeout", a->timeout_s, "Seconds for one request")->capture_default_str();
    sub->callback([a, &run] {
        run = [a]() -> outcome {
            auto& o = a->fleet;
            o.directory = a->directory;
            o.corporate = a->ownership == "corporate";
            o.tenant = must(read_tenant_access(a->tenant));
            o.net.server_ca_pem = must(read_text(a->ca_file));
            o.net.timeout = std::chrono::seconds(a->timeout_s);
            for (auto const& c : a->connect_to) {
                auto const eq = c.find('=');
                if (eq == c.npos) throw CLI::ValidationError("--connect-to", "HOST:PORT=ADDRESS:PORT is needed");
                o.net.connect_to[c.substr(0, eq)] = c.substr(eq + 1);
            }
            auto const r = run_fleet(o);
            outcome done{.code = 0, .value = as_json(r), .lines = {}, .problem = {}};
            for (auto const& d : r.devices) {
                done.lines.push_back(
                    fmt::format("{}  quiet after {}  messages {}  commands {}  last session {} ({} changes){}", d.name,
                        d.quiet_after ? std::to_string(d.quiet_after) : "-", d.messages, d.commands, d.last_commands,
                        d.last_changes, d.failure.empty() ? "" : "  " + d.failure));
                for (auto const& v : d.violations) done.lines.push_back("  violation: " + v);
                if (!d.failure.empty()) done.code = 1;
            }
            auto const& all = done.value.as_object();
            for (auto const* name :
                {"devices", "quiet", "rounds", "sessions", "messages", "commands", "violations", "failures", "took_ms"})
                done.lines.push_back(fmt::format("{}: {}", name, json::serialize(all.at(name))));
            if (done.code != 0) done.problem = "not every device had its sessions";
            return done;
        };
    });
}

}  // namespace mdmd::sim::cli
