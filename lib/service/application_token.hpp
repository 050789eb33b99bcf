// The appliance's own token for Graph, and what Entra says of the key it is bought with.
#pragma once
#include <mutex>
#include <optional>

#include "entra/graph.hpp"
#include "service/context.hpp"

namespace mdmd::service {

enum class key_state { unproven, ok, refused, expired };
std::string_view name(key_state);

class application_token {
public:
    explicit application_token(context& c) : context_(c) {}

    // A token with at least five minutes to live, bought at most once at a time. After a refusal of the key Entra is
    // left alone for 15 minutes, after other failures for as long as it asks or 10 s. Errors: unavailable,
    // forbidden (the key is refused).
    [[nodiscard]] result<entra::access_token> get();
    void drop();            // Graph did not take it
    void forget_refusal();  // the key or the configuration changed: try at once

    struct status {
        key_state state = key_state::unproven;
        std::optional<entra::token_refusal> refusal;
        std::string unreachable;  // why the token endpoint gave no answer at all
    };
    status current() const;

private:
    context& context_;
    std::mutex buying_;
    mutable std::mutex mutex_;
    std::optional<entra::access_token> token_;
    status status_;
    time_point not_before_{};
    int generation_ = 0;  // of what forget_refusal() ended: an answer to the key before it is not taken
};

entra::application application_of(config::settings const&);

}  // namespace mdmd::service
