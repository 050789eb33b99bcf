#include "service/expiry.hpp"

#include <boost/json.hpp>

#include "core/log.hpp"
#include "core/random.hpp"
#include "store/entra.hpp"

namespace mdmd::service {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

std::string document_of(std::string const& key_id) { return "key_end:" + key_id; }

std::optional<time_point> end_of_certificate(std::string_view pem) {
    auto const c = crypto::certificate::from_pem(pem);
    return c ? std::optional(c->not_after()) : std::nullopt;
}

// Of a bundle: the next one to end, else (all have ended) the last.
std::optional<time_point> next_end(std::string_view pem, time_point now) {
    constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----";
    std::optional<time_point> next, last;
    for (auto at = pem.find(begin); at != pem.npos; at = pem.find(begin, at + begin.size())) {
        auto const ends = end_of_certificate(pem.substr(at));
        if (!ends) continue;
        if (*ends > now && (!next || *ends < *next)) next = ends;
        if (!last || *ends > *last) last = ends;
    }
    return next ? next : last;
}

}  // namespace

bool expiries::attempted() const {
    std::scoped_lock const lock(mutex_);
    return attempted_;
}

std::string expiries::problem() const {
    std::scoped_lock const lock(mutex_);
    return problem_;
}

void expiries::ask_again() {
    std::scoped_lock const lock(mutex_);
    next_ = {};
}

result<void> expiries::ask() {
    auto const token = token_.get();
    if (!token) return fail(errc::unavailable, token.error().detail);
    auto const keys = token_.current();
    auto const app = application_of(context_.config()->settings);
    auto const answer = context_.call(entra::read_application(app, *token, new_guid()));
    if (!answer) return answer.error();
    if (answer->status == 401) token_.drop();
    auto const registered = entra::parse_application(*answer);
    if (!registered) return registered.error();
    auto const now = context_.time.now();
    bool in_use_is_known = true;
    for (bool const next : {false, true}) {
        auto const& view = next ? keys.next : keys.current;
        if (!view.present) continue;
        auto const ends = entra::end_of(token_.key(next), *registered, now);
        if (next == keys.next_in_use) in_use_is_known = ends.has_value();
        auto const text =
            json::serialize(json::object{{"ends", ends ? json::value(rfc3339_ms(*ends)) : json::value(nullptr)}});
        context_.db.write([&](store::connection& db) { store::put_document(db, {document_of(view.id), text, now}); });
    }
    if (!in_use_is_known)
        return fail(errc::not_found, "Graph lists no key of the application that is like the one in use");
    return {};
}

void expiries::refresh_if_due() {
    auto const keys = token_.current();
    auto const about = fmt::format("{} {} {}", keys.current.id, keys.next.id, token_.recoveries());
    auto const now = context_.time.now();
    {
        std::scoped_lock const lock(mutex_);
        bool const other = about != asked_for_ && !asked_for_.empty();
        if (!has_come(next_, now, 25h) && !other) return;
    }
    auto const told = ask();
    std::scoped_lock const lock(mutex_);
    attempted_ = true;
    asked_for_ = about;
    // What is not permitted or not there may be in an hour.
    bool const final = !told && (told.error().code == errc::forbidden || told.error().code == errc::not_found);
    if (told || final) retries_.succeeded();
    next_ = told ? now + 24h : final ? now + 1h : retries_.failed(now, random_fraction(), std::nullopt);
    auto const problem = told ? std::string() : told.error().detail;
    if (!problem.empty() && problem != problem_)
        log::warning("the end of the application's key cannot be read from Graph", {{"reason", problem}});
    problem_ = problem;
}

std::optional<expiry> expiries::of_key(bool next) const {
    auto const keys = token_.current();
    auto const& view = next ? keys.next : keys.current;
    if (!view.present) return std::nullopt;
    expiry e{next == keys.next_in_use ? "entra_key" : next ? "entra_next_key" : "entra_old_key", std::nullopt, ""};
    auto const kept =
        context_.db.read([&](store::connection& db) { return store::find_document(db, document_of(view.id)); });
    if (kept) {
        auto const said = json::parse(kept->text);
        if (auto const* text = said.at("ends").if_string()) e.ends = parse_rfc3339(*text);
        if (e.ends) e.source = "Graph";
    }
    if (auto const expires = context_.config()->settings.entra.key_expires; !e.ends && expires && !next) {
        e.ends = expires;
        e.source = "entra.key_expires";
    }
    // A certificate is of no use after its own end, whatever else is said.
    auto const key = token_.key(next);
    if (auto const own = key.is_certificate() ? end_of_certificate(key.certificate_pem) : std::nullopt;
        own && (!e.ends || *own < *e.ends)) {
        e.ends = own;
        e.source = "certificate";
    }
    return e;
}

std::vector<expiry> expiries::list() const {
    auto const keys = token_.current();
    auto const config = context_.config();
    auto const& s = config->settings;
    std::vector<expiry> all;
    if (auto e = of_key(keys.next_in_use)) all.push_back(std::move(*e));
    if (!keys.next_in_use)
        if (auto e = of_key(true)) all.push_back(std::move(*e));
    auto const add = [&](char const* what, std::string const& pem) {
        if (pem.empty()) return;
        auto const ends = next_end(pem, context_.time.now());
        all.push_back({what, ends, ends ? "certificate" : ""});
    };
    all.push_back({"tls_certificate", end_of_certificate(s.server.certificate_pem), "certificate"});
    if (!s.admin.certificate_pem.empty())
        all.push_back({"admin_tls_certificate", end_of_certificate(s.admin.certificate_pem), "certificate"});
    all.push_back({"authority", crypto::end_of(context_.authority()), "certificate"});
    add("ca_file", s.entra.ca_pem);
    return all;
}

std::optional<time_point> expiries::end_of(std::string_view what) const {
    for (auto const& e : list())
        if (e.what == what) return e.ends;
    return std::nullopt;
}

}  // namespace mdmd::service
