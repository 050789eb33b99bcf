// The power goes off in the middle of a session: what may be done twice is sent again, what must not is told as
// unknown, and what was told as done stays done.
#include <random>
#include <thread>

#include "core/text.hpp"
#include "e2e/hand.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

void power_cut(e2e::world& w) {
    w.app->kill9();
    w.app->start();
}

}  // namespace

TEST_CASE(
    "kill -9 between a message and its answer: gets and writes are sent again, an exec is unknown", "[e2e][crash]") {
    e2e::world w;
    w.app->start();
    e2e::hand d(w, "ALICE-PC");
    auto const order = [&](std::string const& json) { return e2e::administrator(*w.app).order("ALICE-PC", json); };
    auto const outcome = [&](std::string const& id) { return e2e::administrator(*w.app).outcome("ALICE-PC", id); };
    auto const get = order(R"({"verb":"get","uri":"./A"})");
    auto const put = order(R"({"verb":"replace","uri":"./B","format":"int","value":"1"})");
    auto const exec = order(R"({"verb":"exec","uri":"./C"})");
    auto const told = order(R"({"verb":"exec","uri":"./D"})");
    auto const wipe = order(R"({"kind":"wipe"})");
    std::string const wipe_uri = "./Device/Vendor/MSFT/RemoteWipe/doWipe";

    // The answer arrived, and the device has done all. The power goes before it says so.
    REQUIRE(
        e2e::in_short(d.open()) == "S0=200 S2=200 Get3=./A Replace4=./B Exec5=./C Exec6=./D Exec7=" + wipe_uri + " F");
    power_cut(w);
    d.reach(w);
    // Its message is still the next one of the session. It tells of one order alone.
    auto const second = d.call(d.message(
        d.header_ok() + sim::write_status({.cmd_id = 2, .msg_ref = 1, .cmd_ref = 6, .cmd = "Exec", .code = 200})));
    auto const answer = d.send(second);
    CHECK(answer.status == 200);
    power_cut(w);
    d.reach(w);
    // The answer was lost: it is given again, and what was told stays told.
    CHECK(d.send(second).body == answer.body);
    CHECK(outcome(told) == "done 200");
    for (auto const& id : {get, put, exec, wipe}) CHECK(outcome(id) == "sent");

    power_cut(w);
    d.reach(w);
    auto const m = d.open();
    CHECK(e2e::in_short(m) == "S0=200 S2=200 Get3=./A Replace4=./B F");
    CHECK(outcome(exec) == "unknown");
    CHECK(outcome(wipe) == "unknown");
    d.finish(m);
    power_cut(w);
    d.reach(w);
    CHECK(outcome(get) == "done 200 v");
    CHECK(outcome(put) == "done 200");
    CHECK(outcome(told) == "done 200");
    CHECK(e2e::in_short(d.open()) == "S0=200 S2=200 F");
    CHECK(w.app->ask({"devices", "show", "ALICE-PC"}).at("state").as_string() == "enrolled");
}

TEST_CASE("kill -9 at any moment of a session does nothing twice that must not be, and loses nothing that was told",
    "[e2e][crash]") {
    e2e::world w;
    auto const seed = std::random_device{}();
    CAPTURE(seed);
    std::minstd_rand random(seed);
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    e2e::require_clean(d->sync(w.sync()));
    std::map<std::string, std::string> orders;  // gets and writes: id -> URI
    int sessions_told = 0;
    for (int round = 0; round < 5; ++round) {
        CAPTURE(round);
        std::string exec;
        {
            e2e::administrator admin(*w.app);
            for (int n = 0; n < 10; ++n) {
                auto const uri = fmt::format("./Vendor/MSFT/Crash/n{}of{}", n, round);
                d->tree().set(uri, {"chr", "v", "GR"});
                auto const* const order = n % 2 ? R"({{"verb":"get","uri":"{}"}})"
                                                : R"({{"verb":"replace","uri":"{}","format":"chr","value":"w"}})";
                orders[admin.order("ALICE-PC", fmt::format(fmt::runtime(order), uri))] = uri;
                if (n == 5)
                    exec = admin.order(
                        "ALICE-PC", R"({"verb":"exec","uri":"./Device/Vendor/MSFT/Defender/UpdateSignature"})");
            }
        }
        sim::session_report broken;
        auto o = w.sync();
        o.max_msg_size = 2000;  // so that there are many messages
        {
            std::jthread const session([&] { broken = d->sync(o); });
            std::this_thread::sleep_for(std::chrono::milliseconds(random() % 150));
            w.app->kill9();
        }
        w.app->start();
        auto const next = d->sync(w.sync());
        e2e::require_clean(next);
        auto const done = broken.executed.size() + next.executed.size();
        CHECK(done <= 1);
        auto const all = e2e::administrator(*w.app).commands("ALICE-PC");
        for (auto const& [id, uri] : orders) {
            CAPTURE(uri);
            CHECK(all.at(id).at("state").as_string() == "done");
        }
        auto const state = std::string(all.at(exec).at("state").as_string());
        CHECK(state == (done == 1 && state == "done" ? "done" : "unknown"));
        if (broken.failure.empty()) ++sessions_told;
        if (broken.failure.empty() || !next.executed.empty()) CHECK(state == "done");
    }
    INFO("sessions that came to their end before the cut: " << sessions_told);
}
