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
config::compliance_rule wants(comparison op, std::vector<std::string> values, std::string const& node = uri) {
    return {config::uri_rule{node, op, std::move(values)}, 0};
}
config::compliance_rule at_least(std::string const& version) {
    return {config::named_rule{config::rule_id::min_os_version, version, *parse_os_version(version)}, 0};
}
fact got(std::string value) { return {200, std::move(value), t0}; }
fact refused(int status) { return {status, std::nullopt, t0}; }

// A device that checks in all the time, judged again and again.
struct course {
    std::vector<config::policy_file> policies;
    facts known;
    subject device{{}, t0, t0};
    terms how{};
    std::optional<verdict> last;

    verdict const& at(std::chrono::seconds since_start, bool seen = true) {
        if (seen) device.last_seen = t0 + since_start;
        last = evaluate(rulebook(policies), device, known, how, last, t0 + since_start);
        return *last;
    }
};

}  // namespace

TEST_CASE("a rule compares by what the values are", "[compliance]") {
    enum { passes, fails, error };
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
        {comparison::ge, "1", "one", error},
        {comparison::ge, "1", "", error},
        {comparison::ge, "1", "1.5", error},
        {comparison::ge, "1.2.3.4", "1.2.3.4.5", error},
        {comparison::ge, "1", "99999999999999999999", error},
        {comparison::matches, "^2\\.0", "2.0, 0, 1.38", passes},
        {comparison::matches, "^2\\.0", "12.0", fails},
        {comparison::in, "2", "02", passes},
    }));
    CAPTURE(wanted, found);
    course c{{policy_of("p", {wants(op, {wanted})})}, {{uri, got(found)}}};
    auto const v = c.at(0s);
    CHECK(v.now == (result == passes ? state::compliant : result == fails ? state::noncompliant : state::error));
    if (result == error) CHECK_THAT(v.reasons.at(0).found, Catch::StartsWith("not comparable"));
}

TEST_CASE("one of several values is enough", "[compliance]") {
    course c{{policy_of("p", {wants(comparison::in, {"a", "2"})})}, {{uri, got("02")}}};
    CHECK(c.at(0s).now == state::compliant);
    c.known[uri] = got("b");
    CHECK(c.at(1s).now == state::noncompliant);
    CHECK(c.last->reasons == std::vector<reason>{{"p", "uri", uri, "in a, 2", "b", outcome::failed, t0 + 1s, t0 + 1s}});
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
    course c{{policy_of("p", {wants(comparison::exists, {wanted})})}, {{uri, refused(status)}}};
    CHECK(c.at(0s).now == now);
}

TEST_CASE("the version of Windows is compared by its parts", "[compliance]") {
    auto const [found, now] = GENERATE(table<char const*, state>({
        {"10.0.19045.3803", state::compliant},
        {"10.0.19045.10000", state::compliant},
        {"10.0.22631", state::compliant},
        {"10.0.19045.3802", state::noncompliant},
        {"10.0.9200.99999", state::noncompliant},
        {"Windows 11", state::error},
    }));
    course c{{policy_of("p", {at_least("10.0.19045.3803")})}, {{"./DevDetail/SwV", got(found)}}};
    CHECK(c.at(0s).now == now);
    if (now == state::noncompliant)
        CHECK(c.last->reasons == std::vector<reason>{{"p", "min_os_version", "./DevDetail/SwV", "ge 10.0.19045.3803",
                                     found, outcome::failed, t0, t0}});
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
    course c{{policy_of("p", {wants(comparison::eq, {"1"}, "./Device/Vendor/MSFT/DeviceStatus/SecureBootState")})}};
    if (f) c.known[uri] = *f;
    CHECK(c.at(0s).now == state::unknown);
    REQUIRE(c.last->reasons.size() == 1);
    CHECK(c.last->reasons[0].found == words);
    CHECK_FALSE(reported_as(c.last->now));
}

TEST_CASE("a verdict outlives a fact that went missing", "[compliance]") {
    course c{{policy_of("p", {wants(comparison::eq, {"1"})})}, {{uri, got("1")}}};
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
        CHECK(c.last->failing.at("p") == t0);
        c.known[uri] = got("1");
        CHECK(c.at(20s).now == state::compliant);
        CHECK(c.last->failing.empty());
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
    course c{{policy_of("p", {wants(comparison::eq, {"1"})}, 24h)}, {{uri, got("2")}}};
    CHECK(c.at(0s).now == state::in_grace_period);
    CHECK(c.last->grace_until == t0 + 24h);
    CHECK(c.last->next_check == t0 + 24h);
    CHECK(reported_as(c.last->now) == true);
    CHECK(c.at(24h - 1s).now == state::in_grace_period);
    CHECK(c.last->since == t0);
    CHECK(c.at(24h).now == state::noncompliant);
    CHECK(c.last->since == t0 + 24h);
    CHECK(c.last->failing.at("p") == t0);
    CHECK_FALSE(c.last->grace_until);
    CHECK(reported_as(c.last->now) == false);
    c.known[uri] = got("1");
    CHECK(c.at(25h).now == state::compliant);
    c.known[uri] = got("2");
    CHECK(c.at(26h).now == state::in_grace_period);
    CHECK(c.last->grace_until == t0 + 50h);
}

TEST_CASE("the least patient policy decides", "[compliance]") {
    course c{{policy_of("a", {wants(comparison::eq, {"1"})}, 2h), policy_of("b", {wants(comparison::ne, {"2"})}, 1h)},
        {{uri, got("2")}}};
    CHECK(c.at(0s).grace_until == t0 + 1h);
    CHECK(c.last->reasons.size() == 2);
    CHECK(c.at(1h).now == state::noncompliant);
}

TEST_CASE("a failure weighs more than what is unknown", "[compliance]") {
    course c{
        {policy_of("a", {at_least("10.0")}), policy_of("b", {wants(comparison::eq, {"1"})}, 1h)}, {{uri, got("2")}}};
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
        CHECK(c.last->reasons == std::vector<reason>{{"", "last_seen", "", "within 30d", "2026-03-01T00:00:00Z",
                                     outcome::failed, t0 + std::chrono::days(30)}});
        CHECK_FALSE(c.last->next_check);
        CHECK(c.last->failing.empty());
        CHECK(c.at(std::chrono::days(31)).now == state::compliant);
    }
    SECTION("counted from its enrollment where it never was, without grace") {
        c.device.last_seen.reset();
        c.policies = {policy_of("p", {wants(comparison::eq, {"1"})}, std::chrono::days(300))};
        CHECK(c.at(std::chrono::days(29), false).now == state::unknown);
        CHECK(c.at(std::chrono::days(30), false).now == state::noncompliant);
        REQUIRE(c.last->reasons.size() == 1);
        CHECK(c.last->reasons[0].found == "never seen");
        c.known[uri] = got("1");
        CHECK(c.at(std::chrono::days(31)).now == state::compliant);
    }
}

TEST_CASE("rules for other devices do not count, and no rules are no failure", "[compliance]") {
    auto p = policy_of("p", {wants(comparison::eq, {"1"}), at_least("10.0")});
    p.target.ownerships = {config::ownership::personal};
    course c{{p}};
    CHECK(c.at(0s).now == state::compliant);
    CHECK(rulebook({p}).needed_facts({config::ownership::corporate}).empty());
    CHECK(rulebook({p, p}).needed_facts({config::ownership::personal}) ==
          std::vector<std::string>{"./DevDetail/SwV", "./Vendor/MSFT/DeviceStatus/SecureBootState"});
}

TEST_CASE("what a device says is shown cut and harmless", "[compliance]") {
    course c{{policy_of("p", {wants(comparison::eq, {"1"})})}, {{uri, got("a\nb" + std::string(10000, 'x'))}}};
    auto const found = c.at(0s).reasons.at(0).found;
    CHECK(found.size() < 300);
    CHECK(found.starts_with("a\\nb"));
}

TEST_CASE("the same facts at the same time give the same verdict again", "[compliance]") {
    auto const value = GENERATE(as<std::string>{}, "1", "2", "");
    course c{{policy_of("p", {wants(comparison::eq, {"1"}), at_least("10.0")}, 1h)}, {{uri, got(value)}}};
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
    auto p = policy_of("p", {wants(comparison::eq, {"1"})});
    p.target.device_names = {"LAB-*"};
    course c{{p}};
    c.known[uri] = got("0");
    CHECK(c.at(0s, false).now == state::unknown);
    CHECK(rulebook({p}).needed_facts({}).size() == 1);
    c.known[uri] = got("1");
    CHECK(c.at(1s, false).now == state::compliant);
    c.device.traits.name = "LAB-1";
    c.known[uri] = got("0");
    CHECK(c.at(2s, false).now == state::noncompliant);
}

TEST_CASE("each policy's grace counts from its own first failure", "[compliance]") {
    std::string const other = "./Vendor/MSFT/DeviceStatus/OS/Mode";
    course c{{policy_of("patient", {wants(comparison::eq, {"1"})}, std::chrono::days(7)),
                 policy_of("strict", {wants(comparison::eq, {"0"}, other)}, 24h)},
        {{uri, got("2")}, {other, got("0")}}};
    CHECK(c.at(0s).now == state::in_grace_period);
    CHECK(c.last->grace_until == t0 + 24h * 7);
    c.known[other] = got("1");
    CHECK(c.at(72h).now == state::in_grace_period);  // not at once: this policy has only now begun to fail
    CHECK(c.last->grace_until == t0 + 96h);
    CHECK(c.last->reasons.at(0).since == t0);
    CHECK(c.last->reasons.at(0).grace_until == t0 + 24h * 7);
    CHECK(c.last->reasons.at(1).since == t0 + 72h);
    CHECK(c.last->reasons.at(1).grace_until == t0 + 96h);
    CHECK(c.at(96h).now == state::noncompliant);
    c.known[other] = got("0");
    CHECK(c.at(97h).now == state::in_grace_period);  // the patient one is patient still
    CHECK(c.last->grace_until == t0 + 24h * 7);
}

TEST_CASE("a policy's clock runs on while another of its rules takes over", "[compliance]") {
    std::string const other = "./Vendor/MSFT/DeviceStatus/OS/Mode";
    course c{{policy_of("p", {wants(comparison::eq, {"1"}), wants(comparison::eq, {"0"}, other)}, 24h)},
        {{uri, got("2")}, {other, got("0")}}};
    c.at(0s);
    c.known[other] = got("1");
    c.at(10h);
    c.known[uri] = got("1");
    CHECK(c.at(20h).grace_until == t0 + 24h);
    CHECK(c.last->reasons.size() == 1);
    CHECK(c.last->reasons[0].since == t0 + 10h);
    CHECK(c.at(24h).now == state::noncompliant);
}

TEST_CASE("the last verdict stands for a bounded time while the device's answers do not suffice", "[compliance]") {
    auto const [answer, told] = GENERATE(table<fact, state>({
        {fact{404, std::nullopt, t0}, state::unknown},
        {fact{500, std::nullopt, t0}, state::unknown},
        {fact{200, "x", t0}, state::error},
    }));
    course c{{policy_of("p", {wants(comparison::ge, {"1"})}, 24h)}, {{uri, got("1")}}};
    SECTION("of a compliant device") {
        c.at(0s);
        c.known[uri] = answer;
        CHECK(c.at(1h).now == state::compliant);
        CHECK(c.last->next_check == t0 + 1h + std::chrono::days(7));
        CHECK(c.at(24h * 7).now == state::compliant);
        CHECK(c.at(24h * 7 + 1h).now == state::noncompliant);  // without grace
        CHECK_FALSE(c.last->grace_until);
        CHECK(c.last->reasons.size() == 1);
        CHECK(c.last->reasons[0].result != outcome::failed);
        c.known[uri] = got("1");
        CHECK(c.at(24h * 8).now == state::compliant);
        CHECK_FALSE(c.last->unclear_since);
    }
    SECTION("of a device that never was anything") {
        c.known[uri] = answer;
        CHECK(c.at(0s).now == told);
        CHECK_FALSE(reported_as(told));
        CHECK(c.at(24h * 7 - 1s).now == told);
        CHECK(c.at(24h * 7).now == state::noncompliant);
    }
    SECTION("an answer in between begins it anew") {
        c.at(0s);
        c.known[uri] = answer;
        c.at(1h);
        c.known[uri] = got("1");
        c.at(24h * 6);
        c.known[uri] = answer;
        CHECK(c.at(24h * 7).now == state::compliant);
        CHECK(c.at(24h * 14 - 1s).now == state::compliant);
        CHECK(c.at(24h * 14).now == state::noncompliant);
    }
}

TEST_CASE("a rule that the device was never asked bounds nothing", "[compliance]") {
    course c{{policy_of("p", {wants(comparison::eq, {"1"})})}, {{uri, got("1")}}};
    c.at(0s);
    c.policies[0].rules.push_back(at_least("10.0"));
    CHECK(c.at(24h * 20, false).now == state::compliant);
    CHECK_FALSE(c.last->unclear_since);
}

TEST_CASE("rules that contradict each other are a conflict, and weigh as such", "[compliance]") {
    std::string const other = "./Vendor/MSFT/DeviceStatus/OS/Mode";
    course c{{policy_of("a", {wants(comparison::eq, {"1"})}), policy_of("b", {wants(comparison::eq, {"2"})}),
                 policy_of("c", {wants(comparison::eq, {"0"}, other)}, 24h)},
        {{uri, got("1")}, {other, got("0")}}};
    CHECK(c.at(0s).now == state::conflict);
    CHECK(c.last->failing.empty());
    CHECK(c.last->reasons.size() == 2);
    CHECK(c.last->reasons[0].result == outcome::conflict);
    CHECK_FALSE(reported_as(c.last->now));
    c.known[other] = got("1");
    CHECK(c.at(1h).now == state::conflict);  // worse than a grace period
    CHECK(c.last->reasons.size() == 3);
    CHECK(c.at(25h).now == state::noncompliant);  // and not so bad as its end
    c.policies[1].target.ownerships = {config::ownership::personal};
    c.known[other] = got("0");
    CHECK(c.at(26h).now == state::compliant);  // the other policy is not for this device: no conflict
}

TEST_CASE(
    "an error weighs more than a grace period that begins with it, and less than one that stands", "[compliance]") {
    std::string const other = "./Vendor/MSFT/DeviceStatus/OS/Mode";
    course c{{policy_of("p", {wants(comparison::eq, {"1"}), wants(comparison::ge, {"1"}, other)}, 24h)},
        {{uri, got("2")}, {other, got("x")}}};
    SECTION("at first") {
        CHECK(c.at(0s).now == state::error);
        CHECK(c.last->reasons.size() == 2);
        CHECK(c.at(24h).now == state::noncompliant);
    }
    SECTION("later") {
        c.known[other] = got("1");
        CHECK(c.at(0s).now == state::in_grace_period);
        c.known[other] = got("x");
        CHECK(c.at(1h).now == state::in_grace_period);
    }
}

TEST_CASE("a device that no policy with rules is for is what the setting says", "[compliance]") {
    course c;
    CHECK(c.at(0s).now == state::compliant);
    c.how.compliant_without_policy = false;
    CHECK(c.at(1s).now == state::noncompliant);
    CHECK(c.last->reasons ==
          std::vector<reason>{{"", "no_policy", "", "a policy with rules", "none", outcome::failed, t0 + 1s}});
    c.policies = {policy_of("p", {wants(comparison::eq, {"1"})})};
    c.known[uri] = got("1");
    CHECK(c.at(2s).now == state::compliant);
}

TEST_CASE("actions are due so long after the first failure, each once", "[compliance]") {
    course c{{policy_of("a/b", {wants(comparison::eq, {"1"})}, 24h)}, {{uri, got("2")}}};
    c.policies[0].actions = {
        {config::action_kind::notify, 0s}, {config::action_kind::notify, 12h}, {config::action_kind::lock, 48h}};
    CHECK(c.at(0s).acted == std::set<std::string>{"a/b/notify/0"});
    CHECK(c.last->next_check == t0 + 12h);
    CHECK(c.at(12h - 1s).acted.size() == 1);
    CHECK(c.at(12h).acted.size() == 2);
    CHECK(c.last->next_check == t0 + 24h);
    CHECK(c.at(24h).next_check == t0 + 48h);  // noncompliant, and the lock is to come
    CHECK(c.at(48h).acted == std::set<std::string>{"a/b/lock/172800", "a/b/notify/0", "a/b/notify/43200"});
    auto const lock = parse_action("a/b/lock/172800");
    REQUIRE(lock);
    CHECK(lock->policy == "a/b");
    CHECK(lock->what == config::action_kind::lock);
    CHECK_FALSE(parse_action("lock"));
    CHECK_FALSE(parse_action("p/wipe/0"));
    c.known[uri] = got("1");
    CHECK(c.at(50h).acted.empty());
    c.known[uri] = got("2");
    CHECK(c.at(60h).acted == std::set<std::string>{"a/b/notify/0"});
}

TEST_CASE("a clock that is set back prolongs nothing", "[compliance]") {
    course c{{policy_of("p", {wants(comparison::eq, {"1"})}, 24h)}, {{uri, got("2")}}};
    c.at(24h * 100);
    CHECK(c.at(0s).grace_until == t0 + 24h);
    CHECK(c.last->since == t0);
    CHECK(c.at(24h).now == state::noncompliant);
}
