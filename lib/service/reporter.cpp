#include "service/reporter.hpp"

#include <random>

#include "core/log.hpp"
#include "core/random.hpp"
#include "service/evaluation.hpp"

namespace mdmd::service {
namespace {

constexpr std::int64_t batch = 100;  // devices judged, or reports taken up, in one go

double jitter() {
    thread_local std::minstd_rand generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(generator);
}

}  // namespace

void reporter::tick() {
    judge_due();
    auto const now = context_.time.now();
    std::unique_lock const one(running_, std::try_to_lock);
    if (!one) return;
    bool const whole = now >= next_run_;
    if (whole) next_run_ = now + context_.config()->settings.compliance.interval;
    pump(!whole);
}

reporter::run reporter::report_now() {
    std::scoped_lock const one(running_);
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

void reporter::judge_due() {
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
    if (!only_retries) {
        auto const now = context_.time.now();
        auto const old =
            context_.db.read([&](store::connection& db) { return store::old_reports(db, now - refresh, batch); });
        if (!old.empty())
            context_.db.write([&](store::connection& db) {
                for (auto const& r : old)
                    store::put_report(db,
                        to_stored(r.device_id, r.entra_device_id, compliance::refreshed(to_report(r), refresh, now)));
            });
    }
    while (true) {
        auto due = context_.db.read(
            [&](store::connection& db) { return store::due_reports(db, context_.time.now(), batch, only_retries); });
        for (auto const& r : due) {
            auto const did = report_one(r, total.stopped);
            if (did == step::stop) return total;
            ++(did == step::sent ? total.sent : total.failed);
        }
        if (due.size() < batch) break;
    }
    if (total.sent + total.failed > 0)
        log::info(
            "compliance reported", {{"sent", std::to_string(total.sent)}, {"failed", std::to_string(total.failed)}});
    return total;
}

reporter::step reporter::report_one(store::report const& sent, std::string& why) {
    auto const config = context_.config();
    auto const app = application_of(config->settings);
    auto const token = token_.get();
    if (!token) {
        why = token.error().detail;
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
            r = compliance::answered(r, answer, jitter(), now, config->settings.compliance.refresh);
        } else {
            r.object_id.clear();  // it is about another device of Entra's now
        }
        store::put_report(db, to_stored(sent.device_id, current->entra_device_id, r));
    });
    return done ? step::sent : step::failed;
}

}  // namespace mdmd::service
