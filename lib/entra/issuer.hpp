// Private to lib/entra.
#pragma once
#include <string>
#include <string_view>

namespace mdmd::entra {

// Microsoft's documents for all tenants name "https://login.microsoftonline.com/{tenantid}/v2.0": the tenant's own
// issuer is that with its id put in.
std::string with_tenant(std::string_view issuer, std::string_view tenant_id);

}  // namespace mdmd::entra
