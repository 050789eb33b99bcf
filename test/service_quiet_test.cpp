// What a check-in costs in which nothing is to be done: by far the most of what a fleet sends.
#include "enroll/provisioning.hpp"
#include "test/counting_store.hpp"
#include "test/service_session_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char sales[] = "5a1e5000-0000-0000-0000-000000000001";

// A corporate device with its user, of whom everything is configured that a session could have to look at.
struct quiet_fixture : session_fixture {
    std::shared_ptr<store_use> use = std::make_shared<store_use>();
    std::unique_ptr<store::database> counted;

    quiet_fixture() {
        auto& s = config.settings;
        s.management.push = config::push_identity{.package_family_name = "Contoso.Wake_1a2b3c4d5e6f7",
            .package_sid = "ms-app://s-1-15-2-1",
            .key = secret(std::string("push-secret"))};
        s.enrollment.allowed_groups = {sales};
        tenant->groups[user_id] = {sales};
        auto const policy = [&](char const* name, config::scope whom, char const* uri) {
            auto& p = add_policy(name);
            p.target.for_whom = whom;
            p.target.groups = {sales};
            for (int i = 0; i < 20; ++i) p.settings.push_back({fmt::format("{}{}", uri, i), "int", "1", i});
        };
        policy("device", config::scope::device, "./Device/Vendor/MSFT/Policy/Config/Area/Policy");
        policy("user", config::scope::user, "./User/Vendor/MSFT/Policy/Config/Area/Policy");
        add_policy("app").apps = {
            {.product_code = "{11111111-2222-3333-4444-555555555555}", .intent = config::app_intent::uninstall}};
        auto const push = fmt::format("./Device/Vendor/MSFT/DMClient/Provider/{}/Push/", enroll::provider_id);
        tree[push + "PFN"] = "Contoso.Wake_1a2b3c4d5e6f7";
        tree[push + "ChannelURI"] = "https://db5.notify.windows.com/?token=abc";
        tree[push + "Status"] = "0";
        counted = std::make_unique<store::database>(std::make_unique<counting_engine>(folder.path() / "mdmd.db", use));
        appliance = std::make_unique<service::appliance>(*counted, time, service::ready(config), out());
        static_cast<void>(appliance->groups.of(user_id).value());
    }
    ~quiet_fixture() { appliance.reset(); }

    http::response ask(std::string const& body) {
        auto r = request("POST", "/ManagementServer/MDM.svc?mode=Maintenance&Platform=WoA", body);
        r.headers.add("Content-Type", "application/vnd.syncml.dm+xml");
        r.headers.add("Authorization", "Bearer " + device_token());
        r.peer_certificate = certificate;
        return appliance->manage.session(r);
    }
    // A session of the device's user; how many messages it took.
    int check_in(int number) {
        auto const id = std::to_string(number);
        auto r = ask(syncml(id, 1, first_body));
        for (int msg = 2; msg < 20; ++msg) {
            REQUIRE(r.status == 200);
            auto const commands = commands_of(r.body);
            if (commands.empty()) return msg - 1;
            r = ask(syncml(id, msg, answers(commands, msg - 1)));
        }
        FAIL("the session does not end");
        return 0;
    }
};

}  // namespace

TEST_CASE_METHOD(
    quiet_fixture, "a check-in with nothing to do changes one row, and reads each thing once", "[service]") {
    int session = 1;
    CHECK(check_in(session) > 1);
    while (check_in(++session) > 1) REQUIRE(session < 5);
    CHECK(was_sent("Replace ./User/Vendor/MSFT/Policy/Config/Area/Policy19=1"));
    CHECK(was_sent("Replace ./Device/Vendor/MSFT/Policy/Config/Area/Policy19=1"));

    appliance->tend_sessions();
    time.advance(15min);
    use->statements = use->rows = use->changes = 0;
    seen.clear();
    CHECK(check_in(++session) == 1);
    CHECK(seen.empty());
    CHECK(use->changes == 1);
    // 47 settings, the facts of the inventory, and little else.
    CHECK(use->statements <= 21);
    CHECK(use->rows <= 105);
    appliance->tend_sessions();
    CHECK(use->changes == 1);
    CHECK(service::devices(*appliance)[0].last_seen == time.now());
}
