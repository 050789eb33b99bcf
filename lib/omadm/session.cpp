#include "omadm/session.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "core/text.hpp"

namespace mdmd::omadm {
namespace {

constexpr std::string_view login_status_type = "com.microsoft/MDM/LoginStatus";
constexpr std::string_view sync_type_type = "com.microsoft.mdm.synctype";
constexpr std::string_view sign_of_life_type = "com.microsoft.mdm.requestpending";
constexpr std::string_view user_token_type = "com.microsoft/MDM/AADUserToken";
constexpr std::string_view unenrollment_type = "com.microsoft:mdm.unenrollment.userrequest";

constexpr int done = 200;
constexpr int chunk_taken = 213;
constexpr int cancelled = 214;
constexpr int rolled_back = 216;
constexpr int not_understood = 400;
constexpr int wrong_credentials = 401;
constexpr int not_allowed = 405;
constexpr int not_supported = 406;
constexpr int no_credentials = 407;
constexpr int incomplete = 412;
constexpr int too_big = 416;
constexpr int size_mismatch = 424;
constexpr int rollback_failed = 516;

// What SyncML 1.2 knows as a command beside Alert, Results and Status.
constexpr std::array<std::string_view, 13> commands{
    "Add", "Atomic", "Copy", "Delete", "Exec", "Get", "Map", "Move", "Put", "Replace", "Search", "Sequence", "Sync"};

bool is_error(int status) { return status >= 400; }
bool refuses_credentials(int status) { return status == wrong_credentials || status == no_credentials; }

template <class T> T* find(std::vector<T>& all, int msg_ref, int cmd_ref) {
    auto const at = std::find_if(
        all.begin(), all.end(), [&](T const& one) { return one.msg_id == msg_ref && one.cmd_id == cmd_ref; });
    return at == all.end() ? nullptr : &*at;
}

// Takes in the commands of one message, in order.
class taker {
public:
    explicit taker(intake& in) : in_(in) {}

    // Before all others: what a device that does not know us answers to commands says nothing of them.
    void take_header(status const& s) {
        if (s.cmd_ref != 0 || s.msg_ref != in_.next.server_msg_id) return;
        bool const usable = s.challenge && !s.challenge->next_nonce.empty() &&
                            (s.challenge->type.empty() || iequals(s.challenge->type, md5_scheme));
        if (!refuses_credentials(s.data)) {
            if (usable && !is_error(s.data)) in_.later_nonce = s.challenge->next_nonce;
            return;
        }
        if (usable && !in_.next.resent)
            in_.server_nonce = s.challenge->next_nonce;
        else
            in_.server_refused = true;
    }

    void operator()(status const& s) {
        if (s.cmd_ref == 0 || s.data < done) return;  // 1xx: the answer is still to come
        bool const unknown_to_it = in_.server_nonce || in_.server_refused;
        if (unknown_to_it && s.msg_ref == in_.next.server_msg_id && refuses_credentials(s.data)) return;
        if (auto* const a = find(in_.next.atomics, s.msg_ref, s.cmd_ref)) {
            a->status = std::max(a->status.value_or(0), s.data);
        } else {
            auto* const o = find(in_.next.waiting, s.msg_ref, s.cmd_ref);
            bool const taken_in_part = s.data == chunk_taken;
            if (!o || s.data <= o->status.value_or(0) || (taken_in_part && !parts_left(*o))) return;
            o->status = s.data;
            o->original_error = s.original_error;
        }
        if (s.data == cancelled) in_.next.stopped = true;
    }

    void operator()(results const& r) {
        auto* const o = find(in_.next.waiting, r.msg_ref, r.cmd_ref);
        cut_short(o);
        auto const* const found = o && o->sent.what == verb::get ? value_of(r, o->sent.uri) : nullptr;
        if (found && (!o->value || o->partial)) {
            if (auto const objection = take_value(*o, *found); objection != done) {
                o->status = std::max(o->status.value_or(0), objection);
                o->partial = false;
                return answer(r.cmd_id, "Results", objection);
            }
        }
        if (!r.items.empty() && r.items.back().more_data) {
            in_.more_to_come = held_ = true;
            answer(r.cmd_id, "Results", chunk_taken);
        }
    }

    void operator()(alert const& a) {
        auto* const upload = a.code == 1225 ? large_object() : nullptr;
        auto const known = {1200, 1201, 1222, 1223, 1224, 1226};
        bool const taken = upload || std::find(known.begin(), known.end(), a.code) != known.end();
        answer(a.cmd_id, "Alert", taken ? done : not_supported);
        if (upload) restart_ = true;
        if (a.code == 1223) in_.aborted = true;
        if (a.code != 1224 && a.code != 1226) return;
        alert kept = a;
        std::erase_if(kept.items, [&](item const& i) { return a.code == 1224 && take_event(i); });
        if (a.code == 1226)
            for (auto const& i : a.items) in_.unenrolled |= iequals(i.type, unenrollment_type) && trim(i.data) != "0";
        if (!kept.items.empty() || a.items.empty()) in_.alerts.push_back(std::move(kept));
    }

    void operator()(foreign const& f) {
        cut_short(nullptr);
        if (f.cmd_id == 0) return answer(blank_reference, f.name, not_understood);
        if (f.name != "Replace") {
            bool const command = std::find(commands.begin(), commands.end(), f.name) != commands.end();
            return answer(f.cmd_id, f.name, command ? not_supported : not_understood);
        }
        constexpr std::string_view root = "./DevInfo/";
        auto const node = [](item const& i) -> std::string const& { return i.source.empty() ? i.target : i.source; };
        auto const about_itself = [&](item const& i) { return std::string_view(node(i)).starts_with(root); };
        if (!std::all_of(f.items.begin(), f.items.end(), about_itself)) return answer(f.cmd_id, f.name, not_allowed);
        for (auto const& i : f.items) in_.device_info[node(i)] = i.data;
        answer(f.cmd_id, f.name, done);
    }

    // Moves what is complete from `waiting` to `outcomes`, in the order of sending.
    void settle() {
        if (auto* const upload = large_object()) settle(*upload);
        std::vector<outstanding> still;
        std::vector<sent_atomic> still_open;
        for (auto& o : in_.next.waiting) {
            auto const* const atomic = o.atomic ? find(in_.next.atomics, o.msg_id, o.atomic) : nullptr;
            if (complete(o, atomic)) {
                in_.outcomes.push_back(outcome_of(o, atomic));
                continue;
            }
            if (atomic && (still_open.empty() || !(still_open.back() == *atomic))) still_open.push_back(*atomic);
            still.push_back(std::move(o));
        }
        in_.next.waiting = std::move(still);
        in_.next.atomics = std::move(still_open);
        in_.stop = in_.next.stopped;
    }

    void answer(int cmd_ref, std::string_view cmd, int data) {
        in_.statuses.push_back({.cmd_ref = cmd_ref, .cmd = std::string(cmd), .data = data});
    }

private:
    static bool parts_left(outstanding const& o) { return o.in_parts && o.parted < o.sent.data.value_or("").size(); }

    outstanding* large_object() {
        auto const at = std::find_if(
            in_.next.waiting.begin(), in_.next.waiting.end(), [](outstanding const& o) { return o.in_parts; });
        return at == in_.next.waiting.end() ? nullptr : &*at;
    }

    // A large object of ours is wanted from its start again, or a success comes before its end.
    void settle(outstanding& upload) {
        if (restart_ && upload.again)
            upload.status = size_mismatch;
        else if (restart_) {
            upload.again = true;
            upload.parted = 0;
            upload.status = chunk_taken;
        } else if (parts_left(upload) && upload.status && *upload.status != chunk_taken && !is_error(*upload.status)) {
            upload.status = size_mismatch;
        }
        if (upload.status == chunk_taken && !held_) in_.more_to_come = false;
    }

    bool complete(outstanding const& o, sent_atomic const* atomic) const {
        if (atomic) return atomic->status && o.status ? true : !in_.more_to_come && (atomic->status || o.status);
        if (!o.status) return false;
        if (o.in_parts) return *o.status != chunk_taken;
        if (o.sent.what != verb::get || is_error(*o.status)) return true;
        bool const asked_again = o.cut_short && !o.value && !in_.cut_short.empty();
        return (o.value && !o.partial) || (!in_.more_to_come && !asked_again);
    }

    static int status_of(outstanding const& o, sent_atomic const* atomic) {
        auto const all = atomic ? atomic->status : std::nullopt;
        if (!all) return *o.status;
        bool const undone = *all != done && (!o.status || !is_error(*o.status)) && (!o.status || is_error(*all));
        if (undone) return *all == rollback_failed ? rollback_failed : rolled_back;
        return o.status.value_or(done);
    }

    static outcome outcome_of(outstanding& o, sent_atomic const* atomic) {
        outcome out{.key = std::move(o.key),
            .sent = std::move(o.sent),
            .status = status_of(o, atomic),
            .original_error = std::move(o.original_error),
            .value = std::nullopt,
            .format = {},
            .atomic_status = atomic ? atomic->status.value_or(0) : 0};
        if (out.sent.what != verb::get || is_error(out.status)) return out;
        if (o.value && !o.partial) {
            out.value = std::move(o.value);
            out.format = std::move(o.format);
        } else if (o.cut_short) {
            out.status = incomplete;
        }
        return out;
    }

    // 200, or why the value is not taken.
    int take_value(outstanding& o, item const& found) {
        if (!o.value) {
            o.format = found.format;
            o.announced = found.more_data ? found.size : std::nullopt;
            o.value.emplace();
        }
        if (held() + found.data.size() > object_limit || o.announced.value_or(0) > object_limit) return too_big;
        *o.value += found.data;
        o.partial = found.more_data;
        return o.partial || !o.announced || *o.announced == o.value->size() ? done : size_mismatch;
    }

    // A value in chunks ends before another command, but for those of `by` itself.
    void cut_short(outstanding const* by) {
        for (auto& o : in_.next.waiting) {
            if (!o.partial || &o == by) continue;
            if (o.cut_short)
                o.status = std::max(o.status.value_or(0), incomplete);
            else
                in_.cut_short.push_back(o.sent.uri);
            o.cut_short = true;
            o.partial = false;
            o.value.reset();
            o.announced.reset();
        }
    }

    static item const* value_of(results const& r, std::string_view uri) {
        if (r.items.empty()) return nullptr;
        auto const same = std::find_if(r.items.begin(), r.items.end(), [&](item const& i) { return i.source == uri; });
        return same == r.items.end() ? &r.items.front() : &*same;
    }

    std::size_t held() const {
        return std::accumulate(in_.next.waiting.begin(), in_.next.waiting.end(), std::size_t{0},
            [](std::size_t sum, outstanding const& o) { return sum + (o.value ? o.value->size() : 0); });
    }

    // True if the event must not be shown on.
    bool take_event(item const& i) {
        if (iequals(i.type, user_token_type)) {
            in_.user_token = std::string(trim(i.data));
            return true;
        }
        auto const told = lower(trim(i.data));
        if (iequals(i.type, login_status_type)) {
            if (told == "user" || told == "others" || told == "none") in_.next.login_status = told;
        } else if (iequals(i.type, sync_type_type)) {
            if (told == "user" || told == "device" || told == "mixed") in_.next.sync_type = told;
        } else if (iequals(i.type, sign_of_life_type) && told != "0") {
            in_.more_to_come = held_ = true;
        }
        return false;
    }

    intake& in_;
    bool held_ = false;     // more is to come of what the device says itself
    bool restart_ = false;  // it wants a large object of ours from the start
};

// The session that a message goes on with, or begins. Errors: malformed.
result<session> session_of(session const& before, header const& h) {
    session s;
    bool const same = before.id == h.session_id && before.device_msg_id > 0;
    bool const follows = same && h.msg_id - 1 == before.device_msg_id;
    if (same && !before.ended) {
        if (!follows)
            return fail(errc::malformed,
                "message " + std::to_string(h.msg_id) + " after message " + std::to_string(before.device_msg_id));
        s = before;
    } else {
        s.id = h.session_id;
        if (follows) s.server_msg_id = before.server_msg_id;
    }
    s.device_msg_id = h.msg_id;
    return s;
}

}  // namespace

result<intake> receive(session const& before, message const& m) {
    auto begun = session_of(before, m.hdr);
    if (!begun) return begun.error();
    intake in;
    in.next = std::move(*begun);
    if (m.hdr.max_msg_size) in.next.max_msg_size = *m.hdr.max_msg_size;
    if (m.hdr.max_obj_size) in.next.max_obj_size = *m.hdr.max_obj_size;
    in.more_to_come = !m.final;

    taker take(in);
    take.answer(0, "SyncHdr", done);
    for (auto const& command : m.body)
        if (auto const* const s = std::get_if<status>(&command)) take.take_header(*s);
    for (auto const& command : m.body) std::visit(take, command);
    take.settle();
    return in;
}

result<answer> challenge(
    session const& before, message const& m, addresses const& to, refusal why, std::string_view nonce) {
    auto begun = session_of(before, m.hdr);
    if (!begun) return begun.error();
    session& s = *begun;
    int const found = why == refusal::missing ? no_credentials : wrong_credentials;
    bool const again =
        why != refusal::unsupported && (s.challenged == 0 || (s.challenged == no_credentials && why == refusal::wrong));
    int const told = why == refusal::unsupported ? not_supported : again ? found : wrong_credentials;
    s.challenged = told;
    s.ended = !again;
    ++s.messages;
    reply r{.session_id = s.id,
        .msg_id = ++s.server_msg_id,
        .msg_ref = s.device_msg_id,
        .target = to.device,
        .source = to.management,
        .statuses = {{.cmd_ref = 0, .cmd = "SyncHdr", .data = told}},
        .alert = std::nullopt,
        .commands = {}};
    if (again) r.statuses.front().challenge = chal{.next_nonce = std::string(nonce)};
    auto const refuse = [&](int cmd_id, std::string_view name) {
        r.statuses.push_back(
            {.cmd_ref = cmd_id == 0 ? blank_reference : cmd_id, .cmd = std::string(name), .data = told});
    };
    for (auto const& command : m.body) {
        if (auto const* const c = std::get_if<results>(&command)) refuse(c->cmd_id, "Results");
        if (auto const* const c = std::get_if<alert>(&command)) refuse(c->cmd_id, "Alert");
        if (auto const* const c = std::get_if<foreign>(&command)) refuse(c->cmd_id, c->name);
    }
    // Everything in it came out of XML, and the management URL is checked configuration.
    answer a;
    a.text = serialise(r).value();
    a.ended = s.ended;
    a.next = std::move(s);
    return a;
}

}  // namespace mdmd::omadm
