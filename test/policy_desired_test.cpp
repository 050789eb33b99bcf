#include <fmt/format.h>

#include "policy/policy.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::policy;
using config::policy_file;

namespace {

std::string const node = "./Vendor/MSFT/A/B";
std::string const of_user = "./User/Vendor/MSFT/A/B";
std::string const group = "aaaaaaaa-2222-3333-4444-555555555555";

policy_file policy_of(std::string name, std::string uri, std::string value, std::string format = "chr") {
    policy_file p;
    p.name = std::move(name);
    if (uri.starts_with("./User/")) p.target.for_whom = config::scope::user;
    p.settings.push_back({std::move(uri), std::move(format), std::move(value)});
    return p;
}

person ann() {
    return {"cccccccc-2222-3333-4444-555555555555", "Ann@Contoso.com", {"AAAAAAAA-2222-3333-4444-555555555555"}, true};
}

device_traits laptop() {
    device_traits d;
    d.id = "7";
    d.entra_device_id = "e7";
    d.name = "LAB-042";
    d.os_version = "10.0.22631.3447";
    d.manufacturer = "Contoso & Sons";
    d.tenant_id = "8d05";
    d.enrolled_by = ann();
    return d;
}

std::string value_of(std::string const& value, std::string const& format = "chr", bool markup = false) {
    auto p = policy_of("p", node, value, format);
    p.settings[0].markup = markup;
    auto const got = desired({p}, laptop()).settings.at(node);
    return got.withheld.empty() ? got.value.value_or("none") : "withheld: " + got.withheld;
}

first_version since(char const* version) {
    return [=](std::string const& uri) { return uri == node ? parse_os_version(version) : std::nullopt; };
}

}  // namespace

TEST_CASE("a target holds where all that it says does", "[policy]") {
    struct row {
        char const* what;
        std::function<void(config::policy_target&)> say;
        fit expected;
    };
    auto const version = [](char const* text) { return parse_os_version(text); };
    auto const [what, say, expected] = GENERATE_COPY(values<row>({
        {"nothing", [](auto&) {}, fit::yes},
        {"its name",
            [](auto& t) {
                t.device_names = {"x", "lab-*"};
            },
            fit::yes},
        {"its name with single letters", [](auto& t) { t.device_names = {"LAB-?4?"}; }, fit::yes},
        {"its name in between", [](auto& t) { t.device_names = {"*b*-*2"}; }, fit::yes},
        {"another name",
            [](auto& t) {
                t.device_names = {"LAB-", "*LAB", "LAB-0421", "?LAB-042"};
            },
            fit::no},
        {"a version it has", [&](auto& t) { t.min_os_version = version("10.0.22631.3447"); }, fit::yes},
        {"a version it has not", [&](auto& t) { t.min_os_version = version("10.0.22631.3448"); }, fit::no},
        {"up to its version", [](auto& t) { t.max_os_version = parse_last_os_version("10.0.22631"); }, fit::yes},
        {"up to an older one", [](auto& t) { t.max_os_version = parse_last_os_version("10.0.19045"); }, fit::no},
        {"its user by name", [](auto& t) { t.users = {"ann@contoso.com"}; }, fit::yes},
        {"its user by ID", [](auto& t) { t.users = {"cccccccc-2222-3333-4444-555555555555"}; }, fit::yes},
        {"another user", [](auto& t) { t.users = {"bob@contoso.com"}; }, fit::no},
        {"a group of its user",
            [](auto& t) {
                t.groups = {"x", group};
            },
            fit::yes},
        {"another group", [](auto& t) { t.groups = {"x"}; }, fit::no},
        {"group and another user",
            [](auto& t) {
                t.groups = {group};
                t.users = {"bob@contoso.com"};
            },
            fit::no},
        {"its ownership", [](auto& t) { t.ownerships = {config::ownership::corporate}; }, fit::yes},
        {"another ownership", [](auto& t) { t.ownerships = {config::ownership::personal}; }, fit::no},
    }));
    CAPTURE(what);
    config::policy_target target;
    say(target);
    CHECK(target_fit(target, laptop(), laptop().enrolled_by) == expected);
}

TEST_CASE("what is not known decides nothing, unless something else does", "[policy]") {
    auto d = laptop();
    config::policy_target t;
    SECTION("groups that were never looked up") {
        d.enrolled_by.groups_known = false;
        t.groups = {group};
        CHECK(target_fit(t, d, d.enrolled_by) == fit::undecided);
        t.users = {"bob@contoso.com"};
        CHECK(target_fit(t, d, d.enrolled_by) == fit::no);
    }
    SECTION("nobody is in no group") {
        t.groups = {group};
        CHECK(target_fit(t, d, {}) == fit::no);
    }
    SECTION("the name and the version of a device") {
        d.name.clear();
        d.os_version.clear();
        CHECK(target_fit(t, d, d.enrolled_by) == fit::yes);
        t.device_names = {"*"};
        CHECK(target_fit(t, d, d.enrolled_by) == fit::undecided);
        t.device_names.clear();
        t.min_os_version = os_version{{10}};
        CHECK(target_fit(t, d, d.enrolled_by) == fit::undecided);
    }
}

TEST_CASE("device and user have the policies of their own scope", "[policy]") {
    std::vector const all{policy_of("a", node, "1"), policy_of("b", of_user, "2")};
    auto const device = desired(all, laptop());
    REQUIRE(device.settings.size() == 1);
    CHECK(device.settings.begin()->first == node);
    auto const user = desired_for_user(all, laptop(), ann());
    REQUIRE(user.settings.size() == 1);
    CHECK(user.settings.begin()->first == of_user);
    CHECK(user.settings.begin()->second.policy == "b");
    CHECK(device_fit(all[0], laptop()) == fit::yes);
    CHECK(device_fit(all[1], laptop()) == fit::no);
}

TEST_CASE("a user's policies go by who is signed in, a device's by who enrolled it", "[policy]") {
    person const bob{"b", "bob@contoso.com", {}, true};
    auto device = policy_of("a", node, "{{user.name}}");
    auto user = policy_of("b", of_user, "{{user.name}}");
    device.target.groups = user.target.groups = {group};
    CHECK(desired({device}, laptop()).settings.at(node).value == "Ann");
    CHECK(desired_for_user({user}, laptop(), ann()).settings.at(of_user).value == "Ann");
    CHECK(desired_for_user({user}, laptop(), bob).settings.empty());
    user.target.groups.clear();
    CHECK(desired_for_user({user}, laptop(), bob).settings.at(of_user).value == "bob");
}

TEST_CASE("values are filled in for the device and its user", "[policy]") {
    auto const [value, expected] = GENERATE(table<std::string, std::string>({
        {"{{device.name}} {{device.id}} {{device.entra_id}} {{device.os_version}}", "LAB-042 7 e7 10.0.22631.3447"},
        {"{{user.upn}} {{user.id}} {{user.name}} {{user.domain}}",
            "Ann@Contoso.com cccccccc-2222-3333-4444-555555555555 Ann Contoso.com"},
        {"{{device.manufacturer}} {{tenant.id}}", "Contoso & Sons 8d05"},
        {"{{{{device.name}}", "{{device.name}}"},
        {"no { place } here }}", "no { place } here }}"},
        {"{{device.name}} {{device.serial}} {{device.model}}", "withheld: device.serial is not known yet"},
    }));
    CHECK(value_of(value) == expected);
}

TEST_CASE("what is put into markup is escaped, and nothing into other formats", "[policy]") {
    CHECK(value_of("<a>{{device.manufacturer}}</a>", "xml", true) == "<a>Contoso &amp; Sons</a>");
    CHECK(value_of("<enabled/><data id=\"A\" value=\"{{device.manufacturer}}\"/>", "chr", true) ==
          "<enabled/><data id=\"A\" value=\"Contoso &amp; Sons\"/>");
    CHECK(value_of("e3t9fQ==", "b64") == "e3t9fQ==");
}

TEST_CASE("the tenant is filled into addresses", "[policy]") {
    auto const got =
        desired({policy_of("p", "./Device/Vendor/MSFT/PassportForWork/{{tenant.id}}/Policies/X", "1")}, laptop());
    REQUIRE(got.settings.size() == 1);
    CHECK(got.settings.begin()->first == "./Vendor/MSFT/PassportForWork/8d05/Policies/X");
    CHECK(got.settings.begin()->second.uri == "./Device/Vendor/MSFT/PassportForWork/8d05/Policies/X");
}

TEST_CASE("a withheld setting waits, and what of it is on the device stays", "[policy]") {
    auto d = laptop();
    std::vector const policies{policy_of("p", node, "{{device.serial}}")};
    auto records = reconcile(desired(policies, d), {});
    REQUIRE(records.size() == 1);
    CHECK(records.at(node).state == setting_state::pending);
    CHECK(records.at(node).wanted.withheld == "device.serial is not known yet");
    CHECK(first_round(records).empty());

    d.serial = "S1";
    records = reconcile(desired(policies, d), records);
    auto const sent = first_round(records);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].what.data == "S1");
    take(records, {sent[0].key, sent[0].what, 200, "", {}, ""});
    CHECK(records.at(node).state == setting_state::applied);

    d.serial.clear();
    records = reconcile(desired(policies, d), records);
    CHECK(records.at(node).state == setting_state::pending);
    CHECK(first_round(records).empty());
    CHECK(reconcile(desired(policies, d), records) == records);
    CHECK(reconcile({}, records).at(node).state == setting_state::removing);

    d.serial = "S2";
    records = reconcile(desired(policies, d), records);
    REQUIRE(first_round(records).size() == 1);
    CHECK(first_round(records)[0].what.what == omadm::verb::replace);
}

TEST_CASE("a node that Windows does not have yet is not sent until it does", "[policy]") {
    auto d = laptop();
    std::vector const policies{policy_of("p", node, "1")};
    auto const newer = since("10.0.26100");
    auto records = reconcile(desired(policies, d, newer), {});
    CHECK(records.at(node).state == setting_state::not_applicable);
    CHECK(records.at(node).wanted.withheld == "Windows has it from 10.0.26100 on, the device has 10.0.22631.3447");
    CHECK(first_round(records).empty());
    CHECK(reconcile(desired(policies, d, newer), records) == records);
    CHECK(reconcile({}, records).empty());

    d.os_version = "10.0.26100.1";
    records = reconcile(desired(policies, d, newer), records);
    CHECK(records.at(node).state == setting_state::pending);
    CHECK(records.at(node).wanted.value == "1");
    CHECK(first_round(records).size() == 1);
}

TEST_CASE("what the device or the policy knows better than the catalogue counts", "[policy]") {
    std::vector policies{policy_of("p", node, "1")};
    auto const newer = since("10.0.26100");
    SECTION("a version that the policy gives") {
        policies[0].settings[0].since = parse_os_version("10.0.19045");
        CHECK(desired(policies, laptop(), newer).settings.at(node).value == "1");
    }
    SECTION("no version of the device") {
        auto d = laptop();
        d.os_version.clear();
        CHECK(desired(policies, d, newer).settings.at(node).value == "1");
    }
    SECTION("a node that was not known") {
        CHECK(desired(policies, laptop(), [](auto const&) { return std::nullopt; }).settings.at(node).value == "1");
    }
}

TEST_CASE("a failed look-up drops no policy and adds none", "[policy]") {
    auto d = laptop();
    auto p = policy_of("p", node, "1");
    p.target.groups = {group};
    auto records = reconcile(desired({p}, d), {});
    records.at(node).state = setting_state::applied;
    records.at(node).status = 200;

    d.enrolled_by.groups_known = false;
    auto const wish = desired({p}, d);
    CHECK(wish.settings.empty());
    CHECK(wish.undecided == std::set<std::string>{"p"});
    CHECK(reconcile(wish, records) == records);
    CHECK(reconcile(wish, {}).empty());

    SECTION("nor does another policy take its node meanwhile") {
        CHECK(reconcile(desired({p, policy_of("q", node, "2")}, d), records) == records);
    }
    SECTION("a user who has left the group loses it") {
        d.enrolled_by.groups_known = true;
        d.enrolled_by.groups.clear();
        CHECK(reconcile(desired({p}, d), records).at(node).state == setting_state::removing);
    }
}

TEST_CASE("a conflict names those who wanted something else", "[policy]") {
    auto const got = desired(
        {policy_of("a", node, "1"), policy_of("b", node, "2"), policy_of("c", node, "1"), policy_of("d", node, "3")},
        laptop());
    CHECK(got.settings.at(node).rivals == std::vector<std::string>{"b", "d"});
    REQUIRE(got.conflicts.size() == 1);
    CHECK(got.conflicts[0].policies == std::vector<std::string>{"a", "b", "d"});
    CHECK(reconcile(got, {}).at(node).wanted.rivals == std::vector<std::string>{"b", "d"});
    auto const data = desired({policy_of("a", node, "<enabled/><data id=\"A\" value=\"1\"/>"),
                                  policy_of("b", node, "<enabled/><data id=\"A\" value=\"2\"/>")},
        laptop());
    CHECK(data.settings.at(node).rivals == std::vector<std::string>{"b"});
}

TEST_CASE("a user's leaf of the Policy CSP is set by Replace as a device's is", "[policy]") {
    std::string const uri = "./User/Vendor/MSFT/Policy/Config/Experience/AllowWindowsSpotlight";
    auto const sent = first_round(reconcile(desired_for_user({policy_of("p", uri, "0", "int")}, laptop(), ann()), {}));
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].what.what == omadm::verb::replace);
    CHECK(sent[0].what.uri == uri);
}

TEST_CASE("the password rules of a device belong together", "[policy]") {
    auto const [uri, expected] = GENERATE(table<char const*, char const*>({
        {"./Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength", "DeviceLock"},
        {"./User/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength", ""},
        {"./Vendor/MSFT/Policy/Config/DeviceLockX/A", ""},
        {"./Vendor/MSFT/BitLocker/RequireDeviceEncryption", ""},
    }));
    CHECK(atomic_group(uri) == expected);
}

TEST_CASE("of an ADMX-backed value only its state is compared", "[policy]") {
    CHECK(same_value("chr", "<enabled/><data id=\"A\" value=\"1\"/>", "<enabled/>\n<data id='A' value='1' />"));
    CHECK_FALSE(same_value("chr", "<enabled/>", "<disabled/>"));
    CHECK_FALSE(same_value("chr", "<enabled/>", ""));
    CHECK_FALSE(same_value("chr", "<a>1</a>", "<a>2</a>"));
}
