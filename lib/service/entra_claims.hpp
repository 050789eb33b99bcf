// A device whose token did not say which of Entra's devices it is may say so itself. That counts once Entra says that
// who enrolled the device is its registered owner: with any user's token one could else name a colleague's device, and
// have it reported as compliant.
#pragma once
#include <atomic>
#include <optional>

#include "core/backoff.hpp"
#include "service/application_token.hpp"
#include "service/context.hpp"
#include "store/entra_claims.hpp"

namespace mdmd::service {

class entra_claims {
public:
    entra_claims(context& c, application_token& t) : context_(c), token_(t) {}

    // What the device said, a GUID in lower case. Within a write of the caller's.
    static void take(store::connection&, std::string_view device_id, std::string_view entra_device_id, time_point now);

    // Called by the timer: asks Graph who owns what is claimed, again after a minute, later once an hour.
    void tick();
    // Graph, or what it permits, may have changed.
    void retry_now() { retry_at_once_ = true; }

private:
    // What speaks against the claim; empty: nothing. Errors: what keeps any other from being judged now.
    result<std::string> objection(store::due_claim const&);
    void confirm(store::entra_claim const&);
    void graph_failed(error const&, std::vector<store::due_claim> const& kept);

    context& context_;
    application_token& token_;
    std::atomic<bool> retry_at_once_ = false;
    // Of the timer's thread alone.
    time_point next_tick_{};
    time_point not_before_{};  // Graph is left alone until then
    backoff graph_retries_{std::chrono::seconds(10), std::chrono::minutes(5)};
    std::optional<errc> told_;  // the failure that is in the log already
};

}  // namespace mdmd::service
