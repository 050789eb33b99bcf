// Conversations with a device, each row named by what it shows and its place in the specifications: SyncML
// Representation
// ("R"), OMA DM Protocol ("P"), OMA DM Security ("S") and [MS-MDM] ("M").
#include "core/text.hpp"
#include "test/omadm_support.hpp"

using namespace mdmd;
using namespace mdmd::test;

namespace {

struct step {
    std::string says;         // the body of the device's message
    std::string answer;       // ours, in short
    std::string outcomes;     // of what was sent, in short
    std::string header = {};  // more of the device's SyncHdr
};
struct row {
    std::string name;
    std::vector<wanted> queue;
    std::vector<step> steps;
    bool ended = true;
    std::string unsendable = {};  // URIs
};

void converse(row const& r) {
    std::vector<wanted> queue = r.queue;
    session s;
    int msg_id = 0;
    bool ended = false;
    std::string unsendable;
    for (auto const& one : r.steps) {
        CAPTURE(one.says);
        auto const m = parse(message_text(++msg_id, one.says, one.header)).value();
        auto const in = receive(load(save(s)).value(), m).value();
        CHECK(in_short(in.outcomes) == one.outcomes);
        auto const a = reply_to(in, both_ends, queue);
        CHECK(in_short(a.text) == one.answer);
        for (auto const& u : a.unsendable) unsendable += queue.at(u.index).key + " ";
        queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(a.taken));
        s = a.next;
        ended = a.ended;
    }
    CHECK(ended == r.ended);
    CHECK(unsendable == r.unsendable);
}

wanted get(std::string uri) { return to_send(verb::get, std::move(uri)); }
wanted put(std::string uri, std::string atomic = {}) {
    return to_send(verb::replace, std::move(uri), "1", std::move(atomic));
}
// A value for three messages where the device's MaxMsgSize is `small`.
wanted large(std::string uri) { return to_send(verb::add, std::move(uri), std::string(1200, 'x')); }
std::string const small = "<Meta><MaxMsgSize xmlns='syncml:metinf'>1300</MaxMsgSize></Meta>";

std::string const final_ = "<Final/>";
std::string const more = "<MoreData/>";
std::string size_is(int n) { return fmt::format("<Meta><Size xmlns='syncml:metinf'>{}</Size></Meta>{}", n, more); }
std::vector<wanted> const two{put("./A", "p"), put("./B", "p")};

std::vector<row> const packages{
    {"P 8.1: a session begins and ends with statuses alone", {},
        {{alert_of(2, 1201) +
                "<Replace><CmdID>3</CmdID><Item><Source><LocURI>./DevInfo/Man</LocURI></Source></Item>"
                "</Replace>" +
                final_,
            "S0=200 S2=200 S3=200 F", ""}}},
    {"P 8: a Get is asked and answered", {get("./N")},
        {{alert_of(2, 1201) + final_, "S0=200 S2=200 Get3 ./N F", ""},
            {header_ok(1) + status_of(1, 3, 200) + results_of(1, 3, "./N", "v") + final_, "S0=200 F", "./N=200(v)"}}},
    {"R 6, CmdID: blank reference and 400 for what has none", {},
        {{"<Alert><Data>1201</Data></Alert><Replace/>" + alert_of(4, 1224) + final_, "S0=200 S=400 S=400 S4=200 F",
            ""}}},
    {"R 6: an unknown element is 400, a command that a client may not send 406, a write elsewhere 405", {},
        {{"<Odd><CmdID>2</CmdID></Odd><Put><CmdID>3</CmdID></Put><Get><CmdID>4</CmdID></Get><Atomic><CmdID>5</CmdID>"
          "</Atomic><Sync><CmdID>6</CmdID></Sync><Replace><CmdID>7</CmdID><Item><Source><LocURI>./X</LocURI></Source>"
          "</Item></Replace>" +
                final_,
            "S0=200 S2=400 S3=406 S4=406 S5=406 S6=406 S7=405 F", ""}}},
    {"P 8.2: without Final statuses and 1222 alone, then on", {get("./N")},
        {{alert_of(2, 1201), "S0=200 S2=200 A1222", ""}, {alert_of(2, 1222) + final_, "S0=200 S2=200 Get3 ./N F", ""}},
        false},
    {"M 2.2, requestpending: a sign of life is answered with statuses and 1222", {get("./N"), put("./O")},
        {{final_, "S0=200 Get2 ./N Replace3 ./O F", ""},
            {alert_of(2, 1224, "com.microsoft.mdm.requestpending", "1"), "S0=200 S2=200 A1222", ""},
            {alert_of(2, 1224, "com.microsoft.mdm.requestpending", "1") + final_, "S0=200 S2=200 A1222", ""},
            {status_of(1, 2, 404) + status_of(1, 3, 200) + final_, "S0=200 F", "./N=404 ./O=200"}}},
    {"P 8, 1223: the device aborts, and nothing more is sent", {get("./N"), get("./O")},
        {{final_, "S0=200 Get2 ./N Get3 ./O F", ""}, {alert_of(2, 1223) + final_, "S0=200 S2=200 F", ""}}},
    {"R 10, 214: done, but no more commands in this session", {put("./N")},
        {{final_, "S0=200 Replace2 ./N F", ""}, {status_of(1, 2, 214) + final_, "S0=200 F", "./N=214"}}},
    {"R 10, 214: what waits in the same message is given back", {put("./N"), put("./O")},
        {{final_, "S0=200 Replace2 ./N Replace3 ./O F", ""}, {status_of(1, 2, 214) + final_, "S0=200 F", "./N=214"}}},
    {"R 10, 214: it holds until the session's end", {put("./N")},
        {{final_, "S0=200 Replace2 ./N F", ""}, {status_of(1, 2, 214), "S0=200 A1222", "./N=214"},
            {final_, "S0=200 F", ""}}},
    {"R 10, 215 and 216 are outcomes, 1xx is none", {put("./A"), put("./B"), put("./C")},
        {{final_, "S0=200 Replace2 ./A Replace3 ./B Replace4 ./C F", ""},
            {status_of(1, 2, 215) + status_of(1, 3, 216) + status_of(1, 4, 101) + final_, "S0=200 F",
                "./A=215 ./B=216"}},
        false},
    {"R 10: statuses twice, and of what was never sent", {put("./A")},
        {{final_, "S0=200 Replace2 ./A F", ""},
            {status_of(1, 2, 200) + status_of(1, 2, 200) + status_of(1, 9, 500) + status_of(7, 2, 500) + final_,
                "S0=200 F", "./A=200"}}},
    {"R 6, Results: those of another command or of none are read over", {get("./A"), put("./B")},
        {{final_, "S0=200 Get2 ./A Replace3 ./B F", ""},
            {status_of(1, 2, 200) + results_of(1, 3, "./B", "x") + results_of(1, 9, "./A", "y", {}, 51) +
                    results_of(2, 2, "./A", "z", {}, 52) + status_of(1, 3, 200) + final_,
                "S0=200 F", "./A=200 ./B=200"}}},
};

std::vector<row> const atomics{
    {"R 6, Atomic: consecutive commands of one text, with CmdIDs of their own",
        {get("./N"), put("./A", "p"), put("./B", "p"), put("./C", "q"), put("./D")},
        {{final_, "S0=200 Get2 ./N Atomic3[Replace4 ./A Replace5 ./B] Atomic6[Replace7 ./C] Replace8 ./D F", ""},
            {status_of(1, 2, 404) + status_of(1, 3, 200) + status_of(1, 4, 200) + status_of(1, 5, 200) +
                    status_of(1, 6, 507) + status_of(1, 7, 405) + status_of(1, 8, 200) + final_,
                "S0=200 F", "./N=404 ./A=200 ./B=200 ./C=405 ./D=200"}}},
    {"R 6, Atomic: commands before its status", two,
        {{final_, "S0=200 Atomic2[Replace3 ./A Replace4 ./B] F", ""},
            {status_of(1, 3, 216) + status_of(1, 4, 404) + status_of(1, 2, 507) + final_, "S0=200 F",
                "./A=216 ./B=404"}}},
    {"R 6, Atomic: in several messages", two,
        {{final_, "S0=200 Atomic2[Replace3 ./A Replace4 ./B] F", ""}, {status_of(1, 2, 507), "S0=200 A1222", ""},
            {status_of(1, 3, 216), "S0=200 A1222", "./A=216"}, {final_, "S0=200 F", "./B=216"}}},
    {"R 6, Atomic: a success of what was rolled back is none", two,
        {{final_, "S0=200 Atomic2[Replace3 ./A Replace4 ./B] F", ""}, {status_of(1, 3, 200), "S0=200 A1222", ""},
            {status_of(1, 2, 507) + status_of(1, 4, 500) + final_, "S0=200 F", "./A=216 ./B=500"}}},
    {"R 6, Atomic: its status alone, done", two,
        {{final_, "S0=200 Atomic2[Replace3 ./A Replace4 ./B] F", ""},
            {status_of(1, 2, 200) + final_, "S0=200 F", "./A=200 ./B=200"}}},
    {"R 6, Atomic: its status alone, failed", two,
        {{final_, "S0=200 Atomic2[Replace3 ./A Replace4 ./B] F", ""},
            {status_of(1, 2, 507) + final_, "S0=200 F", "./A=216 ./B=216"}}},
    {"R 10, 516: a rollback that failed is seen", two,
        {{final_, "S0=200 Atomic2[Replace3 ./A Replace4 ./B] F", ""},
            {status_of(1, 2, 516) + status_of(1, 3, 200) + final_, "S0=200 F", "./A=516 ./B=516"}}},
    {"R 10, 516: of one command", two,
        {{final_, "S0=200 Atomic2[Replace3 ./A Replace4 ./B] F", ""},
            {status_of(1, 2, 507) + status_of(1, 3, 516) + status_of(1, 4, 500) + final_, "S0=200 F",
                "./A=516 ./B=500"}}},
    {"R 6, Atomic: without its status each command has its own", two,
        {{final_, "S0=200 Atomic2[Replace3 ./A Replace4 ./B] F", ""},
            {status_of(1, 3, 200) + final_, "S0=200 F", "./A=200"}},
        false},
    {"M 2.2, Atomic: never with a Get, nor of user and device",
        {put("./A", "p"), to_send(verb::get, "./B", {}, "p"), put("./User/C", "q"), put("./D", "q"),
            put("./user/E", "r"), put("./User/F", "r")},
        {{final_, "S0=200 Atomic2[Replace3 ./user/E Replace4 ./User/F] F", ""}}, false, "./A ./B ./User/C ./D "},
    {"P 6, MaxMsgSize: an Atomic is whole in the next message",
        {get("./" + std::string(600, 'n')), put("./A", "p"), put("./" + std::string(300, 'b'), "p")},
        {{final_, "S0=200 Get2 ./" + std::string(600, 'n') + " F", "", small},
            {status_of(1, 2, 404) + final_, "S0=200 Atomic2[Replace3 ./A Replace4 ./" + std::string(300, 'b') + "] F",
                "./" + std::string(600, 'n') + "=404"}},
        false},
    {"P 6, MaxMsgSize: an Atomic larger than a message is never sent",
        {put("./A", "p"), to_send(verb::replace, "./B", std::string(1300, 'x'), "p"), get("./N")},
        {{final_, "S0=200 Get2 ./N F", "", small}}, false, "./A ./B "},
};

std::vector<row> const large_objects{
    {"P 7: a large object goes out alone, part after part", {get("./N"), large("./L"), put("./M")},
        {{final_, "S0=200 Get2 ./N F", "", small}, {status_of(1, 2, 404) + final_, "S0=200 Add2 ./L more", "./N=404"},
            {status_of(2, 2, 213) + alert_of(5, 1222), "S0=200 S5=200 Add3 ./L F", ""},
            {status_of(3, 3, 200) + final_, "S0=200 Replace2 ./M F", "./L=200"}},
        false},
    {"P 7: its next part goes out whether or not the device ends its package", {large("./L")},
        {{final_, "S0=200 Add2 ./L more", "", small},
            {status_of(1, 2, 213) + alert_of(5, 1222) + final_, "S0=200 S5=200 Add3 ./L F", ""},
            {status_of(2, 3, 200) + final_, "S0=200 F", "./L=200"}}},
    {"P 7: a late status of an earlier part says nothing", {large("./L")},
        {{final_, "S0=200 Add2 ./L more", "", small}, {status_of(1, 2, 213), "S0=200 Add2 ./L F", ""},
            {status_of(1, 2, 500) + status_of(2, 2, 418) + final_, "S0=200 F", "./L=418"}}},
    {"P 7: a sign of life between two parts", {large("./L")},
        {{final_, "S0=200 Add2 ./L more", "", small},
            {alert_of(5, 1224, "com.microsoft.mdm.requestpending", "1"), "S0=200 S5=200 A1222", ""},
            {status_of(1, 2, 213), "S0=200 Add2 ./L F", ""}},
        false},
    {"P 7, 1225: from the start once more", {large("./L")},
        {{final_, "S0=200 Add2 ./L more", "", small},
            {status_of(1, 2, 213) + alert_of(5, 1225), "S0=200 S5=200 Add3 ./L more", ""},
            {status_of(2, 3, 213), "S0=200 Add2 ./L F", ""}, {status_of(3, 2, 200) + final_, "S0=200 F", "./L=200"}}},
    {"P 7, 1225: and not a third time", {large("./L")},
        {{final_, "S0=200 Add2 ./L more", "", small},
            {status_of(1, 2, 412) + alert_of(5, 1225), "S0=200 S5=200 Add3 ./L more", ""},
            {alert_of(5, 1225) + final_, "S0=200 S5=200 F", "./L=424"}}},
    {"P 7, 1225 where nothing is on its way is not taken", {}, {{alert_of(5, 1225) + final_, "S0=200 S5=406 F", ""}}},
    {"P 7: done before its end is not done", {large("./L")},
        {{final_, "S0=200 Add2 ./L more", "", small}, {status_of(1, 2, 200) + final_, "S0=200 F", "./L=424"}}},
    {"P 7: refused at its first part", {large("./L")},
        {{final_, "S0=200 Add2 ./L more", "", small}, {status_of(1, 2, 413) + final_, "S0=200 F", "./L=413"}}},
    {"P 7: stopped in its course", {large("./L")},
        {{final_, "S0=200 Add2 ./L more", "", small}, {status_of(1, 2, 214) + final_, "S0=200 F", "./L=424"}}},
    {"P 6, MaxObjSize: what is over it is never sent", {large("./L"), put("./M")},
        {{final_, "S0=200 Replace2 ./M F", "", "<Meta><MaxObjSize xmlns='syncml:metinf'>1199</MaxObjSize></Meta>"}},
        false, "./L "},
    {"P 6, MaxMsgSize without room for parts", {large("./L"), get("./M")},
        {{final_, "S0=200 Get2 ./M F", "", "<Meta><MaxMsgSize xmlns='syncml:metinf'>600</MaxMsgSize></Meta>"}}, false,
        "./L "},
    {"P 7: a value of the announced size", {get("./N")},
        {{final_, "S0=200 Get2 ./N F", ""},
            {status_of(1, 2, 200) + results_of(1, 2, "./N", "abc", size_is(6)), "S0=200 S50=213 A1222", ""},
            {results_of(1, 2, "./N", "def") + final_, "S0=200 F", "./N=200(abcdef)"}}},
    {"P 7, 424: a value of another size", {get("./N")},
        {{final_, "S0=200 Get2 ./N F", ""},
            {status_of(1, 2, 200) + results_of(1, 2, "./N", "abc", size_is(7)), "S0=200 S50=213 A1222", ""},
            {results_of(1, 2, "./N", "def") + final_, "S0=200 S50=424 F", "./N=424"}}},
    {"P 7, 416: a value that is announced too large", {get("./N")},
        {{final_, "S0=200 Get2 ./N F", ""}, {status_of(1, 2, 200) + results_of(1, 2, "./N", "abc", size_is(8388609)),
                                                "S0=200 S50=416 A1222", "./N=416"}},
        false},
    {"P 7, 1225: another command within a value, which comes again", {get("./N")},
        {{final_, "S0=200 Get2 ./N F", ""},
            {status_of(1, 2, 200) + results_of(1, 2, "./N", "abc", size_is(6)), "S0=200 S50=213 A1222", ""},
            {"<Replace><CmdID>9</CmdID></Replace>" + final_, "S0=200 S9=200 A1225 F", ""},
            {results_of(1, 2, "./N", "abcdef") + final_, "S0=200 F", "./N=200(abcdef)"}}},
    {"P 7, 1225: another value within a value, which never comes again", {get("./N"), get("./O")},
        {{final_, "S0=200 Get2 ./N Get3 ./O F", ""},
            {status_of(1, 2, 200) + results_of(1, 2, "./N", "abc", more), "S0=200 S50=213 A1222", ""},
            {status_of(1, 3, 200) + results_of(1, 3, "./O", "o") + final_, "S0=200 A1225 F", "./O=200(o)"},
            {final_, "S0=200 F", "./N=412"}}},
    {"P 7: statuses and alerts may come within a value", {get("./N"), put("./O")},
        {{final_, "S0=200 Get2 ./N Replace3 ./O F", ""},
            {status_of(1, 2, 200) + results_of(1, 2, "./N", "abc", more), "S0=200 S50=213 A1222", ""},
            {alert_of(2, 1222) + status_of(1, 3, 200) + results_of(1, 2, "./N", "def") + final_, "S0=200 S2=200 F",
                "./N=200(abcdef) ./O=200"}}},
};

}  // namespace

TEST_CASE("packages go as the protocol has them", "[omadm][conformance]") {
    for (auto const& r : packages) DYNAMIC_SECTION(r.name) {
            converse(r);
        }
}
TEST_CASE("Atomics go as the protocol has them", "[omadm][conformance]") {
    for (auto const& r : atomics) DYNAMIC_SECTION(r.name) {
            converse(r);
        }
}
TEST_CASE("large objects go as the protocol has them", "[omadm][conformance]") {
    for (auto const& r : large_objects) DYNAMIC_SECTION(r.name) {
            converse(r);
        }
}

TEST_CASE("alerts of Windows are acknowledged and left to the caller, M 2.2", "[omadm][conformance]") {
    auto const type = GENERATE(as<std::string>(), "com.microsoft/MDM/DevicePrepSync", "com.microsoft/MDM/BootstrapSync",
        "com.microsoft/MDM/OdjSync", "com.microsoft.mdm.win32csp_install", "com.microsoft.mdm.never.heard.of");
    auto const code = GENERATE(1224, 1226);
    auto const in = receive({}, parse(message_text(1, alert_of(2, code, type, "-7") + final_)).value()).value();
    CHECK(in.statuses.back() == reply_status{2, "Alert", 200});
    REQUIRE(in.alerts.size() == 1);
    CHECK(in.alerts[0].items.at(0).type == type);
    CHECK(in.alerts[0].items.at(0).source == "./S");
    CHECK(in.alerts[0].items.at(0).data == "-7");
}

TEST_CASE("the kind of a synchronisation is kept for the session, M 2.2", "[omadm][conformance]") {
    auto const [data, kind] = GENERATE(
        table<std::string, std::string>({{"user", "user"}, {" Device ", "device"}, {"mixed", "mixed"}, {"all", ""}}));
    auto const m = parse(message_text(1, alert_of(2, 1224, "com.microsoft.mdm.synctype", data) + final_)).value();
    auto const in = receive({}, m).value();
    CHECK(in.next.sync_type == kind);
    auto const a = reply_to(in, both_ends, std::vector{get("./N")});
    CHECK(receive(a.next, parse(message_text(2, final_)).value()).value().next.sync_type == kind);
}

TEST_CASE("an outcome tells its Atomic's status", "[omadm][conformance]") {
    auto const status = GENERATE(200, 507, 516);
    auto const in = receive({}, parse(message_text(1, final_)).value()).value();
    auto const a = reply_to(in, both_ends, std::vector{put("./A", "p"), put("./B")});
    auto const said = status_of(1, 2, status) + status_of(1, 4, 200) + final_;
    auto const out = receive(a.next, parse(message_text(2, said)).value()).value().outcomes;
    REQUIRE(out.size() == 2);
    CHECK(out[0].atomic_status == status);
    CHECK(out[1].atomic_status == 0);
}

TEST_CASE("whatever a device answers, a command has that for its outcome, R 10", "[omadm][conformance]") {
    auto const what = GENERATE(verb::get, verb::replace, verb::exec);
    auto const first = receive({}, parse(message_text(1, final_)).value()).value();
    auto const s = reply_to(first, both_ends, std::vector{to_send(what, "./A"), to_send(what, "./B")}).next;
    for (int code = 100; code < 1000; ++code) {
        CAPTURE(code);
        auto const said = status_of(1, 2, code) + results_of(1, 2, "./A", "v") + final_;
        auto const in = receive(s, parse(message_text(2, said)).value()).value();
        CHECK(in.stop == (code == 214));
        if (code < 200 || code == 213) {
            CHECK(in.outcomes.empty());
            continue;
        }
        bool const has_value = what == verb::get && code < 400;
        CHECK(in_short(in.outcomes) == fmt::format("./A={}{}", code, has_value ? "(v)" : ""));
        REQUIRE(in.next.waiting.size() == 1);
        CHECK(in.next.waiting[0].key == "./B");
        CHECK(reply_to(in, both_ends, {}).ended == (code == 214));
    }
}
