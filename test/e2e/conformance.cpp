// Management sessions over TLS, message by message, each row named by what it shows and its place in the digest of the
// specifications: [MS-MDM], OMA DM Protocol, Representation and Security 1.2.1.
#include "core/text.hpp"
#include "e2e/hand.hpp"

using namespace mdmd;

namespace {

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    auto const at = text.find(what);
    if (at == text.npos) throw std::runtime_error("nothing to replace: " + std::string(what));
    return text.replace(at, what.size(), with);
}

struct http_row {
    char const* name;
    std::function<void(http::call&)> change;  // of a good first message
    int status = 200;
};

auto with_type(char const* type) {
    return [type](http::call& c) {
        c.headers = {{"User-Agent", "MSFT OMA DM Client/1.2.0.1"}};
        if (*type) c.headers.add("Content-Type", type);
    };
}
auto with_field(char const* name, char const* value) {
    return [=](http::call& c) { c.headers.add(name, value); };
}
auto with_url(std::string_view query) {
    return [=](http::call& c) { c.url = e2e::session_url + std::string(query); };
}
auto with_body(std::string body) {
    return [=](http::call& c) { c.body = body; };
}
auto instead(char const* what, char const* with) {
    return [=](http::call& c) { c.body = replaced(c.body, what, with); };
}

std::vector<http_row> const http_rows{
    {"A.1 the query is not needed", with_url("")},
    {"A.1 an unknown mode and platform are no obstacle", with_url("?mode=Other&Platform=Toaster&x")},
    {"A.1 a GET is no message", [](http::call& c) { c.method = "GET", c.body.clear(); }, 405},
    {"A.1.1 Content-Type may say utf-8", with_type("application/vnd.syncml.dm+xml; charset=utf-8")},
    {"A.1.1 Content-Type in another case", with_type("Application/VND.SyncML.DM+XML;charset=UTF-8")},
    {"A.1.1 any User-Agent is served",
        [](http::call& c) {
            c.headers = {{"Content-Type", "application/vnd.syncml.dm+xml"}, {"User-Agent", "curl"}};
        }},
    {"A.1.1 Accept-Encoding: gzip gets what is not packed", with_field("Accept-Encoding", "gzip")},
    {"A.1.1 a correlation vector is taken", with_field("MS-CV", "5M8nPyzmNUe2ZAEh.0")},
    {"A.1.1 client-request-id 0 is taken", with_field("client-request-id", "0")},
    {"A.1.1 MDM-GenericAlert is taken", with_field("MDM-GenericAlert", "<com.example><com.example2>")},
    {"A.1.1 UserAgentOrigin is taken", with_field("UserAgentOrigin", "3,4,x")},
    {"A.1.1 a user token that is none is no obstacle", with_field("Authorization", "Bearer abc")},
    {"A.1.1 a device token that is none is no obstacle", with_field("DeviceToken", "abc")},
    {"A.1.2 WBXML gets 415", with_type("application/vnd.syncml.dm+wbxml"), 415},
    {"A.1.2 no Content-Type gets 415", with_type(""), 415},
    {"A.1.2 SOAP gets 415", with_type("application/soap+xml"), 415},
    {"A.1.2 what is no XML gets 400", with_body("no XML"), 400},
    {"A.1.2 XML that is not SyncML gets 400", with_body("<SyncML/>"), 400},
    {"A.1.2 XML that is cut off gets 400", [](http::call& c) { c.body.resize(c.body.size() - 10); }, 400},
    {"A.1.2 an empty body gets 400", with_body(""), 400},
    {"A.1.2 a prolog is taken",
        [](http::call& c) { c.body = "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n" + c.body; }},
    {"A.1.3 a signature that is none gets 403", with_field("MDM-Signature", "AAAA"), 403},
    {"A.1.3 likewise by its other name", with_field("MS-Signature", "AAAA"), 403},
    {"A.2 the namespace of SyncML 1.1 is taken", instead("SYNCML:SYNCML1.2", "SYNCML:SYNCML1.1")},
    {"A.2 another namespace is not", instead("SYNCML:SYNCML1.2", "SYNCML:SYNCML2.0"), 400},
    {"A.2 another VerDTD gets 400", instead("<VerDTD>1.2<", "<VerDTD>2.0<"), 400},
    {"A.2 no SessionID gets 400", instead("<SessionID>", "<Session>"), 400},
    {"A.2 an empty SessionID gets 400",
        [](http::call& c) {
            auto const from = c.body.find("<SessionID>") + 11;
            c.body.erase(from, c.body.find('<', from) - from);
        },
        400},
    {"A.2 MsgID 0 gets 400", instead("<MsgID>1<", "<MsgID>0<"), 400},
    {"A.2 a MsgID that is no number gets 400", instead("<MsgID>1<", "<MsgID>one<"), 400},
    {"A.2 a MsgID without end gets 400", instead("<MsgID>1<", "<MsgID>99999999999999999999<"), 400},
    {"A.2 a MaxMsgSize that is no number gets 400",
        instead("</SyncHdr>", "<Meta><MaxMsgSize xmlns=\"syncml:metinf\">big</MaxMsgSize></Meta></SyncHdr>"), 400},
    {"A.2 two headers get 400", instead("<SyncBody>", "<SyncHdr/><SyncBody>"), 400},
    {"A.3 a DOCTYPE gets 400", [](http::call& c) { c.body = "<!DOCTYPE SyncML>" + c.body; }, 400},
    {"A.3 a prefix for the namespace is taken",
        [](http::call& c) {
            c.body = replaced(c.body, "xmlns=", "xmlns:s=");
            for (std::size_t at = 0; (at = c.body.find('<', at)) != std::string::npos; ++at)
                c.body.insert(at + (c.body[at + 1] == '/' ? 2 : 1), "s:");
        }},
    {"A.3 white space and comments are taken",
        [](http::call& c) {
            for (std::size_t at = 0; (at = c.body.find("><", at)) != std::string::npos; at += 2)
                c.body.insert(at + 1, "\r\n\t <!-- x --> ");
        }},
    {"A.4 a CmdID that is there twice gets 400",
        instead("<Final/>", "<Alert><CmdID>2</CmdID><Data>1224</Data></Alert><Final/>"), 400},
    {"A.4 a CmdID of 0 gets 400", instead("<CmdID>2<", "<CmdID>0<"), 400},
};

}  // namespace

TEST_CASE(
    "HTTP and header of a management message are taken and refused as the specifications say", "[e2e][conformance]") {
    e2e::world w;
    w.app->start();
    e2e::hand d(w, "ALICE-PC");
    for (auto const& r : http_rows) {
        INFO(r.name);
        d.begin();
        auto call = d.call(d.message(e2e::hand::alert(2, 1201)));
        r.change(call);
        auto const answer = d.send(call);
        INFO(answer.body);
        CHECK(answer.status == r.status);
        CHECK(answer.headers.get("Content-Length") == std::to_string(answer.body.size()));
        auto const type = answer.headers.get("Content-Type").value_or("");
        CHECK_FALSE(answer.headers.get("Content-Encoding"));
        CHECK_FALSE(answer.headers.get("Transfer-Encoding"));
        if (r.status != 200) {
            CHECK_FALSE(type.starts_with("application/vnd.syncml"));
            continue;
        }
        CHECK(type == "application/vnd.syncml.dm+xml");
        auto const m = sim::read_server_message(answer.body);
        CHECK(m.violations == std::vector<std::string>());
        CHECK(e2e::in_short(m) == "S0=200 S2=200 F");
    }
}

namespace {

struct step {
    std::string says, answer;
    bool final = true;
    std::string header = {};
};
struct row {
    char const* name;
    std::vector<std::string> orders;  // as the administrator's API takes them
    std::vector<step> steps;
    std::vector<std::string> outcomes = {};  // of the orders
};

std::string get(std::string_view uri) { return fmt::format(R"({{"verb":"get","uri":"{}"}})", uri); }
std::string put(std::string_view verb, std::string_view uri, std::string_view value) {
    return fmt::format(R"({{"verb":"{}","uri":"{}","format":"chr","value":"{}"}})", verb, uri, value);
}
std::string exec(std::string_view uri) { return fmt::format(R"({{"verb":"exec","uri":"{}"}})", uri); }

std::string status(int msg_ref, int cmd_ref, int code, std::string_view cmd = "Get") {
    return sim::write_status(
        {.cmd_id = 100 + cmd_ref, .msg_ref = msg_ref, .cmd_ref = cmd_ref, .cmd = cmd, .code = code});
}
std::string ok(int msg_ref) { return status(msg_ref, 0, 200, "SyncHdr"); }
std::string results(int msg_ref, int cmd_ref, std::string_view uri, std::string_view value) {
    return sim::write_results(200 + cmd_ref, msg_ref, cmd_ref, uri, "chr", value);
}
std::string piece(int msg_ref, int cmd_ref, std::string_view value, std::optional<std::size_t> size, bool more) {
    return sim::write_results_piece(200 + cmd_ref, msg_ref, cmd_ref, "./A", "chr", value, size, more);
}
std::string alert(int code, std::string_view items = {}, int cmd_id = 2) {
    return fmt::format("<Alert><CmdID>{}</CmdID><Data>{}</Data>{}</Alert>", cmd_id, code, items);
}
std::string of_type(std::string_view type, std::string_view data, std::string_view source = {}) {
    auto const from = source.empty() ? std::string() : fmt::format("<Source><LocURI>{}</LocURI></Source>", source);
    return fmt::format(
        "<Item>{}<Meta><Type xmlns=\"syncml:metinf\">{}</Type></Meta><Data>{}</Data></Item>", from, type, data);
}
std::string command(std::string_view name, std::string_view inner, int cmd_id = 3) {
    return fmt::format("<{0}><CmdID>{1}</CmdID>{2}</{0}>", name, cmd_id, inner);
}
std::string item_of(std::string_view uri) {
    return fmt::format("<Item><Source><LocURI>{}</LocURI></Source><Data>x</Data></Item>", uri);
}
std::string limit(int bytes) {
    return fmt::format("<Meta><MaxMsgSize xmlns=\"syncml:metinf\">{}</MaxMsgSize></Meta>", bytes);
}
std::string const hello = alert(1201);
std::string const asked = "S0=200 S2=200 Get3=./A F";  // the answer to `hello` where a Get of ./A is queued
std::string const quiet = "S0=200 F";

std::vector<row> const rows{
    {"A.3 the order of a Status' children does not matter", {get("./A")},
        {{hello, asked},
            {ok(1) +
                    "<Status><Data>200</Data><Cmd>Get</Cmd><TargetRef>./A</TargetRef><CmdRef>3</CmdRef><MsgRef>1</MsgRef>"
                    "<CmdID>2</CmdID></Status>" +
                    results(1, 3, "./A", "v"),
                quiet}},
        {"done 200 v"}},
    {"A.3 a TargetRef may hold a LocURI", {get("./A")},
        {{hello, asked},
            {ok(1) + "<Status><CmdID>2</CmdID><MsgRef>1</MsgRef><CmdRef>3</CmdRef><Cmd>Get</Cmd><TargetRef><LocURI>./A"
                     "</LocURI></TargetRef><Data>404</Data></Status>",
                quiet}},
        {"failed 404"}},
    {"A.3 Results may say whose they are by Cmd", {get("./A")},
        {{hello, asked},
            {ok(1) + status(1, 3, 200) + "<Results><CmdID>9</CmdID><MsgRef>1</MsgRef><CmdRef>3</CmdRef><Cmd>Get</Cmd>" +
                    item_of("./A") + "</Results>",
                quiet}},
        {"done 200 x"}},
    {"A.3 Results without MsgRef belong to message 1", {get("./A")},
        {{hello, asked},
            {ok(1) + status(1, 3, 200) + "<Results><CmdID>9</CmdID><CmdRef>3</CmdRef>" + item_of("./A") + "</Results>",
                quiet}},
        {"done 200 x"}},
    {"A.3 Type before Format, and a metinf namespace with a blank", {},
        {{hello + alert(1224,
                      "<Item><Meta><Type xmlns=\"syncml:metinf \">com.example</Type><Format xmlns=\"syncml:metinfo\">"
                      "int</Format></Meta><Data>1</Data></Item>",
                      3),
            "S0=200 S2=200 S3=200 F"}}},
    {"A.3 a Type outside Meta", {},
        {{hello + alert(1224, "<Item><Type>com.microsoft/MDM/LoginStatus</Type><Data>user</Data></Item>", 3),
            "S0=200 S2=200 S3=200 F"}}},
    {"A.3 an unknown element is 400, and the rest is taken", {},
        {{hello + command("Dance", "") + alert(1224, "", 4), "S0=200 S2=200 S3=400 S4=200 F"}}},
    {"A.3 Final before other commands is taken", {}, {{"<Final/>" + hello, "S0=200 S2=200 F"}}},
    {"A.4 every command has a Status, in order, SyncHdr first", {},
        {{hello + alert(1224, of_type("com.microsoft/MDM/LoginStatus", "user"), 7) +
                command("Replace", item_of("./DevInfo/Man"), 5),
            "S0=200 S2=200 S7=200 S5=200 F"}}},
    {"A.4 a client's Replace of anything but DevInfo is 405", {},
        {{hello + command("Replace", item_of("./Vendor/MSFT/Policy")), "S0=200 S2=200 S3=405 F"}}},
    {"A.4 DevInfo together with something else is 405", {},
        {{hello + command("Replace", item_of("./DevInfo/Man") + item_of("./DevDetail/SwV")),
            "S0=200 S2=200 S3=405 F"}}},
    {"A.4 commands that only a server sends are 406", {},
        {{hello + command("Get", item_of("./A"), 3) + command("Add", item_of("./A"), 4) +
                command("Delete", item_of("./A"), 5) + command("Exec", item_of("./A"), 6) +
                command("Atomic", command("Replace", item_of("./DevInfo/Man"), 8), 7) + command("Sequence", "", 9),
            "S0=200 S2=200 S3=406 S4=406 S5=406 S6=406 S7=406 S9=406 F"}}},
    {"A.4 Put, Copy, Move, Search, Sync and Map are 406", {},
        {{hello + command("Put", "", 3) + command("Copy", "", 4) + command("Move", "", 5) + command("Search", "", 6) +
                command("Sync", "", 7) + command("Map", "", 8),
            "S0=200 S2=200 S3=406 S4=406 S5=406 S6=406 S7=406 S8=406 F"}}},
    {"A.4 an error's Results are not waited for", {get("./A")}, {{hello, asked}, {ok(1) + status(1, 3, 404), quiet}},
        {"failed 404"}},
    {"A.4 an interior node's names are its value", {get("./A")},
        {{hello, asked}, {ok(1) + status(1, 3, 200) + results(1, 3, "./A", "B/C%2FD"), quiet}}, {"done 200 B/C%2FD"}},
    {"A.4 a node without children is a value that is empty", {get("./A")},
        {{hello, asked}, {ok(1) + status(1, 3, 200) + results(1, 3, "./A", ""), quiet}}, {"done 200"}},
    {"A.4 Results before their Status", {get("./A")},
        {{hello, asked}, {ok(1) + results(1, 3, "./A", "v") + status(1, 3, 200), quiet}}, {"done 200 v"}},
    {"A.4 one CmdID for each command, counted on behind the statuses",
        {get("./A"), put("add", "./B", "1"), put("replace", "./C", "2"), exec("./D"),
            R"({"verb":"delete","uri":"./E"})"},
        {{hello, "S0=200 S2=200 Get3=./A Add4=./B Replace5=./C Exec6=./D Delete7=./E F"},
            {ok(1) + status(1, 3, 404) + status(1, 4, 418, "Add") + status(1, 5, 200, "Replace") +
                    status(1, 6, 202, "Exec") + status(1, 7, 405, "Delete"),
                quiet}},
        {"failed 404", "failed 418", "done 200", "done 202", "failed 405"}},
    {"A.5 a session of nothing ends at once", {}, {{hello, "S0=200 S2=200 F"}}},
    {"A.5 one that the server began is 1200", {}, {{alert(1200), "S0=200 S2=200 F"}}},
    {"A.5 a message with nothing but SyncHdr's Status is answered", {}, {{hello, "S0=200 S2=200 F"}}},
    {"A.5 without Final there is 1222, no command and no Final", {get("./A")},
        {{hello, "S0=200 S2=200 A1222 -", false}, {ok(1) + status(1, 3, 200, "Alert"), "S0=200 Get2=./A F"},
            {ok(2) + status(2, 2, 200) + results(2, 2, "./A", "v"), quiet}},
        {"done 200 v"}},
    {"A.5 nothing is sent while an answer is owed", {get("./A"), get("./B")},
        {{hello, "S0=200 S2=200 Get3=./A Get4=./B F"}, {ok(1) + status(1, 3, 404), "S0=200 A1222 -", false},
            {ok(2) + status(1, 4, 404), quiet}},
        {"failed 404", "failed 404"}},
    {"A.5 Results may come a message after their Status", {get("./A")},
        {{hello, asked}, {ok(1) + status(1, 3, 200), "S0=200 A1222 -", false},
            {ok(2) + results(1, 3, "./A", "late"), quiet}},
        {"done 200 late"}},
    {"A.5 a Get whose package ends without Results has no value", {get("./A")},
        {{hello, asked}, {ok(1) + status(1, 3, 200), quiet}}, {"done 200"}},
    {"A.5 a client's alerts are heard at any time", {get("./A")},
        {{hello, asked}, {ok(1) + alert(1224, of_type("com.example", "1"), 2) + status(1, 3, 404), "S0=200 S2=200 F"}},
        {"failed 404"}},
    {"A.5 a command without a Status by the session's end is sent again", {get("./A")},
        {{hello, asked}, {ok(1), quiet}}, {"sent"}},
    {"A.5 credentials in a message of a device with a certificate are no obstacle", {},
        {{hello, "S0=200 S2=200 F", true,
            "<Cred><Meta><Type xmlns=\"syncml:metinf\">syncml:auth-basic</Type></Meta><Data>QTpC</Data></Cred>"}}},
    {"A.7 alerts that a server does not know are 406", {},
        {{hello + alert(1202, "", 3) + alert(1220, "", 4) + alert(1227, "", 5) + alert(1100, "", 6) +
                alert(1221, "", 7),
            "S0=200 S2=200 S3=406 S4=406 S5=406 S6=406 S7=406 F"}}},
    {"A.7 1223 ends the session, and what was queued stays so", {get("./A")},
        {{hello, asked}, {ok(1) + alert(1223), "S0=200 S2=200 F"}}, {"sent"}},
    {"A.7 1223 at once: no command is sent", {get("./A")}, {{alert(1223), "S0=200 S2=200 F"}}, {"queued"}},
    {"A.7 1222 asks for what comes next", {get("./A")},
        {{hello + alert(1222, "", 3), "S0=200 S2=200 S3=200 Get4=./A F"}, {ok(1) + status(1, 4, 404), quiet}},
        {"failed 404"}},
    {"A.7 an event of an unknown type is 200", {},
        {{hello + alert(1224, of_type("com.example/Odd", "1"), 3), "S0=200 S2=200 S3=200 F"}}},
    {"A.7 an event without an item is 200", {}, {{hello + alert(1224, "", 3), "S0=200 S2=200 S3=200 F"}}},
    {"A.7 a type may say Reversed-Domain-Name", {},
        {{hello + alert(1226,
                      of_type(
                          " Reversed-Domain-Name:com.microsoft.mdm:HealthAttestation.Result ", "0", "./Vendor/MSFT/X"),
                      3),
            "S0=200 S2=200 S3=200 F"}}},
    {"A.7 every alert of Windows' own is 200", {},
        {{hello + alert(1224, of_type("com.microsoft/MDM/AADUserToken", "abc"), 3) +
                alert(1224, of_type("com.microsoft.mdm.synctype", "mixed"), 4) +
                alert(1224, of_type("com.microsoft/MDM/DevicePrepSync", "Bootstrapping"), 5) +
                alert(1224, of_type("com.microsoft/MDM/BootstrapSync", "device"), 6) +
                alert(1224,
                    of_type("com.microsoft.mdm.win32csp_install", "0",
                        "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BX%7D/DownloadInstall"),
                    7) +
                alert(1226, of_type("com.microsoft.mdm.EnterpriseHostedAppInstall.result", "1"), 8) +
                alert(1226, of_type("com.microsoft.mdm.declaredconfigurationdocuments", "&lt;a/&gt;"), 9),
            "S0=200 S2=200 S3=200 S4=200 S5=200 S6=200 S7=200 S8=200 S9=200 F"}}},
    {"A.7 a sign of life is answered by 1222, and its session goes on", {get("./A")},
        {{hello, asked},
            {ok(1) + alert(1224, of_type("com.microsoft.mdm.requestpending", "1")), "S0=200 S2=200 A1222 -", false},
            {ok(2) + alert(1224, of_type("com.microsoft.mdm.requestpending", "1")), "S0=200 S2=200 A1222 -"},
            {ok(3) + status(1, 3, 200) + results(1, 3, "./A", "v"), quiet}},
        {"done 200 v"}},
    {"A.7 an unenrollment that is 0 is none", {},
        {{hello + alert(1226, of_type("com.microsoft:mdm.unenrollment.userrequest", "0"), 3),
            "S0=200 S2=200 S3=200 F"}}},
    {"A.8 a value in pieces: 213 and 1222 for each, then the rest", {get("./A")},
        {{hello, asked}, {ok(1) + status(1, 3, 200) + piece(1, 3, "ab", 6, true), "S0=200 S203=213 A1222 -", false},
            {ok(2) + piece(1, 3, "cd", {}, true), "S0=200 S203=213 A1222 -", false},
            {ok(3) + piece(1, 3, "ef", {}, false), quiet}},
        {"done 200 abcdef"}},
    {"A.8 another size than was said is 424", {get("./A")},
        {{hello, asked}, {ok(1) + status(1, 3, 200) + piece(1, 3, "ab", 5, true), "S0=200 S203=213 A1222 -", false},
            {ok(2) + piece(1, 3, "cd", {}, false), "S0=200 S203=424 F"}},
        {"failed 424"}},
    {"A.8 another command amid the pieces: 1225 with the node", {get("./A"), get("./B")},
        {{hello, "S0=200 S2=200 Get3=./A Get4=./B F"},
            {ok(1) + status(1, 3, 200) + piece(1, 3, "ab", 6, true), "S0=200 S203=213 A1222 -", false},
            {ok(2) + status(1, 4, 200) + results(1, 4, "./B", "b"), "S0=200 A1225 F"},
            {ok(3) + status(3, 2, 200, "Alert") + piece(1, 3, "abcdef", {}, false), quiet}},
        {"done 200 abcdef", "done 200 b"}},
    {"A.8 an announced object over the limit is 416", {get("./A")},
        {{hello, asked}, {ok(1) + status(1, 3, 200) + piece(1, 3, "ab", 9'000'000, true), "S0=200 S203=416 F"}},
        {"failed 416"}},
    {"A.8 MaxMsgSize is kept: commands wait for the next message",
        {put("replace", "./A", std::string(300, 'a')), put("replace", "./B", std::string(300, 'b'))},
        {{hello, "S0=200 S2=200 Replace3=./A F", true, limit(1500)},
            {ok(1) + status(1, 3, 200, "Replace"), "S0=200 Replace2=./B F"},
            {ok(2) + status(2, 2, 200, "Replace"), quiet}},
        {"done 200", "done 200"}},
    {"A.8 what is over MaxObjSize is not sent", {put("replace", "./A", std::string(300, 'a'))},
        {{hello, "S0=200 S2=200 F", true, "<Meta><MaxObjSize xmlns=\"syncml:metinf\">200</MaxObjSize></Meta>"}},
        {"failed"}},
    {"A.9 a 1xx is no answer", {get("./A")},
        {{hello, asked}, {ok(1) + status(1, 3, 101), "S0=200 A1222 -", false}, {ok(2) + status(1, 3, 404), quiet}},
        {"failed 404"}},
    {"A.9 213 for what came whole is no answer", {put("replace", "./A", "1")},
        {{hello, "S0=200 S2=200 Replace3=./A F"}, {ok(1) + status(1, 3, 213, "Replace"), quiet}}, {"sent"}},
    {"A.9 214: done, and no more in this session", {put("replace", "./A", "1")},
        {{hello, "S0=200 S2=200 Replace3=./A F"}, {ok(1) + status(1, 3, 214, "Replace"), quiet}}, {"done 214"}},
    {"A.9 an unknown success is one", {exec("./A")},
        {{hello, "S0=200 S2=200 Exec3=./A F"}, {ok(1) + status(1, 3, 299, "Exec"), quiet}}, {"done 299"}},
};

}  // namespace

TEST_CASE("the messages of a management session are answered as the specifications say", "[e2e][conformance]") {
    e2e::world w;
    w.app->start();
    e2e::hand d(w, "ALICE-PC");
    e2e::administrator admin(*w.app);
    for (auto const& r : rows) {
        INFO(r.name);
        std::vector<std::string> ids;
        for (auto const& order : r.orders) ids.push_back(admin.order("ALICE-PC", order));
        d.begin();
        for (auto const& s : r.steps) {
            INFO(s.says);
            CHECK(e2e::in_short(d.say(s.says, s.final, s.header)) == s.answer);
        }
        for (std::size_t i = 0; i < ids.size(); ++i) CHECK(admin.outcome("ALICE-PC", ids[i]) == r.outcomes.at(i));
        // What is open is done in a session of its own, after which nothing is left.
        d.finish(d.open());
        CHECK(e2e::in_short(d.open()) == "S0=200 S2=200 F");
    }
    e2e::require_clean(d.device().sync(w.sync()));
}

TEST_CASE(
    "a message that is sent again gets the same bytes, and a session's number may come again", "[e2e][conformance]") {
    e2e::world w;
    w.app->start();
    e2e::hand d(w, "ALICE-PC");
    e2e::administrator admin(*w.app);
    auto const id = admin.order("ALICE-PC", exec("./A"));
    d.begin();
    auto const first = d.call(d.message(hello));
    auto const answer = d.send(first);
    CHECK(d.send(first).body == answer.body);
    auto const second = d.call(d.message(ok(1) + status(1, 3, 200, "Exec")));
    auto const end = d.send(second);
    CHECK(e2e::in_short(sim::read_server_message(end.body)) == quiet);
    CHECK(d.send(second).body == end.body);
    CHECK(admin.outcome("ALICE-PC", id) == "done 200");
    // The number comes round again.
    auto const again = admin.order("ALICE-PC", exec("./B"));
    d.msg_id = 0;
    CHECK(e2e::in_short(d.say(hello + alert(1224, "", 3))) == "S0=200 S2=200 S3=200 Exec4=./B F");
    CHECK(e2e::in_short(d.say(ok(1) + status(1, 4, 200, "Exec"))) == quiet);
    CHECK(admin.outcome("ALICE-PC", again) == "done 200");
}
