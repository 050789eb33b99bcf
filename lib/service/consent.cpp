#include "service/consent.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "store/enrollment.hpp"
#include "terms/terms.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto form_lifetime = 30min;
constexpr auto blob_lifetime = 60min;  // from accepting to enrolling

std::string_view name(terms::ownership o) { return o == terms::ownership::corporate ? "corporate" : "personal"; }

// "Bearer TOKEN", the scheme in any case.
std::string_view bearer_token(http::request const& r) {
    auto const header = trim(r.headers.get("Authorization").value_or(""));
    constexpr std::string_view scheme = "bearer";
    if (header.size() <= scheme.size() || !iequals(header.substr(0, scheme.size()), scheme)) return {};
    auto const rest = header.substr(scheme.size());
    return rest.front() == ' ' || rest.front() == ':' ? trim(rest.substr(1)) : std::string_view{};
}

// Why this kind of enrollment is not open to anybody now; empty where it is.
std::string_view closed(config::settings const& s, terms::ownership owner) {
    if (!s.enrollment.enabled) return "Enrollment is switched off.";
    if (owner == terms::ownership::personal && !s.enrollment.personal_devices)
        return "Personal devices are not accepted.";
    return {};
}

}  // namespace

std::string consent_id(std::string_view blob) { return hex(crypto::sha256(blob)); }

http::response terms_of_use::show(http::request const& r) {
    auto const config = context_.config();
    auto const& settings = config->settings;
    auto const query = terms::parse_query(r.query, settings.terms.redirect_schemes);
    if (!query) {
        log::warning("Terms of Use refused", {{"reason", query.error().detail}});
        return terms::refusal_page(
            "This page is opened by Windows when a device joins the organization. "
            "The address it was opened with is not complete.");
    }
    log::scope const flow("client_request_id", query->client_request_id);
    if (!terms::version_supported(*query)) {
        log::warning("Terms of Use refused", {{"reason", "api-version"}, {"api_version", query->api_version}});
        return terms::failed(*query, terms::failure::unsupported_version);
    }
    auto const who = keys_.verify(bearer_token(r));
    if (!who) {
        auto const code = who.error().code;
        log::warning("Terms of Use refused", {{"reason", who.error().detail}});
        return terms::failed(*query, code == errc::unavailable ? terms::failure::internal
                                     : code == errc::forbidden ? terms::failure::unauthorized_user_or_tenant
                                                               : terms::failure::token_refused);
    }
    if (auto const why = closed(settings, query->owner); !why.empty()) {
        log::warning("Terms of Use refused", {{"reason", std::string(why)}, {"user_id", who->user_id}});
        return terms::turned_away_page(*query, why, settings.server.public_url.host);
    }
    terms::form_state const state{.id = base64url(random_bytes(16)),
        .user_id = who->user_id,
        .upn = who->upn,
        .tenant_id = who->tenant_id,
        .from = *query,
        .expires = context_.time.now() + form_lifetime};
    log::info("Terms of Use shown", {{"user_id", who->user_id}, {"ownership", std::string(name(query->owner))}});
    return terms::page(state, terms::seal(state, context_.form_key()), settings.server.public_url.host);
}

http::response terms_of_use::decide(http::request const& r) {
    auto const form = parse_query(r.body);
    auto const now = context_.time.now();
    auto const state = terms::open(find_parameter(form, "state").value_or(""), context_.form_key(), now);
    if (!state) {
        log::warning("Terms of Use answer refused", {{"reason", state.error().detail}});
        return terms::refusal_page(state.error().code == errc::conflict
                                       ? "This took too long. Go back and start again."
                                       : "This answer does not belong to a page that was shown.");
    }
    log::scope const flow("client_request_id", state->from.client_request_id);
    auto const decision = find_parameter(form, "decision").value_or("");
    if (decision == "decline" && state->from.owner == terms::ownership::personal) {
        log::info("Terms of Use declined", {{"user_id", state->user_id}});
        return terms::declined(state->from);
    }
    if (decision != "accept") {
        log::warning("Terms of Use answer refused", {{"reason", "no such decision"}});
        return terms::refusal_page("This answer is not one of those that were offered.");
    }
    try {
        bool const added = context_.db.write([&](store::connection& c) {
            return store::add_consent(c, {.id = consent_id(state->id),
                                             .user_id = state->user_id,
                                             .upn = state->upn,
                                             .ownership = std::string(name(state->from.owner)),
                                             .client_request_id = state->from.client_request_id,
                                             .accepted = now,
                                             .expires = now + blob_lifetime,
                                             .device_id = {},
                                             .used = {}});
        });
        if (!added) {
            log::warning("Terms of Use answer refused", {{"reason", "answered before"}, {"user_id", state->user_id}});
            return terms::refusal_page("This page has been answered already.");
        }
    } catch (std::exception const& e) {  // the store, or whatever else failed on our side
        log::error("a consent could not be kept", {{"reason", e.what()}});
        return terms::failed(state->from, terms::failure::internal);
    }
    log::info(
        "Terms of Use accepted", {{"user_id", state->user_id}, {"ownership", std::string(name(state->from.owner))}});
    return terms::accepted(state->from, state->id);
}

}  // namespace mdmd::service
