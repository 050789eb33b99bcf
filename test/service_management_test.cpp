#include "test/service_session_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char min_length[] = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength";
constexpr char passport[] = "./Device/Vendor/MSFT/PassportForWork/T/Policies/UsePassportForWork";

}  // namespace

TEST_CASE_METHOD(session_fixture, "a device is known by its certificate and nothing else", "[service][security]") {
    auto const good = certificate;
    CHECK(post(syncml("1", 1, first_body)).status == 200);
    CHECK(post(syncml("2", 1, first_body, true, "OTHERDEVICE")).status == 403);
    certificate = "";
    CHECK(post(syncml("3", 1, first_body)).status == 403);
    certificate = appliance->ctx.authority().issuing.der();
    CHECK(post(syncml("3", 1, first_body)).status == 403);
    certificate = good;
    time.advance(std::chrono::days(366));
    CHECK(post(syncml("4", 1, first_body)).status == 403);
}

TEST_CASE_METHOD(session_fixture, "bodies that are no SyncML get a 4xx and change nothing", "[service][security]") {
    auto const body = GENERATE(as<std::string>(), "", "x", "<SyncML/>",
        "<!DOCTYPE a><SyncML xmlns=\"SYNCML:SYNCML1.2\"/>", std::string(2'000'000, 'a'));
    auto const r = post(body);
    CHECK(r.status >= 400);
    CHECK(r.status < 500);
    CHECK(service::devices(*appliance)[0].last_seen == std::nullopt);
}

TEST_CASE_METHOD(session_fixture, "WBXML and other types are not taken", "[service]") {
    auto r = request("POST", "/ManagementServer/MDM.svc", syncml("1", 1, first_body));
    r.peer_certificate = certificate;
    CHECK(appliance->manage.session(r).status == 415);
    r.headers.add("Content-Type", "application/vnd.syncml.dm+wbxml");
    CHECK(appliance->manage.session(r).status == 415);
}

TEST_CASE_METHOD(session_fixture, "the first session reads who the device is, an idle one little", "[service]") {
    sync("1");
    auto const d = service::details(*appliance, "PC1").value();
    CHECK(d.summary.device.os_version == "10.0.22631.3447");
    CHECK(d.summary.last_seen == time.now());
    CHECK(std::any_of(
        d.facts.begin(), d.facts.end(), [](auto const& f) { return f.node == "./DevInfo/Man" && f.value == "Maker"; }));
    CHECK(d.refreshed == time.now());
    seen.clear();
    CHECK(sync("2") == 1);
    CHECK(seen.empty());
}

TEST_CASE_METHOD(session_fixture, "a lost reply is repeated byte for byte, and nothing happens twice", "[service]") {
    service::send(*appliance, "PC1", {"exec", "./Device/Vendor/MSFT/Reboot/RebootNow", "", {}}).value();
    auto const first = post(syncml("1", 1, first_body));
    CHECK(post(syncml("1", 1, first_body)).body == first.body);
    auto const second = syncml("1", 2, answers(commands_of(first.body), 1));
    auto const reply = post(second);
    appliance = start();  // a restart in between changes nothing
    CHECK(post(second).body == reply.body);
    auto const all = service::commands(*appliance, "PC1").value();
    CHECK(all[0].state == "done");
}

TEST_CASE_METHOD(
    session_fixture, "settings are applied, kept when they drift, and removed with their policy", "[service]") {
    add_policy().settings = {{min_length, "int", "8", 1}, {passport, "bool", "true", 2}};
    reconfigure();
    sync("1");
    CHECK(tree[min_length] == "8");
    CHECK(tree[passport] == "true");
    CHECK(setting_states() == fmt::format("{}:applied {}:applied ", min_length, passport));

    tree[min_length] = "4";
    seen.clear();
    sync("2");
    CHECK(tree[min_length] == "4");
    CHECK(seen.empty());
    time.advance(24h);
    sync("4");
    CHECK(tree[min_length] == "8");
    CHECK(was_sent(std::string("Replace ") + min_length + "=8"));

    config.policies.clear();
    reconfigure();
    sync("3");
    CHECK_FALSE(tree.contains(min_length));
    CHECK(setting_states().empty());
}

TEST_CASE_METHOD(
    session_fixture, "a setting that the device refuses is shown with its status and not sent again", "[service]") {
    add_policy().settings = {{min_length, "int", "8", 1}};
    refuse[min_length] = 405;
    reconfigure();
    sync("1");
    auto const d = service::details(*appliance, "PC1").value();
    REQUIRE(setting_states() == std::string(min_length) + ":failed ");
    CHECK(d.settings[0].uri == min_length);
    CHECK(d.settings[0].status == 405);
    seen.clear();
    sync("2");
    CHECK_FALSE(was_sent(std::string("Replace ") + min_length + "=8"));
}

TEST_CASE_METHOD(session_fixture, "an operator's commands are delivered in order with their results", "[service]") {
    auto const queue = [&](std::string verb, std::string uri, std::string format = "",
                           std::optional<std::string> value = {}) {
        return service::send(*appliance, "PC1", {std::move(verb), std::move(uri), std::move(format), std::move(value)})
            .value()
            .id;
    };
    queue("add", "./Device/Vendor/MSFT/X/A", "chr", "a<b");
    queue("replace", "./Device/Vendor/MSFT/X/A", "chr", "c");
    queue("get", "./Device/Vendor/MSFT/X/A");
    queue("delete", "./Device/Vendor/MSFT/X/A");
    queue("get", "./Device/Vendor/MSFT/X/A");
    queue("exec", "./Device/Vendor/MSFT/Reboot/RebootNow");
    sync("1");
    std::string all;
    for (auto const& c : service::commands(*appliance, "PC1").value())
        all += fmt::format("{} {} {} {}\n", c.verb, c.state, c.status.value_or(0), c.result.value_or("-"));
    CHECK(all ==
          "add done 200 -\nreplace done 200 -\nget done 200 c\ndelete done 200 -\nget failed 404 -\nexec done 200 -\n");
}

TEST_CASE_METHOD(session_fixture, "commands that no device could take are refused with the reason", "[service]") {
    struct row {
        service::new_command command;
        std::string why;
    };
    auto const row = GENERATE(values<struct row>({
        {{"wipe", "./X", "", {}}, "expected get"},
        {{"get", "X", "", {}}, "URI"},
        {{"get", "./X", "", "v"}, "no value"},
        {{"replace", "./X", "", {}}, "needs a value"},
        {{"replace", "./X", "int", "1x"}, "whole number"},
        {{"replace", "./X", "odd", "1"}, "format"},
        {{"add", "./X", "node", "v"}, "no value"},
        {{"replace", "./X", "chr", "\xff"}, "UTF-8"},
    }));
    auto const r = service::send(*appliance, "PC1", row.command);
    REQUIRE_FALSE(r);
    CHECK_THAT(r.error().detail, Catch::Contains(row.why));
    CHECK(service::send(*appliance, "nobody", {"get", "./X", "", {}}).error().code == errc::not_found);
}

TEST_CASE_METHOD(session_fixture,
    "a session that breaks off is taken up by the next: what was sent is sent again, but no exec", "[service]") {
    service::send(*appliance, "PC1", {"exec", "./Device/Vendor/MSFT/Reboot/RebootNow", "", {}}).value();
    service::send(*appliance, "PC1", {"replace", min_length, "int", "6"}).value();
    post(syncml("1", 1, first_body));
    appliance = start();
    sync("2");
    auto const all = service::commands(*appliance, "PC1").value();
    CHECK(all[0].state == "unknown");
    CHECK(all[1].state == "done");
    CHECK(tree[min_length] == "6");
    CHECK(std::count(seen.begin(), seen.end(), "Exec ./Device/Vendor/MSFT/Reboot/RebootNow") == 0);
}

TEST_CASE_METHOD(session_fixture, "a device that its user unenrolls is answered, then unknown, and reported unmanaged",
    "[service]") {
    sync("1");
    report_now();
    tenant->writes.clear();
    auto const r = post(syncml("2", 1,
        std::string(first_body) +
            R"(<Alert><CmdID>5</CmdID><Data>1226</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft:mdm.unenrollment.userrequest</Type><Format xmlns="syncml:metinf">int</Format></Meta><Data>1</Data></Item></Alert>)"));
    CHECK(r.status == 200);
    CHECK(commands_of(r.body).empty());
    CHECK(post(syncml("3", 1, first_body)).status == 403);
    CHECK(service::devices(*appliance)[0].device.state == "unenrolled");
    report_now();
    REQUIRE(tenant->writes.size() == 1);
    CHECK(json::parse(tenant->writes[0].body) == json::value{{"isManaged", false}, {"isCompliant", false}});
}

TEST_CASE_METHOD(
    session_fixture, "a message larger than the device takes is split, and all of it arrives", "[service]") {
    auto& p = add_policy();
    for (int i = 0; i < 40; ++i)
        p.settings.push_back(
            {fmt::format("./Device/Vendor/MSFT/Policy/Config/Area/Policy{}", i), "int", std::to_string(i), i});
    reconfigure();
    auto const body = std::string(first_body);
    auto small = [&](std::string text) {
        auto const at = text.find("</SyncHdr>");
        return text.insert(at, R"(<Meta><MaxMsgSize xmlns="syncml:metinf">4096</MaxMsgSize></Meta>)");
    };
    auto r = post(small(syncml("1", 1, body)));
    int messages = 1;
    for (int msg = 2; msg < 30; ++msg) {
        CHECK(r.body.size() <= 4096);
        auto const commands = commands_of(r.body);
        if (commands.empty()) break;
        r = post(small(syncml("1", msg, answers(commands, msg - 1))));
        ++messages;
    }
    CHECK(messages > 3);
    CHECK(tree["./Device/Vendor/MSFT/Policy/Config/Area/Policy39"] == "39");
}

TEST_CASE_METHOD(session_fixture, "a device cannot fill the store with what it says of itself", "[service][security]") {
    std::string items;
    for (int i = 0; i < 100; ++i)
        items += fmt::format("<Item><Source><LocURI>./DevInfo/X{}</LocURI></Source><Data>x</Data></Item>", i);
    tree["./DevDetail/Ext/Microsoft/OSPlatform"] = std::string(100'000, 'x');
    tree["./DevDetail/Ext/Microsoft/DeviceName"] = std::string(1'000, 'n');
    CHECK(post(syncml("1", 1,
                   "<Alert><CmdID>2</CmdID><Data>1201</Data></Alert><Replace><CmdID>3</CmdID>" + items + "</Replace>"))
              .status == 200);
    sync("2");
    auto const d = service::details(*appliance, service::devices(*appliance)[0].device.id).value();
    CHECK(d.facts.size() < 60);
    for (auto const& f : d.facts) CHECK(f.value.value_or("").size() <= 16 * 1024);
    CHECK(d.summary.device.name.size() <= 256);
}

TEST_CASE_METHOD(
    session_fixture, "a device whose session numbers begin anew is not taken for a repetition", "[service]") {
    sync("1");
    service::send(*appliance, "PC1", {"get", "./DevDetail/SwV", "", {}}).value();
    auto const body = std::string(first_body);
    auto const other = body.substr(0, body.find("<Replace>"));
    auto const r = post(syncml("1", 1, other));
    CHECK(r.status == 200);
    auto const sent = commands_of(r.body);
    CHECK(std::any_of(sent.begin(), sent.end(), [](auto const& c) { return c.name == "Get"; }));
    CHECK(post(syncml("1", 2, answers(sent, 1))).status == 200);
    CHECK(service::commands(*appliance, "PC1").value()[0].state == "done");
    // In the middle of a session, too.
    CHECK(post(syncml("7", 1, first_body)).status == 200);
    CHECK(post(syncml("7", 2, answers({}, 1))).status == 200);
    CHECK(post(syncml("7", 1, other)).status == 200);
}
