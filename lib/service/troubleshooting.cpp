#include "service/troubleshooting.hpp"

#include <boost/json.hpp>

#include "core/log.hpp"
#include "core/random.hpp"
#include "enroll/explain.hpp"
#include "service/tries.hpp"
#include "xml/document.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;
using enroll::refusal;
namespace json = boost::json;

constexpr std::size_t longest_detail = 512;    // bytes of a reason
constexpr std::int64_t attempts_of_user = 20;  // at the Terms of Use at a time
constexpr std::int64_t most_at_once = 100;     // silent ones in one write
constexpr std::size_t most_waiting = 100;
constexpr auto trim_interval = 1min;

http::response soap(int status, std::string body) {
    return {status, {{"Content-Type", "application/soap+xml; charset=utf-8"}}, std::move(body)};
}

char const* name(enroll::operation op) {
    switch (op) {
        case enroll::operation::discover: return "discovery (Discover)";
        case enroll::operation::get_policies: return "certificate policy (GetPolicies)";
        case enroll::operation::request_token: return "certificate enrollment (RequestSecurityToken)";
    }
    return "";
}

std::optional<std::string> known(std::string const& s) { return s.empty() ? std::nullopt : std::optional(s); }

attempt attempt_of(store::attempt const& a) {
    return {.correlation_id = a.id,
        .device_id = a.device_id,
        .os_version = a.os_version,
        .user_id = a.user_id,
        .upn = a.upn,
        .entra_device_id = a.entra_device_id,
        .enrollment_type = a.enrollment_type};
}

// Everything Graph's type has: what an administrator who reads only the event needs to go on.
store::event event_of(attempt const& who, trouble const& what, time_point now) {
    json::array more;
    auto const add = [&](char const* key, std::string_view value) {
        if (!value.empty())
            more.push_back(
                {{"@odata.type", "microsoft.graph.keyValuePair"}, {"name", key}, {"value", printable(value, 256)}});
    };
    add("userPrincipalName", who.upn);
    add("deviceName", who.device_name);
    add("osEdition", who.os_edition);
    add("clientAddress", who.address);
    auto const* const told = enroll::explain(what.hresult);
    auto const code = what.hresult ? fmt::format("0x{:08x}", what.hresult) : std::string();
    add("errorCode", code);
    json::array resources;
    if (told)
        resources.push_back({{"@odata.type", "microsoft.graph.deviceManagementTroubleshootingErrorResource"},
            {"text", fmt::format("mdmctl explain {}", code)},
            {"link",
                "https://learn.microsoft.com/windows/client-management/mobile-device-enrollment#enrollment-error-messages"}});
    json::object const details{{"@odata.type", "microsoft.graph.deviceManagementTroubleshootingErrorDetails"},
        {"context", what.where}, {"failure", told ? told->constant : what.category},
        {"failureDetails", what.detail.empty() ? what.reason : printable(what.detail, longest_detail)},
        {"remediation", told ? json::value(told->remedy) : json::value(nullptr)}, {"resources", std::move(resources)}};
    return {.id = new_guid(),
        .at = now,
        .correlation_id = known(who.correlation_id),
        .managed_device_id = known(who.device_id),
        .operating_system = "Windows",
        .os_version = known(who.os_version),
        .user_id = known(who.user_id),
        .entra_device_id = known(who.entra_device_id),
        .enrollment_type = who.enrollment_type,
        .category = what.category,
        .reason = what.reason,
        .event_name = "enrollmentFailed",
        .additional_information = json::serialize(more),
        .details = json::serialize(details)};
}

}  // namespace

std::string correlation_of(http::request const& r) {
    if (auto const h = r.headers.get("client-request-id"); h && is_guid(trim(*h))) return lower(trim(*h));
    auto const query = parse_query(r.query);
    if (auto const q = find_parameter(query, "client-request-id"); q && is_guid(*q)) return lower(*q);
    return r.id;
}

// Whoever does not show to be a user shares little room, and has less of it at one address; each user has some of his
// own.
bool troubleshooting::may_keep_event(attempt const& who) {
    constexpr auto window = 10s;
    constexpr int most_of_users = 2'000, most_of_user = 100, most_of_strangers = 100, most_of_address = 20;
    std::scoped_lock const lock(mutex_);
    auto const now = context_.time.now();
    if (now - window_ >= window || now < window_) {
        if (left_out_ > 0)
            log::warning("too many enrollments failed at once: the log has all of them, the events do not",
                {{"left_out", std::to_string(left_out_)}});
        window_ = now;
        counted_.clear();
        left_out_ = 0;
    }
    // What is over the limit of all is not counted apart, so that the counts are bounded.
    bool const stranger = who.user_id.empty();
    bool const fits = stranger
                          ? ++counted_["strangers"] <= most_of_strangers &&
                                ++counted_["at " + place_of(who.address)] <= most_of_address
                          : ++counted_["users"] <= most_of_users && ++counted_["user " + who.user_id] <= most_of_user;
    if (!fits) ++left_out_;
    return fits;
}

void troubleshooting::record(attempt const& who, trouble const& what) {
    log::warning("enrollment failed", {{"reason", what.reason}, {"category", what.category}, {"user_id", who.user_id},
                                          {"managed_device_id", who.device_id}});
    bool const kept = may_keep_event(who);
    if (!kept && who.user_id.empty()) return;
    auto event = event_of(who, what, context_.time.now());
    try {
        // The client is not kept waiting for a store that just did not answer.
        if (!context_.db.healthy()) throw std::runtime_error("the store does not write");
        context_.db.write([&](store::connection& db) {
            if (kept) store::add_event(db, event);
            end(db, who);
        });
    } catch (std::exception const& e) {
        log::error("a troubleshooting event waits for the store", {{"reason", e.what()}});
        std::scoped_lock const lock(mutex_);
        if (kept && waiting_.size() < most_waiting) waiting_.push_back(std::move(event));
    }
}

http::response troubleshooting::refuse(enroll::operation op, failure const& why, attempt const& who) {
    auto const& f = enroll::facts(why.what);
    record(who,
        {.category = why.category ? why.category : f.category,
            .reason = fmt::format("{} (0x{:08x}): {}", f.constant, f.hresult, printable(why.detail, longest_detail)),
            .where = name(op),
            .hresult = f.hresult,
            .detail = why.detail});
    return soap(500, enroll::fault(op, why.what, why.text, who.message_id, who.correlation_id));
}

http::response troubleshooting::refuse_unreadable(
    enroll::operation op, error const& why, attempt who, http::request const& r) {
    auto const document = xml::parse(r.body);
    if (document) {
        who.message_id = enroll::message_id_of(r.body);
        return refuse(op, {refusal::message_format, why.detail}, who);
    }
    log::warning("unreadable request", {{"reason", document.error().detail}, {"address", r.peer_address}});
    return soap(document.error().code == errc::too_large ? 413 : 400,
        enroll::fault(op, refusal::message_format, {}, {}, who.correlation_id));
}

http::response troubleshooting::guarded(
    enroll::operation op, attempt const& who, std::function<http::response()> const& work) {
    try {
        return work();
    } catch (store::store_error const& e) {
        return refuse(op, {refusal::enrollment_server, e.what()}, who);
    } catch (crypto::crypto_error const& e) {
        // The request was checked before: what fails in signing is the authority's.
        return refuse(op, {refusal::certificate_request, e.what(), {}, "unknown"}, who);
    } catch (std::exception const& e) {
        return refuse(op, {refusal::internal, e.what()}, who);
    }
}

void troubleshooting::begin(store::connection& db, std::string_view stage, attempt const& who, time_point now) const {
    store::put_attempt(db,
        {.id = who.correlation_id,
            .user_id = who.user_id,
            .stage = std::string(stage),
            .upn = who.upn,
            .entra_device_id = who.entra_device_id,
            .os_version = who.os_version,
            .device_id = who.device_id,
            .enrollment_type = who.enrollment_type,
            .due = now + context_.config()->settings.enrollment.abandon_after},
        attempts_of_user);
}

void troubleshooting::begin(std::string_view stage, attempt const& who) const {
    if (!context_.db.healthy()) return;
    try {
        context_.db.write([&](store::connection& db) { begin(db, stage, who, context_.time.now()); });
    } catch (std::exception const& e) {
        log::error("an attempt to enroll could not be kept in mind", {{"reason", e.what()}});
    }
}

void troubleshooting::follow_terms(attempt& who) const {
    if (who.user_id.empty()) return;
    try {
        auto const known = context_.db.read([&](store::connection& db) {
            auto const own = store::find_attempt(db, who.correlation_id);
            return own && own->user_id == who.user_id ? own : store::find_accepted_attempt(db, who.user_id);
        });
        if (!known) return;
        who.correlation_id = known->id;
        if (who.enrollment_type == "unknown") who.enrollment_type = known->enrollment_type;
    } catch (std::exception const& e) {
        log::warning("whether the Terms of Use were accepted before is not known", {{"reason", e.what()}});
    }
}

void troubleshooting::end(store::connection& db, attempt const& who) {
    store::end_attempt(db, who.correlation_id, who.user_id);
}

void troubleshooting::has_come(store::connection& db, std::string_view device_id) {
    store::end_attempts_of(db, device_id);
}

void troubleshooting::lost(http::request const& head, bool answering) {
    attempt who{.correlation_id = correlation_of(head)};
    try {
        if (auto const known =
                context_.db.read([&](store::connection& db) { return store::find_attempt(db, who.correlation_id); }))
            who = attempt_of(*known);
    } catch (store::store_error const& e) {
        log::warning("whose attempt it was is not known", {{"reason", e.what()}});
    }
    who.address = head.peer_address;
    log::scope const flow("client_request_id", who.correlation_id);
    record(who, {.category = "clientDisconnected",
                    .reason = fmt::format("MENROLL_E_CONNECTIVITY (0x80180010): the client was gone before {} of {}",
                        answering ? "it had the answer" : "the end", printable(head.path, 64)),
                    .where = printable(head.path, 64),
                    .hresult = 0x80180010});
}

void troubleshooting::tick() {
    keep_waiting();
    auto const now = context_.time.now();
    auto const silent = context_.db.read([&](store::connection& db) { return store::any_due_attempt(db, now); });
    if (silent) {
        auto const over = context_.db.write([&](store::connection& db) {
            auto due = store::take_due_attempts(db, now, most_at_once);
            for (auto const& a : due) {
                auto const who = attempt_of(a);
                bool const issued = a.stage == "issued";
                store::add_event(
                    db, event_of(who,
                            {.category = issued ? "clientDisconnected" : "userAbandonment",
                                .reason = issued ? "the device has its certificate and never came for its first session"
                                          : a.stage == "accepted"
                                              ? "the Terms of Use were accepted and no enrollment followed"
                                          : a.stage == "signed_in"
                                              ? "the user signed in on our page and no enrollment followed"
                                              : "the Terms of Use were shown and neither accepted nor declined",
                                .where = issued                   ? "first management session"
                                         : a.stage == "signed_in" ? "sign-in page"
                                                                  : "Terms of Use"},
                            now));
            }
            return due;
        });
        for (auto const& a : over)
            log::warning("enrollment fell silent", {{"stage", a.stage}, {"client_request_id", a.id},
                                                       {"user_id", a.user_id}, {"managed_device_id", a.device_id}});
    }
    if (now - trimmed_ >= trim_interval || now < trimmed_) {
        trim();
        trimmed_ = now;
    }
}

void troubleshooting::flush() {
    try {
        keep_waiting();
    } catch (std::exception const& e) {
        log::error("troubleshooting events could not be kept", {{"reason", e.what()}});
    }
    std::scoped_lock const lock(mutex_);
    if (!waiting_.empty())
        log::error("troubleshooting events are lost: the log has what they said",
            {{"events", std::to_string(waiting_.size())}});
}

void troubleshooting::keep_waiting() {
    {
        std::scoped_lock const lock(mutex_);
        if (waiting_.empty()) return;
    }
    if (!context_.db.probe()) return;
    std::deque<store::event> all;
    {
        std::scoped_lock const lock(mutex_);
        all.swap(waiting_);
    }
    try {
        context_.db.write([&](store::connection& db) {
            // A write whose outcome was not known may have been made. What has failed is not found silent besides.
            for (auto const& e : all) {
                if (!store::find_event(db, e.id)) store::add_event(db, e);
                store::end_attempt(db, e.correlation_id.value_or(""), e.user_id.value_or(""));
            }
        });
    } catch (...) {
        std::scoped_lock const lock(mutex_);
        waiting_.insert(waiting_.begin(), std::make_move_iterator(all.begin()), std::make_move_iterator(all.end()));
        throw;
    }
}

void troubleshooting::trim() {
    auto const config = context_.config();
    auto const& e = config->settings.events;
    auto const oldest = context_.clock_is_doubtful() ? time_point() : context_.time.now() - e.keep;
    auto const gone = context_.db.write([&](store::connection& db) { return store::trim_events(db, oldest, e.most); });
    if (gone > 0) log::info("old troubleshooting events removed", {{"events", std::to_string(gone)}});
}

}  // namespace mdmd::service
