#include "service/signing_keys.hpp"

#include <boost/json.hpp>

#include "core/log.hpp"
#include "core/random.hpp"
#include "entra/graph.hpp"
#include "store/entra.hpp"

namespace mdmd::service {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr auto key_lifetime = 24h;
constexpr auto fetch_timeout = 5s;
constexpr int most_waiting = 16;  // of at least 32 workers
constexpr char document_name[] = "signing_keys";

// What a clock that was wrong then calls the future would never be too old.
bool is_fresh(time_point fetched, time_point now) { return fetched <= now + 5min && now - fetched <= key_lifetime; }

}  // namespace

std::shared_ptr<entra::key_set const> signing_keys::snapshot() const {
    std::scoped_lock const lock(mutex_);
    return keys_ && is_fresh(keys_->fetched, context_.time.now()) ? keys_ : nullptr;
}

bool signing_keys::attempted() const {
    std::scoped_lock const lock(mutex_);
    return attempted_;
}

void signing_keys::forget() {
    std::scoped_lock const lock(mutex_);
    keys_.reset();
    documents_ = {};
    policy_ = {};
    ++generation_;
}

void signing_keys::retry_now() {
    std::scoped_lock const lock(mutex_);
    policy_ = {};
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

signing_keys::fetched signing_keys::fetch() const {
    auto const config = context_.config();
    auto const& entra = config->settings.entra;
    fetched all;
    auto const get = [&](std::string url) -> result<std::string> {
        auto got = context_.call(
            {.method = "GET", .url = url, .headers = {{"Accept", "application/json"}}, .timeout = fetch_timeout});
        if (!got) return got.error();
        if (got->status == 200) return std::move(got->body);
        all.retry_after = entra::retry_after(*got, context_.time.now());
        return fail(errc::unavailable, fmt::format("{}: HTTP {}", url, got->status));
    };
    auto const take = [&](std::string_view version) -> std::optional<documents> {
        auto const have = [&]() -> result<documents> {
            auto const text = get(fmt::format(
                "{}/{}{}/.well-known/openid-configuration", entra.login_url.text, entra.tenant_id, version));
            if (!text) return text.error();
            auto const meta = entra::parse_metadata(*text, entra.tenant_id);
            if (!meta) return meta.error();
            auto const jwks = get(meta->jwks_uri);
            if (!jwks) return jwks.error();
            if (auto const keys = entra::parse_jwks(*jwks); !keys) return keys.error();
            return documents{*text, *jwks, context_.time.now()};
        }();
        if (have) return *have;
        all.missing = have.error();
        return std::nullopt;
    };
    all.got.v1 = take("");
    all.got.v2 = take("/v2.0");
    return all;
}

result<entra::key_set> signing_keys::read(both const& all) const {
    auto const tenant = context_.config()->settings.entra.tenant_id;
    entra::key_set set;
    set.fetched = time_point::max();
    auto const take = [&](documents const& d, std::string& issuer) -> result<void> {
        auto const meta = entra::parse_metadata(d.metadata, tenant);
        if (!meta) return meta.error();
        auto keys = entra::parse_jwks(d.jwks);
        if (!keys) return keys.error();
        for (auto& k : *keys) set.keys[k.kid].push_back(std::move(k));
        issuer = meta->issuer;
        set.fetched = std::min(set.fetched, d.at);
        return {};
    };
    for (auto const& [version, issuer] : {std::pair(&all.v1, &set.issuer_v1), {&all.v2, &set.issuer_v2}})
        if (*version)
            if (auto const taken = take(**version, *issuer); !taken) return taken.error();
    if (!all.v1 && !all.v2) return fail(errc::malformed, "no documents");
    return set;
}

std::string signing_keys::place() const {
    auto const config = context_.config();
    return config->settings.entra.login_url.text + "/" + config->settings.entra.tenant_id;
}

void signing_keys::keep(both const& all) const {
    auto const as_json = [](std::optional<documents> const& d) -> json::value {
        if (!d) return nullptr;
        return {{"metadata", d->metadata}, {"jwks", d->jwks}, {"at", to_ms(d->at)}};
    };
    auto const text =
        json::serialize(json::object{{"place", place()}, {"v1", as_json(all.v1)}, {"v2", as_json(all.v2)}});
    context_.db.write([&](store::connection& db) {
        store::put_document(db, {document_name, text, context_.time.now()});
    });
}

void signing_keys::load() {
    auto const kept = context_.db.read([](store::connection& db) { return store::find_document(db, document_name); });
    if (!kept) return;
    boost::system::error_code bad;
    auto const text = json::parse(kept->text, bad);
    if (bad || !text.is_object() || text.at("place") != json::value(place())) return;
    auto const version = [&](char const* name) -> std::optional<documents> {
        auto const& d = text.at(name);
        if (d.is_null()) return std::nullopt;
        documents found{std::string(d.at("metadata").as_string()), std::string(d.at("jwks").as_string()),
            from_ms(d.at("at").as_int64())};
        return is_fresh(found.at, context_.time.now()) ? std::optional(std::move(found)) : std::nullopt;
    };
    documents_ = {version("v1"), version("v2")};
    auto keys = read(documents_);
    if (keys) keys_ = std::make_shared<entra::key_set const>(std::move(*keys));
}

signing_keys::signing_keys(context& c) : context_(c) { load(); }

int signing_keys::generation() const {
    std::scoped_lock const lock(mutex_);
    return generation_;
}

void signing_keys::refresh() {
    auto const asked = generation();
    auto fresh = fetch();
    auto const now = context_.time.now();
    std::optional<both> to_keep;
    {
        std::scoped_lock const lock(mutex_);
        if (asked != generation_) return;
        attempted_ = true;
        // What one version has now, with what the other had last, while that is not too old.
        bool const any = fresh.got.v1 || fresh.got.v2;
        for (auto const& [now_has, had] : {std::pair(&fresh.got.v1, &documents_.v1), {&fresh.got.v2, &documents_.v2}})
            if (*now_has || (*had && !is_fresh((*had)->at, now))) *had = std::move(*now_has);
        auto keys = read(documents_);
        keys_ = keys ? std::make_shared<entra::key_set const>(std::move(*keys)) : nullptr;
        if (any) to_keep = documents_;
        if (fresh.missing)
            policy_.failed(now, random_fraction(), fresh.retry_after);
        else
            policy_.succeeded(now, random_fraction());
    }
    if (to_keep) {
        log::debug("signing keys fetched");
        keep(*to_keep);
    }
    if (fresh.missing)
        log::warning("signing keys could not be fetched",
            {{"reason", fresh.missing->detail}, {"kept", snapshot() ? "those known" : "none"}});
}

entra::audience signing_keys::audience() const {
    auto const config = context_.config();
    auto const& entra = config->settings.entra;
    return {entra.tenant_id, entra.client_id, entra.app_id, entra.required_scope};
}

result<entra::identity> signing_keys::verify(std::string_view token, entra::bearer may_be) {
    return with_keys([&, us = audience()](entra::key_set const& keys) {
        return entra::verify(token, keys, us, context_.time.now(), std::chrono::minutes(5), may_be);
    });
}

std::optional<entra::identity> signing_keys::user_of_refused(std::string_view token) const {
    auto const keys = snapshot();
    return keys ? entra::user_of_refused(token, *keys, audience(), context_.time.now()) : std::nullopt;
}

result<entra::identity> signing_keys::verify_id_token(std::string_view token, std::string_view nonce) {
    return with_keys([&, us = audience()](entra::key_set const& keys) {
        return entra::verify_id_token(token, keys, us, nonce, context_.time.now());
    });
}

result<entra::identity> signing_keys::verify_caller(std::string_view token) {
    return with_keys([&, us = audience()](entra::key_set const& keys) {
        return entra::verify_caller(token, keys, us, context_.time.now());
    });
}

result<entra::identity> signing_keys::with_keys(check const& verify_with) {
    auto const attempt = [&]() -> result<entra::identity> {
        auto const keys = snapshot();
        if (!keys) return fail(errc::unavailable, "there are no signing keys of Entra's");
        return verify_with(*keys);
    };
    auto got = attempt();
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
    got = attempt();  // somebody else may have fetched it meanwhile
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
    return attempt();
}

}  // namespace mdmd::service
