#include "service/first_sync.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace mdmd::service::first_sync {
namespace {

constexpr std::string_view separator = "\xEF\x80\x80";  // U+F000
constexpr std::size_t most_list = 60'000;               // bytes of one list: what does not fit is not tracked

std::string joined(std::vector<std::string> const& uris) {
    std::string out;
    for (auto const& uri : uris) {
        if (out.size() + separator.size() + uri.size() > most_list) break;
        if (!out.empty()) out += separator;
        out += uri;
    }
    return out;
}

std::string root(part p, std::string_view provider_id) {
    return fmt::format(
        "./{}/Vendor/MSFT/DMClient/Provider/{}/FirstSyncStatus/", p == part::device ? "Device" : "User", provider_id);
}

omadm::wanted write(omadm::verb what, std::string uri, std::string format, std::string value) {
    omadm::wanted w;
    w.key = std::string(key_prefix) + uri;
    w.what.what = what;
    w.what.uri = std::move(uri);
    w.what.format = std::move(format);
    w.what.type = "text/plain";
    w.what.data = std::move(value);
    return w;
}

}  // namespace

expected of(policy::record_map const& settings, std::vector<std::string> packages) {
    expected e;
    for (auto const& [node, r] : settings)
        if (r.state == policy::setting_state::pending && r.wanted.withheld.empty() &&
            r.wanted.uri.find("/Policy/Config/") != std::string::npos)
            e.policies.push_back(r.wanted.uri);
    for (auto& uri : packages) e.packages.push_back(std::move(uri) + ";1");
    return e;
}

std::vector<omadm::wanted> begin(
    part p, expected const& e, std::string_view provider_id, std::chrono::minutes timeout, bool user_page) {
    using omadm::verb;
    auto const base = root(p, provider_id);
    std::vector<omadm::wanted> all;
    if (p == part::device) {
        auto const minutes = std::clamp<std::int64_t>(timeout.count(), 1, 1440);
        all.push_back(write(verb::replace, base + "TimeOutUntilSyncFailure", "int", std::to_string(minutes)));
        all.push_back(write(verb::replace, base + "SkipDeviceStatusPage", "bool", "false"));
        all.push_back(write(verb::replace, base + "SkipUserStatusPage", "bool", user_page ? "false" : "true"));
        // Whoever waits may go on when it fails, and try again: nobody is locked out of a computer by a policy.
        all.push_back(write(verb::replace, base + "BlockInStatusPage", "int", "6"));
    }
    if (!e.policies.empty()) all.push_back(write(verb::add, base + "ExpectedPolicies", "chr", joined(e.policies)));
    if (!e.packages.empty())
        all.push_back(write(verb::add, base + "ExpectedMSIAppPackages", "chr", joined(e.packages)));
    return all;
}

std::vector<omadm::wanted> finish(part p, std::string_view provider_id) {
    return {write(omadm::verb::replace, root(p, provider_id) + "ServerHasFinishedProvisioning", "bool", "true")};
}

bool is_of(part p, std::string_view uri) {
    return uri.find("/FirstSyncStatus/") != uri.npos && uri.starts_with(p == part::device ? "./Device/" : "./User/");
}

bool is_end(omadm::outcome const& o) { return o.sent.uri.ends_with("/FirstSyncStatus/ServerHasFinishedProvisioning"); }

std::optional<omadm::wanted> take(omadm::outcome const& o) {
    bool const there = o.sent.what == omadm::verb::add && o.status == 418;
    bool const missing = o.sent.what == omadm::verb::replace && o.status == 404;
    if (!there && !missing) return std::nullopt;
    omadm::wanted w;
    // One that is answered so again is let be: its key says so no more.
    w.key = std::string(key_prefix.substr(0, key_prefix.size() - 1)) + "-again:" + o.sent.uri;
    w.what = o.sent;
    w.what.what = there ? omadm::verb::replace : omadm::verb::add;
    return w;
}

}  // namespace mdmd::service::first_sync
