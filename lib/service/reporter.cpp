#include "service/reporter.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "service/evaluation.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto longest_pause = 25h;  // Graph may ask for a day
constexpr std::int64_t many = 100;   // devices judged, or reports looked at, in one go
constexpr auto refused_pause = 1h;
constexpr auto token_pause = 5min;  // for which a refused token is not replaced again
constexpr auto history_kept = std::chrono::days(400);
constexpr std::int64_t history_step = 1000;  // rows forgotten in one go
constexpr char refused_mark[] = "reports_refused";

compliance::graph_answer silence(std::string why) {
    return {.status = 0, .code = "", .message = std::move(why), .retry_after = {}};
}

compliance::graph_answer as_answer(http::response const& r, time_point now) {
    auto const e = r.status >= 300 ? entra::parse_graph_error(r) : entra::graph_error{};
    return {.status = r.status, .code = e.code, .message = e.message, .retry_after = entra::retry_after(r, now)};
}

bool is_success(int status) { return status >= 200 && status < 300; }

}  // namespace

// To one request.
struct reporter::answer {
    compliance::graph_answer said;
    bool found = false, missing = false;  // of a search that Graph did
    std::string object_id{};
    std::string error{};  // what became of the report
};

struct reporter::tried {
    std::set<std::string> sent{}, failed{};
};

reporter::reporter(context& c, application_token& t, std::function<void(std::string const&)> wake)
    : context_(c), token_(t), wake_(std::move(wake)) {
    c.db.read([this](store::connection& db) {
        refused_ = store::get_meta(db, refused_mark).value_or(std::string());
        last_taken_ = store::total_reports(db).last_success.value_or(time_point());
    });
}

void reporter::tick() {
    std::unique_lock const one(running_, std::try_to_lock);
    if (!one) return;
    auto const now = context_.time.now();
    auto const settings = context_.config()->settings.compliance;
    forget_history(now);
    // What waited for a key goes on when there is one.
    auto const recoveries = token_.recoveries();
    bool const at_once = retry_at_once_.exchange(false);
    if (at_once || recoveries != recoveries_ || has_come(next_run_, now, settings.interval)) {
        whole_ = true;
        next_run_ = now + settings.interval;
    }
    recoveries_ = recoveries;
    if (at_once) {
        not_before_ = {};
        context_.db.write([&](store::connection& db) { store::hasten_refresh(db, settings.refresh); });
    }
    if (has_come(not_before_, now, longest_pause)) pump();
}

void reporter::retry_now() { retry_at_once_ = true; }

result<reporter::run> reporter::report_now() {
    std::unique_lock const one(running_, std::try_to_lock);
    if (!one) return fail(errc::conflict, "a report to Entra is on its way already");
    auto const now = context_.time.now();
    context_.db.write([&](store::connection& db) { store::retry_reports_now(db, now); });
    whole_ = true;
    return pump();
}

void reporter::judge_these(std::vector<std::string> const& ids) {
    auto const config = context_.config();
    std::vector<std::string> ordered;
    context_.db.write([&](store::connection& db) {
        ordered.clear();
        for (auto const& id : ids)
            if (evaluate_device(db, *config, id, context_.time.now())) ordered.push_back(id);
    });
    for (auto const& id : ordered) wake_(id);
}

void reporter::judge_all() {
    auto const ids = context_.db.read([](store::connection& db) { return store::enrolled_ids(db); });
    for (auto from = ids.begin(); from != ids.end();) {
        auto const to = from + std::min<std::ptrdiff_t>(many, ids.end() - from);
        judge_these({from, to});
        from = to;
    }
}

void reporter::judge() {
    if (!judged_all_) judge_all();
    judged_all_ = true;
    while (true) {
        auto const now = context_.time.now();
        auto const due =
            context_.db.read([&](store::connection& db) { return store::devices_to_check(db, now, many); });
        if (!due.empty()) judge_these(due);
        if (due.size() < many) return;
    }
}

reporter::run reporter::pump() {
    tried all;
    run total;
    hold("");
    auto const refresh = context_.config()->settings.compliance.refresh;
    auto const longest = longest_pause + refresh + refresh / 10;
    while (!stopping_) {
        auto const now = context_.time.now();
        auto const which = whole_ ? store::which_reports::all : store::which_reports::not_fresh;
        auto due =
            context_.db.read([&](store::connection& db) { return store::due_reports(db, now, longest, many, which); });
        if (due.empty()) {
            whole_ = false;
            break;
        }
        auto const next = next_batch(std::move(due));
        auto const token = token_.get();
        if (!token) {
            total.stopped = token.error().detail;
            hold("there is no token for Graph: " + total.stopped);
            break;
        }
        if (!pace_.take(next.reports.size(), now)) {
            hold("Graph is told 10 a second: the rest follows");
            break;
        }
        if (!exchange(next, *token, all)) break;
    }
    total.sent = static_cast<int>(all.sent.size());
    total.failed = static_cast<int>(all.failed.size());
    if (total.sent + total.failed > 0)
        log::info(
            "compliance reported", {{"sent", std::to_string(total.sent)}, {"failed", std::to_string(total.failed)}});
    return total;
}

// Full batches first, then what must be found before it can be reported, then what goes alone.
reporter::batch reporter::next_batch(std::vector<store::report> due) const {
    auto const alone = [](store::report r) {
        bool const search = r.object_id.empty();
        return batch{search, {std::move(r)}};
    };
    if (!refused().empty()) return alone(std::move(due.front()));
    batch reports, searches{.search = true, .reports = {}};
    for (auto const& r : due) {
        auto& b = r.object_id.empty() ? searches : reports;
        if (b.reports.size() < entra::most_in_batch && !singly_.contains(r.device_id)) b.reports.push_back(r);
    }
    if (reports.reports.size() == entra::most_in_batch) return reports;
    if (!searches.reports.empty()) return searches;
    if (!reports.reports.empty()) return reports;
    return alone(std::move(due.front()));
}

bool reporter::exchange(batch const& b, entra::access_token const& token, tried& all) {
    auto const flow = new_guid();
    log::scope const id("client_request_id", flow);
    auto got = ask(b, token, flow);
    auto const now = context_.time.now();
    if (!got) {
        for (auto const& r : b.reports) singly_.insert(r.device_id);
        log::warning("Graph refused reports that went together: each is sent alone", {{"reason", got.error().detail}});
        return true;
    }
    try {
        keep(b, *got, now);
    } catch (...) {  // the store cannot be written: Graph is not told the same every second
        leave_graph_alone({}, "what it answered cannot be kept", now);
        throw;
    }
    for (std::size_t i = 0; i < b.reports.size(); ++i) {
        auto const& device = b.reports[i].device_id;
        singly_.erase(device);
        if ((*got)[i].found) continue;
        bool const sent = !b.search && is_success((*got)[i].said.status);
        (sent ? all.sent : all.failed).insert(device);
        if (sent) all.failed.erase(device);
    }
    return conclude(b, *got, now);
}

// Errors: too_large (the batch as such was refused; its members may fare better alone).
result<std::vector<reporter::answer>> reporter::ask(
    batch const& b, entra::access_token const& token, std::string const& flow) {
    auto const config = context_.config();
    std::vector<entra::batch_request> requests;
    for (auto const& r : b.reports)
        requests.push_back(b.search ? entra::find_device(r.entra_device_id)
                                    : entra::report_compliance(r.object_id, r.is_managed, r.is_compliant));
    auto const got = context_.call(entra::batch(application_of(config->settings), token, requests, flow));
    auto const now = context_.time.now();
    auto const count = [&](int status) {
        std::scoped_lock const lock(told_);
        ++answers_[status];
    };
    count(got ? got->status : 0);

    std::vector<answer> all(requests.size());
    auto const whole = [&](compliance::graph_answer const& a) {
        log::warning("Graph did not take reports",
            {{"reports", std::to_string(all.size())}, {"status", std::to_string(a.status)}, {"code", a.code},
                {"reason", a.message}});
        for (auto& one : all) one.said = a;
    };
    if (!got) {
        whole(silence(got.error().detail));
        return all;
    }
    if (!is_success(got->status)) {
        auto a = as_answer(*got, now);
        bool const of_the_batch = a.status == 400 || a.status == 413;
        if (of_the_batch && all.size() > 1)
            return fail(errc::too_large, fmt::format("{} {} {}", a.status, a.code, a.message));
        // Any other answer to the call says nothing of devices.
        if (!of_the_batch && a.status != 401 && a.status != 403 && !compliance::is_about_graph(a.status))
            a = silence(fmt::format("{} {} {}", a.status, a.code, a.message));
        whole(a);
        return all;
    }
    auto const members = entra::parse_batch(*got, requests.size());
    if (!members) {
        whole(silence(members.error().detail));
        return all;
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto const& m = (*members)[i];
        count(m ? m->status : 0);
        auto& one = all[i];
        one.said = m ? as_answer(*m, now) : silence("Graph left it out of its answer to a batch");
        if (!b.search || !m) continue;
        if (one.said.status == 200) {
            auto found = entra::parse_found_device(*m);
            one.found = found && *found;
            one.missing = found && !*found;
            if (one.found) one.object_id = **found;
            if (!found) one.said = silence(found.error().detail);
        } else if (is_success(one.said.status) || one.said.status == 404) {
            one.said = silence(fmt::format("{} to a search", one.said.status));
        }
    }
    return all;
}

// All that was answered, in one write.
void reporter::keep(batch const& b, std::vector<answer>& answers, time_point now) {
    auto const refresh = context_.config()->settings.compliance.refresh;
    context_.db.write([&](store::connection& db) {
        for (std::size_t i = 0; i < b.reports.size(); ++i) {
            auto const& sent = b.reports[i];
            auto& a = answers[i];
            store::told_report told{.device_id = sent.device_id,
                .entra_device_id = sent.entra_device_id,
                .at = now,
                .decided = sent.decided,
                .is_managed = sent.is_managed,
                .is_compliant = sent.is_compliant,
                .result = "204"};
            if (!b.search && is_success(a.said.status) && sent.told != sent.revision) store::add_told_report(db, told);
            auto const current = store::find_report(db, sent.device_id);
            if (!current) continue;
            auto r = to_report(*current);
            if (current->entra_device_id != sent.entra_device_id) {
                r.object_id.clear();  // it is about another device of Entra's now
            } else if (a.found) {
                r = compliance::found(r, a.object_id);
            } else if (a.missing) {
                r = compliance::not_found(r, random_fraction(), now, refresh);
            } else {
                r = compliance::answered(r, sent.revision, a.said, random_fraction(), now, refresh);
            }
            a.error = r.error;
            store::put_report(db, to_stored(sent.device_id, current->entra_device_id, r));
            if (r.phase != compliance::report::phase::parked || r.revision != sent.revision ||
                store::was_refused(db, sent.device_id, sent.decided))
                continue;
            told.result = r.error;
            store::add_told_report(db, told);
        }
    });
    for (std::size_t i = 0; i < b.reports.size(); ++i) {
        auto const& sent = b.reports[i];
        if (answers[i].found) continue;
        log::scope const device("device_id", sent.device_id);
        if (b.search || !is_success(answers[i].said.status))
            log::warning("a report is not done",
                {{"entra_device_id", sent.entra_device_id}, {"status", std::to_string(answers[i].said.status)},
                    {"reason", answers[i].error}});
        else if (sent.told != sent.revision)
            log::info("Graph was told",
                {{"entra_device_id", sent.entra_device_id}, {"is_managed", sent.is_managed ? "true" : "false"},
                    {"is_compliant", sent.is_compliant ? "true" : "false"}});
    }
}

// What the answers say of Graph as a whole.
bool reporter::conclude(batch const& b, std::vector<answer> const& answers, time_point now) {
    auto const all = [&](auto const& holds) {
        return std::all_of(answers.begin(), answers.end(),
            [&](answer const& a) { return !a.found && !a.missing && holds(a.said.status); });
    };
    auto const any = [&](auto const& holds) {
        return std::any_of(answers.begin(), answers.end(), [&](answer const& a) { return holds(a.said.status); });
    };
    auto const is = [](int status) { return [status](int s) { return s == status; }; };
    auto const why = compliance::describe(answers.front().said);

    if (any(is_success)) {
        graph_retries_.succeeded();
        took_since_ = true;
    }
    if (!b.search && any(is_success)) {
        last_taken_ = now;
        refused_in_a_row_ = 0;
        not_before_ = {};  // it may have been asked by hand
        if (!refused().empty()) {
            set_refused("");
            log::info("Graph takes reports again");
        }
    }
    bool new_token = false;
    if (any(is(401)) && (took_since_ || has_come(token_dropped_ + token_pause, now, token_pause))) {
        took_since_ = false;
        token_.drop();
        token_dropped_ = now;
        new_token = true;
    }
    if (all(is(403))) return refused_all(answers.size(), why, now);
    if (all(is(401)) && new_token) return true;
    if (!all([](int s) { return s == 401 || compliance::is_about_graph(s); })) return true;
    std::optional<std::chrono::milliseconds> wait;
    for (auto const& a : answers)
        if (a.said.retry_after && *a.said.retry_after > 0ms) wait = std::min(wait.value_or(24h), *a.said.retry_after);
    leave_graph_alone(wait, why, now);
    return false;
}

// One report alone may be refused for the device's sake, where Graph takes others.
bool reporter::refused_all(std::size_t many_reports, std::string const& why, time_point now) {
    refused_in_a_row_ += many_reports;
    bool const took_others = now - last_taken_ < refused_pause && refused_in_a_row_ == 1;
    if (refused().empty() && took_others) return true;
    if (refused().empty())
        log::error("Graph refuses every report",
            {{"reason", why},
                {"remedy",
                    "grant Device.ReadWrite.All with admin consent to the application, which must be the tenant's MDM "
                    "application; `mdmctl doctor` examines it"}});
    set_refused(why);
    not_before_ = now + refused_pause;
    whole_ = true;
    hold(fmt::format("Graph refuses every report ({}); one is tried at {}", why, rfc3339(not_before_)));
    return false;
}

void reporter::leave_graph_alone(
    std::optional<std::chrono::milliseconds> retry_after, std::string const& why, time_point now) {
    not_before_ = graph_retries_.failed(now, random_fraction(), {});
    if (retry_after) not_before_ = now + *retry_after;  // what it asks for, be it less or more
    // The whole queue is looked at then, not only what was tried before.
    whole_ = true;
    hold(fmt::format("Graph is left alone until {}: {}", rfc3339(not_before_), why));
}

void reporter::forget_history(time_point now) {
    if (!has_come(next_forgetting_, now, longest_pause) || context_.clock_is_doubtful()) return;
    auto const gone = context_.db.write(
        [&](store::connection& db) { return store::forget_told_reports(db, now - history_kept, history_step); });
    if (gone < history_step) next_forgetting_ = now + 24h;
}

void reporter::hold(std::string why) {
    std::scoped_lock const lock(told_);
    held_up_ = std::move(why);
}

void reporter::set_refused(std::string why) {
    context_.db.write([&](store::connection& db) { store::set_meta(db, refused_mark, why); });
    std::scoped_lock const lock(told_);
    refused_ = std::move(why);
}

std::string reporter::held_up() const {
    std::scoped_lock const lock(told_);
    return held_up_;
}

std::string reporter::refused() const {
    std::scoped_lock const lock(told_);
    return refused_;
}

std::map<int, std::uint64_t> reporter::answers() const {
    std::scoped_lock const lock(told_);
    return answers_;
}

}  // namespace mdmd::service
