#include "service/session_work.hpp"

#include <charconv>

#include "catalogue/catalogue.hpp"
#include "compliance/compliance.hpp"
#include "core/log.hpp"
#include "enroll/provisioning.hpp"
#include "service/apps.hpp"
#include "service/evaluation.hpp"
#include "service/first_sync.hpp"
#include "service/inventory.hpp"
#include "service/own_settings.hpp"
#include "service/setting_rows.hpp"
#include "service/troubleshooting.hpp"

namespace mdmd::service {
namespace {

constexpr std::size_t fact_limit = 16 * 1024;           // bytes of a node's value that are kept
constexpr std::size_t result_limit = 256 * 1024;        // bytes of a command's result that are kept
constexpr std::size_t name_limit = 256;                 // bytes of a name that a device gives itself
constexpr std::int64_t most_commands = 512;             // looked at in one message
constexpr auto longest_follow = std::chrono::days(30);  // of an order, with nothing new from the device

// Keys of what is sent: who gets the outcome.
constexpr std::string_view setting_prefix = "setting:";
constexpr std::string_view command_prefix = "command:";
constexpr std::string_view fact_prefix = "fact:";
constexpr std::string_view push_prefix = "push:";

std::optional<std::string_view> after(std::string_view prefix, std::string_view key) {
    return key.starts_with(prefix) ? std::optional(key.substr(prefix.size())) : std::nullopt;
}

bool is_user_node(std::string_view uri) { return iequals(uri.substr(0, 7), "./User/"); }

// 215 (not executed) and 216 (rolled back with its Atomic) are in the range of success and are none.
bool failed(int status) { return status < 200 || status > 299 || status == 215 || status == 216; }

// Not executed, credentials, time-outs, "later": nothing is said about the command itself. [OMA-TS-DM_RepPro 10]
bool is_passing(int status) {
    constexpr std::array passing{215, 216, 401, 407, 408, 417, 503, 506};
    return std::find(passing.begin(), passing.end(), status) != passing.end();
}

omadm::wanted read_fact(std::string const& node) {
    omadm::wanted w;
    w.key = std::string(fact_prefix) + node;
    w.what.what = omadm::verb::get;
    w.what.uri = node;
    return w;
}

omadm::command main_command(store::command const& c) {
    omadm::command out;
    out.what = omadm::parse_verb(c.verb).value_or(omadm::verb::get);
    out.uri = c.uri;
    out.format = c.format;
    out.type = c.format.empty() || c.format == "node" || c.format == "null" ? "" : "text/plain";
    out.data = c.value;
    return out;
}

policy::order order_of(store::command const& c) {
    return {.kind = policy::parse_order_kind(c.kind).value_or(policy::order_kind::send),
        .main = main_command(c),
        .stage = c.stage,
        .memory = c.memory};
}

std::string key_of(store::command const& c) { return std::string(command_prefix) + c.id; }

// The id and the part of a command's key: "ID" or "ID:node".
std::pair<std::string, std::string_view> parts_of(std::string_view key) {
    auto const colon = key.find(':');
    return {std::string(key.substr(0, colon)), colon == key.npos ? std::string_view() : key.substr(colon)};
}

}  // namespace

session_work::session_work(std::shared_ptr<configuration const> config, push const& wake, store::device device,
    std::optional<store::certificate> certificate, time_point now)
    : config_(std::move(config)),
      push_(wake),
      device_(std::move(device)),
      certificate_(std::move(certificate)),
      now_(now),
      first_sync_(device_.first_sync) {}

session_work::stored_settings session_work::settings_from(std::vector<store::setting> rows) {
    stored_settings s{.before = {}, .now = records_from(rows)};
    for (auto& row : rows) {
        auto node = row.node;
        s.before.emplace(std::move(node), std::move(row));
    }
    return s;
}

void session_work::load(store::connection& db, presence const& there) {
    there_ = there;
    device_settings_ = settings_from(store::list_settings_of(db, device_.id, ""));
    if (!there_.user_id.empty()) {
        user_settings_ = settings_from(store::list_settings_of(db, device_.id, there_.user_id));
        for (auto& u : store::list_device_users(db, device_.id))
            if (u.user_id == there_.user_id) device_user_ = std::move(u);
    }
    user_first_sync_ = device_user_ ? device_user_->first_sync : "owed";
    enroller_groups_ = store::find_user_groups(db, device_.user_id);
    if (!there_.user_id.empty() && there_.user_id != device_.user_id)
        user_groups_ = store::find_user_groups(db, there_.user_id);
    for (auto& f : store::list_facts(db, device_.id)) facts_before_[f.node] = std::move(f);
    facts_ = facts_before_;
    apps_before_ = load_apps(db, device_.id);
    apps_ = apps_before_;
    std::vector<config::policy_file const*> for_it;
    auto const t = traits();
    for (auto const& p : config_->policies)
        if (!p.apps.empty() && has_apps_of(p, t)) for_it.push_back(&p);
    wanted_apps_ = policy::wanted_apps(std::move(for_it));
    channel_ = store::find_push_channel(db, device_.id);
    commands_ = store::open_commands(db, device_.id, there_.active ? there_.user_id : "", most_commands);
}

void session_work::resume(session_state const& s) {
    todo_ = s.todo;
    refreshing_ = s.refreshing;
    eventful_ = s.eventful;
}

session_state session_work::state(omadm::session dm) const {
    return {.dm = std::move(dm), .todo = todo_, .there = there_, .refreshing = refreshing_, .eventful = eventful_};
}

std::optional<std::string> session_work::value_of(std::string_view node) const {
    auto const f = facts_.find(std::string(node));
    return f == facts_.end() || f->second.status != 200 ? std::nullopt : f->second.value;
}

policy::person session_work::person_of(std::string const& user_id, std::string const& upn) const {
    auto const& groups = user_id == device_.user_id ? enroller_groups_ : user_groups_;
    return {.id = user_id,
        .upn = upn,
        .groups = groups ? groups->groups : std::vector<std::string>(),
        .groups_known = groups.has_value()};
}

compliance::facts session_work::known_facts() const {
    compliance::facts known;
    for (auto const& [node, f] : facts_) known[node] = {static_cast<int>(f.status), f.value, f.since};
    return known;
}

policy::device_traits session_work::traits() const {
    auto t = traits_of(device_, known_facts(), config_->settings);
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
    if (asked_.insert(node).second) todo_.push_back(read_fact(node));
}

void session_work::begin(std::optional<store::session> const& last) {
    new_session_ = true;
    // What an earlier session sent and got no answer to is sent again, unless doing it twice could do harm.
    std::erase_if(commands_, [&](store::command const& c) {
        bool const unanswered = c.state == "sent" && (c.stage.empty() || c.stage == store::asked_stage);
        return unanswered && (c.verb == "exec" || c.deliveries >= store::most_deliveries);
    });
    for (auto& c : commands_)
        if (c.state == "sent" && !c.stage.empty() && now_ - c.updated > longest_follow)
            finish(c, "unknown", "the device did not tell the outcome in 30 days");
    if (device_.state == "wiped" || device_.state == "retired") came_back_ = true;
    auto const asked_for = std::any_of(commands_.begin(), commands_.end(),
        [](store::command const& c) { return c.kind == policy::name(policy::order_kind::sync); });
    auto const age = last ? now_ - last->refreshed : std::chrono::milliseconds::max();
    // A clock that was set back must not put it off.
    refreshing_ = asked_for || age >= config_->settings.management.refresh || age < std::chrono::milliseconds(0);
    plan_settings();
    apps_ = policy::reconcile(wanted_apps_, std::move(apps_), now_);
    plan_first_sync();
    if (there_.device_scope) add(policy::first_round(device_settings_.now, refreshing_));
    if (there_.active) add(policy::first_round(user_settings_.now, refreshing_));
    if (there_.device_scope) add(policy::first_round(wanted_apps_, apps_, now_));
    plan_reads();
}

void session_work::add(std::vector<omadm::wanted> more) {
    for (auto& w : more) todo_.push_back(std::move(w));
}

void session_work::plan_settings() {
    auto const t = traits();
    policy::first_version const first = [](std::string const& node) { return catalogue::first_version(node); };
    auto wish = policy::desired(config_->policies, t, first);
    add_own_settings(wish, config_->settings, value_of(policy::canonical_uri(max_sync_version_uri)).value_or(""));
    device_settings_.now = policy::reconcile(wish, std::move(device_settings_.now));
    if (there_.user_id.empty()) return;
    auto const who = person_of(there_.user_id, there_.upn);
    user_settings_.now =
        policy::reconcile(policy::desired_for_user(config_->policies, t, who, first), std::move(user_settings_.now));
}

void session_work::plan_first_sync() {
    auto const& page = config_->settings.enrollment.status_page;
    bool const shown = page.on && device_.enrollment_type == "Device";
    auto const begin = [&](std::string& stage, first_sync::part part, first_sync::expected const& e) {
        auto all = first_sync::begin(part, e, enroll::provider_id, page.timeout, page.for_users);
        if (all.empty()) stage = "begun";
        add(std::move(all));
    };
    if (first_sync_ == "owed" && !shown) {
        first_sync_ = "done";
    } else if (first_sync_ == "owed" && there_.device_scope) {
        std::vector<std::string> packages;
        for (auto const& [product, r] : apps_)
            if (r.intent == config::app_intent::install) packages.push_back(policy::app_node(product));
        begin(first_sync_, first_sync::part::device, first_sync::of(device_settings_.now, std::move(packages)));
    }
    if (user_first_sync_ != "owed" || !there_.by_token) return;
    if (!shown || !page.for_users) {
        user_first_sync_ = "done";
    } else if (there_.active) {
        begin(user_first_sync_, first_sync::part::user, first_sync::of(user_settings_.now, {}));
    }
}

void session_work::plan_reads() {
    if (refreshing_) {
        auto const drift = [&](policy::record_map const& records) {
            for (auto& w : policy::drift_round(records)) {
                asked_.insert(policy::canonical_uri(w.what.uri));
                todo_.push_back(std::move(w));
            }
        };
        if (there_.device_scope) drift(device_settings_.now);
        if (there_.active) drift(user_settings_.now);
    }
    if (!there_.device_scope) return;
    for (auto const& node : compliance::needed_facts(config_->policies, traits())) ask(node);
    if (refreshing_)
        for (auto const node : inventory::nodes()) ask(std::string(node));
    // Who it is in Entra, and where it can be woken, are wanted until they are known.
    if (device_.entra_device_id.empty()) ask(std::string(inventory::entra_id));
    if (refreshing_ || !channel_ || channel_->uri.empty()) add(push_.questions());
}

void session_work::learn(std::string const& node, int status, std::optional<std::string> value) {
    if (value && value->size() > fact_limit) {  // nothing that a rule compares is so long
        status = 416;
        value.reset();
    }
    if (auto const known = facts_.find(node);
        known != facts_.end() && known->second.status == status && known->second.value == value)
        return;
    facts_[node] = {node, status, std::move(value), now_};
}

policy::record_map& session_work::records_of(std::string_view node) {
    return is_user_node(node) ? user_settings_.now : device_settings_.now;
}

void session_work::take(omadm::intake const& in) {
    for (auto const uri : inventory::device_info())
        if (auto const told = in.device_info.find(std::string(uri)); told != in.device_info.end())
            learn(std::string(uri), 200, told->second);
    std::set<std::string> rolled_back;  // settings that their Atomic took back with it
    for (auto const& o : in.outcomes) {
        if (o.status == 216 && after(setting_prefix, o.key)) rolled_back.insert(policy::canonical_uri(o.sent.uri));
        if (o.sent.what != omadm::verb::get) eventful_ = true;
        if (auto const command = after(command_prefix, o.key))
            take_command(*command, o);
        else if (after(setting_prefix, o.key))
            take_setting(o);
        else if (auto const node = after(fact_prefix, o.key))
            take_fact(std::string(*node), o);
        else if (after(policy::app_prefix, o.key))
            add(policy::take(wanted_apps_, apps_, o, now_));
        else if (after(push_prefix, o.key))
            take_push(o);
        else
            take_first_sync(o);
        if (failed(o.status) && o.sent.what != omadm::verb::get)
            log::warning("the device refused a command",
                {{"uri", o.sent.uri}, {"verb", std::string(omadm::name(o.sent.what))},
                    {"status", std::to_string(o.status)}, {"original_error", o.original_error}});
    }
    if (rolled_back.empty()) return;
    for (auto const* records : {&device_settings_.now, &user_settings_.now})
        for (auto& w : policy::again(*records, rolled_back)) todo_.push_back(std::move(w));
    // What is sent together stands together.
    std::stable_sort(todo_.begin(), todo_.end(), [](auto const& a, auto const& b) { return a.atomic < b.atomic; });
}

// The end of a first sign-in is told until the device has answered it, whatever it answers.
void session_work::take_first_sync(omadm::outcome const& o) {
    if (first_sync::is_end(o)) (is_user_node(o.sent.uri) ? user_first_sync_ : first_sync_) = "done";
    if (auto again = first_sync::take(o)) todo_.push_back(std::move(*again));
}

void session_work::settle_first_sync(omadm::intake const& in) {
    if (new_session_) return;
    auto const settle = [&](std::string& stage, first_sync::part part) {
        bool const open = std::any_of(todo_.begin(), todo_.end(),
                              [&](omadm::wanted const& w) { return first_sync::is_of(part, w.what.uri); }) ||
                          std::any_of(in.next.waiting.begin(), in.next.waiting.end(),
                              [&](omadm::outstanding const& o) { return first_sync::is_of(part, o.sent.uri); });
        if (stage == "owed" && !open) stage = "begun";
    };
    if (there_.device_scope) settle(first_sync_, first_sync::part::device);
    if (there_.by_token && there_.active) settle(user_first_sync_, first_sync::part::user);
}

void session_work::take_push(omadm::outcome const& o) {
    if (auto follow_up = push_.take(o)) todo_.push_back(std::move(*follow_up));
    if (o.sent.what != omadm::verb::get || o.status != 200 || !o.value) return;
    if (o.sent.uri.ends_with("/Push/ChannelURI")) channel_uri_ = *o.value;
    if (o.sent.uri.ends_with("/Push/Status")) {
        int status = 0;
        auto const text = trim(*o.value);
        auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), status);
        if (ec == std::errc{} && end == text.data() + text.size()) channel_status_ = status;
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

void session_work::take_setting(omadm::outcome const& o) {
    auto const node = policy::canonical_uri(o.sent.uri);
    bool const read = o.sent.what == omadm::verb::get;
    if (read && !is_user_node(node)) learn(node, o.status, o.value);
    auto follow_up = policy::take(records_of(node), o);
    if (!follow_up) return;
    // What a rule reads of this node is read again, after it was put right.
    if (read && !is_user_node(node)) todo_.push_back(read_fact(node));
    follow_up->atomic = policy::atomic_group(node);
    todo_.push_back(std::move(*follow_up));
}

void session_work::take_fact(std::string const& node, omadm::outcome const& o) {
    learn(node, o.status, o.value);
    // What is not there any more is not kept: a device could grow without end.
    if (o.status == 200)
        std::erase_if(facts_, [&](auto const& f) { return inventory::is_stale(f.first, node, o.value.value_or("")); });
    if (o.value && o.status == 200)
        for (auto const& below : inventory::below(node, *o.value)) todo_.push_back(read_fact(below));
    // A rule's question shows drift as well.
    if (!records_of(node).contains(node)) return;
    auto same = o;
    same.key = std::string(setting_prefix) + node;
    if (auto follow_up = policy::take(records_of(node), same)) {
        todo_.push_back(std::move(*follow_up));
        todo_.push_back(read_fact(node));
    }
}

void session_work::finish(store::command& c, std::string state, std::string detail) {
    c.state = std::move(state);
    c.stage.clear();
    c.detail = std::move(detail);
    c.updated = now_;
    commands_changed_.insert(c.id);
}

void session_work::take_command(std::string_view key, omadm::outcome const& o) {
    auto const [id, part] = parts_of(key);
    auto const at =
        std::find_if(commands_.begin(), commands_.end(), [&, &id = id](store::command const& c) { return c.id == id; });
    if (at == commands_.end()) return;  // cancelled meanwhile, or its user is not there any more
    auto& c = *at;
    auto order = order_of(c);
    if (part.empty()) {
        c.status = o.status;
        c.original_error = o.original_error;
        if (is_passing(o.status)) {
            bool const again = c.deliveries < store::most_deliveries;
            return finish(c, again ? "queued" : "failed",
                again ? "the device did not carry it out yet"
                      : "the device did not carry it out, as often as it was asked");
        }
        if (order.kind == policy::order_kind::send) {
            c.result = o.value ? std::optional(cut_utf8(*o.value, result_limit)) : std::nullopt;
            return finish(c, failed(o.status) ? "failed" : "done", "");
        }
    }
    auto const went = policy::take(order, part, o, key_of(c));
    for (auto const& w : went.next) todo_.push_back(w);
    auto const before = c;
    c.stage = order.stage;
    c.memory = order.memory;
    if (!went.detail.empty()) c.detail = went.detail;
    if (part.empty() || c.stage != before.stage || c.memory != before.memory || c.detail != before.detail) {
        c.updated = now_;
        commands_changed_.insert(c.id);
    }
    if (went.state.empty()) return;
    finish(c, went.state, went.detail);
    if (went.state == "done" && order.kind == policy::order_kind::wipe) ordered_end_ = "wiped";
    if (went.state == "done" && order.kind == policy::order_kind::retire) ordered_end_ = "retired";
}

bool session_work::may_send(store::command const& c) const {
    if (c.state == "sent" && c.stage.empty() && !new_session_) return false;  // its answer is awaited
    if (is_user_node(c.uri)) return there_.active && c.user_id == there_.user_id;
    return there_.device_scope;
}

std::vector<omadm::wanted> session_work::queue(omadm::intake const& in) {
    settle_first_sync(in);
    if (in.unenrolled || in.aborted || in.stop || !ordered_end_.empty()) {
        if (!todo_.empty()) refreshing_ = false;  // it was not read whole
        todo_.clear();
        return {};
    }
    // An order's reads, once the order is under way, come with the rest of what is to be sent.
    auto const reads = std::stable_partition(
        todo_.begin(), todo_.end(), [](auto const& t) { return t.what.what != omadm::verb::get; });
    std::vector<omadm::wanted> all(todo_.begin(), reads);
    for (auto const& c : commands_) {
        if (commands_changed_.contains(c.id)) continue;
        bool const fresh = c.state == "queued" || (c.state == "sent" && new_session_);
        bool const sends = fresh && may_send(c);
        auto const order = order_of(c);
        if (sends)
            for (auto& w : policy::steps(order, key_of(c))) all.push_back(std::move(w));
        // What comes after an order that ends the management waits until the device has refused that.
        if (policy::is_final(order.kind) && (sends || c.state == "sent")) break;
    }
    all.insert(all.end(), reads, todo_.end());
    if (!all.empty() || !in.next.waiting.empty() || in.more_to_come) return all;
    auto const end = [&](std::string const& stage, first_sync::part part) {
        if (stage != "begun") return;
        for (auto& w : first_sync::finish(part, enroll::provider_id)) all.push_back(std::move(w));
    };
    end(first_sync_, first_sync::part::device);
    if (there_.active) end(user_first_sync_, first_sync::part::user);
    return all;
}

void session_work::sent(std::vector<omadm::wanted> const& queue, omadm::answer const& answer) {
    todo_.clear();
    std::map<std::size_t, std::string> unsendable;
    for (auto const& u : answer.unsendable) unsendable[u.index] = u.reason;
    for (std::size_t i = 0; i < queue.size(); ++i) {
        auto const command = after(command_prefix, queue[i].key);
        if (i >= answer.taken) {
            // An administrator's order is found in the store again; a read that follows one is not.
            if (!command || !parts_of(*command).second.empty()) todo_.push_back(queue[i]);
            continue;
        }
        if (queue[i].what.what != omadm::verb::get) eventful_ = true;
        auto const why = unsendable.find(i);
        if (command) {
            auto const id = parts_of(*command).first;
            auto const at =
                std::find_if(commands_.begin(), commands_.end(), [&](store::command const& c) { return c.id == id; });
            if (at == commands_.end()) continue;
            if (why != unsendable.end())
                finish(*at, "failed", why->second);
            else if (parts_of(*command).second.empty())  // what is read before it, or after it, is not the order
                commands_sent_.insert(id);
        } else if (auto const node = after(setting_prefix, queue[i].key); node && why != unsendable.end()) {
            auto& records = records_of(*node);
            auto const record = records.find(std::string(*node));
            if (record == records.end()) continue;
            record->second.state = queue[i].what.what == omadm::verb::remove ? policy::setting_state::removal_failed
                                                                             : policy::setting_state::failed;
            record->second.original_error = why->second;
        }
    }
    if (!answer.ended) return;
    if (!todo_.empty() || !answer.next.waiting.empty()) refreshing_ = false;
    todo_.clear();
    if (refreshed())
        for (auto& c : commands_)
            if (c.kind == policy::name(policy::order_kind::sync) && c.state == "queued")
                finish(c, "done", "the device was here and read whole");
}

void session_work::keep_settings(store::connection& db, std::string const& user_id, stored_settings const& s) const {
    for (auto const& [node, record] : s.now) {
        auto const row = row_of(user_id, node, record);
        if (auto const old = s.before.find(node); old == s.before.end() || !(old->second == row))
            store::put_setting(db, device_.id, row);
    }
    for (auto const& [node, record] : s.before)
        if (!s.now.contains(node)) store::remove_setting(db, device_.id, user_id, node);
}

bool session_work::keep_facts(store::connection& db) {
    bool learned = false;
    for (auto const& [node, fact] : facts_)
        if (auto const old = facts_before_.find(node);
            old == facts_before_.end() || old->second.status != fact.status || old->second.value != fact.value) {
            store::put_fact(db, device_.id, fact);
            learned = true;
        }
    for (auto const& [node, fact] : facts_before_)
        if (!facts_.contains(node)) {
            store::remove_fact(db, device_.id, node);
            learned = true;
        }
    if (!learned) return false;
    auto const name = cut_utf8(value_of(inventory::device_name).value_or(device_.name), name_limit);
    auto const version = cut_utf8(value_of(compliance::os_version_uri).value_or(device_.os_version), name_limit);
    if (name != device_.name || version != device_.os_version) store::set_device_details(db, device_.id, name, version);
    // A device may name its own Entra ID only where its token did not, and not one that another device has.
    auto const claimed = lower(value_of(inventory::entra_id).value_or(""));
    if (device_.entra_device_id.empty() && is_guid(claimed) && store::find_enrolled_entra(db, claimed).empty()) {
        store::remove_reports_of(db, claimed);
        store::set_entra_device_id(db, device_.id, claimed);
        log::warning("the Entra device ID is the device's own word: its token had none",
            {{"entra_device_id", claimed}, {"user_id", device_.user_id}});
    }
    return true;
}

void session_work::keep_users(store::connection& db) const {
    if (first_sync_ != device_.first_sync) store::set_first_sync(db, device_.id, first_sync_);
    if (!there_.by_token) return;
    if (device_user_ && device_user_->upn == there_.upn && device_user_->first_sync == user_first_sync_) return;
    store::put_device_user(db, device_.id,
        {.user_id = there_.user_id,
            .upn = there_.upn,
            .first_seen = device_user_ ? device_user_->first_seen : now_,
            .first_sync = user_first_sync_});
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
    } else if (!ordered_end_.empty()) {
        // Its certificate stays good: should nothing come of it, the device is not lost to its administrator.
        end(ordered_end_.c_str(), false);
        log::warning("the device took the order to end its management", {{"state", ordered_end_}});
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
    if (new_session_) store::return_unanswered(db, id, now_);
    for (auto const& c : commands_)
        if (commands_changed_.contains(c.id) && !store::update_command(db, c)) throw outdated();
    for (auto const& c : commands_sent_)
        if (!store::deliver_command(db, c, now_)) throw outdated();
    keep_settings(db, "", device_settings_);
    if (!there_.user_id.empty()) keep_settings(db, there_.user_id, user_settings_);
    keep_users(db);
    store::put_session(db, next);
    if (new_session_) troubleshooting::has_come(db, id);
    bool const leaves = in.unenrolled || !ordered_end_.empty();
    if (leaves || came_back_) keep_end(db, in);
    if (leaves) return true;
    bool const learned = keep_facts(db);
    keep_apps(db, id, apps_before_, apps_);
    if (channel_uri_ || channel_status_) push::take_channel(db, id, channel_uri_, channel_status_, now_);
    // That it was here at all may change a verdict, once a session; after that, what it says.
    if (new_session_ || learned) evaluate_device(db, *config_, id, known_facts(), now_);
    return true;
}

}  // namespace mdmd::service
