// The reporter against a Graph that does whatever it likes, over crashes: nothing is lost, and nothing is told that was
// not decided.
#include <deque>
#include <random>

#include "test/service_report_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

struct crash {};  // of the appliance, before it takes an answer in

struct model_fixture : reports_fixture {
    explicit model_fixture(unsigned seed) : random(seed) {}

    std::mt19937 random;
    bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random) < p; }
    template <class T> T pick(std::initializer_list<T> from) {
        return from.begin()[std::uniform_int_distribution<std::size_t>(0, from.size() - 1)(random)];
    }
    std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); }

    using pair = std::pair<bool, bool>;  // managed, compliant
    struct device {
        std::string id, entra_id, object_id;
        bool hidden = false;  // Entra does not know it yet
        bool managed = true;
        std::optional<pair> wanted;  // what was decided last
        int decisions = 0;
        std::vector<pair> decided, written;  // all of them
        std::optional<pair> at_graph;
        std::optional<std::pair<time_point, int>> taken;  // when Graph said 204, to which decision
    };
    std::vector<device> all;
    std::vector<device*> said_204;  // in the batch that is being answered
    std::vector<std::string> complaints;

    void make_devices(std::size_t many) {
        for (std::size_t i = 1; i <= many; ++i)
            all.push_back({.id = device_of(i), .entra_id = entra_of(i), .object_id = object_of(i)});
        db.write([&](store::connection& c) {
            for (auto const& d : all) store::add_device(c, make(d.id, d.entra_id));
        });
    }
    void decide_for(device& d, pair p) {
        if (d.wanted == p) return;  // no other decision
        d.wanted = p;
        ++d.decisions;
        d.decided.push_back(p);
    }
    void decide_at_random(device& d) {
        if (d.managed) decide_for(d, {true, chance(0.5)});
        if (!d.wanted) return;
        db.write(
            [&](store::connection& c) { decide(c, d.id, d.entra_id, d.wanted->first, d.wanted->second, time.now()); });
    }
    void leave(device& d) {
        if (!std::exchange(d.managed, false)) return;
        decide_for(d, {false, false});
        db.write([&](store::connection& c) {
            auto const old = store::find_device(c, d.id).value();
            if (chance(0.5)) {
                store::set_device_state(c, d.id, "retired");
                service::report_unmanaged(c, old, time.now());
            } else {
                service::report_unmanaged(c, old, time.now());
                store::remove_device(c, d.id);
            }
        });
    }
    void come_back(device& d) {
        if (std::exchange(d.managed, true)) return;
        d.id = new_guid();
        d.wanted.reset();
        db.write([&](store::connection& c) {
            store::remove_reports_of(c, d.entra_id);
            store::add_device(c, make(d.id, d.entra_id));
        });
        decide_at_random(d);
    }

    // --- Graph ---
    std::chrono::seconds refresh = 24h;
    http::response applied(http::call const& c) {
        for (auto& d : all) {
            if (d.hidden || !c.url.ends_with(d.object_id)) continue;
            auto const body = json::parse(c.body);
            pair const p{body.at("isManaged").as_bool(), body.at("isCompliant").as_bool()};
            if (p != d.wanted) complaints.push_back("told what was not decided last: " + d.entra_id);
            if (d.taken && d.taken->second == d.decisions && time.now() < d.taken->first + refresh)
                complaints.push_back("told twice: " + d.entra_id);
            d.at_graph = p;
            d.written.push_back(p);
            said_204.push_back(&d);
            return {204, {}, ""};
        }
        return refusal(404, "Request_ResourceNotFound");
    }
    http::response searched(http::call const& c) {
        json::array found;
        for (auto const& d : all)
            if (!d.hidden && c.url.find(d.entra_id) != std::string::npos)
                found.push_back({{"id", d.object_id}, {"deviceId", d.entra_id}});
        return {200, {}, json::serialize(json::object{{"value", std::move(found)}})};
    }
    http::response well(http::call const& c) { return c.method == "GET" ? searched(c) : applied(c); }
    http::response failing(std::initializer_list<int> statuses) {
        auto const status = pick(statuses);
        http::fields headers;
        if (chance(0.5)) headers.add("Retry-After", pick({"0", "1", "2.128", "90", "4000", "x"}));
        return status ? refusal(status, "Code", std::move(headers)) : http::response{0, {}, ""};
    }
    // A whole batch; status 0 is silence.
    http::response batch_as(
        http::call const& c, std::function<http::response(http::call const&)> const& member, bool delivered = true) {
        said_204.clear();
        tenant->instead_of_member = member;
        auto const answer = tenant->batch(c);
        if (!delivered) return {0, {}, ""};
        for (auto* d : said_204) d->taken = {time.now(), d->decisions};
        return answer;
    }
    static bool is_batch(http::call const& c) { return c.url.ends_with("/$batch"); }

    // Every decision's way to Graph is known to be clean.
    void check(bool at_the_end) {
        CHECK(complaints == std::vector<std::string>());
        for (auto const& d : all) {
            auto at = d.decided.begin();
            for (auto const& w : d.written) {
                at = std::find(at, d.decided.end(), w);
                REQUIRE(at != d.decided.end());
            }
            if (!at_the_end || !d.wanted) continue;
            auto const r = db.read([&](store::connection& c) { return store::find_report(c, d.id); });
            REQUIRE(r);
            CAPTURE(d.entra_id, r->phase, r->error, r->attempts, r->revision, r->told, rfc3339(r->next_try));
            CHECK(d.at_graph == d.wanted);
            CHECK(r->phase == "done");
            CHECK(r->told == r->revision);
        }
    }
    void restart() {
        appliance.reset();
        appliance = start();
    }
};

}  // namespace

TEST_CASE("whatever Graph does and whenever mdmd dies, Graph ends with what was decided last", "[service]") {
    auto const seed = GENERATE(range(1U, 11U));
    CAPTURE(seed);
    log::configure(log::level::error);
    log::configure([](log::record const&) {});
    model_fixture f(seed);
    f.make_devices(1 + f.below(30));
    bool chaos = true;
    f.tenant->instead = [&](http::call const& c) -> std::optional<http::response> {
        if (!model_fixture::is_batch(c)) return std::nullopt;
        if (!chaos) return f.batch_as(c, [&](http::call const& m) { return f.well(m); });
        auto const odd_member = [&](http::call const& m) -> http::response {
            if (f.chance(0.7)) return f.well(m);
            if (f.chance(0.2)) {
                if (m.method != "GET") f.applied(m), f.said_204.clear();  // done, and nothing said
                return {0, {}, ""};
            }
            return f.failing({0, 400, 401, 403, 404, 408, 409, 412, 423, 424, 429, 500, 503, 302});
        };
        if (f.chance(0.1)) return f.batch_as(c, odd_member, false);
        if (f.chance(0.03)) {
            f.batch_as(c, odd_member, false);
            throw crash();
        }
        if (f.chance(0.03)) return http::response{200, {}, "{\"responses\":7}"};
        if (f.chance(0.15)) return f.failing({0, 400, 401, 403, 404, 408, 413, 429, 500, 503, 302});
        return f.batch_as(c, odd_member);
    };
    auto const tick = [&](bool by_hand) {
        try {
            f.appliance->token.watch();
            if (by_hand)
                static_cast<void>(f.appliance->report.report_now());
            else
                f.appliance->report.tick();
        } catch (crash const&) {
            f.restart();
        }
    };
    for (int i = 0; i < 150; ++i) {
        auto& d = f.all[f.below(f.all.size())];
        switch (f.below(16)) {
            case 0: f.leave(d); break;
            case 1: f.come_back(d); break;
            case 2: f.restart(); break;
            case 3:
                f.tenant->token_refusal = f.chance(0.3)
                                              ? json::value{{"error", "invalid_client"}, {"error_codes", {7000222}}}
                                              : json::value();
                break;
            case 4: d.hidden = f.chance(0.5); break;
            case 5: d.object_id = new_guid(); break;
            case 6: tick(true); break;
            case 7: f.time.advance(f.pick<std::chrono::milliseconds>({1h, 7h, 26h})); break;
            case 8:
            case 9:
                for (auto& one : f.all) f.decide_at_random(one);
                break;
            default: f.decide_at_random(d);
        }
        f.time.advance(f.pick<std::chrono::milliseconds>({1ms, 1s, 20s, 5min, 16min}));
        for (int k = 0; k < 3; ++k) {
            tick(false);
            f.time.advance(1s);
        }
    }
    f.check(false);
    chaos = false;
    f.tenant->token_refusal = nullptr;
    for (auto& d : f.all) d.hidden = false;
    f.time.advance(16min);
    tick(true);  // what was refused as wrong is tried again by hand only
    for (int i = 0; i < 120; ++i) {
        f.time.advance(15min);
        tick(false);
    }
    f.check(true);
    log::configure(log::sink(log::to_text));
}

TEST_CASE("a day of outages, throttling, refusals and restarts ends with Graph knowing what the appliance does",
    "[service]") {
    auto const seed = GENERATE(1U);
    CAPTURE(seed);
    log::configure([](log::record const&) {});
    model_fixture f(seed);
    f.make_devices(300);
    enum class mood { well, silent, throttled, some_throttled, down, refusing, no_token } now = mood::well;
    std::deque<std::pair<time_point, std::size_t>> asked;
    std::size_t in_window = 0, most = 0;
    f.tenant->instead = [&](http::call const& c) -> std::optional<http::response> {
        if (!model_fixture::is_batch(c)) return std::nullopt;
        auto const many = json::parse(c.body).at("requests").as_array().size();
        asked.emplace_back(f.time.now(), many);
        in_window += many;
        while (asked.front().first < f.time.now() - 150s) {
            in_window -= asked.front().second;
            asked.pop_front();
        }
        most = std::max(most, in_window);
        auto const member = [&](http::call const& m) -> http::response {
            if (now == mood::some_throttled && f.chance(0.4)) return f.failing({429, 503, 409, 0});
            return f.well(m);
        };
        switch (now) {
            case mood::silent: return f.chance(0.5) ? f.batch_as(c, member, false) : http::response{0, {}, ""};
            case mood::throttled: return f.failing({429});
            case mood::down: return f.failing({500, 502, 503, 504});
            case mood::refusing: {
                auto const no = reports_fixture::refusal(403, "Authorization_RequestDenied");
                return f.chance(0.5) ? f.batch_as(c, [&](http::call const&) { return no; }) : no;
            }
            default: return f.batch_as(c, member);
        }
    };
    auto const end = f.time.now() + 24h;
    auto next_mood = f.time.now(), next_restart = f.time.now() + 1h;
    while (f.time.now() < end) {
        f.time.advance(f.pick<std::chrono::milliseconds>({1s, 5s, 30s, 60s}));
        if (f.time.now() >= next_mood) {
            now = f.chance(0.5) ? mood::well : static_cast<mood>(1 + f.below(6));
            f.tenant->token_refusal = now == mood::no_token
                                          ? json::value{{"error", "temporarily_unavailable"}, {"error_codes", {90033}}}
                                          : json::value();
            next_mood = f.time.now() + f.pick<std::chrono::milliseconds>({2min, 15min, 40min, 2h});
        }
        if (f.time.now() >= next_restart) {
            f.restart();
            next_restart = f.time.now() + f.pick<std::chrono::milliseconds>({7min, 1h, 4h});
        }
        for (std::size_t i = f.below(5); i > 0; --i) {
            auto& d = f.all[f.below(f.all.size())];
            if (f.chance(0.02))
                f.leave(d);
            else if (f.chance(0.1))
                f.come_back(d);
            else
                f.decide_at_random(d);
        }
        f.tick();
    }
    f.check(false);
    now = mood::well;
    f.tenant->token_refusal = nullptr;
    // A Retry-After of more than an hour was told to some, and who is refused is tried again after an hour.
    f.ticks_for(4h, 10s);
    f.check(true);
    CHECK(most <= 3000);
    CHECK(f.totals().queued == 0);
    log::configure(log::sink(log::to_text));
}
