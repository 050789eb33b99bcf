// The last management sessions of each device, message by message, for those who must find out why something failed.
#pragma once
#include <deque>
#include <map>
#include <mutex>

#include "service/context.hpp"
#include "store/management.hpp"

namespace mdmd::service {

class trace {
public:
    explicit trace(context& c) : context_(c) {}

    struct exchange {
        std::string device_id;
        std::string session_id;  // the device's
        bool begins = false;     // the first of its session
        bool ends = false;
        bool eventful = false;  // it changed something or something failed
        std::string address;    // of the peer
        int status = 200;       // HTTP
        std::string_view request, reply;
        time_point at;
    };
    // Notes one message and its answer, their secrets blanked. Costs no write: sessions go to the store with tick().
    // Nothing is kept where management.trace is 0. Of a session's bodies 512 KiB are kept.
    void note(exchange const&);
    // Called by the timer: sessions that ended, or are silent for 10 min, go to the store. Of idle sessions in a row
    // the last one is kept, in memory until the device has another one or there are too many of them.
    void tick();
    // What is kept in memory alone goes to the store: at the daemon's end.
    void flush();

    // Of one device, oldest first, with those that the store does not have yet.
    std::vector<store::trace> of(std::string_view device_id);

private:
    struct session {
        store::trace kept;
        std::string messages;  // JSON objects with commas between
        time_point last;
    };
    void write(std::vector<store::trace> const&);
    static store::trace finished(session&&);

    context& context_;
    std::mutex mutex_;
    std::map<std::string, session> open_;  // by device
    std::deque<store::trace> ended_;
    std::size_t held_ = 0;  // bytes of messages, of open_ and ended_
};

}  // namespace mdmd::service
