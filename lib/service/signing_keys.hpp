// Entra's signing keys: fetched in the background, kept in the store, read as a snapshot; and the one way to check a
// user's token.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>

#include "entra/token.hpp"
#include "service/context.hpp"

namespace mdmd::service {

class signing_keys {
public:
    // With the keys that the store has, if they are this tenant's and not older than a day.
    explicit signing_keys(context&);

    // Called by the timer. Fetches the keys when that is due.
    void refresh_if_due();

    // Whose token it is. A key that is not known is looked for once, at once, by one caller while a few others wait for
    // it; otherwise this stays off the network, and strangers with made-up keys cannot hold up the workers. Errors: as
    // entra::verify's, and unavailable where there are no keys at all.
    [[nodiscard]] result<entra::identity> verify(std::string_view token, entra::bearer may_be = entra::bearer::user);
    // As entra::user_of_refused(); never goes to the network.
    std::optional<entra::identity> user_of_refused(std::string_view token) const;
    // As verify(), for entra::verify_id_token().
    [[nodiscard]] result<entra::identity> verify_id_token(std::string_view token, std::string_view nonce);
    // The same for entra::verify_caller().
    [[nodiscard]] result<entra::identity> verify_caller(std::string_view token);

    bool attempted() const;  // the first attempt to get keys has ended, whatever its result
    // Another tenant or login host: what is known is of no more use.
    void forget();
    void retry_now();  // the way to Entra may have changed: no back-off is waited for

private:
    using check = std::function<result<entra::identity>(entra::key_set const&)>;
    result<entra::identity> with_keys(check const&);
    entra::audience audience() const;
    std::shared_ptr<entra::key_set const> snapshot() const;
    void refresh();  // with fetching_ held
    int generation() const;
    // What one version's endpoints answered, and when.
    struct documents {
        std::string metadata, jwks;
        time_point at;
    };
    // Those of version 1.0 and 2.0.
    struct both {
        std::optional<documents> v1, v2;
    };
    struct fetched {
        both got;
        std::optional<error> missing;  // why one of the two, or both, could not be had
        std::optional<std::chrono::milliseconds> retry_after;
    };
    fetched fetch() const;
    // Without a version's documents its issuer is empty: its tokens are refused. As old as the older of the two.
    // Errors: malformed.
    result<entra::key_set> read(both const&) const;
    void load();
    void keep(both const&) const;
    std::string place() const;  // whose keys: login host and tenant

    context& context_;
    std::mutex fetching_;           // one fetch at a time
    std::atomic<int> waiting_ = 0;  // callers of verify() at or before that mutex
    mutable std::mutex mutex_;
    both documents_;  // what keys_ was read from
    std::shared_ptr<entra::key_set const> keys_;
    entra::refresh_policy policy_;
    bool attempted_ = false;
    int generation_ = 0;  // of what forget() ended: an answer that was asked for before it is not taken
};

}  // namespace mdmd::service
