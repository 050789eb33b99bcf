// Enrollments that fail: each becomes a SOAP fault, a troubleshooting event and a line of the log that agree; and what
// only falls silent is found by a timer.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <mutex>

#include "service/attempt.hpp"
#include "service/context.hpp"
#include "store/attempts.hpp"
#include "store/events.hpp"

namespace mdmd::service {

// What becomes of an event besides who it is about.
struct trouble {
    std::string category;       // Graph's deviceEnrollmentFailureReason
    std::string reason;         // "MENROLL_E_DEVICECAPREACHED (0x80180013): …", or a sentence
    std::string where;          // "certificate enrollment (RequestSecurityToken)"
    std::uint32_t hresult = 0;  // what Windows shows; 0: nothing
    std::string detail = {};    // more than the reason says; may be empty
};

class troubleshooting {
public:
    explicit troubleshooting(context& c) : context_(c) {}

    // The fault, status 500.
    http::response refuse(enroll::operation, failure const&, attempt const&);
    // A body that is not the message expected there; what is no XML at all, or over the limits of what is read, is no
    // enrollment: it gets a 4xx and leaves no event.
    http::response refuse_unreadable(enroll::operation, error const&, attempt, http::request const&);
    // What `work` throws is a failure of ours, and told as such.
    http::response guarded(enroll::operation, attempt const&, std::function<http::response()> const& work);

    // An event that no fault goes with. Never throws: what the store does not take is logged, and tried again by
    // tick().
    void record(attempt const&, trouble const&);

    // --- Attempts that may fall silent; within a write of the caller's -------------------------------------------
    // The Terms of Use are in front of the user ("shown") or were accepted ("accepted"); the device has a certificate
    // ("issued"). Silent for enrollment.abandon_after from then on, it has failed.
    void begin(store::connection&, std::string_view stage, attempt const&, time_point now) const;
    // The same in a write of its own. Never throws: nobody is sent away for it.
    void begin(std::string_view stage, attempt const&) const;
    // For a user of Entra's whose request names no flow: the one of the Terms of Use that this user accepted last, if
    // it waits for an enrollment. Never throws: nobody is sent away for it.
    void follow_terms(attempt&) const;
    // It came to an end, good or bad.
    static void end(store::connection&, attempt const&);
    // Its first session: it has enrolled.
    static void has_come(store::connection&, std::string_view device_id);

    // A client that was gone before its request was whole, or before it had the answer.
    void lost(http::request const& head, bool answering);

    // Called by a timer: what fell silent becomes an event, and old events go.
    void tick();
    // Called when nothing is served any more: what still waits for the store gets a last try. Never throws: what the
    // store does not take now is told in the log, and lost.
    void flush();

private:
    bool may_keep_event(attempt const&);
    void keep_waiting();  // events that the store did not take
    void trim();

    context& context_;
    std::mutex mutex_;
    // Events are counted by windows of time, so that strangers can neither wear out the disk nor crowd out what
    // happens to users.
    time_point window_{};
    std::map<std::string, int> counted_;  // by whom, in this window
    int left_out_ = 0;
    time_point trimmed_{};
    std::deque<store::event> waiting_;  // for the store to work again
};

// The id that the client gives this flow, as header or query parameter; ours where it gives none.
std::string correlation_of(http::request const&);

}  // namespace mdmd::service
