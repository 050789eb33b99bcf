#include "service/session_work.hpp"

#include <charconv>

#include "catalogue/catalogue.hpp"
#include "compliance/compliance.hpp"
#include "core/log.hpp"
#include "service/apps.hpp"
#include "service/entra_claims.hpp"
#include "service/evaluation.hpp"
#include "service/inventory.hpp"
#include "service/own_settings.hpp"
#include "service/troubleshooting.hpp"
#include "service/user_node.hpp"
#include "store/commands.hpp"

namespace mdmd::service {
namespace {

constexpr std::size_t name_limit = 256;  // bytes of a name that a device gives itself
constexpr std::string_view push_prefix = "push:";

// The rest of a key, which says who gets the outcome.
std::optional<std::string_view> after(std::string_view prefix, std::string_view key) {
    return key.starts_with(prefix) ? std::optional(key.substr(prefix.size())) : std::nullopt;
}

// 215 (not executed) and 216 (rolled back with its Atomic) are in the range of success and are none.
bool failed(int status) { return status < 200 || status > 299 || status == 215 || status == 216; }

}  // namespace

session_work::session_work(std::shared_ptr<configuration const> config, push const& wake, store::device device,
    std::optional<store::certificate> certificate, time_point now)
    : config_(std::move(config)),
      push_(wake),
      device_(std::move(device)),
      certificate_(std::move(certificate)),
      now_(now),
      facts_(now),
      orders_(now),
      page_(device_) {}

void session_work::load(store::connection& db, presence const& there) {
    there_ = there;
    settings_.load(db, device_.id, there_.user_id);
    if (!there_.user_id.empty())
        for (auto& u : store::list_device_users(db, device_.id))
            if (u.user_id == there_.user_id) device_user_ = std::move(u);
    page_.load(device_user_);
    enroller_groups_ = store::find_user_groups(db, device_.user_id);
    if (!there_.user_id.empty() && there_.user_id != device_.user_id)
        user_groups_ = store::find_user_groups(db, there_.user_id);
    facts_.load(db, device_.id);
    apps_before_ = load_apps(db, device_.id);
    apps_ = apps_before_;
    std::vector<config::policy_file const*> for_it;
    auto const t = traits();
    for (auto const& p : config_->policies)
        if (!p.apps.empty() && has_apps_of(p, t)) for_it.push_back(&p);
    wanted_apps_ = policy::wanted_apps(std::move(for_it));
    channel_ = store::find_push_channel(db, device_.id);
    orders_.load(db, device_.id, there_);
}

void session_work::resume(session_state const& s) {
    todo_ = s.todo;
    refreshing_ = s.refreshing;
    eventful_ = s.eventful;
}

session_state session_work::state(omadm::session dm) const {
    return {.dm = std::move(dm), .todo = todo_, .there = there_, .refreshing = refreshing_, .eventful = eventful_};
}

policy::person session_work::person_of(std::string const& user_id, std::string const& upn) const {
    auto const& groups = user_id == device_.user_id ? enroller_groups_ : user_groups_;
    return {.id = user_id,
        .upn = upn,
        .groups = groups ? groups->groups : std::vector<std::string>(),
        .groups_known = groups.has_value()};
}

policy::device_traits session_work::traits() const {
    auto t = traits_of(device_, facts_.known(), config_->settings);
    t.enrolled_by = person_of(device_.user_id, device_.upn);
    return t;
}

// Of a policy that nobody can say fits, what it did stays.
bool session_work::has_apps_of(config::policy_file const& p, policy::device_traits const& t) const {
    auto const fit = policy::device_fit(p, t);
    if (fit != policy::fit::undecided) return fit == policy::fit::yes;
    return std::any_of(apps_.begin(), apps_.end(), [&](auto const& known) { return known.second.policy == p.name; });
}

void session_work::ask(std::string const& node) {
    if (asked_.insert(node).second) todo_.push_back(session_facts::read(node));
}

void session_work::add(std::vector<omadm::wanted> more) {
    for (auto& w : more) todo_.push_back(std::move(w));
}

void session_work::add(std::optional<omadm::wanted> one) {
    if (one) todo_.push_back(std::move(*one));
}

void session_work::begin(std::optional<store::session> const& last) {
    new_session_ = true;
    orders_.begin();
    if (device_.state == "wiped" || device_.state == "retired") came_back_ = true;
    auto const age = last ? now_ - last->refreshed : std::chrono::milliseconds::max();
    // A clock that was set back must not put it off.
    refreshing_ =
        orders_.want_refresh() || age >= config_->settings.management.refresh || age < std::chrono::milliseconds(0);
    plan_settings();
    apps_ = policy::reconcile(wanted_apps_, std::move(apps_), now_);
    plan_page();
    if (there_.device_scope) add(policy::first_round(settings_.of_device(), refreshing_));
    if (there_.active) add(policy::first_round(settings_.of_user(), refreshing_));
    if (there_.device_scope) add(policy::first_round(wanted_apps_, apps_, now_));
    plan_reads();
}

void session_work::plan_settings() {
    auto const t = traits();
    policy::first_version const first = [](std::string const& node) { return catalogue::first_version(node); };
    auto wish = policy::desired(config_->policies, t, first);
    auto const most = facts_.value_of(policy::canonical_uri(max_sync_version_uri)).value_or("");
    add_own_settings(wish, config_->settings, most);
    settings_.plan_device(wish);
    if (there_.user_id.empty()) return;
    auto const who = person_of(there_.user_id, there_.upn);
    settings_.plan_user(policy::desired_for_user(config_->policies, t, who, first));
}

void session_work::plan_page() {
    std::vector<std::string> packages;
    for (auto const& [product, r] : apps_)
        if (r.intent == config::app_intent::install) packages.push_back(policy::app_node(product));
    add(page_.begin(config_->settings, there_, settings_.of_device(), settings_.of_user(), std::move(packages)));
}

void session_work::plan_reads() {
    if (refreshing_) {
        auto const drift = [&](policy::record_map const& records) {
            for (auto& w : policy::drift_round(records)) {
                asked_.insert(policy::canonical_uri(w.what.uri));
                todo_.push_back(std::move(w));
            }
        };
        if (there_.device_scope) drift(settings_.of_device());
        if (there_.active) drift(settings_.of_user());
    }
    if (!there_.device_scope) return;
    for (auto const& node : config_->rules->needed_facts(traits())) ask(node);
    if (refreshing_)
        for (auto const node : inventory::nodes()) ask(std::string(node));
    // Who it is in Entra, and where it can be woken, are wanted until they are known.
    if (device_.entra_device_id.empty()) ask(std::string(inventory::entra_id));
    if (refreshing_ || !channel_ || channel_->uri.empty()) add(push_.questions());
}

void session_work::take(omadm::intake const& in) {
    for (auto const uri : inventory::device_info())
        if (auto const told = in.device_info.find(std::string(uri)); told != in.device_info.end())
            facts_.learn(std::string(uri), 200, told->second);
    std::set<std::string> rolled_back;  // settings that their Atomic took back with it
    for (auto const& o : in.outcomes) {
        bool const setting = o.key.starts_with(session_settings::key_prefix);
        if (o.status == 216 && setting) rolled_back.insert(policy::canonical_uri(o.sent.uri));
        if (o.sent.what != omadm::verb::get) eventful_ = true;
        if (o.key.starts_with(session_orders::key_prefix))
            add(orders_.take(o.key, o));
        else if (setting)
            take_setting(o);
        else if (auto const node = after(session_facts::key_prefix, o.key))
            take_fact(std::string(*node), o);
        else if (o.key.starts_with(policy::app_prefix))
            add(policy::take(wanted_apps_, apps_, o, now_));
        else if (o.key.starts_with(push_prefix))
            take_push(o);
        else
            add(page_.take(o));
        if (failed(o.status) && o.sent.what != omadm::verb::get)
            log::warning("the device refused a command",
                {{"uri", o.sent.uri}, {"verb", std::string(omadm::name(o.sent.what))},
                    {"status", std::to_string(o.status)}, {"original_error", o.original_error}});
    }
    if (rolled_back.empty()) return;
    add(settings_.again(rolled_back));
    // What is sent together stands together.
    std::stable_sort(todo_.begin(), todo_.end(), [](auto const& a, auto const& b) { return a.atomic < b.atomic; });
}

void session_work::take_push(omadm::outcome const& o) {
    add(push_.take(o));
    if (o.sent.what != omadm::verb::get || o.status != 200 || !o.value) return;
    if (o.sent.uri.ends_with("/Push/ChannelURI")) channel_uri_ = *o.value;
    if (o.sent.uri.ends_with("/Push/Status")) {
        int status = 0;
        auto const text = trim(*o.value);
        auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), status);
        if (ec == std::errc{} && end == text.data() + text.size()) channel_status_ = status;
    }
}

void session_work::take_setting(omadm::outcome const& o) {
    auto const node = policy::canonical_uri(o.sent.uri);
    bool const read = o.sent.what == omadm::verb::get && !is_user_node(node);
    if (read) facts_.learn(node, o.status, o.value);
    auto follow_up = settings_.take(o);
    if (!follow_up) return;
    // What a rule reads of this node is read again, after it was put right.
    if (read) todo_.push_back(session_facts::read(node));
    todo_.push_back(std::move(*follow_up));
}

void session_work::take_fact(std::string const& node, omadm::outcome const& o) {
    add(facts_.take(node, o));
    // A rule's question shows drift as well.
    if (!settings_.has(node)) return;
    auto same = o;
    same.key = std::string(session_settings::key_prefix) + node;
    if (auto follow_up = settings_.take(same)) {
        todo_.push_back(std::move(*follow_up));
        todo_.push_back(session_facts::read(node));
    }
}

void session_work::hear(omadm::intake const& in) {
    for (auto const& a : in.alerts)
        for (auto const& i : a.items)
            if (iequals(i.type, policy::app_alert_type)) {
                eventful_ = true;
                add(policy::take_alert(wanted_apps_, apps_, i.source, i.data, now_));
            }
}

std::vector<omadm::wanted> session_work::queue(omadm::intake const& in) {
    if (!new_session_) page_.settle(in, todo_, there_);
    if (in.unenrolled || in.aborted || in.stop || !orders_.ended().empty()) {
        if (!todo_.empty()) refreshing_ = false;  // it was not read whole
        todo_.clear();
        return {};
    }
    // An order's reads, once the order is under way, come with the rest of what is to be sent.
    auto const reads = std::stable_partition(
        todo_.begin(), todo_.end(), [](auto const& t) { return t.what.what != omadm::verb::get; });
    std::vector<omadm::wanted> all(todo_.begin(), reads);
    for (auto& w : orders_.queue()) all.push_back(std::move(w));
    all.insert(all.end(), reads, todo_.end());
    if (!all.empty() || !in.next.waiting.empty() || in.more_to_come) return all;
    return page_.end(there_);
}

void session_work::sent(std::vector<omadm::wanted> const& queue, omadm::answer const& answer) {
    todo_.clear();
    std::map<std::size_t, std::string> unsendable;
    for (auto const& u : answer.unsendable) unsendable[u.index] = u.reason;
    for (std::size_t i = 0; i < queue.size(); ++i) {
        auto const& w = queue[i];
        bool const order = w.key.starts_with(session_orders::key_prefix);
        if (i >= answer.taken) {
            if (!order || !session_orders::is_queued_again(w.key)) todo_.push_back(w);
            continue;
        }
        if (w.what.what != omadm::verb::get) eventful_ = true;
        auto const why = unsendable.find(i);
        if (why == unsendable.end()) {
            if (order) orders_.sent(w.key);
        } else if (order) {
            orders_.refuse(w.key, why->second);
        } else if (w.key.starts_with(session_settings::key_prefix)) {
            settings_.refuse(w, why->second);
        }
    }
    if (!answer.ended) return;
    if (!todo_.empty() || !answer.next.waiting.empty()) refreshing_ = false;
    todo_.clear();
    if (refreshed()) orders_.refreshed();
}

void session_work::keep_identity(store::connection& db) const {
    auto const name = cut_utf8(facts_.value_of(inventory::device_name).value_or(device_.name), name_limit);
    auto const version = cut_utf8(facts_.value_of(compliance::os_version_uri).value_or(device_.os_version), name_limit);
    if (name != device_.name || version != device_.os_version) store::set_device_details(db, device_.id, name, version);
    // A device may name its own Entra ID only where its token did not.
    if (auto const claimed = lower(facts_.value_of(inventory::entra_id).value_or(""));
        device_.entra_device_id.empty() && is_guid(claimed))
        entra_claims::take(db, device_.id, claimed, now_);
}

void session_work::keep_users(store::connection& db) const {
    if (page_.device_stage() != device_.first_sync) store::set_first_sync(db, device_.id, page_.device_stage());
    if (!there_.by_token) return;
    if (device_user_ && device_user_->upn == there_.upn && device_user_->first_sync == page_.user_stage()) return;
    store::put_device_user(db, device_.id,
        {.user_id = there_.user_id,
            .upn = there_.upn,
            .first_seen = device_user_ ? device_user_->first_seen : now_,
            .first_sync = page_.user_stage()});
}

// The device leaves, or has taken the order to.
void session_work::keep_end(store::connection& db, omadm::intake const& in) {
    auto const& id = device_.id;
    auto const end = [&](char const* state, bool certificates) {
        store::set_device_state(db, id, state);
        if (certificates) store::revoke_certificates(db, id, now_);
        store::cancel_commands(db, id, now_);
        report_unmanaged(db, device_, now_);
    };
    if (in.unenrolled) {
        bool const ordered = device_.state == "retired" || store::confirm_order(db, id, "retire", now_);
        end(ordered ? "retired" : "unenrolled", true);
        log::info(ordered ? "device retired" : "device unenrolled by its user");
    } else if (auto const& state = orders_.ended(); !state.empty()) {
        // Its certificate stays good: should nothing come of it, the device is not lost to its administrator.
        end(state.c_str(), false);
        log::warning("the device took the order to end its management", {{"state", state}});
    } else if (came_back_) {
        store::set_device_state(db, id, "enrolled");
        store::refute_orders(
            db, id, fmt::format("the device took it and came back at {}: nothing came of it", rfc3339(now_)), now_);
        log::error("a device that was to be gone is back", {{"state", device_.state}, {"name", device_.name}});
    }
}

bool session_work::keep(store::connection& db, store::session const& next, omadm::intake const& in) {
    auto const& id = device_.id;
    // The first session with a renewed certificate ends the one before.
    if (certificate_ && !store::use_certificate(db, certificate_->fingerprint, now_)) return false;
    orders_.keep(db, id);
    settings_.keep(db, id);
    keep_users(db);
    store::put_session(db, next);
    if (new_session_) troubleshooting::has_come(db, id);
    bool const leaves = in.unenrolled || !orders_.ended().empty();
    if (leaves || came_back_) keep_end(db, in);
    if (leaves) return true;
    bool const learned = facts_.keep(db, id);
    if (learned) keep_identity(db);
    keep_apps(db, id, apps_before_, apps_);
    if (channel_uri_ || channel_status_) push::take_channel(db, id, channel_uri_, channel_status_, now_);
    // That it was here at all may change a verdict, once a session; after that, what it says.
    if (new_session_ || learned) evaluate_device(db, *config_, id, facts_.known(), now_);
    return true;
}

}  // namespace mdmd::service
