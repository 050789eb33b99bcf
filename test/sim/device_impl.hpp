// What is behind a device: its state, and how it comes and goes from the folder.
#pragma once
#include "device.hpp"
#include "http/client.hpp"
#include "pki.hpp"
#include "provisioning.hpp"

namespace mdmd::sim {

struct device::impl {
    explicit impl(std::filesystem::path);

    void load();
    void save() const;
    // For the management server; with a client certificate where one is given.
    http::client make_client(network const&, std::optional<identity> const&) const;
    std::optional<identity> credentials() const;
    void provision(provisioned const&, private_key const&);
    void forget();                            // what an unenrollment takes away
    void begin_session(sync_options const&);  // what happened since the last one. device_effects.cpp
    void end_session(sync_options const&);    // what the device does once the server has nothing left to say
    exec_verdict judge(sync_options const&, std::string const& uri, std::string const& data) const;
    bool took_effect(sync_options const&, std::string const& uri, std::string const& data);  // true: session dropped
    void follow_first_sync();  // FirstSyncStatus, of the device and of the user who is there
    void open_channel(sync_options const&);
    void install_products(sync_options const&);

    device_facts facts() const;
    std::string provider_node(std::string_view leaf) const;

    std::filesystem::path directory;
    std::string state = "new";
    std::string device_id, hardware_id, serial, name = "DESKTOP-SIM", os_version = "10.0.22631.3447";
    std::string entra_device_id, user, discovery_url, provider_id, management_url;
    bool corporate = true, entra = false;
    std::optional<app_account> server_account, client_account;
    int last_session = 0;
    int boots = 1;
    bool restart_due = false, unenroll_ordered = false, wiped = false;
    std::map<std::string, csp_node> due;  // nodes as they are from the next session on
    std::size_t seen_pushes = 0;
    std::vector<msi_job> jobs;              // of products that are being installed
    std::vector<std::string> executed;      // of all sessions
    std::vector<client_alert> owed_alerts;  // for the next session
    csp_tree tree;
    std::optional<private_key> key;
    std::optional<certificate> own, issuing, root;
    std::optional<identity> previous;        // before the last renewal
    std::optional<private_key> pending_key;  // of a renewal whose answer was lost
    std::string pending_request;             // and its PKCS#10
};

// FirstSyncStatus as Windows has it before a server writes anything, where it is not there yet.
void set_first_sync(csp_tree&, std::string const& base, bool of_device);

// Sends a POST to the management server and closes the connection before its answer comes. Errors: unavailable.
result<void> send_and_hang_up(network const&, std::string const& url, http::fields const&, std::string const& body,
    std::optional<identity> const& shown, std::optional<certificate> const& issuing);

}  // namespace mdmd::sim
