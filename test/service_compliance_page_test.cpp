#include "service/compliance_page.hpp"
#include "service/evaluation.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr auto mode_uri = "./Vendor/MSFT/DeviceStatus/OS/Mode";

struct page_fixture : appliance_fixture {
    page_fixture() {
        config.policies.push_back({.name = "Baseline",
            .grace_period = 0s,
            .rules = {
                {config::named_rule{config::rule_id::min_os_version, "10.0.19045.3803", {{10, 0, 19045, 3803}}}, 1},
                {config::uri_rule{mode_uri, config::comparison::eq, {"0"}}, 2}}});
        reconfigure();
        certificate = enroll_one();
        device = service::devices(*appliance)[0].device;
        timers();
    }
    store::device device;

    // The device checks in and answers what the rules ask.
    void checks_in(std::string const& version, std::string const& mode) {
        db.write([&](store::connection& c) {
            for (auto const& [node, value] : {std::pair("./DevDetail/SwV", version), {mode_uri, mode}}) {
                auto const canonical = policy::canonical_uri(node);
                store::put_fact(c, device.id, {canonical, 200, value, time.now()});
            }
            store::put_session(c, {device.id, "", "", "", time.now()});
        });
        appliance->report.judge_all();
    }
    http::response get(std::string const& query, std::string const& language = "en") {
        auto r = request("GET", "/compliance" + query);
        r.headers.add("Accept-Language", language);
        return appliance->compliance.show(r);
    }
    std::string link(std::chrono::seconds ttl = 24h * 7) {
        auto const url = appliance->compliance.link_to(device, ttl).value().url;
        return url.substr(url.find('?'));
    }
    static bool holds(http::response const& r, std::string_view part) { return r.body.find(part) != r.body.npos; }
};

}  // namespace

TEST_CASE_METHOD(page_fixture, "a stranger learns nothing of any device", "[service]") {
    checks_in("10.0.19045.1", "1");
    for (auto const* query : {"", "?portalAction=Compliance&platform=Windows", "?id=x"}) {
        auto const page = get(query);
        CHECK(page.status == 200);
        CHECK(page.body == get("").body);
        for (auto const* hidden : {"PC1", "Baseline", "10.0.19045", "user@contoso.com"})
            CHECK_FALSE(holds(page, hidden));
        CHECK(holds(page, "Access work or school"));
    }
    CHECK(holds(get("", "de-AT,en;q=0.5"), "<html lang=\"de\""));
}

TEST_CASE_METHOD(page_fixture, "a link shows what is wrong with its device and how to mend it", "[service]") {
    auto const url = appliance->compliance.link_to(device, 24h * 7).value();
    CHECK(url.url.starts_with("https://mdm.test/compliance?device="));
    CHECK(url.expires == time.now() + 24h * 7);

    CHECK(holds(get(link()), "has not been checked yet"));
    checks_in("10.0.19045.1", "1");
    auto const page = get(link());
    CHECK(page.status == 200);
    CHECK(holds(page, "<bdi>PC1</bdi> does not meet"));
    CHECK(holds(page, "<bdi>10.0.19045.1</bdi>"));
    CHECK(holds(page, "<bdi>10.0.19045.3803</bdi>"));
    CHECK(holds(page, "<bdi>Baseline</bdi>"));
    CHECK_FALSE(holds(page, "DeviceStatus"));
    checks_in("10.0.19045.9999", "0");
    CHECK(holds(get(link()), "<bdi>PC1</bdi> meets all requirements"));
}

TEST_CASE_METHOD(page_fixture, "a device in its grace period is told until when", "[service]") {
    config.policies[0].grace_period = 24h;
    reconfigure();
    checks_in("10.0.19045.1", "0");
    auto const page = get(link());
    CHECK(holds(page, "needs your attention"));
    CHECK(holds(page, "datetime=\"" + rfc3339(time.now() + 24h) + "\""));
}

TEST_CASE_METHOD(page_fixture, "a device that stays away is told for how many days", "[service]") {
    checks_in("10.0.19045.9999", "0");
    time.advance(24h * 40);
    appliance->report.judge_all();
    CHECK(holds(get(link()), "has not been in contact for 40 days"));
}

TEST_CASE_METHOD(page_fixture, "every link that does not hold gets one answer", "[service]") {
    checks_in("10.0.19045.1", "1");
    auto const forged = get("?device=AAAA.AAAA");
    CHECK(forged.status == 404);
    CHECK(holds(forged, "This link is not valid any more."));
    CHECK_FALSE(holds(forged, "PC1"));

    auto const good = link(1h);
    CHECK(get(good).status == 200);
    auto const same = [&](std::string const& query) {
        auto const page = get(query);
        CHECK(page.status == forged.status);
        CHECK(page.body == forged.body);
        CHECK(std::equal(page.headers.begin(), page.headers.end(), forged.headers.begin(), forged.headers.end()));
    };
    same("?device=");
    same(good + "A");
    same("?device=" + std::string(100'000, 'A'));
    {  // of another installation
        appliance_fixture other;
        auto const foreign = other.appliance->compliance.link_to(device, 1h).value().url;
        same(foreign.substr(foreign.find('?')));
    }
    // Sealed by the same key for another use.
    same("?device=" + between(open_terms(true, tenant->token(time.now())).body, "name=\"state\" value=\"", "\""));
    time.advance(1h);
    same(good);

    auto const lasting = link();
    CHECK(get(lasting).status == 200);
    db.write([&](store::connection& c) { store::set_device_state(c, device.id, "unenrolled"); });
    same(lasting);
}

TEST_CASE_METHOD(page_fixture, "a link is made for an enrolled device and for a time within bounds", "[service]") {
    for (auto const bad : {0s, -5s, std::chrono::seconds(24h * 90 + 1s), std::chrono::seconds::max()})
        CHECK(appliance->compliance.link_to(device, bad).error().code == errc::malformed);
    CHECK(appliance->compliance.link_to(device, 1s));
    CHECK(appliance->compliance.link_to(device, 24h * 90));
    device.state = "unenrolled";
    CHECK(appliance->compliance.link_to(device, 1h).error().code == errc::conflict);
}
