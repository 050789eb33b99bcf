// config.yaml as typed, validated values. What is not here is not a setting.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/position.hpp"
#include "core/credential.hpp"
#include "core/log.hpp"
#include "core/os_version.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"

namespace mdmd::config {

using std::chrono::seconds;

// A TCP address to listen on: "0.0.0.0:443", "[::]:443", "127.0.0.1:0".
struct endpoint {
    std::string address;  // numeric
    std::uint16_t port = 0;
    std::string text() const;  // as it is written in the file
    bool loopback() const;
    bool operator==(endpoint const&) const = default;
};

// An https URL without query and fragment, its parts checked.
struct url {
    std::string text;  // without a trailing slash
    std::string host;  // lower case
    std::uint16_t port = 443;
    bool operator==(url const&) const = default;
};

// Where the application's key comes from.
enum class key_source { file, inline_value, systemd_credential, certificate };
// How a certificate's owner signs in: PS256 with the certificate's SHA-256 digest, or the older RS256 with SHA-1.
enum class assertion_form { ps256, rs256 };

// One file of terms.directory.
struct terms_file {
    std::string path;  // relative to it, with slashes: "de/personal.md"
    std::string content;
    bool operator==(terms_file const&) const = default;
};
// Whose enrollment needs a one-time PIN: nobody's, that of devices their users own, or every one.
enum class pin_use { off, personal, all };

// Somebody who may enroll with a password: a line of enrollment.users_file.
struct local_user {
    std::string name;  // lower case
    secret hash;       // bcrypt, "$2y$10$…"
};
// The enrollments of tokens that Entra issued, by whom they stand for: a user who joins the computer or adds an
// account, a package for many computers, the device itself.
enum class enrollment_type { entra_join, work_account, bulk, device_token };

// An HTTP proxy that is asked to CONNECT.
struct proxy {
    std::string host;  // a name or a numeric address, without brackets
    std::uint16_t port = 0;
    secret credentials;  // "user:password" for Basic; empty: none
};

// An app identity with Windows' push service, by which devices are woken.
struct push_identity {
    std::string package_family_name;  // "Contoso.Wake_1a2b3c4d5e6f7"
    std::string package_sid;          // "ms-app://s-1-15-2-…"
    secret key;                       // the content of secret_file
    url login_url{"https://login.live.com", "login.live.com", 443};
};

struct settings {
    std::filesystem::path file;  // where it was read from

    struct {
        std::string tenant_id;  // GUID, lower case
        std::string client_id;  // GUID, lower case
        std::string app_id;     // application ID URI
        credential key;         // from key_file, `key`, certificate_file, or $CREDENTIALS_DIRECTORY/entra-key
        key_source source = key_source::file;
        std::filesystem::path key_file;  // where `source` is a file
        std::filesystem::path certificate_file, certificate_key_file;
        std::filesystem::path next_key_file;  // or $CREDENTIALS_DIRECTORY/entra-next-key; empty: none; the file
                                              // itself comes and goes
        assertion_form assertion = assertion_form::ps256;
        std::optional<time_point> key_expires;
        url login_url;  // those of `cloud`, unless given
        url graph_url;
        std::string required_scope = "mdm_delegation";
        std::string ca_pem;  // the content of ca_file; empty: the system's roots alone
        position ca_file_at;
        std::optional<config::proxy> proxy;
    } entra;

    struct {
        url public_url;
        url management_url;
        endpoint listen;
        endpoint management_listen;
        std::filesystem::path tls_certificate;
        std::filesystem::path tls_key;
        position tls_key_at;
        std::string certificate_pem;  // their content
        secret key_pem;
    } server;

    struct {
        std::filesystem::path socket = "/run/mdmd/admin.sock";
        endpoint listen{"127.0.0.1", 8080};
        url public_url;  // how clients reach `listen` where something stands in front of it; empty text: as they say
        std::string certificate_pem;  // empty: plain HTTP (loopback only)
        secret key_pem;
        position tls_key_at;
    } admin;

    struct {
        std::filesystem::path path = "/var/lib/mdmd/mdmd.db";
    } storage;

    struct {
        bool required = true;
        std::filesystem::path directory;  // empty: none
        std::vector<terms_file> files;    // what is in it, by path
        pin_use pin = pin_use::off;
        std::vector<std::string> redirect_schemes{"ms-appx-web"};
    } terms;

    struct {
        bool enabled = true;
        std::string disabled_message;  // shown on the device while it is not enabled; empty: Windows' own
        bool personal_devices = true;
        std::optional<os_version> min_os_version;
        std::optional<os_version> max_os_version;  // parts that are not given are as large as can be
        std::vector<int> editions;                 // product types of Windows, each once; empty: all
        int max_devices_per_user = 15;
        std::vector<std::string> allowed_groups;  // Entra object IDs, lower case, each once; empty: everybody
        std::vector<std::string> blocked_users;   // names and Entra object IDs, lower case
        std::set<enrollment_type> allowed_types{enrollment_type::entra_join, enrollment_type::work_account};
        bool on_premise = false;        // names and passwords of `users`
        std::vector<local_user> users;  // of users_file, by name
        bool federated = false;         // Windows' sign-in page is ours, and sends the user on to Entra
        seconds abandon_after{std::chrono::hours(1)};
        // Windows' Enrollment Status Page: whether a computer that joins shows it, its users too, and for how long it
        // waits at most.
        struct {
            bool on = true, for_users = false;
            std::chrono::minutes timeout{60};
        } status_page;
        seconds certificate_validity{std::chrono::days(365)};
        seconds renewal_window{std::chrono::days(60)};
    } enrollment;

    // Troubleshooting events go when they are older, and when there are more.
    struct {
        seconds keep{std::chrono::days(90)};
        std::int64_t most = 10'000;
    } events;

    // The device authority.
    struct {
        enum class key_kind { rsa, p256 } key_type = key_kind::rsa;  // of keys made from now on
        secret passphrase;  // of the keys that the store keeps, and of key_pem; empty: none
        std::string
            certificate_pem;  // an existing one: the issuing certificate, then the chain to its root; empty: none
        secret key_pem;       // of its first certificate; may be encrypted
        position certificate_file_at;
    } authority;

    struct {
        seconds poll{std::chrono::hours(8)};
        seconds refresh{std::chrono::hours(24)};  // how often inventory and settings are read whole
        bool digest = false;                      // a device without a certificate may prove itself by SyncML's MD5
        int trace = 20;                           // sessions kept of each device; 0: none
        std::optional<push_identity> push;
    } management;

    struct {
        std::filesystem::path directory;  // of the packages that are served; empty: none
    } apps;

    struct {
        seconds interval{std::chrono::minutes(15)};
        seconds refresh{std::chrono::hours(24)};
        seconds stale_after{std::chrono::days(30)};
        seconds keep_last{std::chrono::days(7)};
        bool compliant_without_policy = true;
    } compliance;

    // Before an end, the longest first, each once.
    std::vector<seconds> key_reminders{std::chrono::days(60), std::chrono::days(30), std::chrono::days(14),
        std::chrono::days(7), std::chrono::days(3), std::chrono::days(1)};

    struct {
        std::filesystem::path command;  // empty: none
        std::string webhook;            // https URL, or http on this machine: no user name, always a path; empty: none
    } notify;

    std::filesystem::path policies_dir;  // default: policies.d beside the file

    struct {
        log::level level = log::level::info;
        enum class form { automatic, journald, text, json } format = form::automatic;
    } log;
};

}  // namespace mdmd::config
