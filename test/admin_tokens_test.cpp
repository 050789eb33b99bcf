#include "admin/api.hpp"
#include "test/service_fixture.hpp"

using namespace mdmd;
using namespace mdmd::test;

namespace {

struct tokens_fixture : appliance_fixture {
    admin::about const us{"1.2.3", time.now(), [] {}};

    std::pair<int, json::value> ask(std::string method, std::string path, std::string body = "") {
        auto const r = admin::serve(*appliance, us, request(std::move(method), std::move(path), std::move(body)));
        return {r.status, json::parse(r.body)};
    }
};

}  // namespace

TEST_CASE_METHOD(tokens_fixture, "a token is made, listed without what is secret, and revoked", "[admin]") {
    auto const [status, made] = ask("POST", "/tokens", R"({"name":"ci.1","role":"operator","ttl_s":3600})");
    CHECK(status == 201);
    CHECK(made.at("name") == "ci.1");
    CHECK(made.at("role") == "operator");
    CHECK_THAT(std::string(made.at("token").as_string()), Catch::StartsWith("mdmd_"));
    CHECK(made.at("expires") == "2027-01-15T09:00:00Z");
    auto const list = ask("GET", "/tokens").second.at("value").as_array();
    REQUIRE(list.size() == 1);
    CHECK(list[0] == json::value({{"name", "ci.1"}, {"role", "operator"}, {"created", "2027-01-15T08:00:00Z"},
                         {"expires", "2027-01-15T09:00:00Z"}, {"last_used", nullptr}}));
    auto const again = ask("POST", "/tokens", R"({"name":"ci.1","role":"operator","ttl_s":3600})");
    CHECK(again.first == 409);
    CHECK(ask("DELETE", "/tokens/ci%2E1") == std::pair(200, json::value({{"name", "ci.1"}})));
    CHECK(ask("DELETE", "/tokens/ci.1").first == 404);
    CHECK(ask("GET", "/tokens").second.at("value").as_array().empty());
}

TEST_CASE_METHOD(tokens_fixture, "a token's order that is wrong is refused", "[admin][security]") {
    auto const bad = GENERATE(as<std::string>(), "", "[]", "{}", R"({"name":"a","role":"reader"})",
        R"({"name":1,"role":"reader","ttl_s":1})", R"({"name":"a","role":"root","ttl_s":1})",
        R"({"name":"a","role":"reader","ttl_s":"1"})", R"({"name":"a","role":"reader","ttl_s":0})",
        R"({"name":"a","role":"reader","ttl_s":-1})", R"({"name":"a","role":"reader","ttl_s":1e99})",
        R"({"name":"a","role":"reader","ttl_s":9223372036854775807})", R"({"name":"a b","role":"reader","ttl_s":1})",
        R"({"name":"a","role":"reader","ttl_s":1,"more":1})");
    CAPTURE(bad);
    CHECK(ask("POST", "/tokens", bad).first == 400);
    CHECK(ask("PUT", "/tokens", bad).first == 405);
    CHECK(ask("GET", "/tokens/a").first == 405);
    CHECK(ask("GET", "/tokens").second.at("value").as_array().empty());
}
