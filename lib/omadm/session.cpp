#include "omadm/session.hpp"

#include <algorithm>
#include <numeric>

#include "core/text.hpp"

namespace mdmd::omadm {
namespace {

constexpr std::string_view login_status_type = "com.microsoft/MDM/LoginStatus";
constexpr std::string_view user_token_type = "com.microsoft/MDM/AADUserToken";
constexpr std::string_view unenrollment_type = "com.microsoft:mdm.unenrollment.userrequest";

constexpr int done = 200;
constexpr int chunk_taken = 213;
constexpr int not_allowed = 405;
constexpr int not_supported = 406;
constexpr int too_big = 416;

bool is_error(int status) { return status >= 400; }

outstanding* find(session& s, int msg_ref, int cmd_ref) {
    auto const at = std::find_if(s.waiting.begin(), s.waiting.end(),
        [&](outstanding const& o) { return o.msg_id == msg_ref && o.cmd_id == cmd_ref; });
    return at == s.waiting.end() ? nullptr : &*at;
}

// Takes in the commands of one message, in order.
class taker {
public:
    explicit taker(intake& in) : in_(in) {}

    void operator()(status const& s) {
        auto* const o = s.cmd_ref == 0 ? nullptr : find(in_.next, s.msg_ref, s.cmd_ref);
        if (!o || s.data < done || s.data <= o->status.value_or(0)) return;  // 1xx: the answer is still to come
        o->status = s.data;
        original_errors_[{o->msg_id, o->cmd_id}] = s.original_error;
    }

    void operator()(results const& r) {
        auto* const o = find(in_.next, r.msg_ref, r.cmd_ref);
        auto const* const found = o && o->sent.what == verb::get ? value_of(r, o->sent.uri) : nullptr;
        if (found && (!o->value || o->partial)) {
            if (!o->value) o->format = found->format;
            auto& value = o->value ? *o->value : o->value.emplace();
            if (held() + found->data.size() > object_limit) {
                o->status = std::max(o->status.value_or(0), too_big);
                return answer(r.cmd_id, "Results", too_big);
            }
            value += found->data;
            o->partial = found->more_data;
        }
        if (!r.items.empty() && r.items.back().more_data) {
            in_.more_to_come = true;
            answer(r.cmd_id, "Results", chunk_taken);
        }
    }

    void operator()(alert const& a) {
        auto const known = {1200, 1201, 1222, 1223, 1224, 1226};
        answer(a.cmd_id, "Alert", std::find(known.begin(), known.end(), a.code) != known.end() ? done : not_supported);
        if (a.code == 1223) in_.aborted = true;
        if (a.code != 1224 && a.code != 1226) return;
        alert kept = a;
        std::erase_if(kept.items, [&](item const& i) { return a.code == 1224 && take_event(i); });
        if (a.code == 1226)
            for (auto const& i : a.items) in_.unenrolled |= iequals(i.type, unenrollment_type) && trim(i.data) != "0";
        if (!kept.items.empty() || a.items.empty()) in_.alerts.push_back(std::move(kept));
    }

    void operator()(foreign const& f) {
        if (f.name != "Replace") return answer(f.cmd_id, f.name, not_supported);
        constexpr std::string_view root = "./DevInfo/";
        auto const node = [](item const& i) -> std::string const& { return i.source.empty() ? i.target : i.source; };
        auto const about_itself = [&](item const& i) { return std::string_view(node(i)).starts_with(root); };
        if (!std::all_of(f.items.begin(), f.items.end(), about_itself)) return answer(f.cmd_id, f.name, not_allowed);
        for (auto const& i : f.items) in_.device_info[node(i)] = i.data;
        answer(f.cmd_id, f.name, done);
    }

    // Moves what is complete from `waiting` to `outcomes`, in the order of sending.
    void settle() {
        std::vector<outstanding> still;
        for (auto& o : in_.next.waiting) {
            bool const get = o.sent.what == verb::get;
            bool const all = !get || (o.status && is_error(*o.status)) || (o.value && !o.partial) || !in_.more_to_come;
            if (!o.status || !all) {
                still.push_back(std::move(o));
                continue;
            }
            outcome out{.key = std::move(o.key),
                .sent = std::move(o.sent),
                .status = *o.status,
                .original_error = std::move(original_errors_[{o.msg_id, o.cmd_id}]),
                .value = std::nullopt,
                .format = {}};
            if (get && !is_error(out.status) && o.value && !o.partial) {
                out.value = std::move(o.value);
                out.format = std::move(o.format);
            }
            in_.outcomes.push_back(std::move(out));
        }
        in_.next.waiting = std::move(still);
    }

    void answer(int cmd_ref, std::string_view cmd, int data) {
        in_.statuses.push_back({.cmd_ref = cmd_ref, .cmd = std::string(cmd), .data = data});
    }

private:
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
        if (iequals(i.type, login_status_type)) {
            auto const who = lower(trim(i.data));
            if (who == "user" || who == "others" || who == "none") in_.next.login_status = who;
        }
        return false;
    }

    intake& in_;
    std::map<std::pair<int, int>, std::string> original_errors_;
};

}  // namespace

result<intake> receive(session const& before, message const& m) {
    intake in;
    bool const same = before.id == m.hdr.session_id && before.device_msg_id > 0;
    bool const follows = same && m.hdr.msg_id - 1 == before.device_msg_id;
    if (same && !before.ended) {
        if (!follows)
            return fail(errc::malformed,
                "message " + std::to_string(m.hdr.msg_id) + " after message " + std::to_string(before.device_msg_id));
        in.next = before;
    } else {
        in.next.id = m.hdr.session_id;
        if (follows) in.next.server_msg_id = before.server_msg_id;
    }
    in.next.device_msg_id = m.hdr.msg_id;
    if (m.hdr.max_msg_size) in.next.max_msg_size = *m.hdr.max_msg_size;
    in.more_to_come = !m.final;

    taker take(in);
    take.answer(0, "SyncHdr", done);
    for (auto const& command : m.body) std::visit(take, command);
    take.settle();
    return in;
}

answer reply_to(intake const& in, addresses const& to, std::span<wanted const> queue) {
    answer a{.text = {}, .next = in.next, .taken = 0, .unsendable = {}, .ended = false};
    session& s = a.next;
    ++s.server_msg_id;
    reply r{.session_id = s.id,
        .msg_id = s.server_msg_id,
        .msg_ref = s.device_msg_id,
        .target = to.device,
        .source = to.management,
        .statuses = in.statuses,
        .alert = in.more_to_come && !in.aborted ? std::optional(1222) : std::nullopt,
        .commands = {},
        .final = !in.more_to_come || in.aborted};

    if (!in.more_to_come && !in.aborted && s.waiting.empty()) {
        std::uint64_t const limit =
            s.max_msg_size ? std::min<std::uint64_t>(s.max_msg_size, message_limit) : message_limit;
        auto used = serialise(r).value().size();
        // What one command may take: the message beside our statuses. But a device that earns uncommonly many of them
        // must not make a command fail that a later message, with the header's status alone, can hold.
        auto least = r;
        if (least.statuses.size() > 1) least.statuses.resize(1);
        auto const reserve =
            std::max<std::uint64_t>(serialise(least).value().size(), std::min<std::uint64_t>(used, limit / 2));
        auto const room = limit - std::min(limit, reserve);
        int cmd_id = first_command_id(r);
        for (auto const& w : queue) {
            auto const size = size_of(w.what);
            if (!sendable(w.what) || size > room) {
                a.unsendable.push_back(a.taken++);
                continue;
            }
            if (used + size > limit || r.commands.size() >= commands_limit) break;
            used += size;
            r.commands.push_back(w.what);
            s.waiting.push_back({.msg_id = r.msg_id,
                .cmd_id = cmd_id++,
                .key = w.key,
                .sent = w.what,
                .status = std::nullopt,
                .value = std::nullopt,
                .format = {},
                .partial = false});
            ++a.taken;
        }
    }
    a.ended = in.aborted || (!in.more_to_come && s.waiting.empty());
    s.ended = a.ended;
    // Everything in it came out of XML or was found sendable, and the management URL is checked configuration.
    a.text = serialise(r).value();
    return a;
}

}  // namespace mdmd::omadm
