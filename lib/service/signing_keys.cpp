#include "service/signing_keys.hpp"

#include <random>

#include "core/log.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto key_lifetime = 24h;
constexpr auto fetch_timeout = 5s;
constexpr int most_waiting = 16;  // of at least 32 workers

double jitter() {
    thread_local std::minstd_rand generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(generator);
}

}  // namespace

std::shared_ptr<entra::key_set const> signing_keys::snapshot() const {
    std::scoped_lock const lock(mutex_);
    if (keys_ && context_.time.now() - keys_->fetched > key_lifetime) return nullptr;
    return keys_;
}

bool signing_keys::attempted() const {
    std::scoped_lock const lock(mutex_);
    return attempted_;
}

void signing_keys::forget() {
    std::scoped_lock const lock(mutex_);
    keys_.reset();
    policy_ = {};
    ++generation_;
}

void signing_keys::refresh_if_due() {
    std::unique_lock const one(fetching_, std::try_to_lock);
    if (!one) return;
    {
        std::scoped_lock const lock(mutex_);
        if (!policy_.due(context_.time.now())) return;
    }
    refresh();
}

result<signing_keys::fetched> signing_keys::fetch() const {
    auto const config = context_.config();
    auto const& entra = config->settings.entra;
    auto const get = [&](std::string url) -> result<std::string> {
        auto got = context_.call(
            {.method = "GET", .url = url, .headers = {{"Accept", "application/json"}}, .timeout = fetch_timeout});
        if (!got) return got.error();
        if (got->status != 200) return fail(errc::unavailable, fmt::format("{}: HTTP {}", url, got->status));
        return std::move(got->body);
    };
    fetched all;
    auto const take = [&](std::string_view version, std::string& issuer) -> result<void> {
        auto const text = get(
            fmt::format("{}/{}{}/.well-known/openid-configuration", entra.login_url.text, entra.tenant_id, version));
        if (!text) return text.error();
        auto const meta = entra::parse_metadata(*text, entra.tenant_id);
        if (!meta) return meta.error();
        auto const jwks = get(meta->jwks_uri);
        if (!jwks) return jwks.error();
        auto keys = entra::parse_jwks(*jwks);
        if (!keys) return keys.error();
        for (auto& k : *keys) all.keys.keys[k.kid].push_back(std::move(k));
        issuer = meta->issuer;
        return {};
    };
    if (auto const v1 = take("", all.keys.issuer_v1); !v1) all.missing = v1.error();
    if (auto const v2 = take("/v2.0", all.keys.issuer_v2); !v2) {
        if (all.missing) return v2.error();
        all.missing = v2.error();
    }
    all.keys.fetched = context_.time.now();
    return all;
}

int signing_keys::generation() const {
    std::scoped_lock const lock(mutex_);
    return generation_;
}

void signing_keys::refresh() {
    auto const asked = generation();
    auto got = fetch();
    std::scoped_lock const lock(mutex_);
    if (asked != generation_) return;
    attempted_ = true;
    auto const now = context_.time.now();
    auto const failed = got ? got->missing : std::optional(got.error());
    // Half of the keys are better than none, but never replace a whole set.
    bool const whole = keys_ && !keys_->issuer_v1.empty() && !keys_->issuer_v2.empty();
    if (got && (!failed || !whole)) {
        log::debug("signing keys fetched", {{"keys", std::to_string(got->keys.keys.size())}});
        keys_ = std::make_shared<entra::key_set const>(std::move(got->keys));
    }
    if (!failed) {
        policy_.succeeded(now, jitter());
        return;
    }
    policy_.failed(now, jitter(), std::nullopt);
    log::warning(
        "signing keys could not be fetched", {{"reason", failed->detail}, {"kept", keys_ ? "those known" : "none"}});
}

result<entra::identity> signing_keys::verify(std::string_view token) {
    auto const config = context_.config();
    auto const& entra = config->settings.entra;
    entra::audience const us{entra.tenant_id, entra.client_id, entra.app_id, entra.required_scope};
    auto const check = [&]() -> result<entra::identity> {
        auto const keys = snapshot();
        if (!keys) return fail(errc::unavailable, "there are no signing keys of Entra's");
        return entra::verify(token, *keys, us, context_.time.now());
    };
    auto got = check();
    bool const key_is_missing = !got && (got.error().code == errc::not_found || got.error().code == errc::unavailable);
    if (!key_is_missing) return got;
    struct place {
        std::atomic<int>& count;
        int const number = ++count;
        explicit place(std::atomic<int>& c) : count(c) {}
        place(place const&) = delete;
        place& operator=(place const&) = delete;
        ~place() { --count; }
    } const mine(waiting_);
    if (mine.number > most_waiting) return got;
    std::scoped_lock const one(fetching_);
    got = check();  // somebody else may have fetched it meanwhile
    if (got || (got.error().code != errc::not_found && got.error().code != errc::unavailable)) return got;
    {
        std::scoped_lock const lock(mutex_);
        // Without any keys it is the steady refresh that is due, or waits out a failure; an unknown key has its own
        // allowance.
        auto const now = context_.time.now();
        bool const none = got.error().code == errc::unavailable;
        if (none ? !policy_.due(now) : !policy_.unknown_kid_allows(now)) return got;
    }
    refresh();
    return check();
}

}  // namespace mdmd::service
