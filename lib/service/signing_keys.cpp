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

bool fresh(entra::key_set const& keys, time_point now) { return now - keys.fetched <= key_lifetime; }

}  // namespace

std::shared_ptr<entra::key_set const> signing_keys::snapshot() const {
    std::scoped_lock const lock(mutex_);
    return keys_ && fresh(*keys_, context_.time.now()) ? keys_ : nullptr;
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
            return documents{*text, *jwks};
        }();
        if (have) return *have;
        all.missing = have.error();
        return std::nullopt;
    };
    all.v1 = take("");
    all.v2 = take("/v2.0");
    return all;
}

result<entra::key_set> signing_keys::read(fetched const& all, time_point at) const {
    auto const tenant = context_.config()->settings.entra.tenant_id;
    entra::key_set set;
    set.fetched = at;
    auto const take = [&](documents const& d, std::string& issuer) -> result<void> {
        auto const meta = entra::parse_metadata(d.metadata, tenant);
        if (!meta) return meta.error();
        auto keys = entra::parse_jwks(d.jwks);
        if (!keys) return keys.error();
        for (auto& k : *keys) set.keys[k.kid].push_back(std::move(k));
        issuer = meta->issuer;
        return {};
    };
    for (auto const& [version, issuer] : {std::pair(&all.v1, &set.issuer_v1), {&all.v2, &set.issuer_v2}})
        if (*version)
            if (auto const taken = take(**version, *issuer); !taken) return taken.error();
    return set;
}

std::string signing_keys::place() const {
    auto const config = context_.config();
    return config->settings.entra.login_url.text + "/" + config->settings.entra.tenant_id;
}

void signing_keys::keep(fetched const& all, time_point at) const {
    auto const as_json = [](std::optional<documents> const& d) -> json::value {
        if (!d) return nullptr;
        return {{"metadata", d->metadata}, {"jwks", d->jwks}};
    };
    auto const text =
        json::serialize(json::object{{"place", place()}, {"v1", as_json(all.v1)}, {"v2", as_json(all.v2)}});
    context_.db.write([&](store::connection& db) { store::put_document(db, {document_name, text, at}); });
}

void signing_keys::load() {
    auto const kept = context_.db.read([](store::connection& db) { return store::find_document(db, document_name); });
    // What a clock that was wrong then calls the future would never be too old.
    if (!kept || kept->fetched > context_.time.now()) return;
    boost::system::error_code bad;
    auto const text = json::parse(kept->text, bad);
    if (bad || !text.is_object() || text.at("place") != json::value(place())) return;
    auto const version = [&](char const* name) -> std::optional<documents> {
        auto const& d = text.at(name);
        if (d.is_null()) return std::nullopt;
        return documents{std::string(d.at("metadata").as_string()), std::string(d.at("jwks").as_string())};
    };
    fetched all;
    all.v1 = version("v1");
    all.v2 = version("v2");
    auto keys = read(all, kept->fetched);
    if (keys) keys_ = std::make_shared<entra::key_set const>(std::move(*keys));
}

signing_keys::signing_keys(context& c) : context_(c) { load(); }

int signing_keys::generation() const {
    std::scoped_lock const lock(mutex_);
    return generation_;
}

void signing_keys::refresh() {
    auto const asked = generation();
    auto const got = fetch();
    auto const now = context_.time.now();
    bool taken = false;
    {
        std::scoped_lock const lock(mutex_);
        if (asked != generation_) return;
        attempted_ = true;
        // Half of the keys are better than none, but never replace a whole set that can still be used.
        bool const whole = keys_ && !keys_->issuer_v1.empty() && !keys_->issuer_v2.empty() && fresh(*keys_, now);
        if ((got.v1 || got.v2) && !(got.missing && whole)) {
            keys_ = std::make_shared<entra::key_set const>(read(got, now).value());
            taken = true;
        }
        if (got.missing)
            policy_.failed(now, random_fraction(), got.retry_after);
        else
            policy_.succeeded(now, random_fraction());
    }
    if (taken) {
        log::debug("signing keys fetched");
        keep(got, now);
    }
    if (got.missing)
        log::warning("signing keys could not be fetched",
            {{"reason", got.missing->detail}, {"kept", snapshot() ? "those known" : "none"}});
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
