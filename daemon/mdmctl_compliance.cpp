// mdmctl compliance link: opens the compliance page for one device.
#include "core/time.hpp"
#include "daemon/mdmctl.hpp"

namespace mdmd::ctl {

void add_compliance_link(CLI::App& compliance, command_line& line) {
    struct options {
        std::string id;
        std::string ttl = "7d";
    };
    auto const given = std::make_shared<options>();
    auto* link = compliance.add_subcommand("link", "Print a link that shows a device's user what is wrong with it");
    link->add_option("ID", given->id, "Device ID, Entra device ID or unique name")
        ->required()
        ->check([](std::string const& s) { return s.empty() ? "expected an ID, got nothing" : std::string(); });
    link->add_option("--ttl", given->ttl, "How long the link is good: 1s to 90d")
        ->capture_default_str()
        ->check([](std::string const& s) {
            return parse_duration(s) ? std::string() : "expected a duration such as 7d, got '" + s + "'";
        });
    link->callback([&line, given] {
        line.run = [&line, given] {
            auto const seconds = parse_duration(given->ttl).value().count();
            auto const got = line.daemon().post("/compliance/links", {{"device", given->id}, {"ttl_s", seconds}});
            if (line.as_json)
                fmt::print("{}\n", json::serialize(got));
            else
                fmt::print(
                    "{}\nshows {} until {}\n", show(got.at("url")), show(got.at("device")), show(got.at("expires")));
            return 0;
        };
    });
}

}  // namespace mdmd::ctl
