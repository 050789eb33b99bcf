// Devices that lie, break off and repeat themselves: nothing of it completes what it is not about, and an honest
// session afterwards finds all as it should be.
#include "core/text.hpp"
#include "e2e/hand.hpp"

using namespace mdmd;

namespace {

struct liar {
    char const* name;
    std::function<void(sim::session_faults&)> lie;
    std::string get, exec;  // what became of the two orders in its session
    int http_status = 200;  // of the last answer
};

std::vector<liar> const liars{
    {"names a message that never was", [](auto& f) { f.wrong_msg_ref_at = 2; }, "sent", "sent"},
    {"names commands that never were", [](auto& f) { f.wrong_cmd_ref_at = 2; }, "sent", "sent"},
    {"says everything twice", [](auto& f) { f.double_status_at = 2; }, "done 200 honest", "done 200"},
    {"speaks for another from the start", [](auto& f) { f.foreign_source_at = 1; }, "queued", "queued", 403},
    {"speaks for another in the middle", [](auto& f) { f.foreign_source_at = 2; }, "sent", "sent", 403},
    {"jumps ahead", [](auto& f) { f.jump_at = 2; }, "sent", "sent", 400},
    {"begins with garbage", [](auto& f) { f.garbage_at = 1; }, "queued", "queued", 400},
    {"goes on with garbage", [](auto& f) { f.garbage_at = 2; }, "sent", "sent", 400},
    {"goes on in another session", [](auto& f) { f.wrong_session_at = 2; }, "sent", "unknown"},
    {"never comes to its end", [](auto& f) { f.without_final_from = 1, f.endless = 20; }, "queued", "queued"},
    {"never comes to the end of its answer", [](auto& f) { f.without_final_from = 2, f.endless = 20; },
        "done 200 honest", "done 200"},
    {"lost an answer", [](auto& f) { f.lose_reply_to = 2; }, "done 200 honest", "done 200"},
    {"lost the first answer", [](auto& f) { f.lose_reply_to = 1; }, "done 200 honest", "done 200"},
    {"goes before it answers", [](auto& f) { f.drop_before_at = 2; }, "sent", "sent"},
    {"falls silent", [](auto& f) { f.stop_after = 1; }, "sent", "sent"},
    {"aborts at once", [](auto& f) { f.abort_at = 1; }, "queued", "queued"},
    {"aborts in the middle", [](auto& f) { f.abort_at = 2; }, "sent", "sent"},
    {"has all Results at the end, and Status in Microsoft's order",
        [](auto& f) { f.results_last = f.microsoft_status_order = true; }, "done 200 honest", "done 200"},
};

constexpr char node[] = "./Vendor/MSFT/Liar/Node";
constexpr char read_node[] = R"({"verb":"get","uri":"./Vendor/MSFT/Liar/Node"})";
constexpr char do_task[] = R"({"verb":"exec","uri":"./Device/Vendor/MSFT/Defender/UpdateSignature"})";

std::string status_text(int cmd_id, int msg_ref, int cmd_ref, int code) {
    return sim::write_status({.cmd_id = cmd_id, .msg_ref = msg_ref, .cmd_ref = cmd_ref, .cmd = "Get", .code = code});
}

}  // namespace

TEST_CASE("a device that lies or breaks off completes nothing that it did not do, and is served as before afterwards",
    "[e2e][liars]") {
    e2e::world w;
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    auto const other = joined(w, "BOB-PC", "bob@contoso.test");
    e2e::require_clean(d->sync(w.sync()));
    e2e::require_clean(other->sync(w.sync()));
    e2e::administrator admin(*w.app);
    auto const of_other = admin.order("BOB-PC", read_node);
    d->tree().set(node, {"chr", "honest", "G"});
    other->tree().set(node, {"chr", "Bob's", "G"});
    for (auto const& l : liars) {
        INFO(l.name);
        auto const get = admin.order("ALICE-PC", read_node), exec = admin.order("ALICE-PC", do_task);
        auto o = w.sync();
        o.faults.foreign_source = other->device_id();
        l.lie(o.faults);
        auto const r = d->sync(o);
        CHECK(r.violations == std::vector<std::string>());
        CHECK(r.last_http_status == l.http_status);
        CHECK(admin.outcome("ALICE-PC", get) == l.get);
        CHECK(admin.outcome("ALICE-PC", exec) == l.exec);
        CHECK(admin.outcome("BOB-PC", of_other) == "queued");

        auto const honest = d->sync(w.sync());
        e2e::require_clean(honest);
        CHECK(admin.outcome("ALICE-PC", get) == "done 200 honest");
        CHECK(admin.outcome("ALICE-PC", exec) == (l.exec == "queued" || l.exec == "done 200" ? "done 200" : "unknown"));
        // What must not happen twice did not.
        CHECK(r.executed.size() + honest.executed.size() <= 1);
    }
    e2e::require_clean(other->sync(w.sync()));
    CHECK(admin.outcome("BOB-PC", of_other) == "done 200 Bob's");
}

TEST_CASE("a session without end is ended", "[e2e][liars]") {
    e2e::world w(e2e::settings{{"log.level", "info"}});
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    auto o = w.sync();
    o.faults.without_final_from = 1;
    o.faults.endless = 2000;
    auto const r = d->sync(o);
    CHECK(r.violations == std::vector<std::string>());
    CHECK(r.failure == "");
    CHECK(r.messages == 1000);
    CHECK(sim::read_server_message(r.transcript.back().body).has_alert(1223));
    e2e::require_clean(d->sync(w.sync()));
}

TEST_CASE("statuses and results complete what they name and nothing else", "[e2e][liars]") {
    e2e::world w;
    w.app->start();
    e2e::hand d(w, "ALICE-PC");
    e2e::administrator admin(*w.app);
    struct row {
        char const* name;
        std::string says;  // to Get3 of ./A and Get4 of ./B in message 1
        std::string a, b;
    };
    auto const result = [](int msg_ref, int cmd_ref, std::string_view uri) {
        return sim::write_results(90 + cmd_ref, msg_ref, cmd_ref, uri, "chr", "v");
    };
    std::string many;
    for (int i = 0; i < 1000; ++i) many += status_text(1000 + i, 1, 3, 200 + i % 300);
    for (auto const& r : std::vector<row>{
             {"two codes: the worse one",
                 status_text(2, 1, 3, 200) + status_text(3, 1, 3, 404) + status_text(4, 1, 4, 500) +
                     status_text(5, 1, 4, 200),
                 "failed 404", "failed 500"},
             {"a Status of what was no command", status_text(2, 1, 1, 404) + status_text(3, 1, 2, 404), "sent", "sent"},
             {"a Status of a message to come", status_text(2, 2, 3, 200) + status_text(3, 2, 4, 200), "sent", "sent"},
             {"Results without a Status", result(1, 3, "./A"), "sent", "sent"},
             {"Results of another node", status_text(2, 1, 3, 200) + result(1, 3, "./B"), "done 200 v", "sent"},
             {"Results under the other's CmdRef", status_text(2, 1, 3, 200) + result(1, 4, "./A"), "done 200", "sent"},
             {"the largest numbers", status_text(2, 2147483647, 2147483647, 200) + status_text(3, 1, 2147483647, 200),
                 "sent", "sent"},
             {"a code out of every range", status_text(2, 1, 3, 999) + status_text(3, 1, 4, 699), "failed 999",
                 "failed 699"},
             {"thousands of codes for one command", many, "failed 499", "sent"},
             {"Results twice, and not the same",
                 status_text(2, 1, 3, 200) + result(1, 3, "./A") + sim::write_results(80, 1, 3, "./A", "chr", "other"),
                 "done 200 v", "sent"},
         }) {
        INFO(r.name);
        auto const a = admin.order("ALICE-PC", R"({"verb":"get","uri":"./A"})");
        auto const b = admin.order("ALICE-PC", R"({"verb":"get","uri":"./B"})");
        REQUIRE(e2e::in_short(d.open()) == "S0=200 S2=200 Get3=./A Get4=./B F");
        CHECK(e2e::in_short(d.say(d.header_ok() + r.says)) == "S0=200 F");
        CHECK(admin.outcome("ALICE-PC", a) == r.a);
        CHECK(admin.outcome("ALICE-PC", b) == r.b);
        d.finish(d.open());
        CHECK(e2e::in_short(d.open()) == "S0=200 S2=200 F");
    }
}

TEST_CASE("megabytes of Results are answered and cost no memory that stays", "[e2e][liars]") {
    e2e::world w(e2e::settings{{"log.level", "info"}});
    w.app->start();
    auto const d = joined(w, "ALICE-PC", "alice@contoso.test");
    e2e::require_clean(d->sync(w.sync()));
    e2e::administrator admin(*w.app);
    d->tree().set(node, {"chr", "honest", "G"});
    auto const round = [&](std::size_t bytes) {
        auto const id = admin.order("ALICE-PC", read_node);
        auto o = w.sync();
        o.faults.inflate[node] = bytes;
        auto const r = d->sync(o);
        CHECK(r.violations == std::vector<std::string>());
        return std::pair(id, r.last_http_status);
    };
    for (int i = 0; i < 3; ++i) round(1'000'000);  // buffers and pools have their size then
    auto const before = e2e::resident(w.app->daemon().id());
    for (int i = 0; i < 10; ++i) {
        auto const [id, code] = round(3'000'000);
        CHECK(code == 413);
        CHECK(admin.outcome("ALICE-PC", id) == "sent");
        e2e::require_clean(d->sync(w.sync()));
        CHECK(admin.outcome("ALICE-PC", id) == "done 200 honest");
    }
    auto const after = e2e::resident(w.app->daemon().id());
    INFO("resident before: " << before << ", after: " << after);
    CHECK(after < before + (e2e::sanitized ? 300u : 32u) * 1024 * 1024);

    // In pieces it is taken, up to what is kept.
    auto const id = admin.order("ALICE-PC", read_node);
    d->tree().set(node, {"chr", std::string(3'000'000, 'x'), "G"});
    e2e::require_clean(d->sync(w.sync()));
    CHECK(admin.outcome("ALICE-PC", id).size() == std::string("done 200 ").size() + 256 * 1024);
}
