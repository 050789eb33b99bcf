#include "service/pins.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "core/text.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t most_tries = 5;
constexpr std::size_t salt_bytes = 16;
constexpr std::size_t longest_upn = 256;  // bytes
constexpr std::size_t longest_pin = 64;   // bytes of what is typed
constexpr std::chrono::seconds longest_life = std::chrono::days(30);

// Eight digits, each of the 10^8 texts equally likely: numbers beyond the last whole multiple are thrown away.
std::string new_pin() {
    constexpr std::uint32_t texts = 100'000'000;
    constexpr std::uint32_t limit = std::numeric_limits<std::uint32_t>::max() / texts * texts;
    while (true) {
        std::uint32_t n = 0;
        for (char const c : random_bytes(sizeof n)) n = n << 8 | static_cast<unsigned char>(c);
        if (n < limit) return fmt::format("{:08}", n % texts);
    }
}

bool is_upn(std::string_view s) {
    auto const at = s.find('@');
    return at != s.npos && at > 0 && at + 1 < s.size() && s.find('@', at + 1) == s.npos && s.size() <= longest_upn &&
           printable(s, s.size()) == s && s.find(' ') == s.npos;
}

std::string hash_of(std::string_view pin, std::string_view salt) { return base64(crypto::scrypt(pin, salt)); }

}  // namespace

std::string_view state_of(store::pin const& p, time_point now) {
    if (p.used) return "used";
    if (p.tries >= most_tries) return "locked";
    return p.expires <= now ? "expired" : "usable";
}

result<pins::created> pins::create(std::string_view upn, std::chrono::seconds ttl) {
    if (!is_upn(upn))
        return fail(
            errc::malformed, fmt::format("expected a UPN such as user@contoso.com, got '{}'", printable(upn, 64)));
    if (ttl < 1s || ttl > longest_life)
        return fail(errc::malformed, fmt::format("expected a time from 1s to 30d, got {}", format_duration(ttl)));
    auto const now = context_.time.now();
    auto const salt = random_bytes(salt_bytes);
    created made{.pin = new_pin(), .upn = lower(upn), .expires = now + ttl};
    store::pin const kept{.upn = made.upn,
        .salt = base64(salt),
        .hash = hash_of(made.pin, salt),
        .created = now,
        .expires = made.expires,
        .tries = 0,
        .used = {}};
    context_.db.write([&](store::connection& db) { store::put_pin(db, kept); });
    log::info("one-time PIN made", {{"upn", made.upn}, {"expires", rfc3339(made.expires)}});
    return made;
}

std::vector<store::pin> pins::list() const {
    return context_.db.read([](store::connection& db) { return store::list_pins(db); });
}

result<void> pins::revoke(std::string_view upn) {
    auto const name = lower(upn);
    if (!context_.db.write([&](store::connection& db) { return store::remove_pin(db, name); }))
        return fail(errc::not_found, fmt::format("there is no PIN for '{}'", printable(upn, 64)));
    log::info("one-time PIN revoked", {{"upn", name}});
    return {};
}

result<void> pins::use(
    std::string_view upn, std::string_view pin, std::function<void(store::connection&)> const& also) {
    auto const name = lower(upn);
    auto const typed = pin.substr(0, longest_pin);
    auto const now = context_.time.now();
    auto const refused = [&](errc code, std::string why) {
        log::warning("one-time PIN refused", {{"upn", name}, {"reason", why}});
        return fail(code, std::move(why));
    };
    if (typed.empty()) return refused(errc::unauthenticated, "no PIN was typed");
    // The try is counted, durably, before anything is compared: a crash gives none back, and of several at once no
    // more than five are compared.
    std::string_view state = "absent";
    auto const counted = context_.db.write([&](store::connection& db) {
        auto found = store::find_pin(db, name);
        if (!found) return found;
        state = state_of(*found, now);
        if (state != "usable") return found;
        ++found->tries;
        store::put_pin(db, *found);
        return found;
    });
    // As much work for a user without a PIN as for one with it.
    auto const salt = counted ? unbase64(counted->salt).value() : std::string(salt_bytes, '\0');
    bool const same = crypto::equal_in_constant_time(hash_of(typed, salt), counted ? counted->hash : std::string());
    if (state == "locked") return refused(errc::forbidden, "it is locked");
    if (state != "usable") return refused(errc::unauthenticated, fmt::format("it is {}", state));
    if (!same)
        return counted->tries >= most_tries ? refused(errc::forbidden, "it is wrong, and locked from now on")
                                            : refused(errc::unauthenticated,
                                                  fmt::format("it is wrong, try {} of {}", counted->tries, most_tries));
    bool const first = context_.db.write([&](store::connection& db) {
        auto found = store::find_pin(db, name);
        if (!found || found->used || found->hash != counted->hash) return false;
        found->used = now;
        store::put_pin(db, *found);
        also(db);
        return true;
    });
    if (!first) return refused(errc::unauthenticated, "it was used or replaced meanwhile");
    log::info("one-time PIN used", {{"upn", name}});
    return {};
}

}  // namespace mdmd::service
