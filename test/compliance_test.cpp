#include "compliance/compliance.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::compliance;
using namespace std::chrono_literals;
using config::comparison;

namespace {

time_point const t0 = *parse_rfc3339("2026-03-01T00:00:00Z");
std::string const uri = "./Vendor/MSFT/DeviceStatus/SecureBootState";

config::policy_file policy_of(
    std::string name, std::vector<config::compliance_rule> rules, std::chrono::seconds grace = 0s) {
    config::policy_file p;
    p.name = std::move(name);
    p.grace_period = grace;
    p.rules = std::move(rules);
    return p;
}
config::compliance_rule rule(comparison op, std::vector<std::string> values, std::string const& node = uri) {
    return {config::uri_rule{node, op, std::move(values)}, 0};
}
config::compliance_rule at_least(std::string const& version) {
    return {config::min_os_version_rule{*parse_os_version(version), version}, 0};
}
fact got(std::string value) { return {200, std::move(value), t0}; }
fact refused(int status) { return {status, std::nullopt, t0}; }

// A device that checks in all the time, judged again and again.
struct course {
    std::vector<config::policy_file> policies;
    facts known;
    subject device{{}, t0, t0};
    terms how{std::chrono::days(30)};
    std::optional<verdict> last;

    verdict const& at(std::chrono::seconds since_start, bool seen = true) {
        if (seen) device.last_seen = t0 + since_start;
        last = evaluate(policies, device, known, how, last, t0 + since_start);
        return *last;
    }
};

}  // namespace

TEST_CASE("a rule compares by what the values are", "[compliance]") {
    enum { passes, fails, unknown };
    auto const [op, wanted, found, result] = GENERATE(table<comparison, char const*, char const*, int>({
        {comparison::eq, "1", " 1\n", passes},
        {comparison::eq, "1", "01", passes},
        {comparison::eq, "1", "2", fails},
        {comparison::eq, "true", "1", passes},
        {comparison::eq, "0", "False", passes},
        {comparison::ne, "true", "0", passes},
        {comparison::ne, "1", "true", fails},
        {comparison::eq, "10.0", "10.0.0.0", passes},
        {comparison::eq, "Contoso", "contoso", fails},
        {comparison::eq, "", "", passes},
        {comparison::lt, "9", "10", fails},
        {comparison::lt, "10", "9", passes},
        {comparison::lt, "-1", "-2", passes},
        {comparison::ge, "10.0.9", "10.0.10", passes},
        {comparison::ge, "10.0.19045", "10.0.19045.1", passes},
        {comparison::gt, "10.0.19045", "10.0.19045", fails},
        {comparison::le, "10.0", "10.1", fails},
        {comparison::le, "5", "5", passes},
        {comparison::ge, "1", "one", unknown},
        {comparison::ge, "1", "", unknown},
        {comparison::ge, "1", "1.5", unknown},
        {comparison::ge, "1.2.3.4", "1.2.3.4.5", unknown},
        {comparison::ge, "1", "99999999999999999999", unknown},
        {comparison::matches, "^2\\.0", "2.0, 0, 1.38", passes},
        {comparison::matches, "^2\\.0", "12.0", fails},
        {comparison::in, "2", "02", passes},
    }));
    CAPTURE(wanted, found);
    course c{{policy_of("p", {rule(op, {wanted})})}, {{uri, got(found)}}};
    auto const v = c.at(0s);
    CHECK(v.now == (result == passes ? state::compliant : result == fails ? state::noncompliant : state::unknown));
    if (result == unknown) CHECK_THAT(v.reasons.at(0).found, Catch::StartsWith("not comparable"));
}

TEST_CASE("one of several values is enough", "[compliance]") {
    course c{{policy_of("p", {rule(comparison::in, {"a", "2"})})}, {{uri, got("02")}}};
    CHECK(c.at(0s).now == state::compliant);
    c.known[uri] = got("b");
    CHECK(c.at(1s).now == state::noncompliant);
    CHECK(c.last->reasons == std::vector<reason>{{"p", "uri", uri, "in a, 2", "b"}});
}

TEST_CASE("whether a node exists is known from 200 and 404 only", "[compliance]") {
    auto const [wanted, status, now] = GENERATE(table<char const*, int, state>({
        {"true", 200, state::compliant},
        {"true", 404, state::noncompliant},
        {"false", 404, state::compliant},
        {"false", 200, state::noncompliant},
        {"true", 405, state::unknown},
        {"false", 500, state::unknown},
        {"true", 0, state::unknown},
    }));
    CAPTURE(wanted, status);
    course c{{policy_of("p", {rule(comparison::exists, {wanted})})}, {{uri, refused(status)}}};
    CHECK(c.at(0s).now == now);
}

TEST_CASE("the version of Windows is compared by its parts", "[compliance]") {
    auto const [found, now] = GENERATE(table<char const*, state>({
        {"10.0.19045.3803", state::compliant},
        {"10.0.19045.10000", state::compliant},
        {"10.0.22631", state::compliant},
        {"10.0.19045.3802", state::noncompliant},
        {"10.0.9200.99999", state::noncompliant},
        {"Windows 11", state::unknown},
    }));
    course c{{policy_of("p", {at_least("10.0.19045.3803")})}, {{"./DevDetail/SwV", got(found)}}};
    CHECK(c.at(0s).now == now);
    if (now == state::noncompliant)
        CHECK(c.last->reasons ==
              std::vector<reason>{{"p", "min_os_version", "./DevDetail/SwV", "ge 10.0.19045.3803", found}});
}

TEST_CASE("what was not answered is unknown, never a failure", "[compliance]") {
    auto const [f, words] = GENERATE(table<std::optional<fact>, char const*>({
        {std::nullopt, "never asked"},
        {refused(0), "never asked"},
        {refused(404), "unknown (404)"},
        {refused(405), "unknown (405)"},
        {refused(500), "unknown (500)"},
        {refused(200), "unknown (no value)"},
    }));
    course c{{policy_of("p", {rule(comparison::eq, {"1"}, "./Device/Vendor/MSFT/DeviceStatus/SecureBootState")})}};
    if (f) c.known[uri] = *f;
    CHECK(c.at(0s).now == state::unknown);
    REQUIRE(c.last->reasons.size() == 1);
    CHECK(c.last->reasons[0].found == words);
    CHECK_FALSE(reported_as(c.last->now));
}

TEST_CASE("a verdict outlives a fact that went missing", "[compliance]") {
    course c{{policy_of("p", {rule(comparison::eq, {"1"})})}, {{uri, got("1")}}};
    SECTION("compliant stays compliant") {
        c.at(0s);
        c.known[uri] = refused(500);
        CHECK(c.at(10s).now == state::compliant);
        CHECK(c.last->since == t0);
    }
    SECTION("a failure stays one, for its old reason, until it is disproved") {
        c.known[uri] = got("2");
        CHECK(c.at(0s).now == state::noncompliant);
        c.known.clear();
        CHECK(c.at(10s).now == state::noncompliant);
        CHECK(c.last->reasons.at(0).found == "2");
        CHECK(c.last->failing_since == t0);
        c.known[uri] = got("1");
        CHECK(c.at(20s).now == state::compliant);
        CHECK_FALSE(c.last->failing_since);
    }
    SECTION("a grace period runs out in silence too") {
        c.policies[0].grace_period = 1h;
        c.known[uri] = got("2");
        CHECK(c.at(0s).now == state::in_grace_period);
        c.known.clear();
        CHECK(c.at(59min).now == state::in_grace_period);
        CHECK(c.at(60min).now == state::noncompliant);
    }
    SECTION("what failed and is right again is not held against the device for another rule's silence") {
        c.policies[0].rules.push_back(at_least("10.0.19045"));
        c.known[uri] = got("2");
        CHECK(c.at(0s).now == state::noncompliant);
        c.known[uri] = got("1");
        CHECK(c.at(10s).now == state::unknown);
        CHECK(c.last->reasons.at(0).rule == "min_os_version");
    }
}

TEST_CASE("a failure counts from its beginning, and its end clears the clock", "[compliance]") {
    course c{{policy_of("p", {rule(comparison::eq, {"1"})}, 24h)}, {{uri, got("2")}}};
    CHECK(c.at(0s).now == state::in_grace_period);
    CHECK(c.last->grace_until == t0 + 24h);
    CHECK(c.last->next_check == t0 + 24h);
    CHECK(reported_as(c.last->now) == true);
    CHECK(c.at(24h - 1s).now == state::in_grace_period);
    CHECK(c.last->since == t0);
    CHECK(c.at(24h).now == state::noncompliant);
    CHECK(c.last->since == t0 + 24h);
    CHECK(c.last->failing_since == t0);
    CHECK_FALSE(c.last->grace_until);
    CHECK(reported_as(c.last->now) == false);
    c.known[uri] = got("1");
    CHECK(c.at(25h).now == state::compliant);
    c.known[uri] = got("2");
    CHECK(c.at(26h).now == state::in_grace_period);
    CHECK(c.last->grace_until == t0 + 50h);
}

TEST_CASE("the least patient policy decides", "[compliance]") {
    course c{{policy_of("a", {rule(comparison::eq, {"1"})}, 2h), policy_of("b", {rule(comparison::ne, {"2"})}, 1h)},
        {{uri, got("2")}}};
    CHECK(c.at(0s).grace_until == t0 + 1h);
    CHECK(c.last->reasons.size() == 2);
    CHECK(c.at(1h).now == state::noncompliant);
}

TEST_CASE("a failure weighs more than what is unknown", "[compliance]") {
    course c{
        {policy_of("a", {at_least("10.0")}), policy_of("b", {rule(comparison::eq, {"1"})}, 1h)}, {{uri, got("2")}}};
    CHECK(c.at(0s).now == state::in_grace_period);
    CHECK(c.last->reasons.size() == 1);
}

TEST_CASE("a device that was not seen for too long is not compliant", "[compliance]") {
    course c;
    SECTION("counted from when it was last seen") {
        CHECK(c.at(0s).now == state::compliant);
        CHECK(c.last->next_check == t0 + std::chrono::days(30));
        CHECK(c.at(std::chrono::days(30) - 1s, false).now == state::compliant);
        CHECK(c.at(std::chrono::days(30), false).now == state::noncompliant);
        CHECK(c.last->reasons == std::vector<reason>{{"", "last_seen", "", "within 30d", "2026-03-01T00:00:00Z"}});
        CHECK_FALSE(c.last->next_check);
        CHECK_FALSE(c.last->failing_since);
        CHECK(c.at(std::chrono::days(31)).now == state::compliant);
    }
    SECTION("counted from its enrollment where it never was, without grace") {
        c.device.last_seen.reset();
        c.policies = {policy_of("p", {rule(comparison::eq, {"1"})}, std::chrono::days(300))};
        CHECK(c.at(std::chrono::days(29), false).now == state::unknown);
        CHECK(c.at(std::chrono::days(30), false).now == state::noncompliant);
        REQUIRE(c.last->reasons.size() == 1);
        CHECK(c.last->reasons[0].found == "never seen");
        c.known[uri] = got("1");
        CHECK(c.at(std::chrono::days(31)).now == state::compliant);
    }
}

TEST_CASE("rules for other devices do not count, and no rules are no failure", "[compliance]") {
    auto p = policy_of("p", {rule(comparison::eq, {"1"}), at_least("10.0")});
    p.target.ownerships = {config::ownership::personal};
    course c{{p}};
    CHECK(c.at(0s).now == state::compliant);
    CHECK(needed_facts({p}, {config::ownership::corporate}).empty());
    CHECK(needed_facts({p, p}, {config::ownership::personal}) ==
          std::vector<std::string>{"./DevDetail/SwV", "./Vendor/MSFT/DeviceStatus/SecureBootState"});
}

TEST_CASE("what a device says is shown cut and harmless", "[compliance]") {
    course c{{policy_of("p", {rule(comparison::eq, {"1"})})}, {{uri, got("a\nb" + std::string(10000, 'x'))}}};
    auto const found = c.at(0s).reasons.at(0).found;
    CHECK(found.size() < 300);
    CHECK(found.starts_with("a\\nb"));
}

TEST_CASE("the same facts at the same time give the same verdict again", "[compliance]") {
    auto const value = GENERATE(as<std::string>{}, "1", "2", "");
    course c{{policy_of("p", {rule(comparison::eq, {"1"}), at_least("10.0")}, 1h)}, {{uri, got(value)}}};
    auto const first = c.at(0s);
    CHECK(c.at(0s) == first);
}

TEST_CASE("the names of states are Graph's and are read back", "[compliance]") {
    for (auto const s :
        {state::unknown, state::compliant, state::noncompliant, state::conflict, state::error, state::in_grace_period})
        CHECK(parse_state(name(s)) == s);
    CHECK(name(state::in_grace_period) == "inGracePeriod");
    CHECK_FALSE(parse_state("inGrace"));
}

TEST_CASE("a failed rule of a policy that may not be meant for the device is not known to count", "[compliance]") {
    auto p = policy_of("p", {rule(comparison::eq, {"1"})});
    p.target.device_names = {"LAB-*"};
    course c{{p}};
    c.known[uri] = got("0");
    CHECK(c.at(0s, false).now == state::unknown);
    CHECK(needed_facts({p}, {}).size() == 1);
    c.known[uri] = got("1");
    CHECK(c.at(1s, false).now == state::compliant);
    c.device.traits.name = "LAB-1";
    c.known[uri] = got("0");
    CHECK(c.at(2s, false).now == state::noncompliant);
}
