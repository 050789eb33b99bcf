#include "service/reporter.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "service/evaluation.hpp"

namespace mdmd::service {
namespace {

constexpr auto longest_pause = std::chrono::hours(25);  // Graph may ask for a day
constexpr std::int64_t batch = 100;                     // devices judged, or reports taken up, in one go

}  // namespace

void reporter::tick() {
    std::unique_lock const one(running_, std::try_to_lock);
    if (!one) return;
    auto const now = context_.time.now();
    auto const interval = context_.config()->settings.compliance.interval;
    // What waited for a key goes on when there is one.
    auto const recoveries = token_.recoveries();
    bool const at_once = retry_at_once_.exchange(false);
    bool const whole = at_once || recoveries != recoveries_ || has_come(next_run_, now, interval);
    recoveries_ = recoveries;
    if (at_once) not_before_ = {};
    if (!has_come(not_before_, now, longest_pause)) return;
    if (whole) next_run_ = now + interval;
    pump(!whole);
}

void reporter::retry_now() { retry_at_once_ = true; }

void reporter::leave_graph_alone(std::optional<std::chrono::milliseconds> retry_after, time_point now) {
    not_before_ = graph_retries_.failed(now, random_fraction(), {});
    if (retry_after) not_before_ = now + *retry_after;  // what it asks for, be it less or more
    // The whole queue is looked at then, not only what was tried before.
    next_run_ = not_before_;
}

result<reporter::run> reporter::report_now() {
    std::unique_lock const one(running_, std::try_to_lock);
    if (!one) return fail(errc::conflict, "a report to Entra is on its way already");
    auto const now = context_.time.now();
    context_.db.write([&](store::connection& db) { store::retry_reports_now(db, now); });
    return pump(false);
}

void reporter::judge_all() {
    auto const config = context_.config();
    auto const ids = context_.db.read([](store::connection& db) { return store::enrolled_ids(db); });
    for (std::size_t i = 0; i < ids.size(); i += batch)
        context_.db.write([&](store::connection& db) {
            for (auto k = i; k < std::min<std::size_t>(ids.size(), i + batch); ++k)
                evaluate_device(db, *config, ids[k], context_.time.now());
        });
}

void reporter::judge() {
    if (!judged_all_) judge_all();
    judged_all_ = true;
    while (true) {
        auto const now = context_.time.now();
        auto const due =
            context_.db.read([&](store::connection& db) { return store::devices_to_check(db, now, batch); });
        if (due.empty()) return;
        auto const config = context_.config();
        context_.db.write([&](store::connection& db) {
            for (auto const& id : due) evaluate_device(db, *config, id, now);
        });
        if (due.size() < batch) return;
    }
}

reporter::run reporter::pump(bool only_retries) {
    run total;
    auto const refresh = context_.config()->settings.compliance.refresh;
    while (!only_retries) {
        auto const now = context_.time.now();
        auto const old =
            context_.db.read([&](store::connection& db) { return store::old_reports(db, now - refresh, batch); });
        if (!old.empty())
            context_.db.write([&](store::connection& db) {
                for (auto const& r : old)
                    store::put_report(db,
                        to_stored(r.device_id, r.entra_device_id, compliance::refreshed(to_report(r), refresh, now)));
            });
        if (old.size() < batch) break;
    }
    for (bool more = true; more;) {
        auto const due = context_.db.read([&](store::connection& db) {
            return store::due_reports(db, context_.time.now(), longest_pause + refresh, batch, only_retries);
        });
        more = due.size() == batch;
        for (auto const& r : due) {
            auto const did = stopping_ ? step::stop : report_one(r, total);
            if (did == step::stop) {
                more = false;
                break;
            }
            ++(did == step::sent ? total.sent : total.failed);
        }
    }
    if (total.sent + total.failed > 0)
        log::info(
            "compliance reported", {{"sent", std::to_string(total.sent)}, {"failed", std::to_string(total.failed)}});
    return total;
}

reporter::step reporter::report_one(store::report const& sent, run& total) {
    auto const config = context_.config();
    auto const app = application_of(config->settings);
    auto const token = token_.get();
    if (!token) {
        total.stopped = token.error().detail;
        return step::stop;
    }
    auto const flow = new_guid();
    log::scope const device("device_id", sent.device_id);
    log::scope const id("client_request_id", flow);

    auto object_id = sent.object_id;
    auto const ask = [&]() -> compliance::graph_answer {
        auto const as_answer = [&](result<http::response> const& got) -> compliance::graph_answer {
            if (!got) return {.status = 0, .code = "", .message = got.error().detail, .retry_after = {}};
            auto const e = got->status >= 300 ? entra::parse_graph_error(*got) : entra::graph_error{};
            return {.status = got->status,
                .code = e.code,
                .message = e.message,
                .retry_after = entra::retry_after(*got, context_.time.now())};
        };
        if (object_id.empty()) {
            auto const got = context_.call(entra::find_device(app, *token, sent.entra_device_id, flow));
            if (!got || got->status != 200) return as_answer(got);
            auto found = entra::parse_found_device(*got);
            if (!found) return {.status = 0, .code = "", .message = found.error().detail, .retry_after = {}};
            if (!*found)
                return {.status = 404,
                    .code = "Request_ResourceNotFound",
                    .message = "Entra has no device of this ID",
                    .retry_after = {}};
            object_id = **found;
        }
        return as_answer(
            context_.call(entra::report_compliance(app, *token, object_id, sent.is_managed, sent.is_compliant, flow)));
    };
    auto answer = ask();
    answer.sent = compliance::told{sent.is_managed, sent.is_compliant};
    if (answer.status == 401) token_.drop();
    bool const done = answer.status == 204;
    if (done)
        log::info("Graph was told",
            {{"entra_device_id", sent.entra_device_id}, {"is_managed", sent.is_managed ? "true" : "false"},
                {"is_compliant", sent.is_compliant ? "true" : "false"}});
    else
        log::warning("Graph did not take a report",
            {{"entra_device_id", sent.entra_device_id}, {"status", std::to_string(answer.status)},
                {"code", answer.code}, {"reason", answer.message}});
    auto const now = context_.time.now();
    context_.db.write([&](store::connection& db) {
        auto const current = store::find_report(db, sent.device_id);
        if (!current) return;
        auto r = to_report(*current);
        if (current->entra_device_id == sent.entra_device_id) {
            r.object_id = object_id;
            r = compliance::answered(r, answer, random_fraction(), now, config->settings.compliance.refresh);
        } else {
            r.object_id.clear();  // it is about another device of Entra's now
        }
        store::put_report(db, to_stored(sent.device_id, current->entra_device_id, r));
    });
    if (done) {
        graph_retries_.succeeded();
        token_was_refused_ = false;
        return step::sent;
    }
    // The rest of the queue would fare no better now; it is taken up again when this one is tried again. Another token
    // is tried at once, but not another after that.
    bool const another_token = answer.status == 401 && !token_was_refused_;
    token_was_refused_ = answer.status == 401;
    bool const wait = answer.status == 0 || answer.status == 401 || answer.status == 429 || answer.status >= 500;
    if (!wait) return step::failed;
    ++total.failed;
    if (another_token)
        next_run_ = now;
    else
        leave_graph_alone(answer.retry_after, now);
    return step::stop;
}

}  // namespace mdmd::service
