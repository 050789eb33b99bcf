// A device that answers with every status there is: what an administrator is shown, and what its next session
// is.
#include <algorithm>

#include "core/text.hpp"
#include "e2e/hand.hpp"

using namespace mdmd;

namespace {

std::vector<int> const codes{200, 202, 203, 212, 213, 214, 215, 216, 217, 299, 300, 304, 400, 401, 403, 404, 405, 406,
    407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 420, 424, 425, 500, 501, 503, 505, 506, 507, 508, 510,
    511, 513, 514, 516, 517, 599, 600, 639};

bool one_of(int code, std::initializer_list<int> all) { return std::find(all.begin(), all.end(), code) != all.end(); }
// Nothing is said about the command: it is asked again.
bool passing(int code) { return one_of(code, {215, 216, 401, 407, 408, 417, 503, 506}); }
bool success(int code) { return code >= 200 && code < 300 && !passing(code) && code != 213; }

std::string text(boost::json::value const& v) { return v.is_string() ? std::string(v.as_string()) : ""; }

std::string status(sim::server_message const& to, sim::sync_command const& c, int code, int cmd_id) {
    return sim::write_status(
        {.cmd_id = cmd_id, .msg_ref = to.msg_id, .cmd_ref = c.cmd_id, .cmd = c.name, .code = code});
}

// "applied 200", by the last part of the node's URI.
std::map<std::string, std::string> settings_of(e2e::administrator& admin, std::string const& device) {
    std::map<std::string, std::string> all;
    auto const shown = admin.get("/devices/" + device);
    for (auto const& s : shown.at("settings").as_array()) {
        auto const uri = text(s.at("uri"));
        auto const code = s.at("status").is_int64() ? s.at("status").as_int64() : 0;
        all[uri.substr(uri.rfind('/') + 1)] = fmt::format("{} {}", text(s.at("state")), code);
    }
    return all;
}

constexpr std::string_view area = "./Device/Vendor/MSFT/Policy/Config/Statuses/";

}  // namespace

TEST_CASE("a command is what the device's status says of it, and nothing is asked for ever", "[e2e][conformance]") {
    e2e::world w;
    w.app->start();
    e2e::hand d(w, "ALICE-PC");
    e2e::administrator admin(*w.app);
    for (auto const code : codes) {
        CAPTURE(code);
        std::map<std::string, std::string> ids;  // by verb
        ids["get"] = admin.order("ALICE-PC", R"({"verb":"get","uri":"./A"})");
        ids["replace"] = admin.order("ALICE-PC", R"({"verb":"replace","uri":"./B","format":"int","value":"1"})");
        ids["exec"] = admin.order("ALICE-PC", R"({"verb":"exec","uri":"./C"})");
        auto const m = d.open();
        REQUIRE(e2e::in_short(m) == "S0=200 S2=200 Get3=./A Replace4=./B Exec5=./C F");
        auto body = d.header_ok();
        for (auto const& c : m.commands) body += status(m, c, code, c.cmd_id);
        CHECK(e2e::in_short(d.say(body)) == "S0=200 F");
        auto const shown = code == 213     ? std::string("sent")
                           : passing(code) ? fmt::format("queued {}", code)
                                           : fmt::format("{} {}", success(code) ? "done" : "failed", code);
        for (auto const& [verb, id] : ids) CHECK(admin.outcome("ALICE-PC", id) == shown);

        // Its next session.
        auto const next = d.open();
        CHECK(e2e::in_short(next) == (code == 213        ? "S0=200 S2=200 Get3=./A Replace4=./B F"
                                         : passing(code) ? "S0=200 S2=200 Get3=./A Replace4=./B Exec5=./C F"
                                                         : "S0=200 S2=200 F"));
        d.finish(next);
        if (code == 213 || passing(code)) {
            CHECK(admin.outcome("ALICE-PC", ids["get"]) == "done 200 v");
            CHECK(admin.outcome("ALICE-PC", ids["replace"]) == "done 200");
            CHECK(admin.outcome("ALICE-PC", ids["exec"]) == (code == 213 ? "unknown" : "done 200"));
        }
        CHECK(e2e::in_short(d.open()) == "S0=200 S2=200 F");
    }

    // "Later" is an answer three times.
    auto const id = admin.order("ALICE-PC", R"({"verb":"replace","uri":"./B","format":"int","value":"1"})");
    for (int i = 0; i < 3; ++i) {
        auto const m = d.open();
        REQUIRE(e2e::in_short(m) == "S0=200 S2=200 Replace3=./B F");
        d.finish(m, 417);
    }
    CHECK(admin.outcome("ALICE-PC", id) == "failed 417");
    CHECK(e2e::in_short(d.open()) == "S0=200 S2=200 F");
}

TEST_CASE("a setting is what the device's status says of it, and its next session tries again what may pass",
    "[e2e][conformance]") {
    e2e::world w;
    std::string policy = "name: statuses\nsettings:\n";
    sim::session_faults faults;
    for (auto const code : codes) {
        if (code == 213 || code == 214) continue;  // no answer to what came whole; and a session of its own, below
        auto const uri = fmt::format("{}S{}", area, code);
        policy += fmt::format("  - {{ uri: {}, format: int, value: 1 }}\n", uri);
        faults.answer_with[uri] = code;
    }
    w.app->write("policies.d/statuses.yaml", policy);
    w.app->start();
    e2e::administrator admin(*w.app);
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    auto o = w.sync();
    o.faults = faults;
    auto const first = d->sync(o);
    e2e::require_clean(first);
    CHECK(first.messages < 10);
    auto shown = settings_of(admin, "ALICE-PC");
    for (auto const& [uri, code] : faults.answer_with) {
        CAPTURE(code);
        auto const expected = passing(code)   ? fmt::format("pending {}", code)
                              : success(code) ? fmt::format("applied {}", code)
                                              : fmt::format("failed {}", code);
        CHECK(shown[fmt::format("S{}", code)] == expected);
    }

    auto const second = d->sync(w.sync());
    e2e::require_clean(second);
    CHECK(second.messages < 10);
    shown = settings_of(admin, "ALICE-PC");
    std::set<std::string> written;
    for (auto const& c : second.commands)
        if (c.verb != "Get") CHECK(written.insert(c.uri).second);
    for (auto const& [uri, code] : faults.answer_with) {
        CAPTURE(code);
        bool const again = passing(code) || one_of(code, {409, 420}) || code >= 500;
        bool const for_good = !again && !success(code);
        CHECK(written.contains(uri) == again);
        CHECK(shown[fmt::format("S{}", code)].starts_with(for_good ? "failed" : "applied"));
    }
    auto const third = d->sync(w.sync());
    e2e::require_clean(third);
    for (auto const& c : third.commands) CHECK(c.verb == "Get");
}

TEST_CASE("214 for a setting ends the session, and the next one goes on behind it", "[e2e][conformance]") {
    e2e::world w;
    std::string policy = "name: statuses\nsettings:\n";
    for (int n = 0; n < 20; ++n) policy += fmt::format("  - {{ uri: {}S{}, format: int, value: 1 }}\n", area, n);
    w.app->write("policies.d/statuses.yaml", policy);
    w.app->start();
    e2e::administrator admin(*w.app);
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    auto o = w.sync();
    o.max_msg_size = 3000;
    o.faults.answer_with[std::string(area) + "S3"] = 214;
    auto const first = d->sync(o);
    CHECK(first.violations == std::vector<std::string>());
    CHECK(settings_of(admin, "ALICE-PC")["S3"] == "applied 214");
    CHECK(settings_of(admin, "ALICE-PC")["S19"] == "pending 0");
    e2e::require_clean(d->sync(w.sync()));
    CHECK(settings_of(admin, "ALICE-PC")["S19"] == "applied 200");
}

TEST_CASE("whatever an Atomic and what is in it is answered, it ends, and the next session is as it should be",
    "[e2e][conformance]") {
    e2e::world w;
    int value = 4;
    auto const wish = [&] {
        ++value;
        w.app->write("policies.d/lock.yaml",
            fmt::format(
                "name: lock\nsettings:\n"
                "  - {{ uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength, format: int, value: {0} }}\n"
                "  - {{ uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/DevicePasswordHistory, format: int, value: {0} }}\n",
                4 + value % 12));
    };
    w.app->start();
    e2e::hand d(w, "ALICE-PC");
    e2e::administrator admin(*w.app);
    std::size_t taken = 0;
    for (auto const code : {200, 202, 212, 215, 216, 304, 400, 404, 405, 417, 418, 500, 503, 507, 516, 517}) {
        CAPTURE(code);
        wish();
        w.app->reload();
        ++taken;
        REQUIRE(e2e::becomes_true(std::chrono::seconds(20), [&] {
            std::size_t n = 0;
            auto const log = w.app->log();
            for (auto at = log.find("configuration taken"); at != log.npos;
                 at = log.find("configuration taken", at + 1))
                ++n;
            return n == taken;
        }));
        // Each time the first of the two gets the code, and the other what goes with it.
        auto m = d.open();
        int rounds = 0;
        for (; m.has_commands(); ++rounds) {
            REQUIRE(rounds < 10);
            auto body = d.header_ok();
            bool const good = code < 300 && code != 215 && code != 216;
            int id = 1;
            for (auto const& c : m.commands) {
                if (c.children.empty()) {
                    body += status(m, c, code, ++id);
                    continue;
                }
                REQUIRE(c.name == "Atomic");
                body += status(m, c, good ? 200 : code == 516 ? 516 : 507, ++id);
                int n = 0;
                for (auto const& inner : c.children)
                    body += status(m, inner, n++ == 0 ? code : good ? 200 : code == 516 ? 516 : 216, ++id);
            }
            m = d.say(body);
        }
        CHECK(rounds >= 1);
        auto const of_the_two = [&] {
            auto all = settings_of(admin, "ALICE-PC");
            std::erase_if(all, [](auto const& s) { return s.first.find("Password") == std::string::npos; });
            return all;
        };
        auto const after = of_the_two();
        REQUIRE(after.size() == 2);
        bool const good = success(code);
        std::set<std::string> states;
        for (auto const& [node, state] : after) states.insert(state.substr(0, state.find(' ')));
        if (good) CHECK(states == std::set<std::string>{"applied"});
        if (!good) CHECK_FALSE(states.contains("applied"));

        // A device that takes all: what is owed is sent, and then there is quiet.
        d.finish(d.open());
        for (auto const& [node, state] : of_the_two()) {
            CAPTURE(node, state);
            if (passing(code)) CHECK(state == "applied 200");
        }
        CHECK(e2e::in_short(d.open()) == "S0=200 S2=200 F");
    }
}
