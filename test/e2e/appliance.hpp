// The appliance as it is delivered, mdmd and mdmctl, beside a simulated tenant in this process: all over real sockets
// and TLS, in a scratch folder, on free ports.
#pragma once
#include <boost/json.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "e2e/process.hpp"
#include "http/client.hpp"
#include "sim/device.hpp"
#include "sim/pki.hpp"
#include "sim/tenant.hpp"
#include "sim/terms_client.hpp"
#include "test/support.hpp"

namespace mdmd::e2e {

inline constexpr char host[] = "mdm.contoso.test";
inline constexpr char public_url[] = "https://mdm.contoso.test";
inline constexpr char management_url[] = "https://mdm.contoso.test:8443";
inline constexpr char terms_url[] = "https://mdm.contoso.test/TermsOfUse";
inline constexpr char discovery_url[] = "https://mdm.contoso.test/EnrollmentServer/Discovery.svc";
inline constexpr char policy_url[] = "https://mdm.contoso.test/EnrollmentServer/Policy.svc";
inline constexpr char enrollment_url[] = "https://mdm.contoso.test/EnrollmentServer/Enrollment.svc";
inline constexpr char session_url[] = "https://mdm.contoso.test:8443/ManagementServer/MDM.svc";

// Keys of config.yaml and their values as YAML: "log.level" -> "trace", "key_reminders" -> "[30d]". Laid over those the
// tests need; an empty value leaves the key out.
using settings = std::map<std::string, std::string>;

// What systemd gives a service: "NOTIFY_SOCKET=/…", and listening sockets.
struct surroundings {
    std::vector<std::string> environment{};
    std::vector<int> sockets{};
};

class appliance {
public:
    // Writes the configuration; the tenant must have been started once.
    explicit appliance(sim::tenant const&, settings = {});
    appliance(appliance const&) = delete;
    appliance& operator=(appliance const&) = delete;
    // A check of every test: none of the simulated tenant's secrets is in the log; nor is one in what mdmctl and
    // mdmd --check-config print.
    ~appliance();

    // Starts mdmd and waits until /readyz says so. New ports each time. Throws, with the log's end, where it does not.
    void start(surroundings const& = {});
    int stop();       // SIGTERM; the exit code. Throws where it does not end within 20 s
    void kill9();     // and waits until it is gone
    void reload();    // SIGHUP
    void reloaded();  // and waits until the configuration is taken. Throws where it is not
    process& daemon() { return *daemon_; }

    void configure(settings const&);  // writes config.yaml anew: what the constructor had, and these
    std::filesystem::path config_file() const { return folder_.path() / "config.yaml"; }
    std::filesystem::path file(std::string const& name) const { return folder_.path() / name; }
    // A file of the configuration's folder, mode 0600: "policies.d/baseline.yaml".
    void write(std::string const& name, std::string const& text) const { folder_.write(name, text); }
    void write_certificate(sim::identity const&) const;

    finished check_config() const;
    finished mdmctl(std::vector<std::string> arguments) const;
    // With --json. Throws where it fails.
    boost::json::value ask(std::vector<std::string> arguments) const;

    std::string log() const;  // of all starts
    bool logs(std::string const& text, std::chrono::milliseconds patience = std::chrono::seconds(10)) const;

    std::uint16_t port(std::string const& listener) const { return ports_.at(listener); }
    sim::network net() const;
    sim::identity const& authority() const { return authority_; }  // of its TLS certificate
    http::client_options client_options() const;                   // trusting it, reaching it
    http::response admin(std::string const& path) const;           // GET; throws where there is no answer

private:
    sim::identity authority_;
    settings settings_;
    test::scratch folder_;
    std::unique_ptr<process> daemon_;
    std::map<std::string, std::uint16_t> ports_;
};

// A tenant and an appliance that knows it.
struct world {
    explicit world(settings = {}, sim::tenant_options = {.app_id = public_url});

    sim::tenant_access access() const;
    // For a user, who is added where the tenant does not know the name.
    sim::join_options join(std::string const& upn, bool corporate = true);
    sim::sync_options sync() const;
    std::filesystem::path device(std::string const& name) const { return folder.path() / name; }
    std::string token(std::string const& upn);
    sim::terms_outcome visit(std::string const& jwt, bool corporate = true) const;
    sim::entra_device registered(std::string const& entra_device_id) const;  // throws where it is not

    test::scratch folder;
    sim::tenant tenant;
    std::optional<appliance> app;  // there from the beginning, not started
};

// A policy whose one rule is that `mode_uri` is 0: a device is compliant as its tree says.
inline constexpr char mode_uri[] = "./Vendor/MSFT/DeviceStatus/OS/Mode";
void write_mode_rule(appliance const&);
// The device answers so in a session.
void check_in(world&, sim::device&, bool compliant);

// A device that has joined, or an exception that says why it did not.
std::unique_ptr<sim::device> joined(world&, std::string const& name, std::string const& upn, bool corporate = true);

// What a session must be: without failure, and nothing that Windows would object to.
void require_clean(sim::session_report const&);

}  // namespace mdmd::e2e
