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
    for (auto& f : store::list_facts(db, device_id))
        all_.emplace_hint(
            all_.end(), std::move(f.node), compliance::fact{static_cast<int>(f.status), std::move(f.value), f.since});
}

std::optional<std::string> session_facts::value_of(std::string_view node) const {
    auto const f = all_.find(std::string(node));
    return f == all_.end() || f->second.status != 200 ? std::nullopt : f->second.value;
}

void session_facts::note_change(std::string const& node, iterator at) {
    before_.try_emplace(node, at == all_.end() ? std::nullopt : std::optional(at->second));
}

void session_facts::learn(std::string const& node, int status, std::optional<std::string> value) {
    if (value && value->size() > value_limit) {
        status = 416;
        value.reset();
    }
    auto const old = all_.find(node);
    if (old != all_.end() && old->second.status == status && old->second.value == value) return;
    note_change(node, old);
    all_[node] = {status, std::move(value), now_};
}

std::vector<omadm::wanted> session_facts::take(std::string const& node, omadm::outcome const& o) {
    learn(node, o.status, o.value);
    if (o.status != 200) return {};
    // What is not there any more is not kept: a device could grow without end.
    for (auto at = all_.begin(); at != all_.end();) {
        bool const stale = inventory::is_stale(at->first, node, o.value.value_or(""));
        if (stale) note_change(at->first, at);
        at = stale ? all_.erase(at) : std::next(at);
    }
    std::vector<omadm::wanted> more;
    if (o.value)
        for (auto const& below : inventory::below(node, *o.value)) more.push_back(read(below));
    return more;
}

bool session_facts::keep(store::connection& db, std::string const& device_id) const {
    bool learned = false;
    for (auto const& [node, old] : before_) {
        auto const now = all_.find(node);
        if (now == all_.end()) {
            if (!old) continue;
            store::remove_fact(db, device_id, node);
        } else {
            auto const& f = now->second;
            if (old && old->status == f.status && old->value == f.value) continue;
            store::put_fact(db, device_id, {node, f.status, f.value, f.at});
        }
        learned = true;
    }
    return learned;
}

}  // namespace mdmd::service
