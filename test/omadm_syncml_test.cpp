#include <fmt/format.h>

#include "omadm/syncml.hpp"
#include "test/support.hpp"
#include "xml/document.hpp"

using namespace mdmd;
using namespace mdmd::omadm;

namespace {

constexpr auto good_header =
    "<VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1</SessionID><MsgID>2</MsgID>"
    "<Target><LocURI>https://mdm.example.test/dm</LocURI></Target><Source><LocURI>DEVICE</LocURI></Source>";

std::string message_of(std::string const& body, std::string const& header = good_header) {
    return "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr>" + header + "</SyncHdr><SyncBody>" + body +
           "</SyncBody></SyncML>";
}

template <class T> T only(std::string const& body) {
    auto const m = parse(message_of(body)).value();
    REQUIRE(m.body.size() == 1);
    return std::get<T>(m.body.front());
}

std::string replaced(std::string text, std::string const& what, std::string const& by) {
    auto const at = text.find(what);
    REQUIRE(at != text.npos);
    return text.replace(at, what.size(), by);
}

item data_item(std::string source, std::string data, std::string format = {}, std::string type = {}) {
    return {.target = {},
        .source = std::move(source),
        .format = std::move(format),
        .type = std::move(type),
        .data = std::move(data),
        .more_data = false};
}

std::vector<item> dev_info() {
    return {data_item("./DevInfo/DevId", "B5B954E81FBCB94EB79BD08BE625F4EE"),
        data_item("./DevInfo/Man", "VMware, Inc."), data_item("./DevInfo/Mod", "VMware7,1"),
        data_item("./DevInfo/DmV", "1.3"), data_item("./DevInfo/Lang", "en-US")};
}

reply example_reply() {
    return {.session_id = "3F",
        .msg_id = 2,
        .msg_ref = 1,
        .target = "B5B954E81FBCB94EB79BD08BE625F4EE",
        .source = "https://mdm.example.test/ManagementServer/MDM.svc",
        .statuses = {{0, "SyncHdr", 200}, {2, "Alert", 200}, {4, "Replace", 405}},
        .alert = std::nullopt,
        .commands = {{.what = verb::get, .uri = "./DevDetail/SwV", .format = {}, .type = {}, .data = std::nullopt},
            {.what = verb::add,
                .uri = "./Vendor/MSFT/Policy/Config/X/Y",
                .format = "chr",
                .type = "text/plain",
                .data = "<enabled/> & <data id=\"a\" value=\"1\"/>"},
            {.what = verb::replace, .uri = "./Device/Vendor/MSFT/X", .format = "int", .type = {}, .data = "0"},
            {.what = verb::replace, .uri = "./Device/Vendor/MSFT/Y", .format = {}, .type = "text/plain", .data = ""},
            {.what = verb::remove, .uri = "./Vendor/MSFT/Z", .format = {}, .type = {}, .data = std::nullopt},
            {.what = verb::exec,
                .uri = "./Vendor/MSFT/RemoteWipe/doWipe",
                .format = "null",
                .type = {},
                .data = std::nullopt}},
        .final = true};
}

}  // namespace

TEST_CASE("Windows' first message of its first session is understood", "[omadm][trace]") {
    auto const text = test::trace("windows10-enroll-manage-unenroll/05-mdm-s1m1.request.body.xml");
    if (!text) return;
    message const expected{.hdr = {.session_id = "1",
                               .msg_id = 1,
                               .target = "https://windows.fleetdm.ngrok.io/ManagementServer/MDM.svc",
                               .source = "B5B954E81FBCB94EB79BD08BE625F4EE",
                               .max_msg_size = std::nullopt},
        .body = {alert{.cmd_id = 2, .code = 1201, .items = {}},
            alert{.cmd_id = 3, .code = 1224, .items = {data_item("", "user", "", "com.microsoft/MDM/LoginStatus")}},
            foreign{.cmd_id = 4, .name = "Replace", .items = dev_info()}},
        .final = true};
    CHECK(parse(*text).value() == expected);
}

TEST_CASE("Windows' message of a user's unenrollment is understood", "[omadm][trace]") {
    auto const text = test::trace("windows10-enroll-manage-unenroll/06-mdm-s2m1-unenroll.request.body.xml");
    if (!text) return;
    auto const m = parse(*text).value();
    CHECK(m.hdr.session_id == "2");
    REQUIRE(m.body.size() == 4);
    CHECK(std::get<alert>(m.body[2]) ==
          alert{.cmd_id = 4,
              .code = 1226,
              .items = {data_item("", "1", "int", "com.microsoft:mdm.unenrollment.userrequest")}});
    CHECK(std::get<foreign>(m.body[3]) == foreign{.cmd_id = 5, .name = "Replace", .items = dev_info()});
    CHECK(m.final);
}

TEST_CASE("the documented answer to two Gets is understood", "[omadm][trace]") {
    auto const text = test::trace("documentation-samples/msmdm-4-client-msg2.xml");
    if (!text) return;
    auto const m = parse(*text).value();
    REQUIRE(m.body.size() == 5);
    CHECK(std::get<status>(m.body[1]) == status{2, 1, 4, "Get", 200, "", {}});
    CHECK(std::get<results>(m.body[3]) ==
          results{4, 1, 4, {data_item("./DevDetail/SwV", "[software version returned here]", "chr")}});
}

TEST_CASE("both SyncML namespaces are read", "[omadm]") {
    auto const text = message_of("<Alert><CmdID>1</CmdID><Data>1201</Data></Alert><Final/>");
    auto const older = replaced(replaced(text, "SYNCML1.2", "SYNCML1.1"), "<VerDTD>1.2", "<VerDTD>1.1");
    CHECK(parse(older).value() == parse(text).value());
}

TEST_CASE("a header says whose message this is", "[omadm]") {
    auto const h = parse(message_of("", std::string("\n<Meta><MaxMsgSize xmlns=\"syncml:metinf\"> 65536 </MaxMsgSize>"
                                                    "</Meta>\n") +
                                            replaced(good_header, "<SessionID>1", "<SessionID> 3F0A ")))
                       .value()
                       .hdr;
    CHECK(h == header{.session_id = "3F0A",
                   .msg_id = 2,
                   .target = "https://mdm.example.test/dm",
                   .source = "DEVICE",
                   .max_msg_size = 65536});
    CHECK(parse(message_of("", replaced(good_header, "<SessionID>1", "<SessionID>0"))).value().hdr.session_id == "0");
}

TEST_CASE("a header that lacks something or has it out of range is refused", "[omadm][security]") {
    auto const [what, by, code] = GENERATE(table<std::string, std::string, errc>({
        {"<VerDTD>1.2</VerDTD>", "", errc::malformed},
        {"<VerDTD>1.2", "<VerDTD>1.0", errc::unsupported},
        {"<VerDTD>1.2", "<VerDTD>2.0", errc::unsupported},
        {"<SessionID>1</SessionID>", "", errc::malformed},
        {"<SessionID>1", "<SessionID>", errc::malformed},
        {"<SessionID>1", "<SessionID>123456789012345678901234567890123", errc::malformed},
        {"<MsgID>2</MsgID>", "", errc::malformed},
        {"<MsgID>2", "<MsgID>0", errc::malformed},
        {"<MsgID>2", "<MsgID>-1", errc::malformed},
        {"<MsgID>2", "<MsgID>2147483648", errc::malformed},
        {"<MsgID>2", "<MsgID>2x", errc::malformed},
        {"<Source><LocURI>DEVICE</LocURI></Source>", "", errc::malformed},
        {"<VerDTD>", "<Meta><MaxMsgSize xmlns='syncml:metinf'>many</MaxMsgSize></Meta><VerDTD>", errc::malformed},
        {"<VerDTD>", "<Meta><MaxMsgSize xmlns='syncml:metinf'>0</MaxMsgSize></Meta><VerDTD>", errc::malformed},
    }));
    CAPTURE(what, by);
    auto const r = parse(message_of("<Final/>", replaced(good_header, what, by)));
    REQUIRE_FALSE(r);
    CHECK(r.error().code == code);
}

TEST_CASE("what is not one SyncML message is refused", "[omadm][security]") {
    auto const whole = message_of("<Final/>");
    auto const text = GENERATE_COPY(as<std::string>(), "", "<a/>", "<SyncML/>", "<SyncML xmlns='SYNCML:SYNCML1.2'/>",
        "<SyncML xmlns='SYNCML:SYNCML1.3'><SyncHdr/><SyncBody/></SyncML>",
        "<SyncML xmlns='SYNCML:SYNCML1.2'><SyncHdr/></SyncML>", replaced(whole, "<SyncBody>", "<SyncBody/><SyncBody>"),
        replaced(whole, "<SyncHdr>", "<SyncHdr/><SyncHdr>"), "\x03\x01\x6a");
    CAPTURE(text);
    auto const r = parse(text);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::malformed);
}

TEST_CASE("a command we cannot read is an error, not a skipped line", "[omadm][security]") {
    auto const body =
        GENERATE(as<std::string>(), "<Status><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>x</Cmd><Data>200</Data></Status>",
            "<Status><CmdID>1</CmdID><CmdRef>0</CmdRef><Cmd>x</Cmd><Data>200</Data></Status>",
            "<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><Cmd>x</Cmd><Data>200</Data></Status>",
            "<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Data>200</Data></Status>",
            "<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>x</Cmd></Status>",
            "<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>x</Cmd><Data>99</Data></Status>",
            "<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>x</Cmd><Data>200 0</Data></Status>",
            "<Status><CmdID>0</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>x</Cmd><Data>200</Data></Status>",
            "<Results><CmdID>1</CmdID></Results>", "<Results><CmdID>1</CmdID><CmdRef>0</CmdRef></Results>",
            "<Results><CmdID>1</CmdID><MsgRef>x</MsgRef><CmdRef>1</CmdRef></Results>",
            "<Alert><CmdID>1</CmdID></Alert>", "<Alert><CmdID>1</CmdID><Data>soon</Data></Alert>",
            "<Alert><CmdID/><Data>1201</Data></Alert>", "<Replace><CmdID>x</CmdID></Replace>",
            "<Alert><CmdID>1</CmdID><Data>1201</Data></Alert><Alert><CmdID>1</CmdID><Data>1224</Data></Alert>");
    CAPTURE(body);
    auto const r = parse(message_of(body + "<Final/>"));
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::malformed);
}

TEST_CASE("a status is read in whatever order its fields come", "[omadm]") {
    auto const body = GENERATE(as<std::string>(),
        "<Status><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>5</CmdRef><Cmd>Add</Cmd><TargetRef>./X</TargetRef><Data "
        "m:originalerror='0x86000002' xmlns:m='http://schemas.microsoft.com/MobileDevice/MDM'>500</Data></Status>",
        "<Status><Data originalerror='0x86000002'> 500 </Data><Item/><TargetRef><LocURI> ./X </LocURI></TargetRef>"
        "<Cmd> Add </Cmd><CmdRef>5</CmdRef><MsgRef>1</MsgRef><CmdID>2</CmdID></Status>");
    CHECK(only<status>(body) == status{2, 1, 5, "Add", 500, "0x86000002", {"./X"}});
}

TEST_CASE("an original error is kept to 32 bytes", "[omadm][security]") {
    auto const s =
        only<status>("<Status><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>5</CmdRef><Cmd>Add</Cmd><Data originalerror='" +
                     std::string(500, 'F') + "'>500</Data></Status>");
    CHECK(s.original_error == std::string(32, 'F'));
}

TEST_CASE("results with an extra Cmd, without MsgRef and with several items are read", "[omadm]") {
    auto const r = only<results>(
        "<Results><CmdID>3</CmdID><CmdRef>5</CmdRef><Cmd>Get</Cmd>"
        "<Meta><Format xmlns='syncml:metinf'>chr</Format><Type xmlns='syncml:metinf'>text/plain</Type></Meta>"
        "<Item><Source><LocURI> ./A </LocURI></Source><Data> 1 </Data></Item>"
        "<Item><Source><LocURI>./B</LocURI></Source><Meta><Format xmlns='syncml:metinf'>node</Format></Meta><Data/></Item>"
        "<Item><Source><LocURI>./C</LocURI></Source><MoreData/></Item></Results>");
    CHECK(r.msg_ref == 1);
    REQUIRE(r.items.size() == 3);
    CHECK(r.items[0] == data_item("./A", " 1 ", "chr", "text/plain"));
    CHECK(r.items[1] == data_item("./B", "", "node", "text/plain"));
    CHECK(r.items[2].more_data);
}

TEST_CASE("MetInf is understood in the forms that occur", "[omadm]") {
    auto const inner = GENERATE(as<std::string>(), "<Meta><Type xmlns='syncml:metinf'>com.x:y</Type></Meta>",
        "<Meta><Type xmlns='syncml:metinf '>com.x:y</Type></Meta>",
        "<Meta><Type xmlns='syncml:metinfo'>com.x:y</Type></Meta>", "<Meta xmlns='syncml:metinf'/><Type>com.x:y</Type>",
        "<Meta><Type>com.x:y</Type></Meta>", "<Type xmlns='syncml:metinf'>\n com.x:y \n</Type>",
        "<Meta><Mark xmlns='syncml:metinf'>fatal</Mark><Type xmlns='syncml:metinf'>Reversed-Domain-Name: com.x:y</Type></Meta>");
    CAPTURE(inner);
    auto const a =
        only<alert>("<Alert><CmdID>1</CmdID><Data>1226</Data><Item>" + inner + "<Data>v</Data></Item></Alert>");
    REQUIRE(a.items.size() == 1);
    CHECK(a.items.front().type == "com.x:y");
}

TEST_CASE("data is the text that was meant, however it is written", "[omadm]") {
    auto const [written, data] = GENERATE(table<std::string, std::string>({
        {"&lt;a/&gt; &amp; b", "<a/> & b"},
        {"<![CDATA[<a/> & b]]>", "<a/> & b"},
        {"<a xmlns='urn:x'>1</a>", "<a xmlns=\"urn:x\">1</a>"},
        {"<LicenseList><L/></LicenseList>", "<LicenseList><L></L></LicenseList>"},
    }));
    auto const r =
        only<results>("<Results><CmdID>3</CmdID><CmdRef>5</CmdRef><Item><Source><LocURI>./A</LocURI></Source><Data>" +
                      written + "</Data></Item></Results>");
    CHECK(r.items.at(0).data == data);
}

TEST_CASE("other commands are told by name, and foreign elements passed over", "[omadm]") {
    auto const m =
        parse(message_of("<x:Hint xmlns:x='urn:x'><x:CmdID>7</x:CmdID></x:Hint><Atomic><CmdID>7</CmdID><Get><CmdID>8"
                         "</CmdID></Get></Atomic><Final/>"))
            .value();
    REQUIRE(m.body.size() == 1);
    CHECK(std::get<foreign>(m.body.front()) == foreign{.cmd_id = 7, .name = "Atomic", .items = {}});
}

TEST_CASE("a message without Final says so", "[omadm]") {
    CHECK_FALSE(parse(message_of("<Alert><CmdID>1</CmdID><Data>1224</Data></Alert>")).value().final);
}

TEST_CASE("a reply is what Windows accepts, byte for byte", "[omadm]") {
    test::matches_golden("omadm/reply-with-commands.xml", serialise(example_reply()).value());
}

TEST_CASE("a reply that waits for more has the alert and no Final", "[omadm]") {
    auto r = example_reply();
    r.commands.clear();
    r.alert = 1222;
    r.final = false;
    test::matches_golden("omadm/reply-more.xml", serialise(r).value());
}

TEST_CASE("CmdIDs count statuses, alert and commands from 1 on", "[omadm]") {
    auto r = example_reply();
    r.alert = GENERATE(as<std::optional<int>>(), std::nullopt, 1222);
    auto const doc = xml::parse(serialise(r).value()).value();
    constexpr std::string_view ns = "SYNCML:SYNCML1.2";
    int next = 1;
    for (auto const& [n, e] : *xml::child(doc.content, ns, "SyncBody")) {
        if (n.local == "Final") continue;
        if (n.local == "Get") CHECK(next == first_command_id(r));
        CHECK(xml::child(e, ns, "CmdID")->data() == std::to_string(next++));
    }
    CHECK(next == 1 + 3 + (r.alert ? 1 : 0) + 6);
}

TEST_CASE("a command that XML cannot carry is named and its value is not", "[omadm][security]") {
    auto r = example_reply();
    r.commands[1].data = "hunter2\x02";
    CHECK_FALSE(sendable(r.commands[1]));
    auto const text = serialise(r);
    REQUIRE_FALSE(text);
    CHECK(text.error().code == errc::malformed);
    CHECK_THAT(text.error().detail, Catch::Contains("./Vendor/MSFT/Policy/Config/X/Y") && !Catch::Contains("hunter2"));
}

TEST_CASE("a command's size is no less than what it adds to a message", "[omadm]") {
    auto const all = example_reply().commands;
    auto r = example_reply();
    r.commands.clear();
    for (auto const& c : all) {
        auto const before = serialise(r).value().size();
        r.commands.push_back(c);
        auto const added = serialise(r).value().size() - before;
        CHECK(added <= size_of(c));
        CHECK(size_of(c) <= added + 9);  // a CmdID has at most ten digits
    }
}

TEST_CASE("verbs have their SyncML names, and lower case ones", "[omadm]") {
    auto const [v, text] = GENERATE(table<verb, std::string>({{verb::get, "Get"}, {verb::add, "Add"},
        {verb::replace, "Replace"}, {verb::remove, "Delete"}, {verb::exec, "Exec"}}));
    CHECK(name(v) == text);
    CHECK(parse_verb(text) == v);
    CHECK(parse_verb(std::string(1, static_cast<char>(text[0] + 32)) + text.substr(1)) == v);
    CHECK_FALSE(parse_verb(text + " "));
    CHECK_FALSE(parse_verb(""));
    CHECK_FALSE(parse_verb("GET"));
}

TEST_CASE("what has no CmdID is told from the rest of its message", "[omadm]") {
    auto const name = GENERATE(as<std::string>(), "Alert", "Replace", "Results", "Unknown");
    auto const m = parse(message_of("<" + name + "><Data>1201</Data></" + name + "><" + name + "/><Final/>")).value();
    REQUIRE(m.body.size() == 2);
    CHECK(std::get<foreign>(m.body[0]) == foreign{.cmd_id = 0, .name = name, .items = {}});
}

TEST_CASE("credentials, names and sizes of a header are read", "[omadm]") {
    auto const h = parse(
        message_of(
            "", replaced(good_header, "<LocURI>DEVICE</LocURI>", "<LocURI>DEVICE</LocURI><LocName> Bruce2 </LocName>") +
                    "<Cred><Meta><Format xmlns='syncml:metinf'>b64</Format><Type xmlns='syncml:metinf'>"
                    "syncml:auth-md5</Type></Meta><Data>Zz6EivR3yeaaENcRN6lpAQ==</Data></Cred>"
                    "<Meta><MaxMsgSize xmlns='syncml:metinf'>5000</MaxMsgSize>"
                    "<MaxObjSize xmlns='syncml:metinf'>1048576</MaxObjSize></Meta>"))
                       .value()
                       .hdr;
    CHECK(h.source_name == "Bruce2");
    REQUIRE(h.cred);
    CHECK(*h.cred == credential{std::string(md5_scheme), "b64", secret("Zz6EivR3yeaaENcRN6lpAQ==")});
    CHECK(h.max_msg_size == 5000u);
    CHECK(h.max_obj_size == 1048576u);
}

TEST_CASE("a challenge is read with the octets of its nonce", "[omadm]") {
    auto const [nonce, octets] =
        GENERATE(table<std::string, std::string>({{"Tm9uY2U=", "Nonce"}, {"*", ""}, {"", ""}, {"/w==", "\xff"}}));
    auto const s = only<status>(
        "<Status><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Chal><Meta><Format "
        "xmlns='syncml:metinf'>b64</Format><Type xmlns='syncml:metinf'>syncml:auth-md5</Type><NextNonce "
        "xmlns='syncml:metinf'>" +
        nonce + "</NextNonce></Meta></Chal><Data>401</Data></Status>");
    REQUIRE(s.challenge);
    CHECK(*s.challenge == chal{std::string(md5_scheme), octets});
}

TEST_CASE("a large object's size is read where it is a number", "[omadm]") {
    auto const [size, bytes] = GENERATE(table<std::string, std::optional<std::uint64_t>>(
        {{"12", 12}, {"0", 0}, {"-1", std::nullopt}, {"many", std::nullopt}, {"", std::nullopt}}));
    auto const r = only<results>("<Results><CmdID>3</CmdID><CmdRef>5</CmdRef><Item><Meta><Size xmlns='syncml:metinf'>" +
                                 size + "</Size></Meta><Data>a</Data><MoreData/></Item></Results>");
    CHECK(r.items.at(0).size == bytes);
}

TEST_CASE("as much of a value fits as its escapes leave room for, and no character is cut", "[omadm]") {
    std::string const text = "<<&a\xc3\xa9\r>z";
    for (std::size_t begin = 0; begin <= text.size(); ++begin) {
        if (begin == 5) continue;  // within a character
        for (std::size_t room = 0; room < 60; ++room) {
            CAPTURE(begin, room);
            auto const n = fitting(text, begin, room);
            REQUIRE(begin + n <= text.size());
            auto const size = [&](std::size_t bytes) {
                command const c{.what = verb::add, .uri = "u", .format = {}, .type = {}, .data = "x"};
                command d = c;
                d.data = text.substr(begin, bytes);
                return bytes == 0 ? 0 : size_of(d) - size_of(c) + 1;
            };
            CHECK(size(n) <= room);
            CHECK(begin + n != 5);
            if (begin + n < text.size()) CHECK(size(begin + n == 4 ? n + 2 : n + 1) > room);
        }
    }
}
