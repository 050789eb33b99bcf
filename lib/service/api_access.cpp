#include "service/api_access.hpp"

#include <algorithm>
#include <array>

#include "core/log.hpp"
#include "core/random.hpp"
#include "core/text.hpp"
#include "service/tries.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view prefix = "mdmd_";  // so that a leaked one is recognized
constexpr std::size_t token_bytes = 32;
constexpr std::size_t longest_name = 64;
constexpr std::size_t longest_token = 64 * 1024;
constexpr std::chrono::seconds longest_life = std::chrono::days(3650);
constexpr auto use_is_written = 1min;  // at the most so often
constexpr int most_wrong = 30;
constexpr auto wrong_are_counted = 1min;
constexpr std::size_t most_visitors = 10'000;
constexpr auto keys_may_be_there = 30s;

constexpr std::array roles = {"reader", "operator", "admin"};

// Microsoft Graph "troubleshootingEvents", permissions.
constexpr std::string_view read_all = "DeviceManagementManagedDevices.Read.All";
constexpr std::string_view read_write_all = "DeviceManagementManagedDevices.ReadWrite.All";

bool is_name(std::string_view s) {
    return !s.empty() && s.size() <= longest_name && std::all_of(s.begin(), s.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
}

bool has(std::vector<std::string> const& all, std::string_view one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

api_refusal unauthenticated(std::string why) { return {errc::unauthenticated, std::move(why)}; }

// What follows "Bearer " in the one Authorization field; empty: there is none, or it is something else.
std::string_view bearer(http::request const& r) {
    std::string_view found;
    int fields = 0;
    for (auto const& [name, value] : r.headers)
        if (iequals(name, "Authorization")) {
            found = trim(value);
            ++fields;
        }
    auto const blank = found.find(' ');
    if (fields != 1 || blank == found.npos || !iequals(found.substr(0, blank), "Bearer")) return {};
    return trim(found.substr(blank));
}

}  // namespace

result<api_access::created> api_access::create(std::string_view name, std::string_view role, std::chrono::seconds ttl) {
    if (!is_name(name))
        return fail(errc::malformed, fmt::format("expected a name of 1 to 64 letters, digits, dots, dashes and "
                                                 "underscores, got '{}'",
                                         printable(name, longest_name)));
    if (std::find(roles.begin(), roles.end(), role) == roles.end())
        return fail(errc::malformed,
            fmt::format("expected reader, operator or admin, got '{}'", printable(role, longest_name)));
    if (ttl < 1s || ttl > longest_life)
        return fail(errc::malformed, fmt::format("expected a time from 1s to 3650d, got {}", format_duration(ttl)));
    auto const now = context_.time.now();
    created made{.kept = {.name = std::string(name), .role = std::string(role), .created = now, .expires = now + ttl},
        .text = secret(std::string(prefix) + base64url(random_bytes(token_bytes)))};
    made.kept.digest = hex(crypto::sha256(made.text.reveal()));
    if (!context_.db.write([&](store::connection& db) { return store::add_api_token(db, made.kept); }))
        return fail(errc::conflict, fmt::format("there is a token '{}' already: revoke it first", name));
    log::info("API token made",
        {{"token", made.kept.name}, {"role", made.kept.role}, {"expires", rfc3339(made.kept.expires)}});
    return made;
}

std::vector<store::api_token> api_access::list() const {
    return context_.db.read([](store::connection& db) { return store::list_api_tokens(db); });
}

result<void> api_access::revoke(std::string_view name) {
    if (!context_.db.write([&](store::connection& db) { return store::remove_api_token(db, name); }))
        return fail(errc::not_found, fmt::format("there is no token '{}'", printable(name, longest_name)));
    log::info("API token revoked", {{"token", std::string(name)}});
    return {};
}

// The one that is looked up is the digest: how long that takes tells nothing about a token.
std::variant<api_caller, api_refusal> api_access::local(std::string const& digest) {
    auto const found = context_.db.read([&](store::connection& db) { return store::find_api_token(db, digest); });
    if (!found) return unauthenticated("no such token");
    auto const now = context_.time.now();
    if (found->expires <= now) return unauthenticated(fmt::format("the token '{}' has expired", found->name));
    if (!found->last_used || now - *found->last_used >= use_is_written || *found->last_used > now) {
        try {
            context_.db.write([&](store::connection& db) { store::set_api_token_used(db, digest, now); });
        } catch (store::store_error const& e) {  // a full disk is no reason to see nothing
            log::warning("the use of an API token could not be kept", {{"token", found->name}, {"reason", e.what()}});
        }
    }
    return api_caller{"token " + found->name, found->role != "reader"};
}

std::variant<api_caller, api_refusal> api_access::entra(std::string_view token) {
    auto const got = keys_.verify_caller(token);
    if (!got) {
        if (got.error().code == errc::unavailable)
            return api_refusal{errc::unavailable, got.error().detail, keys_may_be_there};
        return unauthenticated(got.error().detail);
    }
    auto const holds = [&](std::string_view permission) {
        return has(got->roles, permission) || has(got->scopes, permission);
    };
    auto name =
        got->scopes.empty() ? "application " + got->client : "user " + (got->upn.empty() ? got->user_id : got->upn);
    if (holds(read_write_all)) return api_caller{std::move(name), true};
    if (holds(read_all)) return api_caller{std::move(name), false};
    return api_refusal{
        errc::forbidden, name + " has neither " + std::string(read_all) + " nor " + std::string(read_write_all)};
}

// Who finds no room shares one place with all others that find none.
api_access::visitor& api_access::of(std::string const& place, time_point now) {
    if (visitors_.size() >= most_visitors && !visitors_.contains(place))
        std::erase_if(visitors_, [&](auto const& v) { return now - v.second.since >= wrong_are_counted; });
    bool const room = visitors_.size() < most_visitors || visitors_.contains(place);
    auto& v = visitors_[room ? place : std::string()];
    if (now - v.since >= wrong_are_counted || now < v.since) {
        v.since = now;
        v.wrong = 0;
    }
    return v;
}

std::variant<api_caller, api_refusal> api_access::caller(http::request const& r) {
    auto const token = bearer(r);
    if (token.empty()) return unauthenticated("no token was sent");
    if (token.size() > longest_token) return unauthenticated("the token is over 64 KiB");
    auto const digest = hex(crypto::sha256(token));
    // Whoever has a good token is let in, whatever others at the address try: 256 random bits are not guessed.
    auto got = token.starts_with(prefix) ? local(digest) : entra(token);
    auto const* const refused = std::get_if<api_refusal>(&got);
    if (!refused || refused->code != errc::unauthenticated) return got;
    auto const place = place_of(r.peer_address);
    auto const now = context_.time.now();
    std::scoped_lock const lock(mutex_);
    auto& v = of(place, now);
    if (v.wrong >= most_wrong)
        return api_refusal{errc::too_large, "too many wrong tokens from this address",
            std::max(1s, std::chrono::ceil<std::chrono::seconds>(v.since + wrong_are_counted - now))};
    ++v.wrong;
    log::warning("API token refused", {{"address", r.peer_address}, {"reason", refused->detail}});
    return got;
}

}  // namespace mdmd::service
