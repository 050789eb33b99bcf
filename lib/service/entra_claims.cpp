#include "service/entra_claims.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "service/evaluation.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto first_wait = 1min, longest_wait = 60min;  // between two looks at one claim
constexpr auto tick_pause = 5s;
constexpr auto tick_limit = 2s;  // of one tick: others wait for it
constexpr auto patience = 5s;    // with Graph
constexpr std::int64_t most_at_once = 100;

// Entra may learn late of a device that it has just registered, and an owner may change: an old claim is looked at less
// often.
void put_off(store::connection& db, store::entra_claim claim, std::string problem, time_point now) {
    claim.problem = std::move(problem);
    claim.next_try = now + std::clamp<std::chrono::milliseconds>(now - claim.since, first_wait, longest_wait);
    store::put_entra_claim(db, claim);
}

bool stands(store::connection& db, store::entra_claim const& claim) {
    auto const now = store::find_entra_claim(db, claim.device_id);
    return now && now->entra_device_id == claim.entra_device_id;
}

}  // namespace

void entra_claims::take(
    store::connection& db, std::string_view device_id, std::string_view entra_device_id, time_point now) {
    auto const before = store::find_entra_claim(db, device_id);
    if (before && before->entra_device_id == entra_device_id) return;
    store::put_entra_claim(db, {.device_id = std::string(device_id),
                                   .entra_device_id = std::string(entra_device_id),
                                   .since = now,
                                   .next_try = now,
                                   .problem = {}});
    log::info("the device names its own Entra device ID, which its token did not: Entra is asked whose that is",
        {{"device_id", std::string(device_id)}, {"entra_device_id", std::string(entra_device_id)}});
}

void entra_claims::tick() {
    auto const now = context_.time.now();
    if (retry_at_once_.exchange(false)) {
        next_tick_ = not_before_ = {};
        context_.db.write([&](store::connection& db) { store::retry_entra_claims_now(db, now); });
    }
    if (!has_come(next_tick_, now, tick_pause) || !has_come(not_before_, now, longest_wait)) return;
    next_tick_ = now + tick_pause;
    auto const due = context_.db.read(
        [&](store::connection& db) { return store::due_entra_claims(db, now, longest_wait, most_at_once); });
    auto const until = std::chrono::steady_clock::now() + tick_limit;
    for (auto at = due.begin(); at != due.end() && std::chrono::steady_clock::now() < until; ++at) {
        auto const why = objection(*at);
        if (!why) return graph_failed(why.error(), {at, due.end()});
        if (why->empty()) {
            confirm(at->claim);
            continue;
        }
        if (at->claim.problem != *why)
            log::warning("Entra does not confirm a device's own word which of its devices it is",
                {{"device_id", at->claim.device_id}, {"entra_device_id", at->claim.entra_device_id},
                    {"user_id", at->user_id}, {"reason", *why}});
        context_.db.write([&](store::connection& db) {
            if (stands(db, at->claim)) put_off(db, at->claim, *why, now);
        });
    }
}

result<std::string> entra_claims::objection(store::due_claim const& one) {
    if (!is_guid(one.user_id)) return std::string("who enrolled the device is no user of Entra's");
    auto const token = token_.get();
    if (!token) return token.error();
    auto call = entra::registered_owners(
        application_of(context_.config()->settings), *token, one.claim.entra_device_id, new_guid());
    call.timeout = patience;
    auto const answer = context_.call(call);
    if (!answer) return answer.error();
    auto const owners = entra::parse_registered_owners(*answer);
    if (!owners) {
        if (owners.error().code == errc::not_found) return owners.error().detail;
        // A new token has the permissions that were given meanwhile.
        if (answer->status == 401 || answer->status == 403) token_.drop();
        if (auto const asked = entra::retry_after(*answer, context_.time.now()))
            not_before_ = context_.time.now() + *asked;
        return owners.error();
    }
    graph_retries_.succeeded();
    told_.reset();
    if (owners->empty()) return std::string("the device has no owner in Entra");
    if (!owners->contains(lower(one.user_id))) return std::string("its owner in Entra is not who enrolled the device");
    return std::string();
}

void entra_claims::confirm(store::entra_claim const& claim) {
    auto const now = context_.time.now();
    auto const config = context_.config();
    std::string other;
    context_.db.write([&](store::connection& db) {
        auto const device = store::find_device(db, claim.device_id);
        if (!device || device->state != "enrolled" || !stands(db, claim)) return;
        if (auto const has = store::find_enrolled_entra(db, claim.entra_device_id); !has.empty()) {
            other = has.front().id;
            return put_off(db, claim, "another device is enrolled as this one of Entra's: " + other, now);
        }
        store::remove_entra_claim(db, claim.device_id);
        store::remove_reports_of(db, claim.entra_device_id);
        store::set_entra_device_id(db, claim.device_id, claim.entra_device_id);
        evaluate_device(db, *config, claim.device_id, now);
    });
    if (other.empty())
        log::info("Entra confirms whose the device is",
            {{"device_id", claim.device_id}, {"entra_device_id", claim.entra_device_id}});
    else
        log::warning("two devices say that they are the same one of Entra's",
            {{"device_id", claim.device_id}, {"other_device_id", other}, {"entra_device_id", claim.entra_device_id}});
}

void entra_claims::graph_failed(error const& e, std::vector<store::due_claim> const& kept) {
    auto const now = context_.time.now();
    not_before_ = std::max(not_before_, graph_retries_.failed(now, random_fraction(), {}));
    if (told_ != e.code)
        log::warning("Entra cannot be asked whose devices are that name themselves", {{"reason", e.detail}});
    told_ = e.code;
    context_.db.write([&](store::connection& db) {
        for (auto claim : kept) {
            if (claim.claim.problem == e.detail || !stands(db, claim.claim)) continue;
            claim.claim.problem = e.detail;
            store::put_entra_claim(db, claim.claim);
        }
    });
}

}  // namespace mdmd::service
