#include "store/commands.hpp"

#include "store/database.hpp"
#include "store/enrollment.hpp"
#include "store/management.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

struct commands_fixture {
    test::scratch folder;
    store::database db{store::sqlite_engine(folder.path() / "mdmd.db")};
    time_point now = from_ms(1'800'000'000'000);

    commands_fixture() {
        db.write([&](store::connection& c) { store::add_device(c, {.id = "1", .user_id = "u1", .enrolled = now}); });
    }
    void add(std::string id, std::string verb, std::string user = "", std::optional<time_point> expires = {}) {
        db.write([&](store::connection& c) {
            store::add_command(c, {.id = id,
                                      .device_id = "1",
                                      .user_id = user,
                                      .verb = verb,
                                      .uri = "./X",
                                      .queued = now,
                                      .updated = now,
                                      .expires = expires});
        });
    }
    std::string states() {
        std::string all;
        for (auto const& c : db.read([](store::connection& d) { return store::list_commands(d, "1"); }))
            all += c.id + ":" + c.state + " ";
        return all;
    }
    std::string open(std::string const& user, std::int64_t most = 100) {
        std::string all;
        for (auto const& c : db.read([&](store::connection& d) { return store::open_commands(d, "1", user, most); }))
            all += c.id + " ";
        return all;
    }
};

}  // namespace

TEST_CASE_METHOD(
    commands_fixture, "commands keep their order; what was sent and not answered returns, but no exec", "[store]") {
    for (auto const* verb : {"replace", "exec", "get"}) add(verb, verb);
    db.write([&](store::connection& c) {
        for (auto const* id : {"replace", "exec", "get"}) CHECK(store::deliver_command(c, id, now));
        auto get = *store::find_command(c, "get");
        get.state = "done";
        get.status = 200;
        get.result = "v";
        CHECK(store::update_command(c, get));
        store::return_unanswered(c, "1", now);
    });
    CHECK(states() == "replace:queued exec:unknown get:done ");
    auto const all = db.read([](store::connection& d) { return store::list_commands(d, "1"); });
    CHECK(all[1].detail == "the device did not say what came of it");
    CHECK(all[2].result == "v");
}

TEST_CASE_METHOD(commands_fixture, "an order whose outcome is followed is not returned as unanswered", "[store]") {
    add("scan", "exec");
    db.write([&](store::connection& c) {
        CHECK(store::deliver_command(c, "scan", now));
        auto scan = *store::find_command(c, "scan");
        scan.stage = "follow";
        scan.memory = "before";
        CHECK(store::update_command(c, scan));
        store::return_unanswered(c, "1", now);
    });
    CHECK(states() == "scan:sent ");
    CHECK(db.read([](store::connection& c) { return store::find_command(c, "scan")->memory; }) == "before");
}

TEST_CASE_METHOD(commands_fixture, "what is of an absent user does not stand in the way of the rest", "[store]") {
    for (int i = 0; i < 5; ++i) add("u" + std::to_string(i), "add", "u1");
    add("device", "add");
    CHECK(open("", 3) == "device ");
    CHECK(open("u1", 3) == "u0 u1 u2 ");
    CHECK(open("u2", 3) == "device ");
}

TEST_CASE_METHOD(commands_fixture, "what expired before it was sent is cancelled, what was sent is not", "[store]") {
    add("soon", "exec", "", now + 1s);
    add("sent", "exec", "", now + 1s);
    add("later", "exec", "", now + 1h);
    add("never", "exec");
    db.write([&](store::connection& c) { CHECK(store::deliver_command(c, "sent", now)); });
    auto const due = [&](time_point at) {
        return db.read([&](store::connection& c) { return store::has_expired_commands(c, at); });
    };
    CHECK_FALSE(due(now));
    CHECK(due(now + 1s));
    CHECK(db.write([&](store::connection& c) { return store::expire_commands(c, now + 1s, 100); }) == 1);
    CHECK_FALSE(due(now + 1s));
    CHECK(states() == "soon:cancelled sent:sent later:queued never:queued ");
}

TEST_CASE_METHOD(commands_fixture, "a command is taken back as long as the device has not got it", "[store]") {
    add("a", "exec");
    add("b", "exec");
    db.write([&](store::connection& c) { CHECK(store::deliver_command(c, "b", now)); });
    auto const cancel = [&](std::string const& id) {
        return db.write([&](store::connection& c) { return store::cancel_command(c, id, "by hand", now); });
    };
    CHECK(cancel("a"));
    CHECK_FALSE(cancel("a"));
    CHECK_FALSE(cancel("b"));
    CHECK_FALSE(cancel("none"));
    CHECK(states() == "a:cancelled b:sent ");
}

TEST_CASE_METHOD(commands_fixture, "of idle sessions in a row the last is kept, of all the newest", "[store]") {
    auto const put = [&](int at, bool idle) {
        db.write([&](store::connection& c) {
            store::put_trace(c, {"1", now + std::chrono::seconds(at), std::to_string(at), idle, "[]"}, 3);
        });
    };
    auto const kept = [&] {
        std::string all;
        for (auto const& t : db.read([](store::connection& c) { return store::list_traces(c, "1"); }))
            all += t.session_id + (t.idle ? "i " : " ");
        return all;
    };
    put(1, false);
    put(2, true);
    put(3, true);
    CHECK(kept() == "1 3i ");
    put(4, false);
    put(5, true);
    CHECK(kept() == "3i 4 5i ");
    db.write([&](store::connection& c) { store::put_trace(c, {"gone", now, "1", false, "[]"}, 3); });
    CHECK(db.read([](store::connection& c) { return store::list_traces(c, "gone").size(); }) == 0);
}

TEST_CASE_METHOD(commands_fixture, "a clock that is set back costs no trace that is new", "[store]") {
    for (int const at : {10, 20, 30, 5, 6})
        db.write([&](store::connection& c) {
            store::put_trace(c, {"1", now + std::chrono::seconds(at), std::to_string(at), false, "[]"}, 3);
        });
    std::string kept;
    for (auto const& t : db.read([](store::connection& c) { return store::list_traces(c, "1"); }))
        kept += t.session_id + " ";
    CHECK(kept == "30 5 6 ");
}

TEST_CASE_METHOD(
    commands_fixture, "what is finished is forgotten by age and by number, what is open is not", "[store]") {
    auto const finish = [&](std::string const& id, time_point at, char const* state) {
        add(id, "get");
        db.write([&](store::connection& c) {
            auto one = *store::find_command(c, id);
            one.state = state;
            one.updated = at;
            CHECK(store::update_command(c, one));
        });
    };
    auto const forget = [&](time_point before, std::int64_t kept, std::int64_t most = 100) {
        auto const ids =
            db.read([&](store::connection& c) { return store::commands_to_forget(c, before, kept, most); });
        db.write([&](store::connection& c) { store::forget_commands(c, ids); });
        return ids.size();
    };
    add("open", "get");
    add("sent", "get");
    db.write([&](store::connection& c) { CHECK(store::deliver_command(c, "sent", now)); });
    for (auto const* state : {"done", "failed", "unknown", "cancelled"}) finish(state, now - 48h, state);
    for (auto const* id : {"a", "b", "c"}) finish(id, now, "done");
    SECTION("by age") {
        CHECK(forget(now - 72h, 100) == 0);
        CHECK(forget(now - 24h, 100, 3) == 3);
        CHECK(forget(now - 24h, 100, 3) == 1);
        CHECK(states() == "open:queued sent:sent a:done b:done c:done ");
    }
    SECTION("by number, the last ones stay") {
        CHECK(forget(now - 72h, 2) == 5);
        CHECK(states() == "open:queued sent:sent b:done c:done ");
    }
    SECTION("of each device by itself") {
        db.write([&](store::connection& c) {
            store::add_device(c, {.id = "2", .user_id = "u2", .enrolled = now});
            store::add_command(c, {.id = "x", .device_id = "2", .state = "done", .updated = now});
        });
        CHECK(forget(now - 72h, 7) == 0);
    }
}

TEST_CASE_METHOD(commands_fixture, "users whose groups are not known are looked up first", "[store]") {
    db.write([&](store::connection& c) {
        store::add_device(c, {.id = "2", .user_id = "u2", .enrolled = now});
        store::add_device(c, {.id = "3", .user_id = "u3", .state = "unenrolled", .enrolled = now});
        store::add_device(c, {.id = "4", .user_id = "", .enrolled = now});
        store::put_device_user(c, "1", {.user_id = "u9", .upn = "n", .first_seen = now});
        store::put_user_groups(c, {.user_id = "u1", .groups = {"g1", "g2"}, .fetched = now});
    });
    auto const due = [&](time_point before, std::int64_t most = 10) {
        std::string all;
        for (auto const& u : db.read([&](store::connection& c) { return store::users_to_look_up(c, before, most); }))
            all += u + " ";
        return all;
    };
    CHECK(due(now - 1h) == "u2 u9 ");
    CHECK(due(now, 2) == "u2 u9 ");
    CHECK(due(now) == "u2 u9 u1 ");
    CHECK(db.read([](store::connection& c) { return store::find_user_groups(c, "u1")->groups; }) ==
          std::vector<std::string>{"g1", "g2"});
}

TEST_CASE_METHOD(
    commands_fixture, "what is open is found as fast after thousands of commands as after none", "[store]") {
    auto const fastest = [&] {
        auto best = std::chrono::steady_clock::duration::max();
        for (int i = 0; i < 20; ++i) {
            auto const begin = std::chrono::steady_clock::now();
            REQUIRE(open("u1") == "open ");
            best = std::min(best, std::chrono::steady_clock::now() - begin);
        }
        return best;
    };
    add("open", "get");
    auto const alone = fastest();
    db.write([&](store::connection& c) {
        CHECK(store::deliver_command(c, "open", now));
        for (int i = 0; i < 20'000; ++i) {
            store::command done{
                .id = std::to_string(i), .device_id = "1", .verb = "get", .uri = "./X", .queued = now, .updated = now};
            done.state = "done";
            store::add_command(c, done);
        }
        store::add_command(c, {.id = "last",
                                  .device_id = "1",
                                  .user_id = "u2",
                                  .verb = "get",
                                  .uri = "./X",
                                  .queued = now,
                                  .updated = now});
    });
    CHECK(fastest() < 20 * alone);
}
