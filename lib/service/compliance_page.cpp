#include "service/compliance_page.hpp"

#include "core/log.hpp"
#include "service/evaluation.hpp"
#include "terms/compliance_page.hpp"
#include "terms/language.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds shortest_ttl = 1s;
constexpr std::chrono::seconds longest_ttl = 24h * 90;

terms::device_health::state state_of(compliance::state s) {
    using to = terms::device_health::state;
    switch (s) {
        case compliance::state::compliant: return to::compliant;
        case compliance::state::in_grace_period: return to::in_grace_period;
        case compliance::state::noncompliant: return to::noncompliant;
        case compliance::state::unknown:
        case compliance::state::conflict:
        case compliance::state::error: break;
    }
    return to::unknown;
}

// The page has words for the commonest; several rules are one thing to a user.
std::string page_rule(std::string const& rule) {
    static std::map<std::string_view, std::string_view> const same{{"bitlocker", "encryption"},
        {"antispyware", "antivirus"}, {"defender", "antivirus"}, {"defender_version", "antivirus"},
        {"defender_signatures", "antivirus"}, {"realtime_protection", "antivirus"}};
    auto const found = same.find(rule);
    return found == same.end() ? rule : std::string(found->second);
}

// A reason says "ge 10.0.19045": the user needs the version alone.
std::string without_operator(std::string_view wanted) {
    return std::string(wanted.starts_with("ge ") ? wanted.substr(3) : wanted);
}

// What the user may see of an enrolled device; nullopt where there is none such.
std::optional<terms::device_health> health_of(store::connection& db, std::string_view device_id) {
    auto const device = store::find_device(db, device_id);
    if (!device || device->state != "enrolled") return std::nullopt;
    terms::device_health out{.name = device->name,
        .now = terms::device_health::state::unknown,
        .grace_until = {},
        .last_seen = store::last_seen(db, device_id),
        .shortfalls = {}};
    auto const stored = store::find_verdict(db, device_id);
    if (!stored) return out;
    auto const verdict = to_verdict(*stored);
    out.now = state_of(verdict.now);
    out.grace_until = verdict.grace_until;
    for (auto const& r : verdict.reasons) {
        terms::shortfall one{page_rule(r.rule), r.policy, without_operator(r.wanted), r.found};
        bool const told = std::any_of(out.shortfalls.begin(), out.shortfalls.end(),
            [&](terms::shortfall const& s) { return s.rule == one.rule && one.rule != r.rule; });
        if (!told) out.shortfalls.push_back(std::move(one));
    }
    return out;
}

}  // namespace

http::response compliance_page::show(http::request const& r) {
    auto const languages = terms::languages_of(r.headers);
    auto const query = parse_query(r.query, false);
    auto const sealed = find_parameter(query, "device");
    if (!sealed) return terms::compliance_page(terms::visitor::without_link, languages);
    auto const now = context_.time.now();
    auto const opened = terms::open_link(*sealed, context_.form_key(), now);
    if (!opened) {
        log::info("compliance link refused", {{"reason", opened.error().detail}});
        return terms::compliance_page(terms::visitor::with_invalid_link, languages);
    }
    auto const health = context_.db.read([&](store::connection& db) { return health_of(db, opened->device_id); });
    if (!health) {
        log::info("compliance link refused",
            {{"reason", "the device is not enrolled any more"}, {"device_id", opened->device_id}});
        return terms::compliance_page(terms::visitor::with_invalid_link, languages);
    }
    log::info("compliance page shown", {{"device_id", opened->device_id}});
    return terms::compliance_page(*health, languages, now);
}

result<compliance_page::link> compliance_page::link_to(store::device const& device, std::chrono::seconds ttl) {
    if (ttl < shortest_ttl || ttl > longest_ttl)
        return fail(errc::malformed, fmt::format("expected a time from {} to {}, got {}", format_duration(shortest_ttl),
                                         format_duration(longest_ttl), format_duration(ttl)));
    if (device.state != "enrolled")
        return fail(errc::conflict, fmt::format("device '{}' is not enrolled any more", printable(device.name, 64)));
    auto const expires = context_.time.now() + ttl;
    log::info("compliance link made", {{"device_id", device.id}, {"expires", rfc3339(expires)}});
    return link{.url = fmt::format("{}/compliance?device={}", context_.config()->settings.server.public_url.text,
                    terms::seal_link({device.id, expires}, context_.form_key())),
        .expires = expires};
}

}  // namespace mdmd::service
