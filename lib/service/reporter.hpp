// The timer's work on compliance: devices are judged when that is due, and Graph is told what was decided.
#pragma once
#include <atomic>
#include <mutex>

#include "core/backoff.hpp"
#include "service/application_token.hpp"
#include "service/context.hpp"
#include "store/compliance.hpp"

namespace mdmd::service {

class reporter {
public:
    reporter(context& c, application_token& t) : context_(c), token_(t) {}

    // Both called about once a second, by timers of their own: a Graph that hangs delays no verdict.
    // Judges the devices whose check is due, the first time all of them: policies may have changed while nobody looked.
    void judge();
    // Reports to Graph every `compliance.interval`, and what waits for another try when its time comes.
    void tick();
    // Graph, or the way to it, may have changed: nothing is waited for any more.
    void retry_now();
    // The run that is on ends after the call that it is in; no other begins.
    void stop() { stopping_ = true; }

    struct run {
        int sent = 0, failed = 0;
        std::string stopped;  // why the run could not go on: no token
    };
    // Everything that is queued, whatever its back-off. Errors: conflict (a run is on already).
    [[nodiscard]] result<run> report_now();

    // The policies changed: every device is judged anew.
    void judge_all();

private:
    run pump(bool only_retries);
    // `stop`: nothing more can be told for a while, since Graph is silent, throttles or refuses the token.
    enum class step { sent, failed, stop };
    step report_one(store::report const&, run&);

    context& context_;
    application_token& token_;
    void leave_graph_alone(std::optional<std::chrono::milliseconds> retry_after, time_point now);

    std::mutex running_;  // guards what follows, but for what is atomic
    time_point next_run_{};
    time_point not_before_{};  // Graph wants to be left alone, or did not answer
    backoff graph_retries_{std::chrono::seconds(10), std::chrono::minutes(5)};
    bool token_was_refused_ = false;           // by Graph, the last time
    std::atomic<bool> retry_at_once_ = false;  // for the next tick
    int recoveries_ = 0;                       // of the token, when they were last looked at
    bool judged_all_ = false;                  // of judge()'s caller alone
    std::atomic<bool> stopping_ = false;
};

}  // namespace mdmd::service
