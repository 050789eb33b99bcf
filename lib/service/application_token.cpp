#include "service/application_token.hpp"

#include "core/log.hpp"

namespace mdmd::service {
namespace {
using namespace std::chrono_literals;
}

std::string_view name(key_state s) {
    switch (s) {
        case key_state::unproven: return "unproven";
        case key_state::ok: return "ok";
        case key_state::refused: return "refused";
        case key_state::expired: return "expired";
    }
    return "";
}

entra::application application_of(config::settings const& s) {
    return {s.entra.login_url.text, s.entra.graph_url.text, s.entra.tenant_id, s.entra.client_id};
}

result<entra::access_token> application_token::get() {
    std::scoped_lock const one(buying_);
    auto const now = context_.time.now();
    int asked = 0;
    {
        std::scoped_lock const lock(mutex_);
        asked = generation_;
        if (token_ && token_->expires > now + 5min) return *token_;
        if (now < not_before_)
            return fail(status_.refusal && status_.refusal->credential_is_wrong ? errc::forbidden : errc::unavailable,
                status_.refusal ? status_.refusal->summary() : status_.unreachable);
    }
    auto const config = context_.config();
    auto const request = entra::token_request(
        application_of(config->settings), config->settings.entra.key, entra::assertion_form::ps256, now);
    if (!request) return request.error();
    auto const answer = context_.call(*request);

    std::scoped_lock const lock(mutex_);
    if (asked != generation_) return fail(errc::unavailable, "the key was changed while Entra was asked");
    if (!answer) {
        status_.unreachable = answer.error().detail;
        status_.refusal.reset();
        not_before_ = now + 10s;
        log::warning("no token from Entra", {{"reason", status_.unreachable}});
        return fail(errc::unavailable, status_.unreachable);
    }
    auto parsed = entra::parse_token_answer(*answer, context_.time.now());
    if (parsed.token) {
        token_ = std::move(parsed.token);
        status_ = {.state = key_state::ok, .refusal = {}, .unreachable = {}};
        log::debug("token for Graph received", {{"expires", rfc3339(token_->expires)}});
        return *token_;
    }
    status_.refusal = parsed.refusal;
    status_.unreachable.clear();
    if (parsed.refusal.credential_is_wrong)
        status_.state = parsed.refusal.code == 7000222 ? key_state::expired : key_state::refused;
    not_before_ = now + (parsed.refusal.credential_is_wrong ? 15min : parsed.refusal.retry_after.value_or(10s));
    log::error("Entra refuses a token",
        {{"reason", parsed.refusal.summary()}, {"meaning", parsed.refusal.meaning}, {"remedy", parsed.refusal.remedy},
            {"trace_id", parsed.refusal.trace_id}, {"correlation_id", parsed.refusal.correlation_id}});
    return fail(parsed.refusal.credential_is_wrong ? errc::forbidden : errc::unavailable, parsed.refusal.summary());
}

void application_token::drop() {
    std::scoped_lock const lock(mutex_);
    token_.reset();
}

void application_token::forget_refusal() {
    std::scoped_lock const lock(mutex_);
    token_.reset();
    not_before_ = {};
    status_ = {};
    ++generation_;
}

application_token::status application_token::current() const {
    std::scoped_lock const lock(mutex_);
    return status_;
}

}  // namespace mdmd::service
