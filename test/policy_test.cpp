#include "policy/policy.hpp"

#include <fmt/format.h>
#include <array>
#include <random>

#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::policy;
using config::ownership;

namespace {

std::string const lock = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength";
std::string const lock_key = "./Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength";
std::string const node = "./Vendor/MSFT/A/B";

config::policy_file policy_of(std::string name, std::vector<config::policy_setting> settings) {
    config::policy_file p;
    p.name = std::move(name);
    p.settings = std::move(settings);
    return p;
}
config::policy_setting setting(std::string uri, std::string value, std::string format = "int") {
    return {std::move(uri), std::move(format), std::move(value), 0};
}

record_map one(std::string const& uri, setting_state state, int status = 0, std::string const& value = "8") {
    setting_record r;
    r.wanted = {uri, "int", value, "p"};
    r.state = state;
    r.status = status;
    return {{canonical_uri(uri), r}};
}

omadm::outcome outcome_of(omadm::wanted const& sent, int status, std::optional<std::string> value = {}) {
    return {sent.key, sent.what, status, "", std::move(value), ""};
}
omadm::outcome outcome_of(omadm::verb what, std::string const& uri, int status, std::optional<std::string> value = {}) {
    omadm::command c;
    c.what = what;
    c.uri = uri;
    c.format = "int";
    if (what == omadm::verb::add || what == omadm::verb::replace) c.data = "8";
    return outcome_of({"setting:" + canonical_uri(uri), c}, status, std::move(value));
}

std::string_view verb_name(omadm::verb v) {
    constexpr std::array names{"Get", "Add", "Replace", "Delete", "Exec"};
    return names[static_cast<std::size_t>(v)];
}
std::string show(omadm::wanted const& w) {
    return fmt::format(
        "{} {}{}{}", verb_name(w.what.what), w.what.uri, w.what.data ? " = " : "", w.what.data.value_or(""));
}
std::string show(std::optional<omadm::wanted> const& w) { return w ? show(*w) : "nothing"; }
std::vector<std::string> show(std::vector<omadm::wanted> const& all) {
    std::vector<std::string> out;
    for (auto const& w : all) out.push_back(show(w));
    return out;
}

}  // namespace

TEST_CASE("a policy is for the devices that its target names", "[policy]") {
    auto p = policy_of("p", {setting(node, "1")});
    CHECK(desired({p}, {ownership::personal}).settings.size() == 1);
    p.target.ownerships = {ownership::corporate};
    CHECK(desired({p}, {ownership::personal}).settings.empty());
    CHECK(desired({p}, {ownership::corporate}).settings.size() == 1);
}

TEST_CASE("one node with two values is a conflict, which the first policy by name wins", "[policy]") {
    auto const got = desired({policy_of("c", {setting("./Vendor/MSFT/{X}", "3")}),
                                 policy_of("a", {setting("./Device/Vendor/MSFT/%7BX%7D", "1")}),
                                 policy_of("b", {setting("./Vendor/MSFT/%7bX%7d", "01")})},
        {});
    REQUIRE(got.settings.size() == 1);
    auto const& w = got.settings.at("./Vendor/MSFT/%7BX%7D");
    CHECK(w.policy == "a");
    CHECK(w.value == "1");
    CHECK(w.uri == "./Device/Vendor/MSFT/%7BX%7D");
    REQUIRE(got.conflicts.size() == 1);
    CHECK(got.conflicts[0].uri == "./Vendor/MSFT/%7BX%7D");
    CHECK(got.conflicts[0].policies == std::vector<std::string>{"a", "c"});  // 01 is 1
}

TEST_CASE("records follow the wish", "[policy]") {
    auto const wish = desired({policy_of("p", {setting(lock, "8")})}, {});
    SECTION("a new setting is pending") {
        auto const got = reconcile(wish, {});
        REQUIRE(got.size() == 1);
        CHECK(got.at(lock_key).state == setting_state::pending);
        CHECK(got.at(lock_key).wanted.policy == "p");
    }
    SECTION("an unchanged one stays as it is, whatever its state and whoever wants it now") {
        auto const state = GENERATE(setting_state::pending, setting_state::applied, setting_state::failed);
        auto before = one(lock, state, 500);
        before.begin()->second.attempts = 3;
        before.begin()->second.wanted.policy = "old";
        auto const got = reconcile(wish, before);
        CHECK(got.at(lock_key).state == state);
        CHECK(got.at(lock_key).attempts == 3);
        CHECK(got.at(lock_key).wanted.policy == "p");
    }
    SECTION("a changed one is pending again, a refused one too") {
        auto const state = GENERATE(
            setting_state::applied, setting_state::failed, setting_state::removing, setting_state::removal_failed);
        auto before = one(lock, state, 500, "4");
        before.begin()->second.attempts = 3;
        auto const got = reconcile(wish, before);
        CHECK(got.at(lock_key).state == setting_state::pending);
        CHECK(got.at(lock_key).attempts == 0);
        CHECK(got.at(lock_key).wanted.value == "8");
    }
    SECTION("one that was to be removed is wanted again") {
        auto const state = GENERATE(setting_state::removing, setting_state::removal_failed);
        CHECK(reconcile(wish, one(lock, state, 200)).at(lock_key).state == setting_state::pending);
    }
    SECTION("reconciling twice changes nothing") {
        auto const once = reconcile(wish, one(node, setting_state::applied, 200));
        CHECK(reconcile(wish, once) == once);
    }
}

TEST_CASE("what nobody wants is removed only where it may be on the device", "[policy]") {
    auto const [state, status, reported, removed] = GENERATE(table<setting_state, int, bool, bool>({
        {setting_state::applied, 200, false, true}, {setting_state::applied, 200, true, true},
        {setting_state::removing, 500, false, true}, {setting_state::removal_failed, 500, false, true},
        {setting_state::pending, 0, false, false}, {setting_state::pending, 503, false, false},
        {setting_state::pending, 200, false, true},   // changed after it was applied
        {setting_state::pending, 404, false, false},  // drifted away
        {setting_state::failed, 405, false, false},   // refused from the start: not ours to delete
        {setting_state::failed, 500, true, true},     // an earlier value is there
    }));
    CAPTURE(name(state), status, reported);
    auto before = one(node, state, status);
    if (reported) before.begin()->second.reported = "4";
    auto const got = reconcile({}, before);
    REQUIRE(got.size() == (removed ? 1 : 0));
    if (removed)
        CHECK(got.begin()->second.state ==
              (state == setting_state::removal_failed ? setting_state::removal_failed : setting_state::removing));
}

TEST_CASE("a session deletes, then writes in the order of the file; drift is looked for apart", "[policy]") {
    auto const wish = desired(
        {policy_of("p", {setting(lock, "8"), setting("./Vendor/MSFT/Z/Parent/Child", "1"),
                            setting("./Vendor/MSFT/A/Late", "2"), {"./Vendor/MSFT/Z/Parent", "node", std::nullopt, 0},
                            setting("./Vendor/MSFT/M/There", "5"), {"./Vendor/MSFT/M/Node", "node", std::nullopt, 0}})},
        {});
    auto records = one("./Vendor/MSFT/Old", setting_state::applied, 200);
    records.merge(one("./Vendor/MSFT/Old/Below", setting_state::applied, 200));
    records.merge(one("./Vendor/MSFT/M/There", setting_state::applied, 200, "5"));
    records.merge(one("./Vendor/MSFT/M/Node", setting_state::applied, 200));
    records.at("./Vendor/MSFT/M/Node").wanted = {"./Vendor/MSFT/M/Node", "node", std::nullopt, "p"};
    records = reconcile(wish, records);
    auto const got = first_round(records);
    CHECK(show(got) == std::vector<std::string>{"Delete ./Vendor/MSFT/Old/Below", "Delete ./Vendor/MSFT/Old",
                           "Replace " + lock + " = 8", "Add ./Vendor/MSFT/Z/Parent",
                           "Add ./Vendor/MSFT/Z/Parent/Child = 1", "Add ./Vendor/MSFT/A/Late = 2"});
    CHECK(show(drift_round(records)) == std::vector<std::string>{"Get ./Vendor/MSFT/M/There"});
    CHECK(got[2].key == "setting:" + lock_key);
    CHECK(got[2].what.format == "int");
    CHECK(got[2].what.type == "text/plain");
    CHECK(got[3].what.format == "node");
    CHECK(got[3].what.type.empty());
}

TEST_CASE("what belongs in one Atomic stands together in the queue, deletes apart", "[policy]") {
    std::string const other = "./Vendor/MSFT/Policy/Config/DeviceLock/DevicePasswordEnabled";
    auto const wish =
        desired({policy_of("p", {setting(lock, "8"), setting("./Vendor/MSFT/A/B", "1"), setting(other, "0")})}, {});
    auto records = one("./Vendor/MSFT/Policy/Config/DeviceLock/DevicePasswordHistory", setting_state::applied, 200);
    records = reconcile(wish, records);
    auto const got = first_round(records);
    REQUIRE(got.size() == 4);
    CHECK(got[0].what.what == omadm::verb::remove);
    CHECK(got[0].atomic.empty());
    CHECK_FALSE(got[1].atomic.empty());
    CHECK(got[1].what.uri == lock);
    CHECK(got[2].what.uri == other);
    CHECK(got[2].atomic == got[1].atomic);
    CHECK(got[3].atomic.empty());
}

TEST_CASE("what an Atomic took back is written again, three times at the most", "[policy]") {
    auto records =
        reconcile(desired({policy_of("p", {setting(lock, "8"), setting("./Vendor/MSFT/A/B", "1")})}, {}), {});
    omadm::outcome back;
    int writes = 0;
    for (; writes < 10; ++writes) {
        auto const next = again(records, {lock_key});
        if (next.empty()) break;
        REQUIRE(next.size() == 1);
        CHECK_FALSE(next[0].atomic.empty());
        back.key = next[0].key;
        back.sent = next[0].what;
        back.status = 216;
        CHECK_FALSE(take(records, back));
    }
    CHECK(writes == 4);
    CHECK(again(records, {}).empty());
}

TEST_CASE("what was on the device once is replaced, what vanished is added", "[policy]") {
    auto const [status, reported, verb] = GENERATE(table<int, bool, char const*>({
        {0, false, "Add"},
        {200, false, "Replace"},
        {503, true, "Replace"},
        {404, false, "Add"},
        {418, false, "Replace"},
    }));
    auto records = one(node, setting_state::pending, status);
    if (reported) records.begin()->second.reported = "1";
    CHECK(show(first_round(records)) == std::vector<std::string>{fmt::format("{} {} = 8", verb, node)});
}

TEST_CASE("the status of a write decides what becomes of the setting", "[policy]") {
    auto const [status, state] = GENERATE(table<int, setting_state>({
        {200, setting_state::applied},
        {202, setting_state::applied},
        {215, setting_state::pending},
        {216, setting_state::pending},
        {401, setting_state::pending},
        {407, setting_state::pending},
        {408, setting_state::pending},
        {417, setting_state::pending},
        {503, setting_state::pending},
        {506, setting_state::pending},
        {400, setting_state::failed},
        {405, setting_state::failed},
        {415, setting_state::failed},
        {425, setting_state::failed},
        {500, setting_state::failed},
    }));
    CAPTURE(status);
    auto records = one(node, setting_state::pending);
    auto o = outcome_of(omadm::verb::replace, node, status);
    o.original_error = "0x86000002";
    CHECK(show(take(records, o)) == "nothing");
    auto const& r = records.at(node);
    CHECK(r.state == state);
    CHECK(r.status == status);
    CHECK(r.original_error == "0x86000002");
    CHECK(r.attempts == 1);
    auto const owed = show(first_round(records));
    if (state == setting_state::pending) CHECK(owed.size() == 1);
    if (state == setting_state::failed) CHECK(owed.empty() == (status < 500));
}

TEST_CASE("an error of the device's own is tried again, but not for ever", "[policy]") {
    auto const status = GENERATE(409, 420, 500, 510);
    auto records = one(node, setting_state::pending);
    int writes = 0;
    for (; writes < 20 && !first_round(records).empty(); ++writes)
        CHECK(show(take(records, outcome_of(omadm::verb::replace, node, status))) == "nothing");
    CHECK(writes == 5);
    CHECK(records.at(node).state == setting_state::failed);
}

TEST_CASE("what stands on a device is removed with its policy, though a later value was refused", "[policy]") {
    auto records = one(node, setting_state::pending);
    take(records, outcome_of(omadm::verb::replace, node, 200));
    auto wish = desired_state{};
    wish.settings[node] = records.at(node).wanted;
    wish.settings[node].value = "9";
    records = reconcile(wish, records);
    auto refused = outcome_of(omadm::verb::replace, node, 400);
    refused.sent.data = "9";
    take(records, refused);
    CHECK(records.at(node).state == setting_state::failed);
    records = reconcile({}, records);
    REQUIRE(records.contains(node));
    CHECK(records.at(node).state == setting_state::removing);
}

TEST_CASE("already there and not there are answered by the other verb", "[policy]") {
    auto records = one(node, setting_state::pending);
    CHECK(show(take(records, outcome_of(omadm::verb::add, node, 418))) == "Replace " + node + " = 8");
    CHECK(show(take(records, outcome_of(omadm::verb::replace, node, 200))) == "nothing");
    CHECK(records.at(node).state == setting_state::applied);

    // A node that is always there, such as the firewall's, and one that cannot be set.
    records = one(node, setting_state::pending);
    CHECK(show(take(records, outcome_of(omadm::verb::add, node, 405))) == "Replace " + node + " = 8");
    CHECK(show(take(records, outcome_of(omadm::verb::replace, node, 405))) == "nothing");
    CHECK(records.at(node).state == setting_state::failed);

    records = one(lock, setting_state::pending);
    CHECK(show(take(records, outcome_of(omadm::verb::replace, lock, 404))) == "Add " + lock + " = 8");
    CHECK(show(take(records, outcome_of(omadm::verb::add, lock, 500))) == "nothing");
    CHECK(records.at(lock_key).state == setting_state::failed);
}

TEST_CASE("a device that says both is not asked for ever", "[policy]") {
    auto records = one(node, setting_state::pending);
    auto next = first_round(records);
    int sent = 0;
    while (!next.empty() && sent < 100) {
        auto const w = next.front();
        next.erase(next.begin());
        ++sent;
        auto const status = w.what.what == omadm::verb::add ? 418 : 404;
        if (auto again = take(records, outcome_of(w, status))) next.push_back(*again);
    }
    CHECK(sent <= 3);
    CHECK(records.at(node).state == setting_state::pending);
}

TEST_CASE("drift is put right in the session that finds it", "[policy]") {
    auto records = one(lock, setting_state::applied, 200);
    records.begin()->second.attempts = 2;
    SECTION("the value is as wanted") {
        CHECK(show(take(records, outcome_of(omadm::verb::get, lock, 200, " 08\n"))) == "nothing");
        CHECK(records.at(lock_key).state == setting_state::applied);
        CHECK(records.at(lock_key).reported == " 08\n");
    }
    SECTION("another value") {
        CHECK(show(take(records, outcome_of(omadm::verb::get, lock, 200, "4"))) == "Replace " + lock + " = 8");
        CHECK(records.at(lock_key).state == setting_state::pending);
        CHECK(records.at(lock_key).attempts == 0);
        CHECK(show(take(records, outcome_of(omadm::verb::get, lock, 200, "4"))) == "nothing");
        CHECK(show(take(records, outcome_of(omadm::verb::replace, lock, 200))) == "nothing");
        CHECK(records.at(lock_key).state == setting_state::applied);
    }
    SECTION("no node") {
        CHECK(show(take(records, outcome_of(omadm::verb::get, lock, 404))) == "Add " + lock + " = 8");
        CHECK_FALSE(records.at(lock_key).reported);
    }
    SECTION("a node that cannot be read, or whose value got lost") {
        auto const before = records;
        CHECK(show(take(records, outcome_of(omadm::verb::get, lock, 405))) == "nothing");
        CHECK(show(take(records, outcome_of(omadm::verb::get, lock, 500))) == "nothing");
        CHECK(show(take(records, outcome_of(omadm::verb::get, lock, 200))) == "nothing");
        CHECK(records == before);
    }
}

TEST_CASE("a removal ends when the node is gone or cannot be deleted", "[policy]") {
    auto const [status, over] = GENERATE(table<int, bool>(
        {{200, true}, {404, true}, {405, true}, {425, true}, {500, false}, {503, false}, {216, false}}));
    auto const state = GENERATE(setting_state::removing, setting_state::removal_failed);
    CAPTURE(status, name(state));
    auto records = one(node, state, 200);
    CHECK(show(take(records, outcome_of(omadm::verb::remove, node, status))) == "nothing");
    CHECK(records.empty() == over);
}

TEST_CASE(
    "a removal that is refused is tried again when the device is read whole, one that is put off at once", "[policy]") {
    auto const [status, refused] =
        GENERATE(table<int, bool>({{500, true}, {400, true}, {418, true}, {503, false}, {216, false}, {408, false}}));
    CAPTURE(status);
    auto records = one(node, setting_state::removing, 200);
    take(records, outcome_of(omadm::verb::remove, node, status));
    records = reconcile({}, std::move(records));
    CHECK(name(records.at(node).state) == (refused ? "removal_failed" : "removing"));
    CHECK(records.at(node).status == status);
    CHECK(first_round(records).empty() == refused);
    CHECK(show(first_round(records, true)) == std::vector<std::string>{"Delete " + node});
}

TEST_CASE("an outcome of what is no longer wanted changes nothing that is", "[policy]") {
    SECTION("an old value that was written is not the new one") {
        auto records = one(node, setting_state::pending, 0, "9");
        take(records, outcome_of(omadm::verb::add, node, 200));
        CHECK(records.at(node).state == setting_state::pending);
        CHECK(show(first_round(records)) == std::vector<std::string>{"Replace " + node + " = 9"});
    }
    SECTION("an old value that was refused does not fail the new one") {
        auto records = one(node, setting_state::pending, 0, "9");
        take(records, outcome_of(omadm::verb::add, node, 415));
        CHECK(records.at(node).state == setting_state::pending);
    }
    SECTION("a write that came through before its removal is removed all the same") {
        auto records = one(node, setting_state::removing);
        take(records, outcome_of(omadm::verb::add, node, 200));
        CHECK(records.at(node).state == setting_state::removing);
    }
    SECTION("a node that was deleted before it was wanted again is added") {
        auto records = one(node, setting_state::pending, 200);
        records.at(node).reported = "8";
        take(records, outcome_of(omadm::verb::remove, node, 200));
        CHECK(show(first_round(records)) == std::vector<std::string>{"Add " + node + " = 8"});
    }
    SECTION("keys of others and unknown nodes are passed over") {
        auto records = one(node, setting_state::pending);
        auto const before = records;
        auto o = outcome_of(omadm::verb::add, node, 500);
        o.key = "command:7";
        CHECK_FALSE(take(records, o));
        CHECK_FALSE(take(records, outcome_of(omadm::verb::add, "./Vendor/MSFT/Other", 500)));
        CHECK(records == before);
    }
}

TEST_CASE("what a node gives back is compared by its format", "[policy]") {
    auto const [format, wanted, reported, same] = GENERATE(table<char const*, char const*, char const*, bool>({
        {"bool", "true", "1", true},
        {"bool", "false", "False", true},
        {"bool", "true", "0", false},
        {"bool", "true", "", false},
        {"int", "8", " +08 ", true},
        {"int", "8", "9", false},
        {"int", "8", "eight", false},
        {"int", "-1", "-1", true},
        {"chr", " a b\r\n", "a b", true},
        {"chr", "a\r\nb\rc", "a\nb\nc", true},
        {"chr", "a", "A", false},
        {"chr", "1", "true", false},
        {"b64", "QUI=", "QU\r\nI=", true},
        {"b64", "QUI=", "QUJD", false},
        {"xml", "<a/>", "<a></a>", true},
    }));
    CAPTURE(format, wanted, reported);
    CHECK(same_value(format, wanted, reported) == same);
}

TEST_CASE("the names of states are read back", "[policy]") {
    auto const s = GENERATE(setting_state::pending, setting_state::applied, setting_state::failed,
        setting_state::not_applicable, setting_state::removing, setting_state::removal_failed);
    CHECK(parse_setting_state(name(s)) == s);
    CHECK_FALSE(parse_setting_state("other"));
}

namespace {

// A device whose nodes take writes, sometimes fail, sometimes are changed by somebody else.
struct device {
    std::map<std::string, std::string> nodes;
    std::mt19937& random;
    double trouble;

    bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random) < p; }
    omadm::outcome answer(omadm::wanted const& w) {
        auto const uri = canonical_uri(w.what.uri);
        bool const there = nodes.contains(uri);
        if (chance(trouble)) return outcome_of(w, chance(0.5) ? 503 : 408);
        switch (w.what.what) {
            case omadm::verb::get: return there ? outcome_of(w, 200, nodes[uri]) : outcome_of(w, 404);
            case omadm::verb::add:
                if (there) return outcome_of(w, 418);
                break;
            case omadm::verb::replace:
                if (!there) return outcome_of(w, 404);
                break;
            case omadm::verb::remove: return outcome_of(w, nodes.erase(uri) ? 200 : 404);
            case omadm::verb::exec: return outcome_of(w, 405);
        }
        nodes[uri] = w.what.data.value_or("");
        return outcome_of(w, 200);
    }
};

void hold_session(device& d, desired_state const& wish, record_map& records, double lost) {
    records = reconcile(wish, std::move(records));
    auto queue = first_round(records);
    for (auto& read : drift_round(records)) queue.push_back(std::move(read));
    for (std::size_t i = 0; i < queue.size() && queue.size() < 1000; ++i) {
        auto const o = d.answer(queue[i]);
        if (d.chance(lost)) return;  // the connection ends: this answer and all after it never come
        if (auto again = take(records, o)) queue.push_back(std::move(*again));
    }
}

}  // namespace

TEST_CASE("whatever happens, two quiet sessions make the device as it is wanted", "[policy]") {
    auto const seed = GENERATE(range(1U, 60U));
    CAPTURE(seed);
    std::mt19937 random(seed);
    device d{{}, random, 0.2};
    std::array const uris{
        lock, node, std::string("./Vendor/MSFT/A/B/C"), std::string("./Device/Vendor/MSFT/X/%7BY%7D")};
    record_map records;
    desired_state wish;
    auto const pick = [&](unsigned n) { return std::uniform_int_distribution<unsigned>(0, n - 1)(random); };
    for (int step = 0; step < 40; ++step) {
        if (d.chance(0.4)) {
            std::vector<config::policy_setting> settings;
            for (auto const& uri : uris)
                if (d.chance(0.6)) settings.push_back(setting(uri, std::to_string(pick(3))));
            wish = desired({policy_of("p", settings)}, {});
        }
        if (d.chance(0.3)) d.nodes[canonical_uri(uris[pick(4)])] = "drifted";
        if (d.chance(0.2)) d.nodes.erase(canonical_uri(uris[pick(4)]));
        hold_session(d, wish, records, 0.05);
    }
    d.trouble = 0;
    hold_session(d, wish, records, 0);
    hold_session(d, wish, records, 0);
    for (auto const& [uri, w] : wish.settings) {
        CAPTURE(uri);
        CHECK(records.at(uri).state == setting_state::applied);
        CHECK(d.nodes[uri] == w.value);
    }
    CHECK(records.size() == wish.settings.size());
}
