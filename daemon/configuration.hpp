// The configuration as a whole: what lib/config reads, and what only cryptography can check of it. For mdmd and mdmctl.
#pragma once
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "http/client.hpp"
#include "http/tls.hpp"
#include "service/context.hpp"

namespace mdmd::daemon {

struct loaded_configuration {
    std::shared_ptr<service::configuration const> value;  // nullptr: there are problems
    std::vector<config::problem> problems;
    std::vector<config::problem> warnings;
    // What Windows would refuse of the policies, by the catalogue of its nodes: an error where a configuration is
    // checked, and no reason for a daemon not to start.
    std::vector<config::problem> refusable;
};
loaded_configuration load_configuration(std::filesystem::path const& file, config::environment const&);

// What the daemon's environment contributes, also for root outside of it: systemd's credentials of the service.
config::environment environment_of_service();

// The way out: one client for all calls to Entra, Graph and web hooks. Throws where ca_file holds no certificates.
http::transport way_out(config::settings const&, std::stop_token);

http::tls_identity public_identity(config::settings const&);
http::tls_identity admin_identity(config::settings const&);  // without a certificate: plain HTTP

// Whether nobody has filled it in: config.yaml is as it was installed, or not there.
bool unconfigured(std::filesystem::path const& config_file);
// What a package puts beside a config.yaml that is such, so that systemd starts nothing: `mdmctl init` takes it away.
inline constexpr char unconfigured_mark[] = "run-mdmctl-init";

}  // namespace mdmd::daemon
