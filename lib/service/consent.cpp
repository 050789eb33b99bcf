#include "service/consent.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "store/enrollment.hpp"
#include "terms/language.hpp"
#include "terms/library.hpp"
#include "terms/words.hpp"

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

// What the page says of a refusal; nullopt: that something failed on our side.
std::optional<terms::turned_away_because> page_for(failure const& why, terms::ownership owner) {
    using enum terms::turned_away_because;
    switch (why.what) {
        case enroll::refusal::in_maintenance: return maintenance;
        case enroll::refusal::authorization:
        case enroll::refusal::user_license: return not_in_group;
        case enroll::refusal::custom: return enrollment_off;
        case enroll::refusal::not_supported:
            return owner == terms::ownership::personal && !why.category ? personal_blocked : enrollment_off;
        default: return std::nullopt;
    }
}

attempt attempt_of(terms::query const& q, std::string const& address) {
    return {.correlation_id = q.client_request_id,
        .address = address,
        .enrollment_type = q.owner == terms::ownership::corporate ? "windowsAzureADJoin" : "windowsAutoEnrollment"};
}

attempt attempt_of(terms::form_state const& s, std::string const& address) {
    auto who = attempt_of(s.from, address);
    who.user_id = s.user_id;
    who.upn = s.upn;
    return who;
}

constexpr char where[] = "Terms of Use";

bool wants_pin(config::settings const& s, terms::ownership owner) {
    return s.terms.pin == config::pin_use::all ||
           (s.terms.pin == config::pin_use::personal && owner == terms::ownership::personal);
}

// Thrown in the write that would use up a PIN for a page that was answered before.
struct answered_before : std::runtime_error {
    answered_before() : std::runtime_error("answered before") {}
};

}  // namespace

std::string consent_id(std::string_view blob) { return hex(crypto::sha256(blob)); }

terms::library::compiled compile_texts(config::settings const& s) {
    std::vector<terms::source_file> files;
    for (auto const& f : s.terms.files) files.push_back({f.path, f.content});
    return terms::library::compile(files);
}

http::response terms_of_use::show(http::request const& r) {
    auto const config = context_.config();
    auto const& settings = config->settings;
    auto const languages = terms::languages_of(r.headers);
    terms::appearance const look{.look = terms::theme_of(r.headers),
        .speak = &terms::words_for(languages),
        .texts = &config->texts,
        .organization = settings.server.public_url.host};
    auto const query = terms::parse_query(r.query, settings.terms.redirect_schemes);
    if (!query) {
        log::warning("Terms of Use refused", {{"reason", query.error().detail}});
        return terms::refusal_page(look, terms::refused_because::incomplete);
    }
    log::scope const flow("client_request_id", query->client_request_id);
    auto asking = attempt_of(*query, r.peer_address);
    if (!terms::version_supported(*query)) {
        trouble_.record(asking, {.category = "badRequest",
                                    .reason = fmt::format("the Terms of Use were asked for with api-version '{}'",
                                        printable(query->api_version, 32)),
                                    .where = where});
        return terms::failed(*query, terms::failure::unsupported_version);
    }
    if (!query->unknown_mode.empty())
        log::warning("Terms of Use asked for in an unknown mode: taken for a personal device's",
            {{"mode", query->unknown_mode}});
    auto const who = keys_.verify(bearer_token(r));
    if (!who) {
        auto const code = who.error().code;
        trouble_.record(asking, {.category = code == errc::unavailable ? "unknown"
                                             : code == errc::forbidden ? "userValidation"
                                                                       : "authentication",
                                    .reason = "the Terms of Use were refused: " + who.error().detail,
                                    .where = where});
        return terms::failed(*query, code == errc::unavailable ? terms::failure::internal
                                     : code == errc::forbidden ? terms::failure::unauthorized_user_or_tenant
                                                               : terms::failure::token_refused);
    }
    asking.user_id = who->user_id;
    asking.upn = who->upn;
    auto why = admission_.closed(enrollee::kind::user, query->owner == terms::ownership::corporate);
    if (!why) why = admission_.turned_away({.user_id = who->user_id, .upn = who->upn});
    if (why) return turn_away(look, *query, *why, asking);
    std::set<std::string> groups;
    if (config->texts.has_variants()) {
        if (auto known = groups_.of(who->user_id))
            groups = std::move(*known);
        else
            log::warning("the user's groups are not known: the general Terms of Use are shown",
                {{"reason", known.error().detail}, {"user_id", who->user_id}});
    }
    auto const& text = config->texts.choose(query->owner, groups, languages);
    terms::form_state const state{.id = base64url(random_bytes(16)),
        .user_id = who->user_id,
        .upn = who->upn,
        .tenant_id = who->tenant_id,
        .from = *query,
        .text_version = text.version,
        .language = text.language,
        .look = look.look,
        .expires = context_.time.now() + form_lifetime};
    trouble_.begin("shown", asking);
    log::info("Terms of Use shown", {{"user_id", who->user_id}, {"ownership", std::string(name(query->owner))},
                                        {"text", text.version}, {"language", text.language}});
    return terms::page(look, state, terms::seal(state, context_.form_key()), text,
        wants_pin(settings, query->owner) ? terms::pin_field::asked : terms::pin_field::none);
}

http::response terms_of_use::turn_away(
    terms::appearance const& look, terms::query const& q, failure const& why, attempt const& asking) {
    trouble_.record(asking, {.category = why.category ? why.category : enroll::facts(why.what).category,
                                .reason = "the Terms of Use were refused: " + why.detail,
                                .where = where,
                                .hresult = enroll::facts(why.what).hresult});
    auto const page = page_for(why, q.owner);
    return page ? terms::turned_away_page(look, q, *page) : terms::failed(q, terms::failure::internal);
}

http::response terms_of_use::decide(http::request const& r) {
    auto const config = context_.config();
    auto const form = parse_query(r.body);
    auto const now = context_.time.now();
    terms::appearance look{.look = terms::theme_of(r.headers),
        .speak = &terms::words_for(terms::languages_of(r.headers)),
        .texts = &config->texts,
        .organization = config->settings.server.public_url.host};
    auto const state = terms::open(find_parameter(form, "state").value_or(""), context_.form_key(), now);
    if (!state) {
        log::warning("Terms of Use answer refused", {{"reason", state.error().detail}});
        return terms::refusal_page(look,
            state.error().code == errc::conflict ? terms::refused_because::expired : terms::refused_because::foreign);
    }
    // Windows tells what surrounds the page in the first request alone.
    look.look = state->look;
    look.speak = &terms::words_for({state->language});
    log::scope const flow("client_request_id", state->from.client_request_id);
    auto const asking = attempt_of(*state, r.peer_address);
    auto const decision = find_parameter(form, "decision").value_or("");
    if (decision == "decline" && state->from.owner == terms::ownership::personal) {
        trouble_.record(asking, {.category = "userAbandonment",
                                    .reason = "rejectedTermsOfUse: the user declined the Terms of Use",
                                    .where = where});
        return terms::declined(state->from);
    }
    if (decision != "accept") {
        log::warning("Terms of Use answer refused", {{"reason", "no such decision"}});
        return terms::refusal_page(look, terms::refused_because::no_such_answer);
    }
    try {
        // What was open when the page was shown may be closed by now.
        if (auto const why = admission_.closed(enrollee::kind::user, state->from.owner == terms::ownership::corporate))
            return turn_away(look, state->from, *why, asking);
        return keep(*config, look, *state, asking, find_parameter(form, "pin").value_or(""));
    } catch (answered_before const&) {
        log::warning("Terms of Use answer refused", {{"reason", "answered before"}, {"user_id", state->user_id}});
        return terms::refusal_page(look, terms::refused_because::answered);
    } catch (std::exception const& e) {  // the store, or whatever else failed on our side
        trouble_.record(
            asking, {.category = "unknown",
                        .reason = fmt::format("the consent could not be kept: {}", printable(e.what(), 256)),
                        .where = where});
        return terms::failed(state->from, terms::failure::internal);
    }
}

http::response terms_of_use::keep(configuration const& config, terms::appearance const& look,
    terms::form_state const& state, attempt const& asking, std::string_view typed) {
    auto const now = context_.time.now();
    auto const add = [&](store::connection& c) {
        if (!store::add_consent(c, {.id = consent_id(state.id),
                                       .user_id = state.user_id,
                                       .upn = state.upn,
                                       .ownership = std::string(name(state.from.owner)),
                                       .client_request_id = state.from.client_request_id,
                                       .text_version = state.text_version,
                                       .language = state.language,
                                       .accepted = now,
                                       .expires = now + blob_lifetime,
                                       .device_id = {},
                                       .used = {}}))
            throw answered_before();
        trouble_.begin(c, "accepted", asking, now);
    };
    if (!wants_pin(config.settings, state.from.owner)) {
        context_.db.write(add);
    } else {
        // A second answer to one page costs no try.
        if (context_.db.read([&](store::connection& c) { return store::find_consent(c, consent_id(state.id)); }))
            throw answered_before();
        auto const again = [&](terms::pin_field what) {
            auto const* text = config.texts.find(state.from.owner, state.text_version, state.language);
            if (!text) return terms::refusal_page(look, terms::refused_because::text_changed);
            auto fresh = state;
            fresh.expires = now + form_lifetime;
            return terms::page(look, fresh, terms::seal(fresh, context_.form_key()), *text, what);
        };
        auto const pin = terms::typed_pin(typed);
        if (pin.empty()) return again(terms::pin_field::missing);
        if (auto const used = pins_.use(state.upn, pin, add); !used) {
            if (used.error().code != errc::forbidden) {
                log::warning(
                    "Terms of Use answer refused", {{"reason", used.error().detail}, {"user_id", state.user_id}});
                return again(terms::pin_field::wrong);
            }
            trouble_.record(asking, {.category = "enrollmentRestrictionsEnforced",
                                        .reason = "the one-time PIN was refused: " + used.error().detail,
                                        .where = where});
            return terms::turned_away_page(look, state.from, terms::turned_away_because::pin_locked);
        }
    }
    log::info("Terms of Use accepted", {{"user_id", state.user_id}, {"ownership", std::string(name(state.from.owner))},
                                           {"text", state.text_version}, {"language", state.language}});
    return terms::accepted(state.from, state.id);
}

http::response terms_of_use::style(http::request const& r) {
    constexpr std::string_view folder = "/TermsOfUse/";
    return terms::asset_response(
        context_.config()->texts, std::string_view(r.path).substr(std::min(folder.size(), r.path.size())));
}

}  // namespace mdmd::service
