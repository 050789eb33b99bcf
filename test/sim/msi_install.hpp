// EnterpriseDesktopAppManagement: the job of an Exec, the download, and what Windows makes of it.
// Source: EnterpriseDesktopAppManagement configuration service provider
#pragma once
#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/http_message.hpp"

namespace mdmd::sim {

struct install_options {
    std::size_t block = 0;    // octets of each range that is asked for, as BITS does; 0: all at once
    bool slowly = false;      // Status goes one step in each session
    std::uint32_t error = 0;  // what the installer ends with: 0x80070643; 0: it installs
};

struct msi_job {
    std::string node;     // "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B…%7D", canonical
    std::string product;  // "{1111…}"
    std::string version, sha256, command_line;
    std::vector<std::string> urls;

    // What the device made of it: Status values that are still to be shown, one a session, and how it ends.
    bool tried = false;
    std::vector<int> steps;
    std::uint32_t hresult = 0;  // 0: installed
    std::string problem;        // LastErrorDesc
    std::string upgrade_code;   // "{2222…}", as the package has it; empty: none
};

// The data of an Exec of `uri`. Errors: malformed, with what Windows would not take.
[[nodiscard]] result<msi_job> parse_msi_job(std::string const& uri, std::string_view data);
boost::json::object as_json(msi_job const&);
msi_job read_msi_job(boost::json::object const&);

// Downloads, checks the hash, installs: fills in what the device makes of it. A package whose bytes hold
// "UpgradeCode={GUID}" has that upgrade code.
void carry_out(msi_job&, install_options const&, http::transport const&);

}  // namespace mdmd::sim
