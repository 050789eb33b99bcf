// The timer's work on compliance: devices are judged when that is due, and Graph is told what was decided.
#pragma once
#include <mutex>

#include "service/application_token.hpp"
#include "service/context.hpp"
#include "store/compliance.hpp"

namespace mdmd::service {

class reporter {
public:
    reporter(context& c, application_token& t) : context_(c), token_(t) {}

    // Called about once a second. Judges the devices whose check is due; reports to Graph every
    // `compliance.interval`, and what waits for another try when its time comes.
    void tick();

    struct run {
        int sent = 0, failed = 0;
        std::string stopped;  // why the run could not go on: no token
    };
    run report_now();  // everything that is queued, whatever its back-off

    // The policies changed: every device is judged anew.
    void judge_all();

private:
    void judge_due();
    run pump(bool only_retries);
    enum class step { sent, failed, stop };
    step report_one(store::report const&, std::string& why);

    context& context_;
    application_token& token_;
    std::mutex running_;
    time_point next_run_{};
};

}  // namespace mdmd::service
