#include "service/session_facts.hpp"

#include "service/inventory.hpp"

namespace mdmd::service {
namespace {

constexpr std::size_t value_limit = 16 * 1024;  // bytes: nothing that a rule compares is so long

}  // namespace

omadm::wanted session_facts::read(std::string const& node) {
    omadm::wanted w;
    w.key = std::string(key_prefix) + node;
    w.what.what = omadm::verb::get;
    w.what.uri = node;
    return w;
}

void session_facts::load(store::connection& db, std::string const& device_id) {
    for (auto& f : store::list_facts(db, device_id)) before_[f.node] = std::move(f);
    all_ = before_;
}

std::optional<std::string> session_facts::value_of(std::string_view node) const {
    auto const f = all_.find(std::string(node));
    return f == all_.end() || f->second.status != 200 ? std::nullopt : f->second.value;
}

compliance::facts session_facts::known() const {
    compliance::facts known;
    for (auto const& [node, f] : all_) known[node] = {static_cast<int>(f.status), f.value, f.since};
    return known;
}

void session_facts::learn(std::string const& node, int status, std::optional<std::string> value) {
    if (value && value->size() > value_limit) {
        status = 416;
        value.reset();
    }
    if (auto const old = all_.find(node);
        old != all_.end() && old->second.status == status && old->second.value == value)
        return;
    all_[node] = {node, status, std::move(value), now_};
}

std::vector<omadm::wanted> session_facts::take(std::string const& node, omadm::outcome const& o) {
    learn(node, o.status, o.value);
    if (o.status != 200) return {};
    // What is not there any more is not kept: a device could grow without end.
    std::erase_if(all_, [&](auto const& f) { return inventory::is_stale(f.first, node, o.value.value_or("")); });
    std::vector<omadm::wanted> more;
    if (o.value)
        for (auto const& below : inventory::below(node, *o.value)) more.push_back(read(below));
    return more;
}

bool session_facts::keep(store::connection& db, std::string const& device_id) const {
    bool learned = false;
    for (auto const& [node, fact] : all_)
        if (auto const old = before_.find(node);
            old == before_.end() || old->second.status != fact.status || old->second.value != fact.value) {
            store::put_fact(db, device_id, fact);
            learned = true;
        }
    for (auto const& [node, fact] : before_)
        if (!all_.contains(node)) {
            store::remove_fact(db, device_id, node);
            learned = true;
        }
    return learned;
}

}  // namespace mdmd::service
