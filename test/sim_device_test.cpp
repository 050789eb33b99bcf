#include <boost/json.hpp>

#include "core/random.hpp"
#include "core/text.hpp"
#include "http/server.hpp"
#include "sim/csr.hpp"
#include "sim/device.hpp"
#include "sim/provisioning.hpp"
#include "sim/tenant.hpp"
#include "sim/terms_client.hpp"
#include "test/support.hpp"
#include "xml/document.hpp"

using namespace mdmd;

namespace {

constexpr char device_name[] = "0123456789ABCDEF0123456789ABCDEF";
constexpr char management[] = "https://mdm.contoso.test/ManagementServer/MDM.svc";

sim::csp_tree fresh_tree() {
    sim::device_facts f;
    f.device_id = device_name;
    f.serial = "SIM-1";
    return sim::csp_tree(f);
}

// What a server would send: a header, statuses for the message it answers, and what the test adds.
std::string server_message(
    int msg, std::vector<std::pair<int, std::string>> const& answered, std::string const& commands) {
    std::string statuses;
    int id = 1;
    for (auto const& [ref, name] : answered)
        statuses += fmt::format(
            "<Status><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Cmd>{}</Cmd><Data>200</Data></Status>",
            id++, msg, ref, name);
    return fmt::format(
        "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1</SessionID>"
        "<MsgID>{}</MsgID><Target><LocURI>{}</LocURI></Target><Source><LocURI>{}</LocURI></Source></SyncHdr><SyncBody>{}{}"
        "<Final/></SyncBody></SyncML>",
        msg, device_name, management, statuses, commands);
}

std::vector<std::pair<int, std::string>> const package_one{{0, "SyncHdr"}, {2, "Alert"}, {3, "Alert"}, {4, "Replace"}};
std::vector<std::pair<int, std::string>> const header_only{{0, "SyncHdr"}};

http::response as_answer(std::string body) {
    auto const size = std::to_string(body.size());
    return {.status = 200,
        .headers = {{"Content-Type", "application/vnd.syncml.dm+xml"}, {"Content-Length", size}},
        .body = std::move(body)};
}

// A server that says one thing after the other.
struct script {
    std::vector<http::response> answers;
    std::vector<std::string> received{};
    sim::exchange exchange() {
        return [this](std::string const& body) -> result<http::response> {
            received.push_back(body);
            auto const at = std::min(received.size(), answers.size()) - 1;
            return answers.at(at);
        };
    }
};

sim::session_setup setup() {
    sim::session_setup s;
    s.management_url = management;
    s.device_id = device_name;
    return s;
}

sim::session_report run(script& s, sim::csp_tree& tree, sim::session_setup const& with = setup()) {
    return sim::run_session(with, tree, s.exchange(), {});
}

std::string command(std::string const& verb, int id, std::string const& uri, std::string const& format = {},
    std::string const& data = {}) {
    auto const meta =
        format.empty() ? "" : fmt::format("<Meta><Format xmlns=\"syncml:metinf\">{}</Format></Meta>", format);
    auto const value = verb == "Get" || verb == "Delete" ? "" : fmt::format("<Data>{}</Data>", data);
    return fmt::format("<{0}><CmdID>{1}</CmdID><Item><Target><LocURI>{2}</LocURI></Target>{3}{4}</Item></{0}>", verb,
        id, uri, meta, value);
}

// The codes of the Status elements of a message of ours, by CmdRef.
std::vector<std::pair<int, int>> statuses_in(std::string const& message) {
    std::vector<std::pair<int, int>> all;
    auto const doc = xml::parse(message);
    REQUIRE(doc);
    auto const* const body = xml::child(doc->content, "SYNCML:SYNCML1.2", "SyncBody");
    for (auto const* s : xml::children(*body, "SYNCML:SYNCML1.2", "Status"))
        all.emplace_back(std::stoi(xml::child(*s, "SYNCML:SYNCML1.2", "CmdRef")->data()),
            std::stoi(xml::child(*s, "SYNCML:SYNCML1.2", "Data")->data()));
    return all;
}

std::string replaced(std::string text, std::string const& what, std::string const& with) {
    auto const at = text.find(what);
    REQUIRE(at != text.npos);
    return text.replace(at, what.size(), with);
}

}  // namespace

TEST_CASE("the tree answers as Windows does", "[sim]") {
    auto tree = fresh_tree();
    std::string const lock = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/DevicePasswordEnabled";
    CHECK(tree.get("./DevDetail/SwV").value == "10.0.22631.3447");
    CHECK(tree.get("./Device/Vendor/MSFT/DeviceStatus/SecureBootState").value == "1");
    CHECK(tree.get("./Vendor/MSFT/DeviceStatus/SecureBootState").value == "1");
    CHECK(tree.get("./Vendor/MSFT/Nothing").status == 404);
    auto const inner = tree.get("./Vendor/MSFT/DeviceStatus/TPM");
    CHECK(inner.format == "node");
    CHECK(inner.value == "ManufacturerId/ManufacturerIdTxt/ManufacturerVersion/SpecificationVersion");
    CHECK(tree.replace(lock, "int", "0") == 200);  // Policy takes a Replace for a first write
    CHECK(tree.add(lock, "int", "1") == 418);
    CHECK(tree.get("./Device/Vendor/MSFT/Policy/Result/DeviceLock/DevicePasswordEnabled").value == "0");
    CHECK(tree.replace(lock, "chr", "0") == 415);
    CHECK(tree.replace(lock, "int", "none") == 415);
    CHECK(tree.replace("./DevDetail/SwV", "chr", "1") == 405);
    CHECK(tree.replace("./Vendor/MSFT/PassportForWork/t/x", "int", "1") == 404);
    CHECK(tree.add("./Vendor/MSFT/Nothing", "chr", "1") == 404);
    CHECK(tree.remove(lock) == 200);
    CHECK(tree.remove(lock) == 404);
    CHECK(tree.remove("./Vendor/MSFT/DeviceStatus/TPM") == 405);
    CHECK(tree.exec("./Device/Vendor/MSFT/Reboot/RebootNow") == 200);
    CHECK(tree.exec("./DevDetail/SwV") == 405);
    CHECK(tree.exec("./Vendor/MSFT/Nothing") == 404);
    CHECK(sim::csp_tree::from_json(tree.to_json()).nodes().size() == tree.nodes().size());
}

TEST_CASE("a session does what the server says until it says nothing more", "[sim]") {
    auto tree = fresh_tree();
    script s{{as_answer(server_message(1, package_one,
                  command("Get", 5, "./DevDetail/SwV") +
                      command("Replace", 6, "./Vendor/MSFT/Policy/Config/A/B", "chr", "x &amp; y") +
                      command("Exec", 7, "./Device/Vendor/MSFT/Reboot/RebootNow", "null") +
                      command("Get", 8, "./Vendor/MSFT/No"))),
        as_answer(server_message(2, header_only, ""))}};
    auto const r = run(s, tree);
    CHECK(r.failure == "");
    CHECK(r.messages == 2);
    CHECK(statuses_in(s.received[1]) ==
          std::vector<std::pair<int, int>>{{0, 200}, {5, 200}, {6, 200}, {7, 200}, {8, 404}});
    CHECK(s.received[1].find("<Data>10.0.22631.3447</Data>") != std::string::npos);
    CHECK(tree.get("./Vendor/MSFT/Policy/Config/A/B").value == "x & y");
    CHECK(r.executed == std::vector<std::string>{"./Device/Vendor/MSFT/Reboot/RebootNow"});
    test::matches_golden("sim/package-1.xml", s.received[0]);
    test::matches_golden("sim/package-3.xml", s.received[1]);
}

TEST_CASE("an Atomic that fails leaves nothing behind and says which part failed", "[sim]") {
    auto tree = fresh_tree();
    auto const inner = command("Replace", 6, "./Vendor/MSFT/Policy/Config/A/B", "int", "1") +
                       command("Replace", 7, "./DevDetail/SwV", "chr", "1") +
                       command("Add", 8, "./Vendor/MSFT/Policy/Config/A/C", "int", "2");
    script s{{as_answer(server_message(1, package_one, "<Atomic><CmdID>5</CmdID>" + inner + "</Atomic>")),
        as_answer(server_message(2, header_only, ""))}};
    CHECK(run(s, tree).failure == "");
    CHECK(statuses_in(s.received[1]) ==
          std::vector<std::pair<int, int>>{{0, 200}, {5, 507}, {6, 216}, {7, 405}, {8, 215}});
    CHECK(tree.get("./Vendor/MSFT/Policy/Config/A/B").status == 404);
}

TEST_CASE("what Windows would refuse in a server's message is a violation that says what", "[sim]") {
    auto const good = server_message(1, package_one, command("Get", 5, "./DevDetail/SwV"));
    auto const get = command("Get", 5, "./DevDetail/SwV");
    auto const atomic = "<Atomic><CmdID>5</CmdID>" + command("Get", 6, "./DevDetail/SwV") + "</Atomic>";
    auto const [from, to, text] = GENERATE_COPY(table<std::string, std::string, std::string>({
        {"<VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>", "<VerProto>DM/1.2</VerProto><VerDTD>1.2</VerDTD>",
            "stands after"},
        {"<VerDTD>1.2", "<VerDTD>1.1", "VerDTD"},
        {"<SessionID>1<", "<SessionID>2<", "SessionID"},
        {"<SessionID>1<", "<SessionID> 1<", "white space"},
        {std::string("<LocURI>") + device_name, "<LocURI>someone", "Target"},
        {management, "https://elsewhere.test/", "Source"},
        {"<SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1</SessionID><MsgID>1<",
            "<SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1</SessionID><MsgID>2<", "MsgID is 2"},
        {"<MsgRef>1<", "<MsgRef>7<", "MsgRef 7"},
        {"<CmdRef>2<", "<CmdRef>9<", "no Status for our Alert with CmdID 2"},
        {"<CmdID>2<", "<CmdID>1<", "CmdID 1 stands twice"},
        {"<CmdID>2<", "<CmdID>0<", "CmdID"},
        {"<Cmd>Replace<", "<Cmd>Alert<", "it was Replace"},
        {"<Final/>", "", "no Final"},
        {"<Final/>", "<Final/>" + command("Get", 6, "./DevDetail/SwV"), "after <Final>"},
        {get, atomic, "Get inside Atomic"},
        {get, "<Atomic><CmdID>5</CmdID></Atomic>", "Atomic is empty"},
        {get, command("Get", 5, "Vendor/MSFT/X"), "does not begin with"},
        {get, command("Get", 5, "./Vendor//X"), "empty segment"},
        {get, command("Get", 5, "./Vendor/{X}"), "must be escaped"},
        {get, "<Put><CmdID>5</CmdID></Put>", "no command"},
        {get, "<Get><CmdID>5</CmdID><NoResp/><Item><Target><LocURI>./DevDetail/SwV</LocURI></Target></Item></Get>",
            "NoResp"},
        {get, "<Replace><CmdID>5</CmdID><Item><Target><LocURI>./X/Y</LocURI></Target></Item></Replace>", "no Data"},
        {get, command("Replace", 5, "./X/Y", "integer", "1"), "Format 'integer'"},
        {"SYNCML:SYNCML1.2", "SYNCML:SYNCML1.1", "the root"},
        {"<SyncBody>", "<SyncBody><", "not XML"},
    }));
    CAPTURE(from, to);
    auto tree = fresh_tree();
    script s{{as_answer(replaced(good, from, to)), as_answer(server_message(2, header_only, ""))}};
    auto const r = run(s, tree);
    REQUIRE_FALSE(r.violations.empty());
    std::string all;
    for (auto const& v : r.violations) all += v + "\n";
    CHECK_THAT(all, Catch::Contains(text));
    CHECK_FALSE(r.failure.empty());
}

TEST_CASE("the HTTP answer around a message is judged too", "[sim]") {
    auto const good = as_answer(server_message(1, package_one, ""));
    auto bad = good;
    SECTION("status") {
        bad.status = 403;
        auto tree = fresh_tree();
        script s{{bad}};
        CHECK(run(s, tree).failure == "HTTP status 403");
    }
    SECTION("content type") {
        bad.headers = {{"Content-Type", "text/xml"}, {"Content-Length", std::to_string(bad.body.size())}};
        auto tree = fresh_tree();
        script s{{bad}};
        CHECK_THAT(run(s, tree).failure, Catch::Contains("Content-Type is 'text/xml'"));
    }
    SECTION("chunks") {
        bad.headers.add("Transfer-Encoding", "chunked");
        auto tree = fresh_tree();
        script s{{bad}};
        CHECK_THAT(run(s, tree).failure, Catch::Contains("Transfer-Encoding"));
    }
    SECTION("size") {
        auto tree = fresh_tree();
        auto small = setup();
        small.max_msg_size = 500;
        script s{{good}};
        CHECK_THAT(run(s, tree, small).failure, Catch::Contains("over MaxMsgSize 500"));
    }
}

TEST_CASE("a lost reply is asked for again with the same bytes and must come back the same", "[sim]") {
    auto const answer = as_answer(server_message(1, package_one, ""));
    auto with = setup();
    with.faults.lose_reply_to = 1;
    auto tree = fresh_tree();
    script same{{answer, answer}};
    CHECK(run(same, tree, with).failure == "");
    CHECK(same.received.at(0) == same.received.at(1));
    auto const other = as_answer(server_message(1, package_one, command("Get", 5, "./DevDetail/SwV")));
    script differs{{answer, other}};
    CHECK_THAT(run(differs, tree, with).failure, Catch::Contains("same bytes"));
}

TEST_CASE("a server must wait for the Final of a package, with Alert 1222 alone", "[sim]") {
    auto with = setup();
    with.faults.without_final_at = 1;
    auto const more = "<Alert><CmdID>9</CmdID><Data>1222</Data></Alert>";
    auto waiting = replaced(server_message(1, package_one, more), "<Final/>", "");
    auto tree = fresh_tree();
    script good{{as_answer(waiting), as_answer(server_message(2, header_only, ""))}};
    CHECK(run(good, tree, with).failure == "");
    CHECK(good.received.at(0).find("<Final/>") == std::string::npos);
    CHECK(statuses_in(good.received.at(1)) == std::vector<std::pair<int, int>>{{0, 200}, {9, 200}});
    script hasty{{as_answer(server_message(1, package_one, command("Get", 9, "./DevDetail/SwV")))}};
    CHECK(run(hasty, tree, with).violations.size() == 3);
}

TEST_CASE("an ordered status is given instead of doing the command", "[sim]") {
    auto with = setup();
    with.faults.answer_with["./DevDetail/SwV"] = 500;
    with.login_status = "none";
    auto tree = fresh_tree();
    script s{{as_answer(server_message(1, package_one,
                  command("Get", 5, "./DevDetail/SwV") +
                      command("Replace", 6, "./User/Vendor/MSFT/Policy/Config/A/B", "int", "1"))),
        as_answer(server_message(2, header_only, ""))}};
    CHECK(run(s, tree, with).failure == "");
    CHECK(statuses_in(s.received[1]) == std::vector<std::pair<int, int>>{{0, 200}, {5, 500}, {6, 405}});
}

TEST_CASE("a demand for MD5 credentials is met as the specification's vector has it", "[sim]") {
    auto with = setup();
    with.digest = sim::digest_credentials{"Bruce2", "OhBehave", ""};
    auto refused = server_message(1, package_one, "");
    for (auto at = refused.find("<Data>200"); at != refused.npos; at = refused.find("<Data>200"))
        refused.replace(at, 9, "<Data>407");
    refused = replaced(refused, "<Cmd>SyncHdr</Cmd>",
        "<Cmd>SyncHdr</Cmd><Chal><Meta><Format xmlns=\"syncml:metinf\">b64</Format><Type "
        "xmlns=\"syncml:metinf\">syncml:auth-md5</Type><NextNonce xmlns=\"syncml:metinf\">Tm9uY2U=</NextNonce></Meta></Chal>");
    auto tree = fresh_tree();
    script s{{as_answer(refused), as_answer(replaced(server_message(2, package_one, ""), "<Data>200", "<Data>212"))}};
    auto const r = run(s, tree, with);
    CHECK(r.failure == "");
    CHECK(r.messages == 2);
    CHECK_THAT(s.received.at(1), Catch::Contains("<Data>Zz6EivR3yeaaENcRN6lpAQ==</Data>"));
    CHECK_THAT(s.received.at(1), Catch::Contains("<LocName>Bruce2</LocName>"));
    with.digest.reset();
    script alone{{as_answer(refused)}};
    CHECK_THAT(run(alone, tree, with).failure, Catch::Contains("credentials"));
}

TEST_CASE(
    "the certificate request is Windows': '!' and NUL in a PrintableString, the device once more in the extension",
    "[sim]") {
    auto const key = sim::private_key::rsa(2048);
    std::string const device = "B5B954E81FBCB94EB79BD08BE625F4EE";
    auto const made = sim::make_request(key, "562A7F9A-6CD8-40B0-9E7E-0DBDD8", device);
    auto const subject = "562A7F9A-6CD8-40B0-9E7E-0DBDD8!" + device + std::string(1, '\0');
    CHECK(made.find("\x13\x40" + subject) != made.npos);
    CHECK(made.find("\x04\x21" + device + std::string(1, '\0')) != made.npos);
    auto const captured = test::trace("csr/A-win10-19043.der");
    if (!captured) return;
    // The same up to the key, and again from behind it to the signature algorithm; SHA-256 makes it 4 bytes longer.
    CHECK(made.substr(9, 80) == captured->substr(9, 80));
    auto const from = captured->find("\xa0\x42\x30\x40");
    REQUIRE(from != captured->npos);
    CHECK(made.find(captured->substr(from, 68)) != made.npos);
}
