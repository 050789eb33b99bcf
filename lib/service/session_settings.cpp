#include "service/session_settings.hpp"

#include "service/setting_rows.hpp"
#include "service/user_node.hpp"

namespace mdmd::service {

session_settings::stored session_settings::from(std::vector<store::setting> rows) {
    stored s{.before = {}, .now = records_from(rows)};
    s.before = std::move(rows);
    return s;
}

void session_settings::load(store::connection& db, std::string const& device_id, std::string const& user_id) {
    user_id_ = user_id;
    device_ = from(store::list_settings_of(db, device_id, ""));
    if (!user_id.empty()) user_ = from(store::list_settings_of(db, device_id, user_id));
}

void session_settings::plan_device(policy::desired_state const& wish) {
    device_.now = policy::reconcile(wish, std::move(device_.now));
}

void session_settings::plan_user(policy::desired_state const& wish) {
    user_.now = policy::reconcile(wish, std::move(user_.now));
}

policy::record_map& session_settings::records_of(std::string_view node) {
    return is_user_node(node) ? user_.now : device_.now;
}

bool session_settings::has(std::string_view node) const {
    return (is_user_node(node) ? user_ : device_).now.contains(std::string(node));
}

std::optional<omadm::wanted> session_settings::take(omadm::outcome const& o) {
    auto const node = policy::canonical_uri(o.sent.uri);
    auto follow_up = policy::take(records_of(node), o);
    if (follow_up) follow_up->atomic = policy::atomic_group(node);
    return follow_up;
}

std::vector<omadm::wanted> session_settings::again(std::set<std::string> const& nodes) const {
    auto out = policy::again(device_.now, nodes);
    for (auto& w : policy::again(user_.now, nodes)) out.push_back(std::move(w));
    return out;
}

void session_settings::refuse(omadm::wanted const& w, std::string const& why) {
    auto const node = w.key.substr(key_prefix.size());
    auto& records = records_of(node);
    auto const record = records.find(node);
    if (record == records.end()) return;
    record->second.state =
        w.what.what == omadm::verb::remove ? policy::setting_state::removal_failed : policy::setting_state::failed;
    record->second.original_error = why;
}

// Both are in the order of their nodes.
void session_settings::keep(
    store::connection& db, std::string const& device_id, std::string const& user_id, stored const& s) {
    auto old = s.before.begin();
    auto const drop_before = [&](std::string const* node) {
        for (; old != s.before.end() && (!node || old->node < *node); ++old)
            store::remove_setting(db, device_id, user_id, old->node);
    };
    for (auto const& [node, record] : s.now) {
        drop_before(&node);
        bool const known = old != s.before.end() && old->node == node;
        if (!known || !is_row_of(*old, record)) store::put_setting(db, device_id, row_of(user_id, node, record));
        if (known) ++old;
    }
    drop_before(nullptr);
}

void session_settings::keep(store::connection& db, std::string const& device_id) const {
    keep(db, device_id, "", device_);
    if (!user_id_.empty()) keep(db, device_id, user_id_, user_);
}

}  // namespace mdmd::service
