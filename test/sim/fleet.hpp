// Many simulated devices with several users each against one management server, until nothing changes any more.
#pragma once
#include "device.hpp"

namespace mdmd::sim {

struct fleet_options {
    std::filesystem::path directory;  // a folder for each device, "FLEET-0001" and so on; those that are there go on
    int devices = 10;
    int users = 1;  // of each device, its own; the first one enrolls it
    unsigned threads = 8;
    int rounds = 10;    // at the most: in each, every user of every device has one session
    unsigned keys = 4;  // RSA keys that all devices share
    bool corporate = true;
    std::string domain = "contoso.test";  // of the users, who are made in the tenant
    std::string os_version = "10.0.22631.3447";
    std::string terms_url, discovery_url;
    std::optional<tenant_access> tenant;
    network net;
};

struct fleet_device {
    std::string name, device_id;
    std::string failure;  // the first one; empty: none
    std::vector<std::string> violations;
    int sessions = 0, messages = 0, commands = 0;
    int quiet_after = 0;  // the round in which no session changed anything; 0: there was none
    // Of the last round, all users together: what was asked, and what was changed (anything but a Get).
    int last_commands = 0, last_changes = 0, last_messages = 0;
};

struct fleet_report {
    std::vector<fleet_device> devices;
    int rounds = 0;
    std::chrono::milliseconds took{0};
};

fleet_report run_fleet(fleet_options const&);
// {"devices", "quiet", "rounds", "sessions", "messages", "commands", "violations", "failures", "took_ms", "value":
// [...]}
boost::json::object as_json(fleet_report const&);

}  // namespace mdmd::sim
