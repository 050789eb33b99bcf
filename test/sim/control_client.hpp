// The tenant's control API, from another process or thread.
#pragma once
#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "core/error.hpp"
#include "http/client.hpp"

namespace mdmd::sim {

// Where a tenant is and how to steer it: what its tenant.json says.
struct tenant_access {
    std::string url, tenant_id, client_id, app_id, ca_pem, control_token;
};
// Errors: not_found, malformed.
[[nodiscard]] result<tenant_access> read_tenant_access(std::filesystem::path const& directory);

class control_client {
public:
    explicit control_client(tenant_access);
    // The answer's body, an empty object where it has none. Errors: as http::client; an error status is malformed,
    // not_found or conflict with what the tenant said.
    [[nodiscard]] result<boost::json::object> send(
        std::string const& method, std::string const& path, boost::json::object const& body = {});
    tenant_access const& access() const { return access_; }

private:
    tenant_access access_;
    std::unique_ptr<http::client> client_;
};

// A file's text. Errors: not_found.
[[nodiscard]] result<std::string> read_text(std::filesystem::path const&);
// Replaces a file as a whole; `is_private`: mode 0600, else 0644. Throws where it cannot.
void write_text(std::filesystem::path const&, std::string_view text, bool is_private);

}  // namespace mdmd::sim
