#include "service/sign_in.hpp"

#include <array>
#include <charconv>

#include "core/log.hpp"
#include "core/random.hpp"
#include "entra/authorization_code.hpp"
#include "store/sign_ins.hpp"
#include "terms/language.hpp"
#include "terms/sign_in_page.hpp"
#include "terms/words.hpp"

namespace mdmd::service {

using namespace std::chrono_literals;

// What goes to Entra with the user and comes back: sealed, so that nothing is kept for strangers who only look.
struct sign_in_state {
    std::string id;  // 128 bits, base64url
    std::string app_uri;
    std::string correlation_id;
    std::string os_version;  // as Windows tells it; may be empty
    time_point expires;
};

namespace {

constexpr auto page_lifetime = 15min;  // to type a password and find one's telephone
constexpr auto token_lifetime = 10min;
constexpr std::size_t longest_hint = 256;
constexpr std::size_t longest_version = 64;
constexpr int most_exchanging = 8;  // a quarter of the workers there are at least
constexpr int most_wrong_codes = 20;
constexpr auto wrong_codes_window = 15min;
constexpr std::size_t most_answered = 10'000;

// The purposes stand before the text, so that no other use of the same key gives any of these.
std::string keyed(std::string_view key, char const* purpose, std::string_view text) {
    return base64url(crypto::hmac_sha256(key, fmt::format("mdmd sign-in {}, version 1\n{}", purpose, text)));
}
// PKCE's verifier and the nonce follow from the page's id, for whoever has the key.
std::string verifier_of(std::string_view id, std::string_view key) { return keyed(key, "verifier", id); }
std::string nonce_of(std::string_view id, std::string_view key) { return keyed(key, "nonce", id); }

std::string redirect_uri(config::settings const& s) {
    return s.server.public_url.text + "/EnrollmentServer/Auth/Response";
}

terms::appearance look_of(http::request const& r, configuration const& config) {
    return {.look = terms::theme_of(r.headers),
        .speak = &terms::words_for(terms::languages_of(r.headers)),
        .texts = &config.texts,
        .organization = config.settings.server.public_url.host};
}

http::response only_get() {
    return {
        405, {{"Allow", "GET"}, {"Content-Type", "text/plain; charset=utf-8"}}, "Open this address in a browser.\n"};
}

// "AADSTS50105", or whatever else a search engine knows it by.
std::string reference_of(int aadsts, std::string const& error) {
    return aadsts != 0 ? fmt::format("AADSTS{}", aadsts) : error;
}

std::string seal(sign_in_state const& s, std::string_view key) {
    std::string text;
    for (auto const& [name, value] : {std::pair<char const*, std::string>("id", s.id), {"app", s.app_uri},
             {"flow", s.correlation_id}, {"os", s.os_version}, {"expires", std::to_string(to_ms(s.expires))}})
        text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, percent_encode(value));
    auto const payload = base64url(text);
    return payload + "." + keyed(key, "page", payload);
}

// Errors: malformed, unauthenticated (another seal), conflict (expired).
result<sign_in_state> open(std::string_view sealed, std::string_view key, time_point now) {
    auto const broken = [] { return fail(errc::malformed, "the state is not one of ours"); };
    auto const parts = split(sealed, '.');
    if (parts.size() != 2) return broken();
    if (!crypto::equal_in_constant_time(parts[1], keyed(key, "page", parts[0])))
        return fail(errc::unauthenticated, "the state has another seal");
    auto const pairs = parse_query(unbase64url(parts[0]).value_or(""), false);
    if (pairs.size() != 5 || pairs[4].first != "expires") return broken();
    std::int64_t ms = 0;
    auto const& expires = pairs[4].second;
    std::from_chars(expires.data(), expires.data() + expires.size(), ms);
    if (from_ms(ms) <= now) return fail(errc::conflict, "the page was opened too long ago");
    return sign_in_state{pairs[0].second, pairs[1].second, pairs[2].second, pairs[3].second, from_ms(ms)};
}

}  // namespace

sign_in::sign_in(context& c, signing_keys& k, application_token& t, troubleshooting& events)
    : context_(c), keys_(k), token_(t), trouble_(events), wrong_codes_(wrong_codes_window) {}

std::string sign_in::id_of(std::string_view token) { return hex(crypto::sha256(token)); }

http::response sign_in::begin(http::request const& r) {
    auto const config = context_.config();
    auto const& settings = config->settings;
    auto const look = look_of(r, *config);
    log::scope const flow("client_request_id", r.id);
    // Windows appends its parameters with a question mark to an address that has one already, or with an ampersand.
    auto text = r.query;
    if (auto const second = text.find('?'); second != text.npos) text[second] = '&';
    auto const query = parse_query(text, false);
    auto const find = [&](char const* name) { return find_parameter(query, name).value_or(""); };
    auto const app_uri = find("appru");
    if (!terms::is_app_uri(app_uri)) {
        log::warning("sign-in refused", {{"reason", "appru is no ms-app URI"}, {"appru", std::string(app_uri)}});
        return terms::refusal_page(look, terms::refused_because::incomplete);
    }
    auto const hint = find("login_hint");
    bool const usable = hint.size() <= longest_hint && is_utf8(hint) && printable(hint, hint.size()) == hint;
    sign_in_state const state{.id = base64url(random_bytes(16)),
        .app_uri = std::string(app_uri),
        .correlation_id = r.id,
        .os_version = printable(find("OSVersion"), longest_version),
        .expires = context_.time.now() + page_lifetime};
    attempt const who{.correlation_id = r.id,
        .address = r.peer_address,
        .os_version = state.os_version,
        .upn = usable ? std::string(hint) : "",
        .enrollment_type = "userEnrollment"};
    auto const turn_away = [&](terms::not_signed_in_because why, char const* category, char const* reason) {
        trouble_.record(who, {.category = category, .reason = reason, .where = "sign-in page"});
        return terms::not_signed_in_page(look, why, {});
    };
    if (!settings.enrollment.federated)
        return turn_away(terms::not_signed_in_because::off, "featureNotSupported",
            "the sign-in page was opened, and enrollment.federated_auth is off");
    if (!settings.enrollment.enabled)
        return turn_away(
            terms::not_signed_in_because::enrollment_off, "accountValidation", "enrollment.enabled is false");
    if (context_.maintenance())
        return turn_away(terms::not_signed_in_because::maintenance, "inMaintenance", "maintenance is on");
    auto const& key = context_.form_key();
    log::info("sign-in begins");
    auto const url = entra::authorization_url(application_of(settings), {.redirect_uri = redirect_uri(settings),
                                                                            .state = seal(state, key),
                                                                            .nonce = nonce_of(state.id, key),
                                                                            .verifier = verifier_of(state.id, key),
                                                                            .login_hint = who.upn});
    return {302, {{"Location", url}, {"Cache-Control", "no-store"}, {"Referrer-Policy", "no-referrer"}}, ""};
}

http::response sign_in::finish(http::request const& r) {
    // What looks ahead at an address must not use up what it holds.
    if (r.method != "GET") return only_get();
    auto const config = context_.config();
    auto const look = look_of(r, *config);
    auto const refused = [&](terms::refused_because why, std::string detail) {
        log::warning("sign-in refused", {{"reason", std::move(detail)}, {"address", r.peer_address}});
        return terms::refusal_page(look, why);
    };
    if (!config->settings.enrollment.federated)
        return terms::not_signed_in_page(look, terms::not_signed_in_because::off, {});
    auto const answer = entra::parse_authorization_answer(r.query);
    if (!answer) return refused(terms::refused_because::foreign, answer.error().detail);
    auto const now = context_.time.now();
    auto const state = open(answer->state, context_.form_key(), now);
    if (!state && state.error().code == errc::conflict) {
        auto page = refused(terms::refused_because::expired, state.error().detail);
        page.status = 200;  // an honest user's, to be read in Windows' sign-in window
        return page;
    }
    if (!state) return refused(terms::refused_because::foreign, state.error().detail);
    log::scope const flow("client_request_id", state->correlation_id);
    if (used_before(state->id, state->expires))
        return refused(terms::refused_because::answered, "the page was answered before");
    if (answer->error.empty()) return exchange(r, *state, answer->code);

    attempt const who{.correlation_id = state->correlation_id,
        .address = r.peer_address,
        .os_version = state->os_version,
        .enrollment_type = "userEnrollment"};
    bool const cancelled = answer->error == "access_denied" && answer->aadsts != 50105;
    auto const reference = reference_of(answer->aadsts, answer->error);
    auto const* const known = entra::find_code(answer->aadsts);
    trouble_.record(who, {.category = cancelled                 ? "userAbandonment"
                                      : answer->aadsts == 50105 ? "authorization"
                                                                : "authentication",
                             .reason = fmt::format("the sign-in at Entra ended with {} {} {}: {}", answer->error,
                                 answer->subcode, reference, known ? known->meaning : "no token"),
                             .where = "sign-in page"});
    return terms::not_signed_in_page(look,
        cancelled                 ? terms::not_signed_in_because::cancelled
        : answer->aadsts == 50105 ? terms::not_signed_in_because::not_assigned
                                  : terms::not_signed_in_because::refused,
        reference);
}

http::response sign_in::exchange(http::request const& r, sign_in_state const& state, secret const& code) {
    auto const config = context_.config();
    auto const& settings = config->settings;
    auto const look = look_of(r, *config);
    attempt who{.correlation_id = state.correlation_id,
        .address = r.peer_address,
        .os_version = state.os_version,
        .enrollment_type = "userEnrollment"};
    auto const failed = [&](terms::not_signed_in_because why, char const* category, std::string reason,
                            std::string const& reference) {
        trouble_.record(who, {.category = category, .reason = std::move(reason), .where = "sign-in page"});
        return terms::not_signed_in_page(look, why, reference);
    };
    auto const place = place_of(r.peer_address);
    char const* too_many = nullptr;
    {
        std::scoped_lock const lock(mutex_);
        too_many = wrong_codes_.counted(place, context_.time.now()) >= most_wrong_codes
                       ? "too many wrong codes of this address"
                   : exchanging_ >= most_exchanging ? "too many sign-ins end at once"
                                                    : nullptr;
        if (!too_many) {
            ++exchanging_;
            wrong_codes_.count(place, context_.time.now());  // until it turns out to be a good one
        }
    }
    if (too_many) return failed(terms::not_signed_in_because::unavailable, "authentication", too_many, {});
    struct place_taken {
        sign_in& owner;
        ~place_taken() {
            std::scoped_lock const lock(owner.mutex_);
            --owner.exchanging_;
        }
    } const mine{*this};

    auto const& key = context_.form_key();
    auto const form = settings.entra.assertion == config::assertion_form::rs256 ? entra::assertion_form::rs256
                                                                                : entra::assertion_form::ps256;
    auto request = entra::code_request(application_of(settings), token_.key(token_.current().next_in_use), form, code,
        redirect_uri(settings), verifier_of(state.id, key), context_.time.now());
    auto answer = request ? context_.call(*request) : result<http::response>(request.error());
    if (request) wipe(request->body);
    // Only what Entra says of the code itself counts against the address.
    auto const no_guess = [&] {
        std::scoped_lock const lock(mutex_);
        wrong_codes_.uncount(place);
    };
    if (!answer) {
        no_guess();
        return failed(terms::not_signed_in_because::unavailable, "unknown",
            "Entra could not be asked to confirm the sign-in: " + answer.error().detail, {});
    }
    auto const parsed = entra::parse_code_answer(*answer, context_.time.now());
    wipe(answer->body);
    if (!parsed.id_token) {
        auto const& why = parsed.refusal;
        bool const later = why.http_status == 429 || why.http_status >= 500;
        if (later || why.credential_is_wrong) no_guess();
        return failed(later ? terms::not_signed_in_because::unavailable : terms::not_signed_in_because::refused,
            later || why.credential_is_wrong ? "unknown" : "authentication",
            fmt::format("Entra did not confirm the sign-in: {}. {}", why.summary(), why.remedy),
            reference_of(why.code, why.error));
    }
    auto const user = keys_.verify_id_token(parsed.id_token->reveal(), nonce_of(state.id, key));
    if (!user) {
        bool const later = user.error().code == errc::unavailable;
        if (later) no_guess();
        return failed(later ? terms::not_signed_in_because::unavailable : terms::not_signed_in_because::refused,
            later ? "unknown" : "authentication", "Entra's ID token was refused: " + user.error().detail, {});
    }
    no_guess();
    who.user_id = user->user_id;
    who.upn = user->upn;
    auto const token = base64url(random_bytes(32));
    auto const now = context_.time.now();
    bool first = false;
    try {
        first = context_.db.write([&](store::connection& db) {
            bool const added = store::add_sign_in(db, {.id = id_of(token),
                                                          .request = hex(crypto::sha256(state.id)),
                                                          .user_id = user->user_id,
                                                          .upn = user->upn,
                                                          .correlation_id = who.correlation_id,
                                                          .at = now,
                                                          .expires = now + token_lifetime,
                                                          .device_id = {}});
            if (added) trouble_.begin(db, "signed_in", who, now);
            return added;
        });
    } catch (std::exception const& e) {
        return failed(terms::not_signed_in_because::unavailable, "unknown",
            std::string("the sign-in could not be kept: ") + e.what(), {});
    }
    if (!first) return terms::refusal_page(look, terms::refused_because::answered);
    log::info("signed in", {{"user_id", user->user_id}, {"upn", user->upn}});
    return terms::signed_in_page(
        look, {.app_uri = state.app_uri, .token = token, .upn = user->upn, .nonce = base64url(random_bytes(16))});
}

bool sign_in::used_before(std::string const& id, time_point until) {
    auto const now = context_.time.now();
    std::scoped_lock const lock(mutex_);
    if (answered_.size() >= most_answered) std::erase_if(answered_, [&](auto const& a) { return a.second <= now; });
    // That a page leads to one token, and a code is taken once, does not hang on this.
    if (answered_.size() >= most_answered) answered_.clear();
    return !answered_.emplace(id, until).second;
}

}  // namespace mdmd::service
