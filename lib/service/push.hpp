// Wakes devices through Windows' push service, so that they begin a session at once. [Windows Push Notification
// Services]
#pragma once
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/backoff.hpp"
#include "entra/wns.hpp"
#include "omadm/session.hpp"
#include "service/context.hpp"
#include "service/wake_queue.hpp"
#include "store/push.hpp"

namespace mdmd::service {

class push {
public:
    explicit push(context& c) : context_(c) {}

    // There is an app identity: management.push.
    bool configured() const;

    // Never waits and never fails: a device without a channel, a full queue or a push service that is away leave the
    // device to its own schedule. A device that waits already is not queued again.
    void wake(std::string_view device_id);

    // What a session asks of a device, keys "push:…"; nothing where push is not configured: the app identity that it
    // listens for, its channel, and the state of that.
    std::vector<omadm::wanted> questions() const;
    // Takes in one outcome of such a command; returns the follow-up to send in the same session, if any: the app
    // identity is written where the device has another or none.
    std::optional<omadm::wanted> take(omadm::outcome const&) const;
    // What the device answered of channel and state, in the session's write. An address that is not one of Windows'
    // push service is not kept. Writes nothing where nothing changed.
    static void take_channel(store::connection&, std::string_view device_id, std::optional<std::string_view> uri,
        std::optional<int> status, time_point now);

    // Called about once a second by a timer of its own: sends what is queued.
    void tick();
    // The configuration changed: another token, and nothing is waited for any more.
    void reload();
    // The call that is on is the last.
    void stop() { stopping_ = true; }

    // Why no device can be woken, for the operator; empty: nothing is known to be wrong.
    std::string problem() const;

private:
    // later: its channel is left alone for a while; pause: the whole push service is.
    enum class step { done, later, pause };
    struct outcome {
        step what = step::done;
        std::optional<std::chrono::milliseconds> retry_after = {};  // of later
    };
    outcome wake_one(std::string const& device_id);
    outcome send(config::push_identity const&, store::push_channel const&);
    std::optional<entra::access_token> token(config::push_identity const&);
    outcome leave_alone(std::optional<std::chrono::milliseconds> retry_after);
    void say(std::string problem);

    context& context_;
    mutable std::mutex mutex_;  // guards these three
    wake_queue queue_;
    std::string problem_;
    std::optional<entra::access_token> token_;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> reloaded_ = false;
    // Of tick()'s caller alone.
    time_point not_before_{};
    backoff retries_{std::chrono::seconds(5), std::chrono::minutes(5)};
};

}  // namespace mdmd::service
