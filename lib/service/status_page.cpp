#include "service/status_page.hpp"

#include <algorithm>

#include "enroll/provisioning.hpp"
#include "service/user_node.hpp"

namespace mdmd::service {

void status_page::load(std::optional<store::device_user> const& user) {
    if (user) user_stage_ = user->first_sync;
}

std::vector<omadm::wanted> status_page::begin(config::settings const& s, presence const& there,
    policy::record_map const& device, policy::record_map const& user, std::vector<std::string> packages) {
    auto const& page = s.enrollment.status_page;
    bool const shown = page.on && setup_;
    std::vector<omadm::wanted> all;
    auto const begin = [&](std::string& stage, first_sync::part part, first_sync::expected const& e) {
        auto told = first_sync::begin(part, e, enroll::provider_id, page.timeout, page.for_users);
        if (told.empty()) stage = "begun";
        for (auto& w : told) all.push_back(std::move(w));
    };
    if (device_stage_ == "owed" && !shown)
        device_stage_ = "done";
    else if (device_stage_ == "owed" && there.device_scope)
        begin(device_stage_, first_sync::part::device, first_sync::of(device, std::move(packages)));
    if (user_stage_ != "owed" || !there.by_token) return all;
    if (!shown || !page.for_users)
        user_stage_ = "done";
    else if (there.active)
        begin(user_stage_, first_sync::part::user, first_sync::of(user, {}));
    return all;
}

// The end is told until the device has answered it, whatever it answers.
std::optional<omadm::wanted> status_page::take(omadm::outcome const& o) {
    if (first_sync::is_end(o)) (is_user_node(o.sent.uri) ? user_stage_ : device_stage_) = "done";
    return first_sync::take(o);
}

void status_page::settle(omadm::intake const& in, std::span<omadm::wanted const> todo, presence const& there) {
    auto const settle = [&](std::string& stage, first_sync::part part) {
        bool const open = std::any_of(todo.begin(), todo.end(),
                              [&](omadm::wanted const& w) { return first_sync::is_of(part, w.what.uri); }) ||
                          std::any_of(in.next.waiting.begin(), in.next.waiting.end(),
                              [&](omadm::outstanding const& o) { return first_sync::is_of(part, o.sent.uri); });
        if (stage == "owed" && !open) stage = "begun";
    };
    if (there.device_scope) settle(device_stage_, first_sync::part::device);
    if (there.by_token && there.active) settle(user_stage_, first_sync::part::user);
}

std::vector<omadm::wanted> status_page::end(presence const& there) const {
    std::vector<omadm::wanted> all;
    auto const end = [&](std::string const& stage, first_sync::part part) {
        if (stage != "begun") return;
        for (auto& w : first_sync::finish(part, enroll::provider_id)) all.push_back(std::move(w));
    };
    end(device_stage_, first_sync::part::device);
    if (there.active) end(user_stage_, first_sync::part::user);
    return all;
}

}  // namespace mdmd::service
