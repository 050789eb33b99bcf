#include "service/session_work.hpp"
#include "test/service_session_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char wipe_uri[] = "./Device/Vendor/MSFT/RemoteWipe/doWipe";
constexpr char unenroll_uri[] = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/Unenroll";
constexpr char goodbye[] =
    R"(<Alert><CmdID>5</CmdID><Data>1226</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft:mdm.unenrollment.userrequest</Type><Format xmlns="syncml:metinf">int</Format></Meta><Data>1</Data></Item></Alert>)";

struct orders_fixture : session_fixture {
    orders_fixture() {
        sync("1");
        seen.clear();
    }
    std::string order(std::string kind, std::string variant = "") {
        service::new_command c;
        c.kind = std::move(kind);
        c.variant = std::move(variant);
        return service::send(*appliance, "PC1", c).value().id;
    }
    store::command last() { return service::commands(*appliance, "PC1").value().back(); }
    std::string device_state() { return service::devices(*appliance)[0].device.state; }
    // Whether Graph was told since, and what.
    std::string told() {
        tenant->writes.clear();
        report_now();
        return tenant->writes.empty() ? "" : tenant->writes.back().body;
    }
};

}  // namespace

TEST_CASE_METHOD(orders_fixture, "an order is carried out and tells its outcome", "[service]") {
    order("reboot");
    sync("2");
    CHECK(seen == std::vector<std::string>{"Exec ./Device/Vendor/MSFT/Reboot/RebootNow"});
    CHECK(last().state == "done");
    CHECK(last().detail == "accepted: Windows restarts within 5 minutes");
}

TEST_CASE_METHOD(orders_fixture, "an order that Windows refuses fails, and says what it is about", "[service]") {
    order("lock");
    refuse["./Device/Vendor/MSFT/RemoteLock/Lock"] = 405;
    sync("2");
    CHECK(last().state == "failed");
    CHECK(last().status == 405);
    CHECK_THAT(last().detail, Catch::Contains("cannot be locked"));
}

TEST_CASE_METHOD(orders_fixture, "a sync reads the device whole and is done when it has", "[service]") {
    tree["./DevDetail/Ext/Microsoft/FreeStorage"] = "1000";
    order("sync");
    sync("2");
    CHECK(was_sent("Get ./DevDetail/Ext/Microsoft/FreeStorage"));
    CHECK(last().state == "done");
    seen.clear();
    sync("3");
    CHECK(seen.empty());
}

TEST_CASE_METHOD(orders_fixture, "a session that does not come to the end of what is read is no sync", "[service]") {
    auto const refreshed = [&] { return service::details(*appliance, "PC1").value().refreshed; };
    auto const first = refreshed();
    order("sync");
    time.advance(1min);
    SECTION("of a user alone") {
        play(
            post(syncml("2", 1,
                std::string(first_body) +
                    R"(<Alert><CmdID>9</CmdID><Data>1224</Data><Item><Meta><Type xmlns="syncml:metinf">com.microsoft.mdm.synctype</Type></Meta><Data>user</Data></Item></Alert>)")),
            "2");
    }
    SECTION("that the device breaks off") {
        post(syncml("2", 1, first_body));
        post(syncml("2", 2, "<Alert><CmdID>1</CmdID><Data>1223</Data></Alert>"));
    }
    SECTION("in which the device wants no more") {
        auto const r = post(syncml("2", 1, first_body));
        auto const first_one = commands_of(r.body).at(0);
        refuse[first_one.uri] = 214;
        post(syncml("2", 2, answers({first_one}, 1)));
        refuse.clear();
    }
    CHECK(refreshed() == first);
    CHECK(last().state == "queued");
    sync("3");
    CHECK(refreshed() == time.now());
    CHECK(last().state == "done");
}

TEST_CASE_METHOD(orders_fixture, "a sync whose session breaks off is owed still", "[service]") {
    order("sync");
    post(syncml("2", 1, first_body));
    CHECK(last().state == "queued");
    sync("3");
    CHECK(last().state == "done");
}

TEST_CASE_METHOD(orders_fixture, "a scan is followed over sessions until Defender has done it", "[service]") {
    constexpr char time_uri[] = "./Device/Vendor/MSFT/Defender/Health/QuickScanTime";
    tree[time_uri] = "yesterday";
    order("scan", "quick");
    sync("2");
    CHECK(was_sent("Exec ./Device/Vendor/MSFT/Defender/Scan=1"));
    CHECK(last().state == "sent");
    appliance = start();
    seen.clear();
    sync("3");
    CHECK(seen == std::vector<std::string>{std::string("Get ") + time_uri});
    CHECK(last().state == "sent");
    tree[time_uri] = "today";
    sync("4");
    CHECK(last().state == "done");
    CHECK(last().detail == "scanned at today");
    seen.clear();
    sync("5");
    CHECK(seen.empty());
}

TEST_CASE_METHOD(orders_fixture, "a rotation of recovery passwords is followed by its own request", "[service]") {
    auto const id = order("rotate-recovery-key");
    auto const request = last().value.value();
    CHECK(is_guid(request));
    tree["./Device/Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsRequestID"] = request;
    tree["./Device/Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsStatus"] = "1";
    sync("2");
    CHECK(last().state == "sent");
    tree["./Device/Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsStatus"] = "0";
    sync("3");
    CHECK(last().state == "done");
}

TEST_CASE_METHOD(
    orders_fixture, "a wipe that is taken ends the device for Entra, and cancels what else was queued", "[service]") {
    order("wipe");
    service::send(*appliance, "PC1", {"get", "./DevDetail/SwV", "", {}}).value();
    auto const r = post(syncml("2", 1, first_body));
    auto const sent = commands_of(r.body);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].uri == wipe_uri);
    auto const reply = post(syncml("2", 2, answers({sent[0]}, 1)));
    CHECK(commands_of(reply.body).empty());
    CHECK(device_state() == "wiped");
    auto const all = service::commands(*appliance, "PC1").value();
    CHECK(all[0].state == "done");
    CHECK(all[1].state == "cancelled");
    CHECK(json::parse(told()) == json::value{{"isManaged", false}, {"isCompliant", false}});
}

TEST_CASE_METHOD(orders_fixture, "a device that took a wipe and comes back was not wiped: it is managed again",
    "[service][security]") {
    order("wipe");
    sync("2");
    REQUIRE(device_state() == "wiped");
    static_cast<void>(told());
    CHECK(service::send(*appliance, "PC1", {"get", "./DevDetail/SwV", "", {}}).error().code == errc::conflict);
    sync("3");
    CHECK(device_state() == "enrolled");
    CHECK(last().state == "failed");
    CHECK_THAT(last().detail, Catch::Contains("came back"));
    CHECK(json::parse(told()).at("isManaged") == true);
}

TEST_CASE_METHOD(orders_fixture, "a device that is retired says goodbye, and is unknown then", "[service]") {
    order("retire");
    sync("2");
    CHECK(was_sent(std::string("Exec ") + unenroll_uri + "=mdmd"));
    CHECK(device_state() == "retired");
    CHECK(post(syncml("3", 1, std::string(first_body) + goodbye)).status == 200);
    CHECK(device_state() == "retired");
    CHECK(post(syncml("4", 1, first_body)).status == 403);
    CHECK(last().state == "done");
}

TEST_CASE_METHOD(
    orders_fixture, "a device that drops the session on being retired confirms it with its goodbye", "[service]") {
    order("retire");
    post(syncml("2", 1, first_body));
    CHECK(last().state == "sent");
    CHECK(post(syncml("3", 1, std::string(first_body) + goodbye)).status == 200);
    CHECK(device_state() == "retired");
    CHECK(last().state == "done");
}

TEST_CASE_METHOD(orders_fixture, "an order that does not exist, or has a command of its own, is refused", "[service]") {
    service::new_command c;
    c.kind = "explode";
    CHECK(service::send(*appliance, "PC1", c).error().code == errc::malformed);
    c.kind = "wipe";
    c.uri = "./X";
    CHECK(service::send(*appliance, "PC1", c).error().code == errc::malformed);
    c.uri.clear();
    c.variant = "half";
    CHECK(service::send(*appliance, "PC1", c).error().code == errc::malformed);
    c.variant.clear();
    c.ttl = std::chrono::seconds(0);
    CHECK(service::send(*appliance, "PC1", c).error().code == errc::malformed);
}

TEST_CASE_METHOD(orders_fixture, "an order that is not begun in its time is cancelled", "[service]") {
    service::new_command c;
    c.kind = "reboot";
    c.ttl = std::chrono::hours(1);
    service::send(*appliance, "PC1", c).value();
    appliance->tend_sessions();
    CHECK(last().state == "queued");
    time.advance(1h);
    appliance->tend_sessions();
    CHECK(last().state == "cancelled");
    sync("2");
    CHECK_FALSE(was_sent("Exec ./Device/Vendor/MSFT/Reboot/RebootNow"));
}

TEST_CASE_METHOD(orders_fixture, "what became of an order is kept for 90 days, and of the last thousand", "[service]") {
    auto const kept = [&] { return service::commands(*appliance, "PC1").value().size(); };
    order("reboot");
    sync("2");
    REQUIRE(last().state == "done");
    time.advance(std::chrono::days(90));
    appliance->tend_sessions();
    CHECK(kept() == 1);
    time.advance(1h);
    appliance->tend_sessions();
    CHECK(kept() == 0);
    auto const device = service::devices(*appliance)[0].device.id;
    db.write([&](store::connection& c) {
        for (int i = 0; i < 1250; ++i)
            store::add_command(
                c, {.id = std::to_string(i), .device_id = device, .state = "done", .updated = time.now()});
    });
    order("reboot");
    time.advance(1h);
    for (auto const left : {1151U, 1051U, 1001U, 1001U}) {
        appliance->tend_sessions();
        CHECK(kept() == left);
        time.advance(1s);
    }
    CHECK(last().state == "queued");
}

TEST_CASE_METHOD(orders_fixture, "for a day after the clock was set nothing old is forgotten", "[service]") {
    auto const kept = [&] { return service::commands(*appliance, "PC1").value().size(); };
    order("reboot");
    sync("2");
    REQUIRE(last().state == "done");
    auto const right = time.now();
    time.set(right + std::chrono::days(3650));
    appliance->tend_sessions();
    time.advance(23h);
    appliance->tend_sessions();
    CHECK(kept() == 1);
    time.set(right + 23h);
    time.advance(25h);
    appliance->tend_sessions();
    CHECK(kept() == 1);
    time.set(right + std::chrono::days(3650));  // it really is that late
    appliance->tend_sessions();
    time.advance(24h);
    appliance->tend_sessions();
    CHECK(kept() == 0);
}

TEST_CASE_METHOD(orders_fixture, "an order is taken back as long as the device has not got it", "[service]") {
    auto const id = order("reboot");
    CHECK(service::cancel(*appliance, id).value().state == "cancelled");
    CHECK(service::cancel(*appliance, id).error().code == errc::conflict);
    CHECK(service::cancel(*appliance, "none").error().code == errc::not_found);
}

TEST_CASE_METHOD(
    orders_fixture, "an order for many goes to all that its condition holds for, or to none", "[service]") {
    service::new_command c;
    c.kind = "sync";
    auto const sent = service::send_to_all(*appliance, "ownership=corporate", c, std::nullopt);
    REQUIRE(sent);
    CHECK(sent->size() == 1);
    CHECK(service::send_to_all(*appliance, "ownership=personal", c, std::nullopt).value().empty());
    CHECK(service::send_to_all(*appliance, "", c, 2).error().code == errc::conflict);
    CHECK(service::send_to_all(*appliance, "serial=1", c, 1).error().code == errc::malformed);
    c.kind = "wipe";
    CHECK(service::send_to_all(*appliance, "", c, std::nullopt).error().code == errc::conflict);
    CHECK(service::send_to_all(*appliance, "", c, 1).value().size() == 1);
}

TEST_CASE_METHOD(orders_fixture, "a command that the device puts off is sent again, three times in all", "[service]") {
    auto const status = GENERATE(215, 417, 503);
    service::send(*appliance, "PC1", {"exec", "./Device/Vendor/MSFT/X/Y", "", {}}).value();
    refuse["./Device/Vendor/MSFT/X/Y"] = status;
    for (auto const* session : {"2", "3"}) {
        sync(session);
        CHECK(last().state == "queued");
    }
    sync("4");
    CHECK(last().state == "failed");
    CHECK(std::count(seen.begin(), seen.end(), "Exec ./Device/Vendor/MSFT/X/Y") == 3);
}

TEST_CASE_METHOD(orders_fixture, "the plan of a session is what the session sends", "[service]") {
    add_policy().settings = {{"./Device/Vendor/MSFT/Policy/Config/Area/X", "int", "1", 1}};
    reconfigure();
    order("reboot");
    std::vector<std::string> planned;
    for (auto const& c : service::plan(*appliance, "PC1", "").value().commands)
        planned.push_back(c.verb + " " + c.uri + (c.value.value_or("").empty() ? "" : "=" + *c.value));
    sync("2");
    CHECK(planned == seen);
    CHECK(planned.size() == 2);
    CHECK(service::plan(*appliance, "PC1", "nobody@contoso.com").error().code == errc::malformed);
}

TEST_CASE_METHOD(
    orders_fixture, "a plan for a user is filled in with what is known of the user, however it is named", "[service]") {
    constexpr char other_user[] = "0d000000-0000-0000-0000-000000000002";
    constexpr char uri[] = "./User/Vendor/MSFT/Policy/Config/Area/Mail";
    auto& p = add_policy();
    p.target.for_whom = config::scope::user;
    p.settings = {{uri, "chr", "to {{user.upn}}", 1}};
    reconfigure();
    auto const device = service::devices(*appliance)[0].device.id;
    auto const seen_with = [&](std::string const& upn) {
        db.write([&](store::connection& c) {
            store::put_device_user(c, device, {.user_id = other_user, .upn = upn, .first_seen = time.now()});
        });
    };
    auto const planned = [&](std::string const& user) {
        auto const got = service::plan(*appliance, "PC1", user).value();
        for (auto const& c : got.commands)
            if (c.uri == uri) return got.upn + ": " + c.value.value_or("");
        return got.upn + ": nothing";
    };
    seen_with("bob@contoso.com");
    for (auto const* user : {other_user, "0D000000-0000-0000-0000-000000000002", "BOB@contoso.com"})
        CHECK(planned(user) == "bob@contoso.com: to bob@contoso.com");
    seen_with("");
    CHECK(planned(other_user) == ": nothing");
    CHECK(service::plan(*appliance, "PC1", other_user).value().user_id == other_user);
}

TEST_CASE_METHOD(orders_fixture, "a scan whose session breaks off before it was ordered is owed still", "[service]") {
    order("scan", "quick");
    post(syncml("2", 1, first_body));
    CHECK(last().state == "queued");
    sync("3");
    CHECK(was_sent("Exec ./Device/Vendor/MSFT/Defender/Scan=1"));
}

TEST_CASE_METHOD(orders_fixture, "a scan that was ordered and not answered is not ordered twice", "[service]") {
    order("scan", "quick");
    auto const r = post(syncml("2", 1, first_body));
    CHECK(post(syncml("2", 2, answers(commands_of(r.body), 1))).body.find("/Defender/Scan") != std::string::npos);
    sync("3");
    CHECK_FALSE(was_sent("Exec ./Device/Vendor/MSFT/Defender/Scan=1"));
    CHECK(last().state == "unknown");
}

TEST_CASE_METHOD(orders_fixture, "an order whose outcome never shows is not followed for ever", "[service]") {
    tree["./Device/Vendor/MSFT/Defender/Health/QuickScanTime"] = "yesterday";
    order("scan", "quick");
    for (int day = 2; day < 40; ++day) {
        sync(std::to_string(day));
        time.advance(24h);
    }
    CHECK(last().state == "unknown");
    CHECK_THAT(last().detail, Catch::Contains("30 days"));
}

TEST_CASE_METHOD(orders_fixture, "an order that was taken back while a session was answered is not sent", "[service]") {
    auto const id = order("wipe");
    auto const device = service::find(*appliance, "PC1").value();
    service::session_work work(appliance->ctx.config(), appliance->push, device, std::nullopt, time.now());
    db.read([&](store::connection& c) { work.load(c, {}); });
    work.begin(std::nullopt);
    auto const queue = work.queue({});
    omadm::answer answer;
    answer.taken = queue.size();
    work.sent(queue, answer);
    REQUIRE(service::cancel(*appliance, id));
    CHECK_THROWS_AS(
        db.write([&](store::connection& c) { return work.keep(c, {.device_id = device.id, .seen = time.now()}, {}); }),
        service::session_work::outdated);
    CHECK(last().state == "cancelled");
}

TEST_CASE_METHOD(orders_fixture, "a computer that was wiped and enrolled anew does not come back as its old self",
    "[service][security]") {
    order("wipe");
    sync("2");
    REQUIRE(device_state() == "wiped");
    REQUIRE(enroll({.blob = accept_terms(true), .token = device_token(), .csr = rsa_key().request()}).status == 200);
    CHECK(post(syncml("3", 1, first_body)).status == 403);
    auto const all = service::devices(*appliance);
    CHECK(std::count_if(all.begin(), all.end(), [](auto const& v) { return v.device.state == "enrolled"; }) == 1);
}
