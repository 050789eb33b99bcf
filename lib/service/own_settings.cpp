#include "service/own_settings.hpp"

#include <algorithm>
#include <charconv>

namespace mdmd::service {
namespace {

constexpr std::string_view provider = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/";

std::optional<int> major_of(std::string_view version) {
    int major = 0;
    auto const [end, ec] = std::from_chars(version.data(), version.data() + version.size(), major);
    return ec == std::errc{} && end != version.data() ? std::optional(major) : std::nullopt;
}

class collector {
public:
    void add(std::string_view leaf, std::string_view format, std::string value) {
        auto uri = std::string(provider) + std::string(leaf);
        policy::wanted_setting s;
        s.format = format;
        s.value = std::move(value);
        s.policy = own_policy;
        s.order = order_++;
        auto const canonical = policy::canonical_uri(uri);
        s.uri = std::move(uri);
        all.emplace(canonical, std::move(s));
    }
    std::map<std::string, policy::wanted_setting> all;

private:
    int order_ = 1'000'000;  // after what policies write
};

}  // namespace

std::map<std::string, policy::wanted_setting> own_settings(
    config::settings const& s, std::string_view max_sync_version) {
    auto const minutes = std::max<std::int64_t>(std::chrono::ceil<std::chrono::minutes>(s.management.poll).count(), 1);
    collector own;
    own.add("Poll/NumberOfFirstRetries", "int", "5");
    own.add("Poll/IntervalForFirstSetOfRetries", "int", "15");
    own.add("Poll/NumberOfSecondRetries", "int", "8");
    own.add("Poll/IntervalForSecondSetOfRetries", "int", "60");
    own.add("Poll/NumberOfRemainingScheduledRetries", "int", "0");
    own.add("Poll/IntervalForRemainingScheduledRetries", "int", std::to_string(minutes));
    own.add("Poll/PollOnLogin", "bool", "true");
    if (auto const most = major_of(max_sync_version); most && *most >= 2)
        own.add("SyncApplicationVersion", "chr",
            *most >= *major_of(wanted_sync_version) ? std::string(wanted_sync_version) : std::to_string(*most) + ".0");
    return std::move(own.all);
}

void add_own_settings(policy::desired_state& wish, config::settings const& s, std::string_view max_sync_version) {
    for (auto& [node, setting] : own_settings(s, max_sync_version)) wish.settings.emplace(node, std::move(setting));
}

policy::record_map provisioned_settings(config::settings const& s) {
    policy::record_map all;
    for (auto& [node, setting] : own_settings(s, "")) {
        policy::setting_record r;
        r.wanted = std::move(setting);
        r.state = policy::setting_state::applied;
        r.status = 200;
        r.delivered = true;
        all.emplace(node, std::move(r));
    }
    return all;
}

}  // namespace mdmd::service
