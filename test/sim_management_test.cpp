// What a simulated device does in management sessions beyond the plain ones: users, large objects, credentials, lies.
#include "core/text.hpp"
#include "sim/msi_install.hpp"
#include "sim/pki.hpp"
#include "sim/syncml_client.hpp"
#include "test/support.hpp"
#include "xml/document.hpp"

using namespace mdmd;

namespace {

constexpr char device_name[] = "0123456789ABCDEF0123456789ABCDEF";
constexpr char management[] = "https://mdm.contoso.test/ManagementServer/MDM.svc";
constexpr char ns[] = "SYNCML:SYNCML1.2";
constexpr char swv[] = "./DevDetail/SwV";

sim::csp_tree fresh_tree() {
    sim::device_facts f;
    f.device_id = device_name;
    f.serial = "SIM-1";
    return sim::csp_tree(f);
}

sim::session_setup setup() {
    sim::session_setup s;
    s.management_url = management;
    s.device_id = device_name;
    s.provider_id = "mdmd";
    return s;
}

// What a server's message is made of; see serve().
struct reply {
    std::string commands = {};
    bool final = true;
    std::string header_status = "200";  // "407" …: then every command has it too
    std::string chal = {};              // NextNonce of a Chal, base64
    std::string header = {};            // after Source: Cred, Meta
    std::string source_name = {};
    int results = 200;  // status of each Results
};

// A server that answers all that it is sent as it should, and adds what the test says, message by message.
struct server {
    std::vector<reply> replies;
    std::vector<std::string> received{};

    sim::exchange exchange() {
        return [this](std::string const& body) -> result<http::response> { return answer(body); };
    }

    http::response answer(std::string const& body) {
        received.push_back(body);
        auto const r = received.size() <= replies.size() ? replies[received.size() - 1] : reply{};
        auto const doc = xml::parse(body, {.bytes = 8u << 20});
        REQUIRE(doc);
        auto const& head = *xml::child(doc->content, ns, "SyncHdr");
        auto const msg = xml::child(head, ns, "MsgID")->data();
        std::string statuses;
        int id = 1;
        auto const status = [&](std::string const& ref, std::string const& name, std::string const& code,
                                std::string const& chal = {}) {
            statuses += fmt::format(
                "<Status><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Cmd>{}</Cmd>{}"
                "<Data>{}</Data></Status>",
                id++, msg, ref, name, chal, code);
        };
        auto const meta = " xmlns=\"syncml:metinf\"";
        status("0", "SyncHdr", r.header_status,
            r.chal.empty()
                ? ""
                : fmt::format("<Chal><Meta><Format{0}>b64</Format><Type{0}>syncml:auth-md5</Type><NextNonce{0}>"
                              "{1}</NextNonce></Meta></Chal>",
                      meta, r.chal));
        auto const refused = r.header_status == "407" || r.header_status == "401";
        for (auto const& [name, t] : *xml::child(doc->content, ns, "SyncBody")) {
            if (name.local == "Status" || name.local == "Final" || xml::is_attributes(name)) continue;
            auto const code = refused                   ? r.header_status
                              : name.local == "Results" ? std::to_string(r.results)
                                                        : std::string("200");
            if (name.local != "Results" || code != "200") status(xml::child(t, ns, "CmdID")->data(), name.local, code);
        }
        auto text = fmt::format(
            "<SyncML xmlns=\"{}\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1</SessionID>"
            "<MsgID>{}</MsgID><Target><LocURI>{}</LocURI></Target><Source><LocURI>{}</LocURI>{}</Source>{}</SyncHdr>"
            "<SyncBody>{}{}{}</SyncBody></SyncML>",
            ns, received.size(), device_name, management,
            r.source_name.empty() ? "" : "<LocName>" + r.source_name + "</LocName>", r.header, statuses, r.commands,
            r.final ? "<Final/>" : "");
        auto const size = std::to_string(text.size());
        return {.status = 200,
            .headers = {{"Content-Type", "application/vnd.syncml.dm+xml"}, {"Content-Length", size}},
            .body = std::move(text)};
    }
};

sim::session_report run(server& s, sim::csp_tree& tree, sim::session_setup const& with = setup()) {
    return sim::run_session(with, tree, s.exchange(), {});
}

std::string command(std::string const& verb, int id, std::string const& uri, std::string const& data = {},
    std::string const& meta = {}, bool more = false) {
    auto const format = data.empty() && verb != "Exec" ? "" : "<Format xmlns=\"syncml:metinf\">chr</Format>";
    auto const all = format + meta;
    auto const value = verb == "Get" || verb == "Delete" ? "" : fmt::format("<Data>{}</Data>", data);
    return fmt::format("<{0}><CmdID>{1}</CmdID><Item><Target><LocURI>{2}</LocURI></Target>{3}{4}{5}</Item></{0}>", verb,
        id, uri, all.empty() || verb == "Get" || verb == "Delete" ? "" : "<Meta>" + all + "</Meta>", value,
        more ? "<MoreData/>" : "");
}

std::string size_of(std::size_t n) { return fmt::format("<Size xmlns=\"syncml:metinf\">{}</Size>", n); }

std::string more(int id) { return fmt::format("<Alert><CmdID>{}</CmdID><Data>1222</Data></Alert>", id); }

// "CmdRef:code" of a message's Status elements, in order.
std::vector<std::string> statuses_in(std::string const& message) {
    std::vector<std::string> all;
    auto const doc = xml::parse(message);
    REQUIRE(doc);
    for (auto const* s : xml::children(*xml::child(doc->content, ns, "SyncBody"), ns, "Status"))
        all.push_back(xml::child(*s, ns, "CmdRef")->data() + ":" + xml::child(*s, ns, "Data")->data());
    return all;
}

using codes = std::vector<std::string>;

std::string all_of(std::vector<std::string> const& texts) { return fmt::format("{}", fmt::join(texts, "\n")); }

}  // namespace

TEST_CASE("a command for a user is done while that user is there, and each user's nodes are their own", "[sim]") {
    auto const uri = "./User/Vendor/MSFT/Policy/Config/A/B";
    auto tree = fresh_tree();
    for (std::string const user : {"alice@contoso.test", "bob@contoso.test"}) {
        tree.set_user(user);
        server s{{{command("Replace", 20, uri, user)}}};
        CHECK(run(s, tree).failure == "");
        CHECK(statuses_in(s.received.at(1)) == codes{"0:200", "20:200"});
    }
    tree.set_user("alice@contoso.test");
    CHECK(tree.get(uri).value == "alice@contoso.test");
    tree.set_user("");
    CHECK(tree.get(uri).status == 404);
    auto const kept = tree.users_to_json();
    auto again = sim::csp_tree::from_json(tree.to_json());
    again.users_from_json(kept);
    again.set_user("bob@contoso.test");
    CHECK(again.get(uri).value == "bob@contoso.test");
}

TEST_CASE("without its user, or in a session of the other scope, a command is not allowed", "[sim]") {
    struct row {
        std::string login, sync_type;
        int absent;
        codes expected;
    };
    auto const user = "./User/Vendor/MSFT/Policy/Config/A/B", device = "./Device/Vendor/MSFT/Policy/Config/A/B";
    auto const& [login, sync_type, absent, expected] = GENERATE(values<row>({
        {"user", "", 405, {"0:200", "20:200", "21:200"}},
        {"others", "", 405, {"0:200", "20:405", "21:200"}},
        {"none", "", 500, {"0:200", "20:500", "21:200"}},
        {"user", "user", 405, {"0:200", "20:200", "21:405"}},
        {"user", "device", 405, {"0:200", "20:405", "21:200"}},
        {"user", "mixed", 405, {"0:200", "20:200", "21:200"}},
    }));
    CAPTURE(login, sync_type);
    auto with = setup();
    with.login_status = login;
    with.sync_type = sync_type;
    with.absent_user_status = absent;
    auto tree = fresh_tree();
    server s{{{command("Add", 20, user, "1") + command("Add", 21, device, "1")}}};
    CHECK(run(s, tree, with).failure == "");
    CHECK(statuses_in(s.received.at(1)) == expected);
    CHECK((s.received.at(0).find("com.microsoft.mdm.synctype") != std::string::npos) == !sync_type.empty());
}

TEST_CASE("Atomic and Sequence go as on Windows", "[sim]") {
    std::string const one = "./Vendor/MSFT/Policy/Config/A/B", two = "./Vendor/MSFT/Policy/Config/A/C";
    struct row {
        std::string commands;
        codes expected;
        std::string violation;
    };
    auto const atomic = [](int id, std::string const& inner) {
        return fmt::format("<Atomic><CmdID>{}</CmdID>{}</Atomic>", id, inner);
    };
    auto const& [commands, expected, violation] = GENERATE_COPY(values<row>({
        {atomic(20, command("Add", 21, one, "1") + command("Add", 22, two, "1")),
            {"0:200", "20:200", "21:200", "22:200"}, ""},
        {atomic(20, command("Add", 21, one, "1") + command("Replace", 22, swv, "1") + command("Add", 23, two, "1")),
            {"0:200", "20:507", "21:216", "22:405", "23:215"}, ""},
        {atomic(20, command("Add", 21, one, "1") + command("Get", 22, swv)), {"0:200", "20:507", "21:216", "22:500"},
            "Get inside Atomic"},
        {atomic(20, atomic(21, command("Add", 22, one, "1"))), {"0:200", "20:507", "21:500"}, "Atomic inside Atomic"},
        {atomic(20, command("Add", 21, one, "1") + command("Replace", 22, one, "2")),
            {"0:200", "20:200", "21:200", "22:200"}, "Add and Replace of one node"},
        {"<Sequence><CmdID>20</CmdID>" + command("Replace", 21, swv, "1") + command("Add", 22, one, "1") +
                "</Sequence>",
            {"0:200", "20:200", "21:405", "22:200"}, ""},
    }));
    CAPTURE(commands);
    auto tree = fresh_tree();
    server s{{{commands}}};
    auto with = setup();
    with.faults.persists = true;
    auto const r = run(s, tree, with);
    CHECK(statuses_in(s.received.at(1)) == expected);
    if (violation.empty())
        CHECK(r.failure == "");
    else
        CHECK_THAT(r.failure, Catch::Contains(violation));
    // Without being told to persist, a device stops at what is wrong.
    server again{{{commands}}};
    auto other = fresh_tree();
    CHECK((run(again, other).failure == "") == violation.empty());
    if (expected.size() == 5) CHECK(tree.get(one).status == 404);
}

TEST_CASE("a failed rollback leaves what was done and says 516", "[sim]") {
    std::string const one = "./Vendor/MSFT/Policy/Config/A/B";
    auto with = setup();
    with.faults.rollback_fails = true;
    auto tree = fresh_tree();
    server s{{{"<Atomic><CmdID>20</CmdID>" + command("Add", 21, one, "1") + command("Replace", 22, swv, "1") +
               "</Atomic>"}}};
    CHECK(run(s, tree, with).failure == "");
    CHECK(statuses_in(s.received.at(1)) == codes{"0:200", "20:507", "21:516", "22:405"});
    CHECK(tree.get(one).value == "1");
}

TEST_CASE("a large object comes in pieces, each of which is answered 213 and 1222", "[sim]") {
    auto const uri = "./Vendor/MSFT/Policy/Config/A/B";
    auto tree = fresh_tree();
    server s{{{command("Add", 20, uri, "0123456789", size_of(15), true), false}, {command("Add", 20, uri, "abcde")}}};
    auto with = setup();
    with.max_obj_size = 15;
    auto const r = run(s, tree, with);
    CHECK(r.failure == "");
    CHECK(tree.get(uri).value == "0123456789abcde");
    CHECK(statuses_in(s.received.at(1)) == codes{"0:200", "20:213"});
    CHECK_THAT(s.received.at(1), Catch::Contains("<Data>1222</Data>"));
    CHECK(statuses_in(s.received.at(2)) == codes{"0:200", "20:200"});
    CHECK_THAT(s.received.at(0), Catch::Contains("<MaxObjSize xmlns=\"syncml:metinf\">15</MaxObjSize>"));
}

TEST_CASE("a large object that is not as announced is refused with the status for it", "[sim]") {
    auto const uri = "./Vendor/MSFT/Policy/Config/A/B";
    auto const first = command("Add", 20, uri, "0123456789", size_of(15), true);
    struct row {
        reply one, two;
        std::string violation;
    };
    auto const& [one, two, violation] = GENERATE_COPY(values<row>({
        {{first, false}, {command("Add", 20, uri, "abc")}, "has 13 octets, Size says 15"},
        {{first, false}, {command("Get", 20, swv)}, "the rest of the large object"},
        {{first, true}, {}, "Final although a large object goes on"},
        {{command("Add", 20, uri, "0123456789", "", true), false}, {}, "has no Size"},
        {{command("Add", 20, uri, "01234567890123456789", size_of(30), true), false}, {}, "over MaxObjSize 20"},
        {{first + command("Get", 21, swv), false}, {}, "a command behind a piece"},
    }));
    CAPTURE(violation);
    auto with = setup();
    with.max_obj_size = 20;
    auto tree = fresh_tree();
    server s{{one, two}};
    CHECK_THAT(all_of(run(s, tree, with).violations), Catch::Contains(violation));
}

TEST_CASE("Results that are too long for a message go in pieces, and a server must ask for each", "[sim]") {
    auto tree = fresh_tree();
    std::string text;
    for (int i = 0; i < 900; ++i) text += "<\xC3\xA4>";
    tree.set("./Vendor/MSFT/Long", {"chr", text, "G"});
    auto with = setup();
    with.own_message_size = 3000;
    reply const next{.commands = more(30), .final = false, .results = 213};
    server s{{{command("Get", 20, "./Vendor/MSFT/Long")}}};
    for (int i = 0; i < 40; ++i) s.replies.push_back(next);
    // Whether a message is the last one is only known from its Final.
    sim::exchange const post = [&](std::string const& body) -> result<http::response> {
        if (body.find("<Final/>") != body.npos && s.received.size() > 1) s.replies.at(s.received.size()) = {};
        CHECK(body.size() <= 3000);
        return s.answer(body);
    };
    auto const r = sim::run_session(with, tree, post, {});
    CHECK(r.failure == "");
    REQUIRE(r.messages > 3);
    std::string whole;
    for (auto const& m : s.received) {
        auto const doc = xml::parse(m);
        for (auto const* x : xml::children(*xml::child(doc->content, ns, "SyncBody"), ns, "Results"))
            whole += xml::child(*xml::child(*x, ns, "Item"), ns, "Data")->data();
    }
    CHECK(whole == text);
    CHECK_THAT(s.received.at(1), Catch::Contains(size_of(text.size())) && Catch::Contains("<MoreData/>"));
    CHECK_THAT(s.received.at(2), !Catch::Contains("<Size"));

    server hasty{{{command("Get", 20, "./Vendor/MSFT/Long")}, {.commands = more(30), .final = false}}};
    CHECK_THAT(all_of(run(hasty, tree, with).violations), Catch::Contains("no Status for our Results"));
}

TEST_CASE("many Results are spread over messages without Final", "[sim]") {
    auto tree = fresh_tree();
    std::string gets;
    for (int i = 0; i < 60; ++i) gets += command("Get", 20 + i, swv);
    auto with = setup();
    with.own_message_size = 4000;
    server s{{{gets}}};
    for (int i = 0; i < 20; ++i) s.replies.push_back({.commands = more(30), .final = false});
    sim::exchange const post = [&](std::string const& body) -> result<http::response> {
        if (body.find("<Final/>") != body.npos && s.received.size() > 1) s.replies.at(s.received.size()) = {};
        CHECK(body.size() <= 4000);
        return s.answer(body);
    };
    auto const r = sim::run_session(with, tree, post, {});
    CHECK(r.failure == "");
    CHECK(r.commands.size() == 60);
    CHECK(r.messages > 4);
}

TEST_CASE(
    "credentials are shown at once where the nonce is known, and in every message where the server says 200", "[sim]") {
    auto with = setup();
    with.digest = sim::digest_credentials{"Bruce2", "OhBehave", "Nonce"};
    with.digest_at_once = true;
    auto tree = fresh_tree();
    auto const cred = "<Data>Zz6EivR3yeaaENcRN6lpAQ==</Data>";
    SECTION("212: for the whole session, and the nonce is for the next one") {
        server s{{{.commands = command("Get", 20, swv), .header_status = "212", .chal = "TmV4dA=="}}};
        auto const r = run(s, tree, with);
        CHECK(r.failure == "");
        CHECK(r.next_nonce == "TmV4dA==");
        CHECK_THAT(s.received.at(0), Catch::Contains(cred) && Catch::Contains("syncml:auth-md5"));
        CHECK_THAT(s.received.at(1), !Catch::Contains("<Cred>"));
    }
    SECTION("200: again, by the nonce of the answer") {
        server s{{{.commands = command("Get", 20, swv), .header_status = "200", .chal = "TmV4dA=="}}};
        CHECK(run(s, tree, with).failure == "");
        auto const next = base64(sim::md5(base64(sim::md5("Bruce2:OhBehave")) + ":Next"));
        CHECK_THAT(s.received.at(1), Catch::Contains("<Data>" + next + "</Data>"));
    }
    SECTION("a stale nonce is answered once more, a wrong password is not") {
        server stale{{{.header_status = "401", .chal = "TmV4dA=="}, {.header_status = "212"}}};
        CHECK(run(stale, tree, with).failure == "");
        CHECK_THAT(stale.received.at(1), Catch::Contains("<MsgID>2</MsgID>"));
        server wrong{{{.header_status = "401", .chal = "TmV4dA=="}, {.header_status = "401", .chal = "TmV4dA=="},
            {.header_status = "401", .chal = "TmV4dA=="}}};
        CHECK_THAT(run(wrong, tree, with).failure, Catch::Contains("credentials refused (401)"));
    }
}

TEST_CASE("the server's credentials are judged, and asked for on order", "[sim]") {
    auto with = setup();
    with.server_digest = sim::digest_credentials{"mdmd", "hush", "first"};
    auto tree = fresh_tree();
    auto const cred = [](std::string const& nonce) {
        return fmt::format(
            "<Cred><Meta><Format xmlns=\"syncml:metinf\">b64</Format><Type xmlns=\"syncml:metinf\">syncml:auth-md5</Type>"
            "</Meta><Data>{}</Data></Cred>",
            base64(sim::md5(base64(sim::md5("mdmd:hush")) + ":" + nonce)));
    };
    SECTION("right at once") {
        server s{{{.commands = command("Get", 20, swv), .header = cred("first"), .source_name = "mdmd"}}};
        auto const r = run(s, tree, with);
        CHECK(r.failure == "");
        CHECK(r.server_authenticated);
        CHECK_FALSE(r.next_server_nonce.empty());
        CHECK(statuses_in(s.received.at(1)) == codes{"0:212", "20:200"});
        CHECK_THAT(s.received.at(1), Catch::Contains("<NextNonce xmlns=\"syncml:metinf\">" + r.next_server_nonce));
    }
    SECTION("wrong") {
        server s{{{.commands = command("Get", 20, swv), .header = cred("other"), .source_name = "mdmd"}}};
        CHECK_THAT(run(s, tree, with).failure, Catch::Contains("the server's credentials are wrong"));
    }
    SECTION("challenged") {
        with.challenge_server = true;
        server s{{{.commands = command("Get", 20, swv)}}};
        sim::exchange const post = [&](std::string const& body) -> result<http::response> {
            if (s.received.size() == 1) {
                CHECK(statuses_in(body) == codes{"0:407", "20:407"});
                auto const at = body.find("<NextNonce xmlns=\"syncml:metinf\">") + 33;
                auto const nonce = unbase64(body.substr(at, body.find('<', at) - at)).value();
                s.replies.push_back(
                    {.commands = command("Get", 20, swv), .header = cred(nonce), .source_name = "mdmd"});
            }
            return s.answer(body);
        };
        auto const r = sim::run_session(with, tree, post, {});
        CHECK(r.failure == "");
        CHECK(r.server_authenticated);
        CHECK(r.commands.size() == 1);
        CHECK(statuses_in(s.received.at(2)) == codes{"0:212", "20:200"});
    }
    SECTION("challenged in vain") {
        with.challenge_server = true;
        server s{{{.commands = command("Get", 20, swv)}, {.commands = command("Get", 20, swv)}}};
        auto const r = run(s, tree, with);
        CHECK_THAT(r.failure, Catch::Contains("showed no credentials"));
        CHECK(r.commands.empty());
    }
}

TEST_CASE("a device lies as ordered", "[sim]") {
    auto with = setup();
    auto& f = with.faults;
    auto tree = fresh_tree();
    server s{{{command("Get", 20, swv)}}};
    auto const second = [&] {
        run(s, tree, with);
        return s.received.at(1);
    };
    SECTION("MsgRef") {
        f.wrong_msg_ref_at = 2;
        CHECK_THAT(second(), Catch::Contains("<MsgRef>101</MsgRef>") && !Catch::Contains("<MsgRef>1</MsgRef>"));
    }
    SECTION("CmdRef") {
        f.wrong_cmd_ref_at = 2;
        CHECK(statuses_in(second()) == codes{"100:200", "120:200"});
    }
    SECTION("double statuses") {
        f.double_status_at = 2;
        CHECK(statuses_in(second()) == codes{"0:200", "0:200", "20:200", "20:200"});
    }
    SECTION("a foreign identity") {
        f.foreign_source_at = 2;
        f.foreign_source = "SOMEONE";
        CHECK_THAT(second(), Catch::Contains("<Source><LocURI>SOMEONE</LocURI>"));
        CHECK_THAT(s.received.at(0), !Catch::Contains("SOMEONE"));
    }
    SECTION("a jump") {
        f.jump_at = 2;
        CHECK_THAT(second(), Catch::Contains("<MsgID>9</MsgID>"));
    }
    SECTION("an endless session") {
        f.endless = 3;
        auto const r = run(s, tree, with);
        CHECK(r.failure == "");
        CHECK(r.messages == 5);
    }
    SECTION("no Final ever") {
        f.without_final_from = 2;
        f.endless = 4;
        for (int i = 0; i < 9; ++i) s.replies.push_back({.commands = more(30), .final = false});
        CHECK(run(s, tree, with).messages == 6);
        CHECK(std::count_if(s.received.begin(), s.received.end(),
                  [](std::string const& m) { return m.find("<Final/>") != m.npos; }) == 1);
    }
    SECTION("3 MB of Results in one message") {
        f.inflate[swv] = 3'000'000;
        CHECK(second().size() > 3'000'000);
    }
    SECTION("gone") {
        f.drop_before_at = 2;
        auto const r = run(s, tree, with);
        CHECK(r.dropped);
        CHECK(r.failure == "");
        CHECK(r.messages == 1);
    }
    SECTION("an error of its own") {
        tree.set("./Device/Vendor/MSFT/DMClient/Provider/mdmd/SyncApplicationVersion", {"chr", "5.0", "ADGR"});
        f.answer_with[swv] = 425;
        f.answer_error[swv] = "0x87D1FDE8";
        CHECK_THAT(second(), Catch::Contains("<Data msft:originalerror=\"0x87D1FDE8\">425</Data>"));
    }
}

TEST_CASE("an installer's job is what Windows takes or is refused for what is wrong with it", "[sim]") {
    std::string const uri =
        "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B11111111-2222-3333-4444-555555555555%7D/DownloadInstall";
    std::string const bytes = "an installer";
    auto const good = fmt::format(
        "<MsiInstallJob id=\"{{11111111-2222-3333-4444-555555555555}}\"><Product Version=\"1.2.0.0\"><Download>"
        "<ContentURLList><ContentURL>https://mdm.contoso.test/a.msi</ContentURL></ContentURLList></Download><Validation>"
        "<FileHash>{}</FileHash></Validation><Enforcement><CommandLine>/quiet</CommandLine><TimeOut>10</TimeOut>"
        "<RetryCount>3</RetryCount><RetryInterval>5</RetryInterval></Enforcement></Product></MsiInstallJob>",
        hex_upper(sim::sha256(bytes)));
    auto const job = sim::parse_msi_job(uri, good);
    REQUIRE(job);
    CHECK(job->version == "1.2.0.0");
    for (auto const& [from, to] : std::vector<std::pair<std::string, std::string>>{{"{1111", "{2222"},
             {"https://", "http://"}, {"<FileHash>", "<FileHash>00"}, {" Version=\"1.2.0.0\"", ""},
             {"<TimeOut>10", "<TimeOut>ten"}, {"MsiInstallJob id", "Job id"}}) {
        CAPTURE(from);
        auto bad = good;
        CHECK_FALSE(sim::parse_msi_job(uri, bad.replace(bad.find(from), from.size(), to)));
    }

    SECTION("downloaded whole") {
        auto done = *job;
        sim::carry_out(done, {}, [&](http::call const&) { return http::response{200, {}, bytes}; });
        CHECK(done.steps == std::vector{20, 40, 50, 70});
        CHECK(done.hresult == 0);
    }
    SECTION("downloaded in ranges") {
        auto done = *job;
        std::vector<std::string> ranges;
        sim::carry_out(done, {.block = 5}, [&](http::call const& c) {
            ranges.emplace_back(c.headers.get("Range").value());
            auto const from = ranges.size() * 5 - 5;
            auto const part = bytes.substr(from, 5);
            return http::response{206,
                {{"Content-Range", fmt::format("bytes {}-{}/{}", from, from + part.size() - 1, bytes.size())}}, part};
        });
        CHECK(ranges == std::vector<std::string>{"bytes=0-4", "bytes=5-9", "bytes=10-14"});
        CHECK(done.steps == std::vector{20, 40, 50, 70});
    }
    SECTION("failures") {
        auto const ends = [&](sim::install_options const& o, http::response const& answer) {
            auto done = *job;
            sim::carry_out(done, o, [&](http::call const&) { return answer; });
            return std::pair(done.steps, done.hresult);
        };
        CHECK(ends({}, {404, {}, ""}) == std::pair(std::vector{20, 30}, 0x80190194u));
        CHECK(ends({}, {200, {}, "else"}) == std::pair(std::vector{20, 40, 60}, 0x80091007u));
        CHECK(ends({.error = 0x80070643}, {200, {}, bytes}) == std::pair(std::vector{20, 40, 50, 60}, 0x80070643u));
        CHECK(ends({.block = 4}, {200, {}, bytes}).first == std::vector{20, 30});
    }
}

TEST_CASE("a product is uninstalled by deleting its node, and what is done once stays done", "[sim]") {
    auto tree = fresh_tree();
    std::string const node = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7B1%7D";
    CHECK(tree.exec(node + "/DownloadInstall") == 404);
    CHECK(tree.add(node + "/DownloadInstall", "", "") == 200);
    CHECK(tree.exec(node + "/DownloadInstall") == 200);
    tree.set(node + "/Status", {"int", "70", "G"});
    CHECK(tree.remove(node + "/Status") == 405);
    CHECK(tree.remove(node) == 200);
    CHECK(tree.get(node + "/Status").status == 404);
    auto const done = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/FirstSyncStatus/ServerHasFinishedProvisioning";
    tree.set(done, {"bool", "false", "GR"});
    CHECK(tree.replace(done, "bool", "true") == 200);
    CHECK(tree.replace(done, "bool", "false") == 405);
    auto const poll = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/Poll/PollOnLogin";
    CHECK(tree.add(poll, "int", "1") == 415);
    CHECK(tree.add(poll, "bool", "true") == 200);
}
