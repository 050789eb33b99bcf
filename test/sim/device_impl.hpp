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
    void forget();  // what an unenrollment takes away

    device_facts facts() const;
    std::string provider_node(std::string_view leaf) const;

    std::filesystem::path directory;
    std::string state = "new";
    std::string device_id, hardware_id, serial, name = "DESKTOP-SIM", os_version = "10.0.22631.3447";
    std::string entra_device_id, user, discovery_url, provider_id, management_url;
    bool corporate = true, entra = false;
    std::optional<app_account> server_account, client_account;
    int last_session = 0;
    std::vector<std::string> executed;      // of all sessions
    std::vector<client_alert> owed_alerts;  // for the next session
    csp_tree tree;
    std::optional<private_key> key;
    std::optional<certificate> own, issuing, root;
    std::optional<identity> previous;        // before the last renewal
    std::optional<private_key> pending_key;  // of a renewal whose answer was lost
    std::string pending_request;             // and its PKCS#10
};

}  // namespace mdmd::sim
