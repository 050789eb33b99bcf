#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;
using namespace std::chrono_literals;

namespace {

constexpr char sales[] = "5a1e5000-0000-0000-0000-000000000001";
constexpr char staff[] = "57aff000-0000-0000-0000-000000000001";

http::response graph_error(int status, http::fields headers = {}) {
    return {status, std::move(headers), R"({"error":{"code":"Some_Code","message":"no"}})"};
}

struct groups_fixture : appliance_fixture {
    service::user_groups& groups = appliance->groups;

    // "a b", or the error's name.
    std::string of(std::string_view user = user_id) {
        auto const got = groups.of(user);
        if (!got) return got.error().code == errc::not_found ? "not found" : "unavailable";
        return fmt::format("{}", fmt::join(*got, " "));
    }
    std::size_t calls() const { return tenant->group_calls.size(); }
    void allow(std::vector<std::string> all) {
        config.settings.enrollment.allowed_groups = std::move(all);
        reconfigure();
    }
    http::response try_to_enroll(bool corporate = true) {
        return enroll({.corporate = corporate, .blob = blob, .token = device_token()});
    }
    std::string blob;
    store::event last_event() {
        auto const all = service::events(*appliance);
        REQUIRE_FALSE(all.empty());
        return all.front();
    }
};

}  // namespace

TEST_CASE_METHOD(groups_fixture, "a user's groups are asked for once an hour", "[service][groups]") {
    tenant->groups[user_id] = {sales};
    CHECK(of() == sales);
    CHECK(of("0D000000-0000-0000-0000-000000000001") == sales);
    CHECK(calls() == 1);
    CHECK(tenant->group_calls[0] == std::string("POST https://graph.test/v1.0/users/") + user_id + "/getMemberGroups");
    tenant->groups[user_id] = {staff};
    time.advance(59min);
    CHECK(of() == sales);
    time.advance(1min);
    CHECK(of() == staff);
    CHECK(calls() == 2);
}

TEST_CASE_METHOD(groups_fixture, "what is remembered is used while Graph does not answer", "[service][groups]") {
    tenant->groups[user_id] = {sales};
    CHECK(of() == sales);
    time.advance(48h);
    auto const failure = GENERATE(403, 429, 500, 200);
    tenant->group_answers = {failure == 200 ? http::response{200, {}, "<html>"} : graph_error(failure)};
    CHECK(of() == sales);
    tenant->groups[user_id] = {staff};
    time.advance(2min);
    CHECK(of() == staff);
}

TEST_CASE_METHOD(groups_fixture, "without an answer and without memory the groups are not known, and Graph has a rest",
    "[service][groups]") {
    tenant->group_answers = {graph_error(503, {{"Retry-After", "30"}})};
    CHECK(of() == "unavailable");
    CHECK(of() == "unavailable");
    CHECK(of("0d000000-0000-0000-0000-000000000002") == "unavailable");
    CHECK(calls() == 1);
    time.advance(29s);
    CHECK(of() == "unavailable");
    CHECK(calls() == 1);
    time.advance(1s);
    CHECK(of().empty());
    CHECK(calls() == 2);
}

TEST_CASE_METHOD(
    groups_fixture, "a missing permission is named, and tried again with a new token", "[service][groups]") {
    tenant->group_answers = {graph_error(403)};
    auto const got = groups.of(user_id);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::unavailable);
    CHECK_THAT(got.error().detail, Catch::Contains("GroupMember.Read.All") && Catch::Contains("User.Read.All"));
    auto const tokens = tenant->token_requests;
    time.advance(10s);
    CHECK(of().empty());
    CHECK(tenant->token_requests == tokens + 1);
}

TEST_CASE_METHOD(groups_fixture, "a user that Graph does not know is not found, and forgotten", "[service][groups]") {
    CHECK(of("0d000000-0000-0000-0000-00000000dead") == "not found");
    CHECK(of().empty());
    tenant->groups.clear();
    time.advance(1h);
    CHECK(of() == "not found");
    tenant->group_answers = {graph_error(500)};
    CHECK(of() == "unavailable");
}

TEST_CASE_METHOD(
    groups_fixture, "all pages are read, of Graph's own address and not without end", "[service][groups][security]") {
    auto const page = [](std::string_view id, std::string_view next) {
        return http::response{200, {}, fmt::format(R"({{"value":["{}"],"@odata.nextLink":"{}"}})", id, next)};
    };
    SECTION("to the end") {
        tenant->group_answers = {
            page(sales, "https://graph.test/v1.0/users/x?$skiptoken=1"), {200, {}, R"({"value":[]})"}};
        CHECK(of() == sales);
        CHECK(tenant->group_calls.back() == "GET https://graph.test/v1.0/users/x?$skiptoken=1");
    }
    SECTION("elsewhere") {
        tenant->group_answers = {page(sales, "https://evil.test/v1.0/users/x")};
        CHECK(of() == "unavailable");
        CHECK(calls() == 1);
    }
    SECTION("for ever") {
        tenant->group_answers.assign(30, page(sales, "https://graph.test/v1.0/users/x"));
        CHECK(of() == "unavailable");
        CHECK(calls() == 20);
    }
}

TEST_CASE_METHOD(
    groups_fixture, "ten thousand users are remembered, those that were asked for last", "[service][groups]") {
    auto const user = [](int i) { return fmt::format("0d000000-0000-0000-0000-{:012}", i); };
    for (int i = 0; i <= 10'000; ++i) {
        tenant->groups[user(i)] = {};
        if (i < 2) time.advance(1s);
        CHECK(of(user(i)).empty());
    }
    auto const before = calls();
    CHECK(of(user(1)).empty());
    CHECK(of(user(10'000)).empty());
    CHECK(calls() == before);
    CHECK(of(user(0)).empty());
    CHECK(calls() == before + 1);
}

TEST_CASE_METHOD(groups_fixture, "another tenant's users are asked for anew", "[service][groups]") {
    CHECK(of().empty());
    tenant->groups[user_id] = {sales};
    config.settings.entra.login_url = {"https://login2.test", "login2.test", 443};
    reconfigure();
    CHECK(of() == sales);
}

TEST_CASE_METHOD(groups_fixture, "members of an allowed group enroll, and nobody else", "[service][groups]") {
    blob = accept_terms(true);
    allow({staff, sales});
    auto const refused = try_to_enroll();
    CHECK(refused.status == 500);
    CHECK_THAT(refused.body, Catch::Contains(">s:Authorization<") && !Catch::Contains("<ErrorType>"));
    CHECK(last_event().category == "authorization");
    CHECK(last_event().user_id == user_id);
    SECTION("put into a group, the user is let in without an hour's wait") {
        tenant->groups[user_id] = {sales};
        time.advance(10s);
        CHECK(try_to_enroll().status == 200);
    }
    SECTION("a user that Graph does not know") {
        tenant->groups.clear();
        time.advance(10s);
        CHECK_THAT(try_to_enroll().body, Catch::Contains(">s:Authorization<"));
        CHECK(last_event().category == "authorization");
    }
    SECTION("without allowed groups nobody is asked") {
        allow({});
        auto const before = calls();
        CHECK(try_to_enroll().status == 200);
        CHECK(calls() == before);
    }
}

TEST_CASE_METHOD(
    groups_fixture, "while Graph cannot say who is in a group, nobody new is let in", "[service][groups]") {
    blob = accept_terms(true);
    tenant->groups[user_id] = {sales};
    allow({sales});
    tenant->group_answers = {graph_error(503)};
    auto const refused = try_to_enroll();
    CHECK(refused.status == 500);
    CHECK_THAT(refused.body, Catch::Contains(">a:InternalServiceFault<"));
    CHECK_THAT(
        last_event().reason.value_or(""), Catch::Contains("0x80180006") && Catch::Contains("groups are not known"));
    time.advance(2s);
    CHECK(try_to_enroll().status == 200);
}

TEST_CASE_METHOD(groups_fixture, "in maintenance no device enrolls, over a restart too, and management goes on",
    "[service][groups]") {
    certificate = enroll_one();
    blob = accept_terms(true);
    appliance->ctx.set_maintenance(true);
    CHECK(service::status(*appliance).maintenance);
    CHECK_THAT(service::status_line(*appliance), Catch::Contains("maintenance"));
    CHECK_THAT(try_to_enroll().body, Catch::Contains("<ErrorType>InMaintenance</ErrorType>"));
    CHECK(last_event().category == "inMaintenance");
    CHECK(post(syncml("1", 1, "<Alert><CmdID>1</CmdID><Data>1201</Data></Alert>")).status == 200);
    appliance = start();
    CHECK_THAT(try_to_enroll().body, Catch::Contains("<ErrorType>InMaintenance</ErrorType>"));
    appliance->ctx.set_maintenance(false);
    CHECK_FALSE(service::status(*appliance).maintenance);
    CHECK(try_to_enroll().status == 200);
    CHECK_THAT(service::status_line(*appliance), !Catch::Contains("maintenance"));
}

TEST_CASE_METHOD(groups_fixture, "the groups of a fleet's users are known within seconds, where policies go by groups",
    "[service][groups]") {
    constexpr int many = 250;
    config.policies.push_back({.name = "sales"});
    config.policies.back().target.groups = {sales};
    reconfigure();
    certificate = enroll_one();
    auto const device = service::devices(*appliance).at(0).device.id;
    auto const user = [](int i) { return fmt::format("0d000000-0000-0000-0000-{:012}", 1000 + i); };
    db.write([&](store::connection& c) {
        for (int i = 0; i < many; ++i)
            store::put_device_user(c, device, {.user_id = user(i), .upn = "u@contoso.com", .first_seen = time.now()});
    });
    for (int i = 0; i < many; ++i) tenant->groups[user(i)] = {sales};
    for (int second = 0; second < 20; ++second) {
        appliance->groups.tick();
        time.advance(1s);
    }
    db.read([&](store::connection& c) {
        int known = 0;
        for (int i = 0; i < many; ++i) known += store::find_user_groups(c, user(i)).has_value();
        CHECK(known == many);
    });
    CHECK(calls() == many + 1);
}

TEST_CASE_METHOD(groups_fixture, "what sessions leave behind waits for no answer of Graph's", "[service][groups]") {
    config.policies.push_back({.name = "sales"});
    config.policies.back().target.groups = {sales};
    reconfigure();
    certificate = enroll_one();
    auto const before = calls();
    appliance->tend_sessions();
    CHECK(calls() == before);
    appliance->groups.tick();
    CHECK(calls() == before + 1);
}
