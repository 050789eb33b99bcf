#include <algorithm>
#include <limits>

#include "omadm/session.hpp"
#include "test/support.hpp"
#include "xml/document.hpp"

using namespace mdmd;
using namespace mdmd::omadm;

namespace {

using body = decltype(message::body);

message from_device(int msg_id, body commands, bool final = true, std::string id = "1") {
    return {.hdr = {.session_id = std::move(id),
                .msg_id = msg_id,
                .target = "https://mdm",
                .source = "DEVICE",
                .max_msg_size = std::nullopt},
        .body = std::move(commands),
        .final = final};
}

item value(std::string data, std::string format = "chr", std::string source = "./N") {
    return {.target = {},
        .source = std::move(source),
        .format = std::move(format),
        .type = {},
        .data = std::move(data),
        .more_data = false};
}

item chunk(std::string data) {
    auto i = value(std::move(data));
    i.more_data = true;
    return i;
}

item event(std::string type, std::string data) {
    return {
        .target = {}, .source = {}, .format = {}, .type = std::move(type), .data = std::move(data), .more_data = false};
}

status answered(int cmd_ref, int data, int msg_ref = 1, std::string original_error = {}) {
    static int id = 1000;
    return {.cmd_id = ++id,
        .msg_ref = msg_ref,
        .cmd_ref = cmd_ref,
        .cmd = "Get",
        .data = data,
        .original_error = std::move(original_error),
        .target_refs = {}};
}

results got(int cmd_ref, std::vector<item> items, int msg_ref = 1, int cmd_id = 50) {
    return {.cmd_id = cmd_id, .msg_ref = msg_ref, .cmd_ref = cmd_ref, .items = std::move(items)};
}

alert alerted(int cmd_id, int code, std::vector<item> items = {}) {
    return {.cmd_id = cmd_id, .code = code, .items = std::move(items)};
}

wanted want(verb what, std::string key, std::optional<std::string> data = std::nullopt) {
    return {
        .key = std::move(key), .what = {.what = what, .uri = "./N", .format = {}, .type = {}, .data = std::move(data)}};
}

addresses const here{.device = "DEVICE", .management = "https://mdm.example.test/dm"};

answer answer_to(intake const& in, std::vector<wanted> const& queue = {}) { return reply_to(in, here, queue); }

// A session in which these commands went out with our first message, CmdIDs 2, 3…
session with_sent(std::vector<wanted> const& queue) {
    auto const a = answer_to(receive({}, from_device(1, {})).value(), queue);
    REQUIRE(a.next.waiting.size() == queue.size());
    return a.next;
}

int count(std::string_view text, std::string_view what) {
    int n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
    return n;
}

}  // namespace

TEST_CASE("the first message of Windows' first session is taken in and answered", "[omadm][trace]") {
    auto const text = test::trace("windows10-enroll-manage-unenroll/05-mdm-s1m1.request.body.xml");
    if (!text) return;
    auto const m = parse(*text).value();
    auto const in = receive({}, m).value();
    CHECK(in.statuses ==
          std::vector<reply_status>{{0, "SyncHdr", 200}, {2, "Alert", 200}, {3, "Alert", 200}, {4, "Replace", 200}});
    CHECK(in.device_info == std::map<std::string, std::string>{{"./DevInfo/DevId", "B5B954E81FBCB94EB79BD08BE625F4EE"},
                                {"./DevInfo/Man", "VMware, Inc."}, {"./DevInfo/Mod", "VMware7,1"},
                                {"./DevInfo/DmV", "1.3"}, {"./DevInfo/Lang", "en-US"}});
    CHECK(in.next.login_status == "user");
    CHECK_FALSE(in.unenrolled);

    // The same answer as the captured server's, which Windows accepted, its white space aside.
    auto const a = reply_to(in, {m.hdr.source, m.hdr.target}, {});
    auto const captured = test::trace("windows10-enroll-manage-unenroll/05-mdm-s1m1.response.body.xml");
    REQUIRE(captured);
    std::string dense = captured->substr(captured->find("<SyncML"));
    for (auto at = dense.find("\n"); at != dense.npos; at = dense.find("\n"))
        dense.erase(at, dense.find_first_not_of(" \n", at) - at);
    dense.replace(dense.find("<Final />"), 9, "<Final/>");
    CHECK(a.text == dense);
    CHECK(a.ended);
}

TEST_CASE("a user's unenrollment is noticed", "[omadm][trace]") {
    auto const text = test::trace("windows10-enroll-manage-unenroll/06-mdm-s2m1-unenroll.request.body.xml");
    if (!text) return;
    auto const in = receive({}, parse(*text).value()).value();
    CHECK(in.unenrolled);
    REQUIRE(in.alerts.size() == 2);
    CHECK(in.alerts.back().items.front().type == "com.microsoft:mdm.unenrollment.userrequest");
}

TEST_CASE("each alert gets its status", "[omadm]") {
    auto const [code, data] = GENERATE(table<int, int>({{1100, 406}, {1200, 200}, {1201, 200}, {1202, 406}, {1221, 406},
        {1222, 200}, {1223, 200}, {1224, 200}, {1225, 406}, {1226, 200}, {1227, 406}, {1, 406}}));
    auto const in = receive({}, from_device(1, {alerted(2, code)})).value();
    CHECK(in.statuses == std::vector<reply_status>{{0, "SyncHdr", 200}, {2, "Alert", data}});
    CHECK(in.alerts.size() == (code == 1224 || code == 1226 ? 1 : 0));
}

TEST_CASE("a device may replace its DevInfo and nothing else", "[omadm][security]") {
    auto const [name, second, data] = GENERATE(table<std::string, std::string, int>({{"Replace", "./DevInfo/Man", 200},
        {"Replace", "./DevInfo/Ext/Microsoft/X", 200}, {"Replace", "./Vendor/MSFT/X", 405},
        {"Replace", "./DevInfoX/Man", 405}, {"Replace", "", 405}, {"Add", "./DevInfo/Man", 406},
        {"Get", "./DevInfo/Man", 406}, {"Exec", "./DevInfo/Man", 406}, {"Atomic", "./DevInfo/Man", 406}}));
    CAPTURE(name, second);
    auto const in =
        receive({}, from_device(1, {foreign{7, name, {value("1", "", "./DevInfo/DevId"), value("2", "", second)}}}))
            .value();
    CHECK(in.statuses.back() == reply_status{7, name, data});
    CHECK(in.device_info.size() == (data == 200 ? 2 : 0));
}

TEST_CASE("a user's token is taken out of the alerts", "[omadm][security]") {
    auto const in =
        receive({}, from_device(1, {alerted(2, 1224, {event("com.microsoft/MDM/AADUserToken", " eyJ.a.b\n")}),
                                       alerted(3, 1224, {event("com.microsoft/MDM/LoginStatus", " Others ")}),
                                       alerted(4, 1224,
                                           {event("com.microsoft.mdm.synctype", "mixed"),
                                               event("com.microsoft/mdm/aadusertoken", "eyJ.c.d")})}))
            .value();
    CHECK(in.user_token == "eyJ.c.d");
    CHECK(in.next.login_status == "others");
    REQUIRE(in.alerts.size() == 2);
    for (auto const& a : in.alerts)
        for (auto const& i : a.items) CHECK_THAT(i.data, !Catch::Contains("eyJ"));
}

TEST_CASE("a login status that is none of the three is not believed", "[omadm]") {
    auto const in =
        receive({}, from_device(1, {alerted(2, 1224, {event("com.microsoft/MDM/LoginStatus", "admin")})})).value();
    CHECK(in.next.login_status.empty());
}

TEST_CASE("commands go out with what they need to be recognised by", "[omadm]") {
    auto const in = receive({}, from_device(1, {alerted(2, 1201)})).value();
    auto const a = answer_to(in, {want(verb::get, "k1"), want(verb::replace, "k2", "v")});
    CHECK(a.taken == 2);
    CHECK(a.unsendable.empty());
    CHECK_FALSE(a.ended);
    REQUIRE(a.next.waiting.size() == 2);
    CHECK(a.next.waiting[0].key == "k1");
    CHECK(a.next.waiting[0].msg_id == 1);
    CHECK(a.next.waiting[0].cmd_id == 3);
    CHECK(a.next.waiting[1].cmd_id == 4);
    test::matches_golden("omadm/first-commands.xml", a.text);
}

TEST_CASE("with nothing to send and nothing waiting the session ends", "[omadm]") {
    auto const a = answer_to(receive({}, from_device(1, {alerted(2, 1201)})).value());
    CHECK(a.ended);
    CHECK(a.next.ended);
    CHECK_THAT(a.text, Catch::Contains("<Final/>"));
}

TEST_CASE("outcomes come with their status, in the order of sending", "[omadm]") {
    auto const s = with_sent({want(verb::add, "a", "1"), want(verb::exec, "b"), want(verb::remove, "c")});
    auto const in =
        receive(s, from_device(2, {answered(4, 404, 1, "0x86000002"), answered(2, 200), answered(3, 202)})).value();
    REQUIRE(in.outcomes.size() == 3);
    CHECK(in.outcomes[0].key == "a");
    CHECK(in.outcomes[0].status == 200);
    CHECK(in.outcomes[0].sent == s.waiting[0].sent);
    CHECK(in.outcomes[1].status == 202);
    CHECK(in.outcomes[2].status == 404);
    CHECK(in.outcomes[2].original_error == "0x86000002");
    CHECK(in.next.waiting.empty());
    CHECK(in.statuses == std::vector<reply_status>{{0, "SyncHdr", 200}});
    CHECK(answer_to(in).ended);
}

TEST_CASE("of several statuses for one command the worst counts", "[omadm]") {
    auto const order =
        GENERATE(std::vector<int>{200, 404, 200}, std::vector<int>{404, 200}, std::vector<int>{101, 200, 404});
    body all;
    for (auto const data : order) all.push_back(answered(2, data, 1, data == 404 ? "0x1" : ""));
    auto const in = receive(with_sent({want(verb::replace, "a", "1")}), from_device(2, all)).value();
    REQUIRE(in.outcomes.size() == 1);
    CHECK(in.outcomes[0].status == 404);
    CHECK(in.outcomes[0].original_error == "0x1");
}

TEST_CASE("a command in progress is not answered yet", "[omadm]") {
    auto const in = receive(with_sent({want(verb::exec, "a")}), from_device(2, {answered(2, 101)})).value();
    CHECK(in.outcomes.empty());
    CHECK(in.next.waiting.size() == 1);
}

TEST_CASE("a Get is complete with both status and results, whichever comes first", "[omadm]") {
    auto const s = with_sent({want(verb::get, "a")});
    auto const first_results = GENERATE(false, true);
    auto const one_message = GENERATE(false, true);
    CAPTURE(first_results, one_message);
    body both{answered(2, 200), got(2, {value("v", "int")})};
    if (first_results) std::swap(both[0], both[1]);
    intake in;
    if (one_message) {
        in = receive(s, from_device(2, both)).value();
    } else {
        in = receive(s, from_device(2, {both[0]}, false)).value();
        CHECK(in.outcomes.empty());
        auto const kept = load(save(answer_to(in).next)).value();
        in = receive(kept, from_device(3, {both[1]})).value();
    }
    REQUIRE(in.outcomes.size() == 1);
    CHECK(in.outcomes[0].status == 200);
    CHECK(in.outcomes[0].value == "v");
    CHECK(in.outcomes[0].format == "int");
    CHECK(in.next.waiting.empty());
}

TEST_CASE("a Get whose results never come completes with no value when the package ends", "[omadm]") {
    auto const s = with_sent({want(verb::get, "a")});
    auto const in = receive(s, from_device(2, {answered(2, 200)})).value();
    REQUIRE(in.outcomes.size() == 1);
    CHECK(in.outcomes[0].status == 200);
    CHECK_FALSE(in.outcomes[0].value);
}

TEST_CASE("a Get that failed is complete at once and has no value", "[omadm]") {
    auto const s = with_sent({want(verb::get, "a")});
    auto const in = receive(s, from_device(2, {answered(2, 404), got(2, {value("v")})}, false)).value();
    REQUIRE(in.outcomes.size() == 1);
    CHECK(in.outcomes[0].status == 404);
    CHECK_FALSE(in.outcomes[0].value);
}

TEST_CASE("an interior node's value is the names of its children", "[omadm]") {
    auto const names = GENERATE(as<std::string>(), "", "A/B%2FC/D");
    auto const in =
        receive(with_sent({want(verb::get, "a")}), from_device(2, {answered(2, 200), got(2, {value(names, "node")})}))
            .value();
    CHECK(in.outcomes.at(0).value == names);
    CHECK(in.outcomes.at(0).format == "node");
}

TEST_CASE("of several items the node asked for is the value, else the first", "[omadm]") {
    auto const [source, expected] = GENERATE(table<std::string, std::string>({{"./N", "2"}, {"./Other", "1"}}));
    auto const in = receive(with_sent({want(verb::get, "a")}),
        from_device(2, {answered(2, 200), got(2, {value("1", "chr", "./N/x"), value("2", "chr", source)})}))
                        .value();
    CHECK(in.outcomes.at(0).value == expected);
}

TEST_CASE("a value in chunks is put together", "[omadm]") {
    auto s = with_sent({want(verb::get, "a")});
    auto in = receive(s, from_device(2, {answered(2, 200), got(2, {chunk("one ")})}, false)).value();
    CHECK(in.statuses == std::vector<reply_status>{{0, "SyncHdr", 200}, {50, "Results", 213}});
    CHECK(in.outcomes.empty());
    auto a = answer_to(in, {want(verb::get, "b")});
    CHECK(a.taken == 0);
    CHECK_THAT(a.text, Catch::Contains("<Data>1222</Data>") && !Catch::Contains("<Final/>"));
    in = receive(load(save(a.next)).value(), from_device(3, {got(2, {chunk("two ")})}, GENERATE(false, true))).value();
    CHECK(in.more_to_come);
    in = receive(answer_to(in).next, from_device(4, {got(2, {value("three", "")})})).value();
    REQUIRE(in.outcomes.size() == 1);
    CHECK(in.outcomes[0].value == "one two three");
    CHECK(in.outcomes[0].format == "chr");
}

TEST_CASE("a value that never ends is given up at the limit", "[omadm][security]") {
    session s = with_sent({want(verb::get, "a")});
    std::string const part(object_limit / 4, 'x');
    int msg = 2;
    for (; msg < 6; ++msg) {
        auto const in = receive(s, from_device(msg, {got(2, {chunk(part)})}, false)).value();
        REQUIRE(in.outcomes.empty());
        s = answer_to(in).next;
    }
    auto const in = receive(s, from_device(msg, {got(2, {chunk(part)})}, false)).value();
    CHECK(in.statuses.back() == reply_status{50, "Results", 416});
    REQUIRE(in.outcomes.size() == 1);
    CHECK(in.outcomes[0].status == 416);
    CHECK_FALSE(in.outcomes[0].value);
    CHECK(in.next.waiting.empty());
}

TEST_CASE("answers to what was never sent are passed over", "[omadm][security]") {
    auto const s = with_sent({want(verb::exec, "a")});
    auto const in = receive(s, from_device(2, {answered(0, 200), answered(9, 200), answered(2, 200, 7),
                                                  got(2, {value("v")}), got(9, {value("v")})}))
                        .value();
    CHECK(in.outcomes.empty());
    CHECK(in.next.waiting == s.waiting);
}

TEST_CASE("nothing new is sent while something is unanswered", "[omadm]") {
    auto const s = with_sent({want(verb::add, "a", "1"), want(verb::add, "b", "1")});
    auto const in = receive(s, from_device(2, {answered(2, 200)})).value();
    CHECK(in.outcomes.size() == 1);
    auto const a = answer_to(in, {want(verb::get, "c")});
    CHECK(a.taken == 0);
    CHECK_FALSE(a.ended);
    CHECK_THAT(a.text, Catch::Contains("<Final/>") && !Catch::Contains("<Get>"));
    auto const later = receive(a.next, from_device(3, {answered(3, 200)})).value();
    CHECK(later.outcomes.at(0).key == "b");
    CHECK(answer_to(later, {want(verb::get, "c")}).taken == 1);
}

TEST_CASE("our messages are counted through the session", "[omadm]") {
    auto const s = with_sent({want(verb::get, "a")});
    auto const in = receive(s, from_device(2, {answered(2, 404)})).value();
    auto const a = answer_to(in, {want(verb::get, "b")});
    CHECK(a.next.server_msg_id == 2);
    CHECK(a.next.device_msg_id == 2);
    CHECK(a.next.waiting.at(0).msg_id == 2);
    CHECK_THAT(a.text, Catch::Contains("<MsgID>2</MsgID>") && Catch::Contains("<MsgRef>2</MsgRef>"));
}

TEST_CASE("a message number that does not follow is refused", "[omadm]") {
    auto const s = with_sent({want(verb::get, "a")});
    auto const msg_id = GENERATE(1, 3, 4, std::numeric_limits<int>::max());
    auto const in = receive(s, from_device(msg_id, {}));
    REQUIRE_FALSE(in);
    CHECK(in.error().code == errc::malformed);
}

TEST_CASE("a new SessionID begins a session, whatever was waiting", "[omadm]") {
    auto s = with_sent({want(verb::get, "a")});
    s.login_status = "user";
    s.max_msg_size = 1000;
    auto const in = receive(s, from_device(1, {alerted(2, 1201), answered(2, 200)}, true, "2")).value();
    CHECK(in.next == session{.id = "2",
                         .device_msg_id = 1,
                         .server_msg_id = 0,
                         .max_msg_size = 0,
                         .waiting = {},
                         .login_status = {},
                         .ended = false});
    CHECK(in.outcomes.empty());
}

TEST_CASE("after an ended session the same SessionID begins another", "[omadm]") {
    auto const ended = answer_to(receive({}, from_device(1, {})).value()).next;
    REQUIRE(ended.ended);
    auto const again = receive(ended, from_device(1, {})).value().next;
    CHECK_FALSE(again.ended);
    CHECK(again.server_msg_id == 0);
    auto const on = receive(ended, from_device(2, {})).value().next;
    CHECK_FALSE(on.ended);
    CHECK(on.server_msg_id == 1);  // one number is not given to two messages of what the device sees as one session
}

TEST_CASE("an aborted session ends without commands and keeps what is to be requeued", "[omadm]") {
    auto const s = with_sent({want(verb::add, "a", "1")});
    auto const in = receive(s, from_device(2, {alerted(5, 1223)}, GENERATE(true, false))).value();
    CHECK(in.aborted);
    auto const a = answer_to(in, {want(verb::get, "b")});
    CHECK(a.ended);
    CHECK(a.taken == 0);
    CHECK(a.next.waiting.size() == 1);
    CHECK_THAT(a.text, Catch::Contains("<Final/>") && !Catch::Contains("<Get>") && !Catch::Contains("1222"));
}

TEST_CASE("a message without Final is answered with statuses and 1222 alone", "[omadm]") {
    auto const in =
        receive({}, from_device(1, {alerted(2, 1224, {event("com.microsoft.mdm.requestpending", "1")})}, false))
            .value();
    auto const a = answer_to(in, {want(verb::get, "a")});
    CHECK(a.taken == 0);
    CHECK_FALSE(a.ended);
    test::matches_golden("omadm/more-to-come.xml", a.text);
}

TEST_CASE("MaxMsgSize is kept, and what does not fit waits for the next message", "[omadm]") {
    auto m = from_device(1, {alerted(2, 1201)});
    m.hdr.max_msg_size = GENERATE(as<std::uint64_t>(), 900, 1000, 2000, 5000);
    std::vector<wanted> queue;
    for (int i = 0; i < 100; ++i) queue.push_back(want(verb::replace, "k" + std::to_string(i), std::string(20, '<')));
    auto in = receive({}, m).value();
    CHECK(in.next.max_msg_size == *m.hdr.max_msg_size);
    std::size_t done = 0;
    int rounds = 0;
    while (done < queue.size()) {
        REQUIRE(++rounds < 200);
        auto const a = reply_to(in, here, std::span(queue).subspan(done));
        REQUIRE(a.text.size() <= *m.hdr.max_msg_size);
        REQUIRE(a.unsendable.empty());
        REQUIRE(a.taken > 0);
        done += a.taken;
        body answers;
        for (auto const& o : a.next.waiting) answers.push_back(answered(o.cmd_id, 200, o.msg_id));
        in = receive(a.next, from_device(a.next.device_msg_id + 1, answers)).value();
        CHECK(in.outcomes.size() == a.taken);
    }
    CHECK(rounds > 1);
}

TEST_CASE("what can never be sent is told, and does not hold up the rest", "[omadm]") {
    auto m = from_device(1, {alerted(2, 1201)});
    m.hdr.max_msg_size = 4000;
    auto const in = receive({}, m).value();
    auto long_one = want(verb::get, "b");
    long_one.what.uri = "./" + std::string(4000, 'x');
    auto const a =
        answer_to(in, {want(verb::get, "a"), long_one, want(verb::replace, "c", "\x01"), want(verb::get, "d")});
    CHECK(a.taken == 4);
    REQUIRE(a.unsendable.size() == 2);
    CHECK(a.unsendable[0] == unsendable{1, "it is too large for a message, in parts too: the device takes 4000 bytes"});
    CHECK(a.unsendable[1] == unsendable{2, "it holds a character that XML cannot carry"});
    REQUIRE(a.next.waiting.size() == 2);
    CHECK(a.next.waiting[1].key == "d");
    CHECK(a.text.size() <= 4000);
    CHECK(count(a.text, "<Get>") == 2);
}

TEST_CASE("a command that our usual statuses leave no room for goes in parts, not never", "[omadm]") {
    auto m = from_device(1, {alerted(2, 1201), alerted(3, 1224)});
    m.hdr.max_msg_size = 4096;
    auto const in = receive({}, m).value();
    auto const room = 4096 - answer_to(in).text.size();
    auto const fixed = size_of(want(verb::replace, "", "").what);
    auto const fits = answer_to(in, {want(verb::replace, "a", std::string(room - fixed - 32, 'x'))});
    CHECK(fits.next.waiting.size() == 1);
    CHECK_FALSE(fits.next.waiting[0].in_parts);
    CHECK(fits.unsendable.empty());
    auto const large = answer_to(in, {want(verb::replace, "a", std::string(room - fixed + 32, 'x'))});
    REQUIRE(large.next.waiting.size() == 1);
    CHECK(large.next.waiting[0].in_parts);
    CHECK(large.text.size() <= 4096);
    CHECK(large.unsendable.empty());
}

TEST_CASE("our own limits hold where the device names none", "[omadm]") {
    auto const in = receive({}, from_device(1, {})).value();
    std::vector<wanted> const big(10, want(verb::replace, "k", std::string(100'000, 'x')));
    auto const a = answer_to(in, big);
    CHECK(a.taken == 5);
    CHECK(a.text.size() <= message_limit);
    std::vector<wanted> const many(1000, want(verb::get, "k"));
    CHECK(answer_to(in, many).taken == commands_limit);
}

TEST_CASE("a message full of statuses does not make a command fail", "[omadm]") {
    body alerts;
    for (int i = 1; i <= 40; ++i) alerts.push_back(alerted(i, 1224));
    auto m = from_device(1, alerts);
    m.hdr.max_msg_size = 4096;
    auto const a = answer_to(receive({}, m).value(), {want(verb::replace, "a", std::string(1000, 'x'))});
    CHECK(a.taken == 0);
    CHECK(a.unsendable.empty());
}

TEST_CASE("the answer to as many Gets as one message has keeps the parser's limits", "[omadm]") {
    std::string text =
        "<SyncML xmlns='SYNCML:SYNCML1.2'><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1"
        "</SessionID><MsgID>2</MsgID><Target><LocURI>u</LocURI></Target><Source><LocURI>d</LocURI></Source>"
        "</SyncHdr><SyncBody xmlns:msft='http://schemas.microsoft.com/MobileDevice/MDM'>";
    for (std::size_t i = 0; i < commands_limit; ++i) {
        auto const id = std::to_string(2 * i + 1);
        text +=
            "<Status><CmdID>" + id +
            "</CmdID><MsgRef>1</MsgRef><CmdRef>2</CmdRef><Cmd>Get</Cmd><TargetRef>./N</TargetRef>"
            "<SourceRef>./N</SourceRef><Data msft:originalerror='0x80070002'>500</Data></Status><Results><CmdID>" +
            std::to_string(2 * i + 2) +
            "</CmdID><MsgRef>1</MsgRef><CmdRef>2</CmdRef><Cmd>Get</Cmd><Item><Source><LocURI>./N"
            "</LocURI></Source><Meta><Format xmlns='syncml:metinf'>chr</Format><Type xmlns='syncml:metinf'>text/plain</Type>"
            "</Meta><Data>" +
            std::string(2000, 'v') + "</Data></Item></Results>";
    }
    CHECK(parse(text + "<Final/></SyncBody></SyncML>").value().body.size() == 2 * commands_limit);
}

TEST_CASE("a session reads back as it was saved", "[omadm]") {
    auto s = with_sent(
        {want(verb::get, ""), want(verb::add, "setting:./A B%.\n", "<x/>\xc3\xa9 ."), want(verb::exec, "c", "")});
    s.id = GENERATE(as<std::string>(), "", "0", "3F 0A", ".", "a\nb");
    s.max_msg_size = std::numeric_limits<std::uint64_t>::max();
    s.login_status = "user";
    s.ended = GENERATE(false, true);
    s.waiting[0].status = 200;
    s.waiting[0].value = "";
    s.waiting[0].format = "node";
    s.waiting[0].partial = true;
    s.waiting[0].announced = 7;
    s.waiting[0].cut_short = GENERATE(false, true);
    s.waiting[1].in_parts = true;
    s.waiting[1].parted = 5;
    s.waiting[1].again = true;
    s.waiting[2].atomic = 3;
    s.waiting[2].original_error = "0x8 %";
    s.atomics = {{1, 2, std::nullopt}, {1, 3, 507}};
    s.max_obj_size = 1;
    s.sync_type = "mixed";
    s.messages = 9;
    s.stopped = true;
    s.authenticated = true;
    s.challenged = 407;
    s.resent = true;
    auto const line = save(s);
    CHECK(std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    CHECK(load(line).value() == s);
    CHECK(load(save({})).value() == session{});
}

TEST_CASE("a damaged saved session is refused", "[omadm]") {
    auto const line = save(with_sent({want(verb::get, "key")}));
    REQUIRE(line == "2 1 1 1 0  0 0  1 0 0 0 0 0 1 1 2 key Get %2E%2FN   . . .  0 . 0 0 0 0 0 ");
    for (std::size_t cut = 0; cut < line.size(); ++cut) {
        CAPTURE(line.substr(0, cut));
        auto const r = load(line.substr(0, cut));
        if (!r) CHECK(r.error().code == errc::malformed);
        CHECK_FALSE(r);
    }
    auto const bad = GENERATE(as<std::string>(), "", "3 1 1 1 0  0 0", "2 1 1 1 0  0 0",
        "2 1 1 1 0  0 0  1 0 0 0 0 0 1 1 2 key Add %2E%2FN   abc . .  0 . 0 1 4 0 0 ",
        "2 1 1 1 0  0 0  1 0 0 0 0 0 1 1 2 key Add %2E%2FN   . . .  0 . 0 1 0 0 0 ",
        "2 1 1 1 0  0 0  1 0 0 0 0 0 1 1 2 key Add %2E%2FN   abc . .  0 . 0 0 1 0 0 ",
        "2 1 1 1 0  0 0  1 0 0 0 0 18446744073709551615", "1 1 1 1 0  0 0 ", "1 1 1 1 0  2 0", "1 1 -1 1 0  0 0",
        "1 1 1 2147483648 0  0 0", "1 % 1 1 0  0 0", "1 . 1 1 0  0 0", "1 1 1 1 0  0 18446744073709551615",
        "1 1 1 1 0  0 1 1 2 key Got %2E%2FN   . . .  0");
    CAPTURE(bad);
    CHECK_FALSE(load(bad));
}

TEST_CASE("a session that an earlier version saved goes on", "[omadm]") {
    session expected{.id = "1",
        .device_msg_id = 1,
        .server_msg_id = 1,
        .max_msg_size = 5,
        .waiting = {{.msg_id = 1,
            .cmd_id = 2,
            .key = "key",
            .sent = {.what = verb::get, .uri = "./N"},
            .status = 200,
            .value = std::nullopt,
            .format = {},
            .partial = false}},
        .login_status = "none",
        .ended = false};
    CHECK(load("1 1 1 1 5 none 0 1 1 2 key Get %2E%2FN   . 200 .  0").value() == expected);
}
