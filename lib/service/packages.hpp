// The packages that the appliance serves to its devices, from apps.directory.
#pragma once
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "core/http_message.hpp"
#include "service/context.hpp"

namespace mdmd::service {

class packages {
public:
    explicit packages(context& c) : context_(c) {}

    // GET and HEAD of /packages/{name}: a regular file that lies directly in the folder, in whole or the one part that
    // Range asks for. No listing, no sub-folder, no symbolic link. [RFC 9110 13, 14]
    http::response serve(http::request const&) const;

private:
    context& context_;
};

// The digests of packages that were hashed before, by path; a file of another size or time is hashed again. Safe to use
// by several threads at once.
class package_digests {
public:
    // SHA-256 of the file, lower-case hex. Errors: not_found, malformed (not a regular file); "expected …, got …".
    [[nodiscard]] result<std::string> of(std::filesystem::path const& folder, std::string const& name);

private:
    struct hashed {
        std::string identity;  // size, times, inode
        std::string sha256;
    };
    std::mutex mutex_;
    std::map<std::filesystem::path, hashed> all_;
};

// Completes the policies' apps that name a file of apps.directory with its address on this appliance and its SHA-256.
// What does not fit is a problem: no such file, or another digest than the policy has.
std::vector<config::problem> complete_apps(
    config::settings const&, std::vector<config::policy_file>&, package_digests&);

}  // namespace mdmd::service
