#include "service/trace.hpp"

#include <boost/json.hpp>

#include "core/log.hpp"
#include "omadm/blank.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t session_limit = 512 * 1024;         // bytes of one session's bodies
constexpr std::size_t most_held = std::size_t{64} << 20;  // bytes of all that the store does not have yet
constexpr std::size_t most_idle = most_held / 2;          // of idle ones, before they go there all the same
constexpr std::size_t most_open = 20'000;                 // sessions under way
constexpr auto silence = 10min;
constexpr std::size_t most_in_a_write = 200;

std::string cut(std::string_view text, std::size_t room) {
    if (text.size() <= room) return std::string(text);
    return cut_utf8(text, room) + fmt::format("\n... {} bytes in all", text.size());
}

std::string shown(std::string_view body, std::size_t room) {
    auto const text = omadm::blank(body);
    if (!is_utf8(text)) return fmt::format("{} bytes that are no UTF-8", body.size());
    return cut(text, room);
}

}  // namespace

void trace::note(exchange const& e) {
    if (context_.config()->settings.management.trace == 0) return;
    auto const request = shown(e.request, session_limit);  // the dear part, before others have to wait
    auto const reply = shown(e.reply, session_limit);
    std::scoped_lock const lock(mutex_);
    auto found = open_.find(e.device_id);
    if (e.begins && found != open_.end()) {
        ended_.push_back(finished(std::move(found->second)));
        open_.erase(found);
        found = open_.end();
    }
    if (found == open_.end()) {
        if (open_.size() >= most_open || held_ > most_held) return;
        found =
            open_
                .emplace(e.device_id,
                    session{.kept = {.device_id = e.device_id, .began = e.at, .session_id = e.session_id, .idle = true},
                        .messages = {},
                        .last = e.at})
                .first;
    }
    auto& s = found->second;
    auto const before = s.messages.size();
    if (before < session_limit && held_ <= most_held) {
        auto const room = session_limit - before;
        boost::json::object one{{"at", rfc3339_ms(e.at)}, {"address", e.address}, {"status", e.status}};
        one["request"] = cut(request, room);
        one["reply"] = cut(reply, room - std::min(room, request.size()));
        if (!s.messages.empty()) s.messages += ',';
        s.messages += boost::json::serialize(one);
        held_ += s.messages.size() - before;
    }
    s.last = e.at;
    if (e.eventful) s.kept.idle = false;
    if (!e.ends) return;
    ended_.push_back(finished(std::move(s)));
    open_.erase(found);
}

store::trace trace::finished(session&& s) {
    s.kept.messages = "[" + s.messages + "]";
    return std::move(s.kept);
}

void trace::tick() {
    std::vector<store::trace> due;
    {
        std::scoped_lock const lock(mutex_);
        auto const now = context_.time.now();
        for (auto at = open_.begin(); at != open_.end();) {
            if (now - at->second.last < silence) {
                ++at;
                continue;
            }
            ended_.push_back(finished(std::move(at->second)));
            at = open_.erase(at);
        }
        // Of each device the last idle session stays in memory, so that check-ins with nothing to do cost no write of
        // theirs; it goes ahead of the next one with something to tell.
        std::map<std::string, store::trace> idle;
        for (auto& t : ended_) {
            auto const before = idle.find(t.device_id);
            if (t.idle) {
                idle.insert_or_assign(t.device_id, std::move(t));
                continue;
            }
            if (before != idle.end()) {
                due.push_back(std::move(before->second));
                idle.erase(before);
            }
            due.push_back(std::move(t));
        }
        ended_.clear();
        std::size_t kept = 0;
        for (auto& [device, t] : idle) {
            kept += t.messages.size();
            ended_.push_back(std::move(t));
        }
        if (kept > most_idle) {
            std::move(ended_.begin(), ended_.end(), std::back_inserter(due));
            ended_.clear();
            kept = 0;
        }
        held_ = kept;
        for (auto const& [device, s] : open_) held_ += s.messages.size();
    }
    write(due);
}

void trace::flush() {
    {
        std::scoped_lock const lock(mutex_);
        for (auto& [device, s] : open_) ended_.push_back(finished(std::move(s)));
        open_.clear();
    }
    tick();
    std::vector<store::trace> rest;
    {
        std::scoped_lock const lock(mutex_);
        std::move(ended_.begin(), ended_.end(), std::back_inserter(rest));
        ended_.clear();
        held_ = 0;
    }
    write(rest);
}

void trace::write(std::vector<store::trace> const& all) {
    auto const most = context_.config()->settings.management.trace;
    for (std::size_t at = 0; at < all.size(); at += most_in_a_write)
        context_.db.write([&](store::connection& db) {
            for (std::size_t i = at; i < std::min(at + most_in_a_write, all.size()); ++i)
                store::put_trace(db, all[i], most);
        });
}

std::vector<store::trace> trace::of(std::string_view device_id) {
    auto all = context_.db.read([&](store::connection& db) { return store::list_traces(db, device_id); });
    std::scoped_lock const lock(mutex_);
    for (auto const& t : ended_)
        if (t.device_id == device_id) {
            if (t.idle && !all.empty() && all.back().idle) all.pop_back();
            all.push_back(t);
        }
    if (auto const found = open_.find(std::string(device_id)); found != open_.end()) {
        auto copy = found->second;
        all.push_back(finished(std::move(copy)));
    }
    return all;
}

}  // namespace mdmd::service
