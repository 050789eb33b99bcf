// The timer's work on compliance: devices are judged when that is due, and Graph is told what was decided.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "core/backoff.hpp"
#include "core/pace.hpp"
#include "service/application_token.hpp"
#include "service/context.hpp"
#include "store/compliance.hpp"

namespace mdmd::service {

class reporter {
public:
    // `wake`: called with the IDs of devices that were ordered something.
    reporter(context&, application_token&, std::function<void(std::string const&)> wake);

    // Both called about once a second, by timers of their own: a Graph that hangs delays no verdict.
    // Judges the devices whose check is due, the first time all of them: policies may have changed while nobody looked.
    void judge();
    // Reports to Graph: what was decided every `compliance.interval`, what waits for another try or is to be told again
    // when its time comes. What the pace does not allow goes on with the next call.
    void tick();
    // Graph, or the way to it, may have changed: nothing is waited for any more.
    void retry_now();
    // The run that is on ends after the call that it is in; no other begins.
    void stop() { stopping_ = true; }

    struct run {
        int sent = 0, failed = 0;  // devices
        std::string stopped;       // why the run could not go on: no token
    };
    // Everything that is queued, whatever its back-off, as far as the pace allows; the rest follows by itself. Errors:
    // conflict (a run is on already).
    [[nodiscard]] result<run> report_now();

    // The policies changed: every device is judged anew.
    void judge_all();

    // What keeps the whole queue waiting, in one line; empty: nothing does.
    std::string held_up() const;
    // What Graph refuses all reports with, since it took none; empty: it does not.
    std::string refused() const;
    // How often Graph gave which status, to calls and to what was in them; 0: no answer.
    std::map<int, std::uint64_t> answers() const;

private:
    // Requests that go together: searches for object ids, or reports.
    struct batch {
        bool search = false;
        std::vector<store::report> reports;
    };
    struct answer;
    struct tried;  // the devices of a run
    run pump();
    batch next_batch(std::vector<store::report> due) const;
    // False: nothing more can be told for a while, since Graph is silent, throttles or refuses.
    bool exchange(batch const&, entra::access_token const&, tried&);
    result<std::vector<answer>> ask(batch const&, entra::access_token const&, std::string const& flow);
    void keep(batch const&, std::vector<answer>&, time_point now);
    bool conclude(batch const&, std::vector<answer> const&, time_point now);
    bool refused_all(std::size_t many, std::string const& why, time_point now);
    void forget_history(time_point now);
    void leave_graph_alone(
        std::optional<std::chrono::milliseconds> retry_after, std::string const& why, time_point now);
    void hold(std::string why);
    void set_refused(std::string why);

    void judge_these(std::vector<std::string> const&);

    context& context_;
    application_token& token_;
    std::function<void(std::string const&)> wake_;

    std::mutex running_;  // guards what follows, but for what is atomic
    time_point next_run_{};
    bool whole_ = false;       // a run over the whole queue is on, perhaps over several ticks
    time_point not_before_{};  // Graph wants to be left alone, or did not answer
    backoff graph_retries_{std::chrono::seconds(1), std::chrono::minutes(5)};
    pace pace_{10, 100};                // requests: a third of what Graph allows
    std::set<std::string> singly_;      // devices whose batch was refused as a whole: sent one by one
    std::size_t refused_in_a_row_ = 0;  // reports, with 403, since Graph took one
    time_point last_taken_{};           // when it did
    time_point token_dropped_{};        // as Graph did not take it
    bool took_since_ = true;            // Graph took something since then
    time_point next_forgetting_{};
    std::atomic<bool> retry_at_once_ = true;  // for the next tick; the first one too
    int recoveries_ = 0;                      // of the token, when they were last looked at
    bool judged_all_ = false;                 // of judge()'s caller alone
    std::atomic<bool> stopping_ = false;

    mutable std::mutex told_;  // guards what others ask for
    std::string held_up_, refused_;
    std::map<int, std::uint64_t> answers_;
};

}  // namespace mdmd::service
