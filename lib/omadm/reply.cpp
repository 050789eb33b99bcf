#include <fmt/format.h>
#include <algorithm>

#include "core/text.hpp"
#include "omadm/session.hpp"

namespace mdmd::omadm {
namespace {

constexpr int part_taken = 213;         // of the part of a large object that was sent last
constexpr std::size_t least_part = 64;  // bytes of a large object that a message must have room for
constexpr std::size_t most_parts = messages_limit / 2;

bool of_user(command const& c) { return iequals(std::string_view(c.uri).substr(0, 7), "./User/"); }

// Why a command can go out in no way at all; empty where it can.
std::string objection(session const& s, command const& c) {
    if (!sendable(c)) return "it holds a character that XML cannot carry";
    auto const bytes = c.data.value_or("").size();
    if (s.max_obj_size && bytes > s.max_obj_size)
        return fmt::format("its value has {} bytes, and the device takes {} at the most", bytes, s.max_obj_size);
    if (bytes > object_limit)
        return fmt::format("its value has {} bytes, and {} are the most that is sent", bytes, object_limit);
    return {};
}

// Puts commands into a reply, as far as there is room.
class packer {
public:
    packer(reply& r, session& s) : r_(r), s_(s) {
        limit_ = s.max_msg_size ? std::min<std::uint64_t>(s.max_msg_size, message_limit) : message_limit;
        used_ = serialise(r).value().size();
        // What one command may take: the message beside our statuses. But a device that earns uncommonly many of them
        // must not make a command fail that a later message, with the header's status alone, can hold.
        auto least = r;
        if (least.statuses.size() > 1) least.statuses.resize(1);
        auto const reserve =
            std::max<std::size_t>(serialise(least).value().size(), std::min<std::size_t>(used_, limit_ / 2));
        room_ = limit_ - std::min(limit_, reserve);
    }

    void fill(std::span<wanted const> queue, answer& a) {
        while (a.taken < queue.size()) {
            auto const group = group_of(queue.subspan(a.taken));
            auto const why = objection_to(group);
            if (why.empty()) {
                if (!add(group)) return;
            } else {
                for (std::size_t i = 0; i < group.size(); ++i) a.unsendable.push_back({a.taken + i, why});
            }
            a.taken += group.size();
            if (r_.part) return;
        }
    }

    // The next part of a large object; nothing but a request for another message where there is no room for it.
    void next_part(outstanding& o) {
        command piece = o.sent;
        std::string_view const data = *o.sent.data;
        object_part part{.size = o.parted ? std::nullopt : std::optional<std::uint64_t>(data.size()), .more = true};
        auto const fixed = fixed_size(piece, part);
        auto const bytes =
            used_ < limit_ && fixed < limit_ - used_ ? fitting(data, o.parted, limit_ - used_ - fixed) : 0;
        if (bytes == 0) {
            r_.alert = 1222;
            r_.final = false;
            return;
        }
        piece.data = std::string(data.substr(o.parted, bytes));
        o.msg_id = r_.msg_id;
        o.cmd_id = first_command_id(r_);
        o.parted += bytes;
        o.status.reset();
        part.more = o.parted < data.size();
        r_.part = part;
        r_.final = !part.more;
        r_.commands.push_back(std::move(piece));
    }

    // What the device did not do, because it did not know us, once more. False: there is no room for it.
    bool resend(int msg_id) {
        int cmd_id = first_command_id(r_);
        int old = 0;
        for (auto& o : s_.waiting) {
            if (o.msg_id != msg_id) continue;
            if (o.in_parts) {
                o.parted = 0;
                next_part(o);
                return r_.part.has_value();
            }
            if (o.atomic == 0) old = 0;
            if (o.atomic != old) {
                old = o.atomic;
                begin_atomic(cmd_id++);
            }
            if (old) {
                o.atomic = s_.atomics.back().cmd_id;
                ++r_.atomics.back().count;
            }
            o.msg_id = r_.msg_id;
            o.cmd_id = cmd_id++;
            r_.commands.push_back(o.sent);
        }
        std::erase_if(s_.atomics, [&](sent_atomic const& a) { return a.msg_id == msg_id; });
        return serialise(r_).value().size() <= limit_;
    }

private:
    // The commands at the front that belong together: one, or those of one Atomic.
    static std::span<wanted const> group_of(std::span<wanted const> queue) {
        std::size_t n = 1;
        if (auto const& atomic = queue.front().atomic; !atomic.empty())
            while (n < queue.size() && queue[n].atomic == atomic) ++n;
        return queue.first(n);
    }

    // Without its data, for which only tags are counted.
    static std::size_t fixed_size(command c, object_part const& part) {
        c.data = "x";
        return size_of(c, part) - 1;
    }

    std::string objection_to(std::span<wanted const> group) const {
        if (group.front().atomic.empty()) {
            auto const& c = group.front().what;
            if (auto const why = objection(s_, c); !why.empty()) return why;
            if (size_of(c) <= room_) return {};
            auto const fixed = fixed_size(c, {.size = object_limit, .more = true});
            bool const divisible =
                c.data && fixed < room_ && room_ - fixed >= least_part && c.data->size() / (room_ - fixed) < most_parts;
            return divisible
                       ? ""
                       : fmt::format("it is too large for a message, in parts too: the device takes {} bytes", limit_);
        }
        for (auto const& w : group)
            if (auto const why = objection(s_, w.what); !why.empty())
                return fmt::format("{}, of the same Atomic: {}", printable(w.what.uri, 256), why);
        if (std::any_of(group.begin(), group.end(), [](wanted const& w) { return w.what.what == verb::get; }))
            return "a Get cannot be in an Atomic";
        bool const user = of_user(group.front().what);
        if (std::any_of(group.begin(), group.end(), [&](wanted const& w) { return of_user(w.what) != user; }))
            return "nodes of a user and of the device cannot be in one Atomic";
        if (group.size() >= commands_limit)
            return fmt::format("its Atomic has {} commands, and {} are the most", group.size(), commands_limit - 1);
        if (auto const bytes = size(group); bytes > room_)
            return fmt::format("its Atomic has {} bytes, too large for a message: the device takes {}", bytes, limit_);
        return {};
    }

    static std::size_t size(std::span<wanted const> group) {
        std::size_t sum = group.front().atomic.empty() ? 0 : size_of_atomic();
        for (auto const& w : group) sum += size_of(w.what);
        return sum;
    }

    // False: not in this message.
    bool add(std::span<wanted const> group) {
        bool const atomic = !group.front().atomic.empty();
        auto const bytes = size(group);
        if (!atomic && bytes > room_) return begin_parts(group.front());
        auto const count = r_.commands.size() + r_.atomics.size() + group.size() + (atomic ? 1 : 0);
        if (used_ + bytes > limit_ || count > commands_limit) return false;
        used_ += bytes;
        int cmd_id = first_command_id(r_) + static_cast<int>(r_.commands.size() + r_.atomics.size());
        if (atomic) begin_atomic(cmd_id++);
        for (auto const& w : group) {
            auto& o = wait_for(w);
            o.cmd_id = cmd_id++;
            if (atomic) {
                o.atomic = s_.atomics.back().cmd_id;
                ++r_.atomics.back().count;
            }
            r_.commands.push_back(w.what);
        }
        return true;
    }

    bool begin_parts(wanted const& w) {
        if (!r_.commands.empty()) return false;
        auto& o = wait_for(w);
        o.in_parts = true;
        next_part(o);
        if (r_.part) return true;
        s_.waiting.pop_back();
        r_.alert.reset();
        r_.final = true;
        return false;
    }

    outstanding& wait_for(wanted const& w) {
        s_.waiting.push_back({.msg_id = r_.msg_id,
            .cmd_id = 0,
            .key = w.key,
            .sent = w.what,
            .status = std::nullopt,
            .value = std::nullopt,
            .format = {},
            .partial = false});
        return s_.waiting.back();
    }

    void begin_atomic(int cmd_id) {
        s_.atomics.push_back({.msg_id = r_.msg_id, .cmd_id = cmd_id, .status = std::nullopt});
        r_.atomics.push_back({.first = r_.commands.size(), .count = 0});
    }

    reply& r_;
    session& s_;
    std::size_t limit_ = 0;  // bytes of the message
    std::size_t used_ = 0;   // of these, so far
    std::size_t room_ = 0;   // that one command, or one Atomic, may take
};

reply empty_reply(intake const& in, addresses const& to, authentication const& auth) {
    bool const more = in.more_to_come && !in.aborted;
    reply r{.session_id = in.next.id,
        .msg_id = in.next.server_msg_id + 1,
        .msg_ref = in.next.device_msg_id,
        .target = to.device,
        .source = to.management,
        .statuses = in.statuses,
        .alert = more ? std::optional(1222) : std::nullopt,
        .commands = {},
        .final = !more,
        .source_name = auth.cred ? auth.name : std::string(),
        .cred = auth.cred,
        .cut_short = in.aborted ? std::vector<std::string>() : in.cut_short};
    if (auth.next_nonce && !r.statuses.empty()) {
        r.statuses.front().data = 212;
        r.statuses.front().challenge = chal{.next_nonce = *auth.next_nonce};
    }
    return r;
}

// Ends the session from our side.
void abort(reply& r, answer& a) {
    r.alert = 1223;
    r.final = true;
    r.commands.clear();
    r.atomics.clear();
    r.cut_short.clear();
    r.part.reset();
    a.aborted = true;
}

}  // namespace

answer reply_to(intake const& in, addresses const& to, std::span<wanted const> queue, authentication const& auth) {
    answer a;
    a.next = in.next;
    session& s = a.next;
    auto r = empty_reply(in, to, auth);
    int const before = s.server_msg_id++;
    ++s.messages;
    if (auth.next_nonce) s.authenticated = true;

    auto const part_due = std::find_if(
        s.waiting.begin(), s.waiting.end(), [](outstanding const& o) { return o.in_parts && o.status == part_taken; });
    bool const at_its_end = !in.more_to_come && (in.stop || (s.waiting.empty() && queue.empty()));
    if (in.aborted) {
        // Nothing but the statuses.
    } else if (in.server_refused || (s.messages >= messages_limit && !at_its_end)) {
        abort(r, a);
    } else if (!in.more_to_come && !in.stop) {
        packer pack(r, s);
        if (in.server_nonce) {
            s.resent = true;
            if (!pack.resend(before)) abort(r, a);
        } else if (part_due != s.waiting.end()) {
            pack.next_part(*part_due);
        } else if (s.waiting.empty()) {
            pack.fill(queue, a);
        }
    }
    a.ended = in.aborted || a.aborted || (!in.more_to_come && (s.waiting.empty() || in.stop));
    s.ended = a.ended;
    // Everything in it came out of XML or was found sendable, and the management URL is checked configuration.
    a.text = serialise(r).value();
    return a;
}

}  // namespace mdmd::omadm
