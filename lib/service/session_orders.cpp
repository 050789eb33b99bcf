#include "service/session_orders.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "policy/order.hpp"
#include "service/user_node.hpp"

namespace mdmd::service {
namespace {

constexpr std::size_t result_limit = 256 * 1024;        // bytes of a command's result that are kept
constexpr std::int64_t most_commands = 512;             // looked at in one message
constexpr auto longest_follow = std::chrono::days(30);  // of an order, with nothing new from the device

// 215 (not executed) and 216 (rolled back with its Atomic) are in the range of success and are none.
bool failed(int status) { return status < 200 || status > 299 || status == 215 || status == 216; }

// Not executed, credentials, time-outs, "later": nothing is said about the command itself. [OMA-TS-DM_RepPro 10]
bool is_passing(int status) {
    constexpr std::array passing{215, 216, 401, 407, 408, 417, 503, 506};
    return std::find(passing.begin(), passing.end(), status) != passing.end();
}

bool is_sync(store::command const& c) { return c.kind == policy::name(policy::order_kind::sync); }

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

std::string key_of(store::command const& c) { return std::string(session_orders::key_prefix) + c.id; }

// What of a key is behind the id, ":node"; empty: it is the order's own command.
std::string_view part_of(std::string_view key) {
    auto const colon = key.find(':', session_orders::key_prefix.size());
    return colon == key.npos ? std::string_view() : key.substr(colon);
}

}  // namespace

void session_orders::load(store::connection& db, std::string const& device_id, presence const& there) {
    there_ = there;
    all_ = store::open_commands(db, device_id, there.active ? there.user_id : "", most_commands);
}

void session_orders::begin() {
    new_session_ = true;
    std::erase_if(all_, [&](store::command const& c) {
        bool const unanswered = c.state == "sent" && (c.stage.empty() || c.stage == store::asked_stage);
        return unanswered && (c.verb == "exec" || c.deliveries >= store::most_deliveries);
    });
    for (auto& c : all_)
        if (c.state == "sent" && !c.stage.empty() && now_ - c.updated > longest_follow)
            finish(c, "unknown", "the device did not tell the outcome in 30 days");
}

bool session_orders::want_refresh() const { return std::any_of(all_.begin(), all_.end(), is_sync); }

void session_orders::refreshed() {
    for (auto& c : all_)
        if (is_sync(c) && c.state == "queued") finish(c, "done", "the device was here and read whole");
}

store::command* session_orders::find(std::string_view key) {
    key.remove_prefix(key_prefix.size());
    auto const id = key.substr(0, key.find(':'));
    auto const at = std::find_if(all_.begin(), all_.end(), [&](store::command const& c) { return c.id == id; });
    return at == all_.end() ? nullptr : &*at;
}

void session_orders::finish(store::command& c, std::string state, std::string detail) {
    c.state = std::move(state);
    c.stage.clear();
    c.detail = std::move(detail);
    c.updated = now_;
    changed_.insert(c.id);
}

std::vector<omadm::wanted> session_orders::take(std::string_view key, omadm::outcome const& o) {
    auto* const found = find(key);
    if (!found) return {};  // cancelled meanwhile, or its user is not there any more
    auto& c = *found;
    auto const part = part_of(key);
    auto order = order_of(c);
    if (part.empty()) {
        c.status = o.status;
        c.original_error = o.original_error;
        if (is_passing(o.status)) {
            bool const again = c.deliveries < store::most_deliveries;
            finish(c, again ? "queued" : "failed",
                again ? "the device did not carry it out yet"
                      : "the device did not carry it out, as often as it was asked");
            return {};
        }
        if (order.kind == policy::order_kind::send) {
            c.result = o.value ? std::optional(cut_utf8(*o.value, result_limit)) : std::nullopt;
            finish(c, failed(o.status) ? "failed" : "done", "");
            return {};
        }
    }
    auto went = policy::take(order, part, o, key_of(c));
    auto const before = c;
    c.stage = order.stage;
    c.memory = order.memory;
    if (!went.detail.empty()) c.detail = went.detail;
    if (part.empty() || c.stage != before.stage || c.memory != before.memory || c.detail != before.detail) {
        c.updated = now_;
        changed_.insert(c.id);
    }
    if (!went.state.empty()) finish(c, went.state, went.detail);
    if (went.state == "done" && order.kind == policy::order_kind::wipe) ended_ = "wiped";
    if (went.state == "done" && order.kind == policy::order_kind::retire) ended_ = "retired";
    return std::move(went.next);
}

bool session_orders::may_send(store::command const& c) const {
    bool const fresh = c.state == "queued" || (c.state == "sent" && new_session_);
    if (!fresh) return false;  // its answer is awaited, or its outcome followed
    if (is_user_node(c.uri)) return there_.active && c.user_id == there_.user_id;
    return there_.device_scope;
}

std::vector<omadm::wanted> session_orders::queue() const {
    std::vector<omadm::wanted> out;
    for (auto const& c : all_) {
        if (changed_.contains(c.id)) continue;
        bool const sends = may_send(c);
        auto const order = order_of(c);
        if (sends)
            for (auto& w : policy::steps(order, key_of(c))) out.push_back(std::move(w));
        // What comes after an order that ends the management waits until the device has refused that.
        if (policy::is_final(order.kind) && (sends || c.state == "sent")) break;
    }
    return out;
}

bool session_orders::is_queued_again(std::string_view key) { return part_of(key).empty(); }

void session_orders::sent(std::string_view key) {
    auto* const c = find(key);
    // What is read before an order, or after it, is not the order.
    if (c && part_of(key).empty()) sent_.insert(c->id);
}

void session_orders::refuse(std::string_view key, std::string const& why) {
    if (auto* const c = find(key)) finish(*c, "failed", why);
}

void session_orders::keep(store::connection& db, std::string const& device_id) const {
    if (new_session_) store::return_unanswered(db, device_id, now_);
    for (auto const& c : all_)
        if (changed_.contains(c.id) && !store::update_command(db, c)) throw outdated();
    for (auto const& id : sent_)
        if (!store::deliver_command(db, id, now_)) throw outdated();
}

}  // namespace mdmd::service
