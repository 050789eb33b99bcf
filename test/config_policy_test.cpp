#include "config/load.hpp"
#include "config/node_uri.hpp"
#include "config/pattern.hpp"
#include "config/substitution.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::config;
using namespace std::chrono_literals;

namespace {

std::string show(std::vector<problem> const& all) {
    std::string out;
    for (auto const& p : all) out += p.line_text() + "\n";
    return out;
}

std::string problems_of_setting(std::string const& fields) {
    return show(parse_policy("name: x\nsettings:\n  - {" + fields + "}\n", "x.yaml").problems);
}

std::string problems_of_rule(std::string const& fields) {
    return show(parse_policy("name: x\ncompliance:\n  rules:\n    - {" + fields + "}\n", "x.yaml").problems);
}

}  // namespace

TEST_CASE("a policy is read as it is written", "[config]") {
    auto const got = parse_policy(
        "name: baseline\n"
        "target: {scope: device, ownership: [personal, corporate, personal]}\n"
        "settings:\n"
        "  - uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/DevicePasswordEnabled\n"
        "    format: int\n"
        "    value: -0012\n"
        "  - {uri: ./Vendor/MSFT/A/Text, format: chr, value: 0010}\n"
        "  - {uri: ./Vendor/MSFT/A/Yes, format: chr, value: ~}\n"
        "  - {uri: ./Vendor/MSFT/A/Node, format: node}\n"
        "  - {uri: ./Vendor/MSFT/A/Null, format: null}\n"
        "compliance:\n"
        "  grace_period: 0s\n"
        "  rules:\n"
        "    - min_os_version: 10.0.19045.3803\n"
        "    - {uri: ./DevDetail/SwV, op: ge, value: 10.0}\n"
        "    - {uri: ./DevInfo/Man, op: in, value: [Contoso, ' Fabrikam ']}\n"
        "    - {uri: ./DevInfo/Mod, op: exists}\n"
        "    - {uri: ./DevInfo/Lang, value: en-US}\n",
        "/etc/mdmd/policies.d/base.yaml");
    REQUIRE(show(got.problems) == "");
    auto const& p = *got.value;
    CHECK(p.name == "baseline");
    CHECK(p.file == "base.yaml");
    CHECK(p.target.ownerships == std::vector{ownership::corporate, ownership::personal});
    REQUIRE(p.settings.size() == 5);
    CHECK(p.settings[0].value == "-12");
    CHECK(p.settings[0].line == 4);
    CHECK(p.settings[1].value == "0010");
    CHECK(p.settings[2].value == "~");
    CHECK_FALSE(p.settings[3].value);
    CHECK(p.settings[4].format == "null");
    CHECK(p.grace_period == 0s);
    REQUIRE(p.rules.size() == 5);
    CHECK(std::get<named_rule>(p.rules[0].what).text == "10.0.19045.3803");
    CHECK(std::get<named_rule>(p.rules[0].what).version.parts[3] == 3803);
    CHECK(std::get<uri_rule>(p.rules[1].what).op == comparison::ge);
    CHECK(std::get<uri_rule>(p.rules[2].what).values == std::vector<std::string>{"Contoso", "Fabrikam"});
    CHECK(std::get<uri_rule>(p.rules[3].what).values == std::vector<std::string>{"true"});
    CHECK(std::get<uri_rule>(p.rules[4].what).op == comparison::eq);
    CHECK(p.rules[4].line == 18);
}

TEST_CASE("a setting that cannot be kept is refused", "[config]") {
    auto const [fields, complaint] = GENERATE(table<char const*, char const*>({
        {"uri: ./Vendor/A, format: int, value: 4294967295", ""},
        {"uri: ./Vendor/A, format: int, value: 4294967296", "settings[0].value: expected a whole number of 32 bits"},
        {"uri: ./Vendor/A, format: int, value: 0x10", "got '0x10'"},
        {"uri: ./Vendor/A, format: int", "expected a value of the format int, got nothing"},
        {"uri: ./Vendor/A, format: int, value: ", "expected a whole number of 32 bits, got nothing"},
        {"uri: ./Vendor/A, format: bool, value: 1", "expected true or false, got '1'"},
        {"uri: ./Vendor/A, format: b64, value: Pass@word",
            "x.yaml:3:43: settings[0].value: expected base64, got something else\n"},
        {"uri: ./Vendor/A, format: chr, value: [a]", "expected a text"},
        {"uri: ./Vendor/A, format: chr, value: \"\\x01Pass\"",
            "expected a text that XML can carry, got control characters\n"},
        {"uri: ./Vendor/A, format: node, value: x", "expected no value with the format node"},
        {"uri: ./Vendor/A, format: float, value: 1",
            "expected one of int, chr, bool, b64, xml, node and null, got 'float'"},
        {"uri: ./Vendor/A, value: 1", "expected one of int, chr, bool, b64, xml, node and null, got nothing"},
        {"format: int, value: 1", "settings[0].uri: expected the address of a node"},
        {"uri: ./User/Vendor/A, format: int, value: 1",
            "(what is for users belongs in one with the scope user), got './User/Vendor/A'"},
        {"uri: ./DevInfo/Man, format: chr, value: x", "expected a node that can be set, below ./Device/ or ./Vendor/"},
        {"uri: /Vendor/A, format: int, value: 1", "expected an address below ./Device/ or ./Vendor/"},
        {"uri: ./Vendor/, format: int, value: 1", "expected an address below"},
        {"uri: ./Vendor//A, format: int, value: 1", "without empty or dot segments"},
        {"uri: ./Vendor/A/, format: int, value: 1", "without empty or dot segments"},
        {"uri: ./Vendor/../A, format: int, value: 1", "without empty or dot segments"},
        {"uri: './Vendor/A?list=Struct', format: int, value: 1", "printable ASCII"},
        {"uri: ./Vendor/A%7, format: int, value: 1", "whole escapes"},
        {"uri: ./Vendor/A%FF, format: int, value: 1", "whole escapes"},
        {"uri: ./Vendor/A, format: int, value: 1, vaule: 2",
            "settings[0].vaule: expected a known key, got 'vaule' (did you mean 'value'?)"},
    }));
    CAPTURE(fields);
    if (std::string_view(complaint).empty())
        CHECK(problems_of_setting(fields) == "");
    else
        CHECK_THAT(problems_of_setting(fields), Catch::Contains(complaint) && !Catch::Contains("Pass"));
}

TEST_CASE("a node that is set twice in one policy is refused, however it is spelled", "[config]") {
    auto const got = parse_policy(
        "name: x\nsettings:\n"
        "  - {uri: './Vendor/MSFT/A/{1}', format: int, value: 1}\n"
        "  - {uri: ./Device/Vendor/MSFT/A/%7b1%7D, format: int, value: 1}\n",
        "x.yaml");
    CHECK(
        show(got.problems) ==
        "x.yaml:4:5: settings: expected each node once, got './Device/Vendor/MSFT/A/%7b1%7D' again (first in line 3)\n");
}

TEST_CASE("a rule that cannot be judged is refused", "[config]") {
    auto const [fields, complaint] = GENERATE(table<char const*, char const*>({
        {"min_os_version: 11", ""},
        {"min_os_version: ten",
            "compliance.rules[0].min_os_version: expected a Windows version such as 10.0.19045.3803, got 'ten'"},
        {"min_os_version: 10.0, uri: ./DevInfo/Man, value: 1",
            "expected one rule in each item of the list, got min_os_version as well as uri"},
        {"tpm: required, encryption: required", "got tpm as well as encryption"},
        {"op: eq, value: 1", "compliance.rules[0]: expected a rule: min_os_version, encryption, "},
        {"encryption: required", ""},
        {"encryption: true", "compliance.rules[0].encryption: expected required, got 'true'"},
        {"encryption: required, op: eq", "compliance.rules[0].op: expected a known key, got 'op'"},
        {"encrytion: required", "got 'encrytion' (did you mean 'encryption'?)"},
        {"bitLockerEnabled: true", "got 'bitLockerEnabled': it is called bitlocker here"},
        {"codeIntegrityEnabled: true", "got 'codeIntegrityEnabled': Windows tells it in a Health Attestation report"},
        {"health_attestation: required",
            "Health Attestation report alone, which only a service of Microsoft's can open"},
        {"deviceThreatProtectionRequiredSecurityLevel: low", "known to the threat protection service alone"},
        {"configuration_manager: required", "only Configuration Manager knows it"},
        {"wsl_distributions: [Ubuntu]", "no configuration service provider of Windows lists them"},
        {"script: x.ps1", "Windows' management client runs no scripts"},
        {"tpm: required", ""},
        {"tpm: \"2.0\"", ""},
        {"tpm: two", "expected required, or a version such as \"2.0\", got 'two'"},
        {"password_simple: required", "expected blocked, got 'required'"},
        {"password_type: digits", "expected one of device_default, numeric and alphanumeric, got 'digits'"},
        {"password_min_length: 8", ""},
        {"password_min_length: 3", "expected a whole number from 4 to 16, got '3'"},
        {"defender_version: new", "expected a version such as 4.18.23110.3, got 'new'"},
        {"os_builds: [{lowest: 10.0.19045, highest: 10.0.19045}, {lowest: 10.0.22631.1, highest: 10.0.26100}]", ""},
        {"os_builds: 10.0.19045",
            "compliance.rules[0].os_builds: expected a list of {lowest, highest}, got a single value"},
        {"os_builds: [{lowest: 10.0.19045}]", "rules[0].os_builds[0].highest: expected a Windows version such as"},
        {"os_builds: [{lowest: 10.0.3, highest: 10.0.2}]",
            "os_builds[0].highest: expected a version that is not below lowest, got '10.0.2'"},
        {"uri: ./DevInfo/Man, type: integer, op: ge, value: 8", ""},
        {"uri: ./DevInfo/Man, type: integer, value: 8.5", "expected a whole number, got '8.5'"},
        {"uri: ./DevInfo/Man, type: number, op: lt, value: 8.5", ""},
        {"uri: ./DevInfo/Man, type: boolean, value: 2", "expected true, false, 1 or 0, got '2'"},
        {"uri: ./DevInfo/Man, type: boolean, op: ge, value: 1",
            "rules[0].type: expected integer, number, date_time or version with an operator that compares by order"},
        {"uri: ./DevInfo/Man, type: date_time, op: ge, value: 2026-01-31", ""},
        {"uri: ./DevInfo/Man, type: date_time, op: ge, value: yesterday",
            "expected a time such as 2027-06-30T00:00:00Z"},
        {"uri: ./DevInfo/Man, type: version, op: ge, value: 4", ""},
        {"uri: ./DevInfo/Man, type: version, op: in, value: [1.2, x]",
            "x.yaml:4:64: compliance.rules[0].value: expected a version"},
        {"uri: ./DevInfo/Man, type: integer, op: exists", "expected no type with exists, got 'integer'"},
        {"uri: ./DevInfo/Man, type: integer, op: matches, value: x",
            "expected no type but text with matches, got 'integer'"},
        {"uri: ./DevInfo/Man, type: words, value: x",
            "expected one of boolean, integer, number, text, date_time and version"},
        {"uri: ./DevInfo/Man", "expected a value to compare with, got nothing"},
        {"uri: ./DevInfo/Man, op: like, value: x",
            "expected one of eq, ne, lt, le, gt, ge, in, matches and exists, got 'like'"},
        {"uri: ./DevInfo/Man, op: lt, value: x", "expected a whole number or a version such as 10.0.19045, got 'x'"},
        {"uri: ./DevInfo/Man, op: lt, value: -5", ""},
        {"uri: ./DevInfo/Man, op: ge, value: 1.2.3.4", ""},
        {"uri: ./DevInfo/Man, op: ge, value: 1.2.3.4.5", "got '1.2.3.4.5'"},
        {"uri: ./DevInfo/Man, op: in, value: x", "expected a list of values, got a single value"},
        {"uri: ./DevInfo/Man, op: in, value: []", "expected a list of values, got an empty list"},
        {"uri: ./DevInfo/Man, op: eq, value: [x]", "expected a single value, got a list"},
        {"uri: ./DevInfo/Man, op: exists, value: maybe", "expected true or false, got 'maybe'"},
        {"uri: ./DevInfo/Man, op: matches, value: '('",
            "expected a POSIX extended regular expression, got one that does not compile"},
        {"uri: ./User/Vendor/A, op: exists", "rules are for devices, not for their users"},
    }));
    CAPTURE(fields);
    if (std::string_view(complaint).empty())
        CHECK(problems_of_rule(fields) == "");
    else
        CHECK_THAT(problems_of_rule(fields), Catch::Contains(complaint));
}

TEST_CASE("what a policy may not say is named with its place", "[config]") {
    auto const got = parse_policy(
        "target: {scope: users, ownership: [mine], groups: []}\n"
        "settings: [5, ~]\n"
        "compliance: {grace_period: 366d}\n"
        "appx: []\n",
        "x.yaml");
    CHECK(show(got.problems) ==
          "x.yaml:1:1: name: expected a name of at most 100 bytes, got nothing\n"
          "x.yaml:1:17: target.scope: expected device or user, got 'users'\n"
          "x.yaml:1:36: target.ownership: expected corporate and personal, got 'mine'\n"
          "x.yaml:1:51: target.groups: expected a list of object IDs of groups (GUIDs), got an empty list\n"
          "x.yaml:2:12: settings[0]: expected a mapping, got a single value\n"
          "x.yaml:2:15: settings[1]: expected a mapping, got a single value\n"
          "x.yaml:3:28: compliance.grace_period: expected a duration from 0s to 365d such as 24h, got '366d'\n"
          "x.yaml:4:1: appx: expected a known key, got 'appx' (did you mean 'apps'?)\n");
}

TEST_CASE("a folder of policies is read by file name", "[config]") {
    test::scratch const folder;
    SECTION("none is no policies") {
        auto const got = load_policies(folder.path() / "missing");
        REQUIRE(got.value);
        CHECK(got.value->empty());
    }
    SECTION("other files are left alone, those of a near name with a warning") {
        folder.write("b.yaml", "name: b\ncompliance: {rules: [{min_os_version: 10}]}\n");
        folder.write("a.yaml", "name: z\ncompliance: {rules: [{min_os_version: 10}]}\n");
        folder.write("c.yml", "]");
        folder.write(".d.yaml", "]");
        folder.write("README", "]");
        auto const got = load_policies(folder.path());
        REQUIRE(got.value);
        REQUIRE(got.value->size() == 2);
        CHECK(got.value->front().name == "z");
        CHECK(show(got.warnings) == "c.yml: not read, since a policy's name ends in .yaml\n");
    }
    SECTION("two of one name are a problem") {
        folder.write("a.yaml", "name: same\n");
        folder.write("b.yaml", "name: same\n");
        CHECK(show(load_policies(folder.path()).problems) ==
              "b.yaml:1:1: name: expected a name of its own, got 'same', which a.yaml has\n");
    }
    SECTION("a file in its place is a problem") {
        CHECK_THAT(show(load_policies(folder.write("file", "")).problems),
            Catch::Contains("policies_dir: expected a readable folder"));
    }
    SECTION("a folder that looks like a policy is a problem") {
        std::filesystem::create_directory(folder.path() / "x.yaml");
        CHECK_THAT(
            show(load_policies(folder.path()).problems), Catch::Contains("expected a regular file, got the folder"));
    }
}

TEST_CASE("the policies that are shipped are in order", "[config]") {
    auto const got = load_policies(test::source("config/policies"));
    CHECK(show(got.problems) == "");
    CHECK(got.warnings.empty());
    REQUIRE(got.value);
    CHECK(got.value->size() == 11);
    for (auto const& p : *got.value) CHECK(p.name + ".yaml" == p.file);
}

TEST_CASE("a node has one spelling to compare by", "[config]") {
    auto const [uri, canonical] = GENERATE(table<char const*, char const*>({
        {"./Device/Vendor/MSFT/A", "./Vendor/MSFT/A"},
        {"./Vendor/MSFT/A/", "./Vendor/MSFT/A"},
        {"./Vendor/MSFT/{a}", "./Vendor/MSFT/%7Ba%7D"},
        {"./Vendor/MSFT/%7ba%7d", "./Vendor/MSFT/%7Ba%7D"},
        {"./Vendor/MSFT/ADMX~%50olicy%7E1", "./Vendor/MSFT/ADMX~Policy~1"},
        {"./Vendor/MSFT/a%2fb", "./Vendor/MSFT/a%2Fb"},
        {"./Vendor/MSFT/a b", "./Vendor/MSFT/a%20b"},
        {"./Vendor/MSFT/100%", "./Vendor/MSFT/100%25"},
        {"./Vendor/MSFT/%2525", "./Vendor/MSFT/%2525"},
        {"./Vendor/MSFT/\xc3\xbc", "./Vendor/MSFT/%C3%BC"},
        {"./DevDetail/SwV", "./DevDetail/SwV"},
        {"./device/vendor", "./device/vendor"},
        {"", ""},
    }));
    CHECK(canonical_node_uri(uri) == canonical);
    CHECK(canonical_node_uri(canonical) == canonical);
}

TEST_CASE("an expression that could cost too much is refused", "[config]") {
    auto const [text, fits] = GENERATE(table<std::string, bool>({
        {"^2\\.0", true},
        {"(a+)+b", true},
        {"[[:digit:]]{1,3}(\\.[0-9]{1,3}){3}", true},
        {"[]\\1{99}]x", true},
        {"a{1000}", true},
        {"a{1001}", false},
        {"(a{40}){40}", false},
        {"a{99999999999999999999}", false},
        {"(a)\\1", false},
        {"a{", false},
        {"[[.a", false},
        {"(", false},
        {"", false},
        {std::string(257, 'a'), false},
        {"a\nb", false},
    }));
    CAPTURE(text);
    CHECK(pattern::compile(text).has_value() == fits);
}

TEST_CASE("an expression that ruins backtracking matchers is decided at once", "[config]") {
    auto const p = pattern::compile("^(a+)+$");
    REQUIRE(p);
    CHECK(p->found_in(std::string(40, 'a')));
    CHECK_FALSE(p->found_in(std::string(4000, 'a') + "!"));
}

namespace {

std::string problems_of_target(std::string const& fields) {
    return show(
        parse_policy("name: x\ntarget: {" + fields + "}\nsettings: [{uri: ./Vendor/A, format: node}]\n", "x.yaml")
            .problems);
}

std::string problems_of_app(std::string const& fields) {
    return show(parse_policy("name: x\napps:\n  - {" + fields + "}\n", "x.yaml").problems);
}

// The value that Windows gets of such an admx section.
std::string admx(std::string const& fields) {
    auto const got = parse_policy("name: x\nsettings:\n  - {uri: ./Vendor/A, admx: {" + fields + "}}\n", "x.yaml");
    return got.value ? got.value->settings.at(0).value.value_or("none") : show(got.problems);
}

}  // namespace

TEST_CASE("a target says all that may hold of a device and its user", "[config]") {
    auto const got = parse_policy(
        "name: x\n"
        "target:\n"
        "  scope: user\n"
        "  groups: [BBBBBBBB-2222-3333-4444-555555555555, aaaaaaaa-2222-3333-4444-555555555555]\n"
        "  users: [Ann@Contoso.com, CCCCCCCC-2222-3333-4444-555555555555]\n"
        "  device_names: [LAB-*, 'KIOSK-?*']\n"
        "  min_os_version: 10.0.19045\n"
        "  max_os_version: 10.0.22631\n"
        "settings: [{uri: ./User/Vendor/MSFT/A, format: int, value: 1}]\n",
        "x.yaml");
    REQUIRE(show(got.problems) == "");
    auto const& t = got.value->target;
    CHECK(t.for_whom == scope::user);
    CHECK(t.groups ==
          std::vector<std::string>{"aaaaaaaa-2222-3333-4444-555555555555", "bbbbbbbb-2222-3333-4444-555555555555"});
    CHECK(t.users == std::vector<std::string>{"ann@contoso.com", "cccccccc-2222-3333-4444-555555555555"});
    CHECK(t.device_names == std::vector<std::string>{"KIOSK-?*", "LAB-*"});
    CHECK(t.min_os_version == os_version{{10, 0, 19045, 0}});
    CHECK(*t.max_os_version > os_version{{10, 0, 22631, 99999}});
    CHECK(*t.max_os_version < os_version{{10, 0, 22632, 0}});
}

TEST_CASE("a target that cannot be judged is refused", "[config]") {
    auto const [fields, complaint] = GENERATE(table<char const*, char const*>({
        {"groups: [Staff]", "target.groups: expected object IDs of groups (GUIDs), got 'Staff'"},
        {"users: [ann]", "target.users: expected user names (user@contoso.com) and object IDs (GUIDs), got 'ann'"},
        {"users: [a@b@c]", "got 'a@b@c'"},
        {"device_names: [a b]", "target.device_names: expected names of devices, with * and ?, got 'a b'"},
        {"device_names: LAB-*", "expected a list of names of devices, with * and ?, got a single value"},
        {"min_os_version: new", "target.min_os_version: expected a Windows version such as 10.0.19045, got 'new'"},
        {"min_os_version: 10.0.22631, max_os_version: 10.0.19045",
            "target.max_os_version: expected a version not below min_os_version, got '10.0.19045'"},
        {"min_os_version: 10.0.22631.5, max_os_version: 10.0.22631", ""},
        {"os: 10", "target.os: expected a known key, got 'os'"},
    }));
    CAPTURE(fields);
    if (std::string_view(complaint).empty())
        CHECK(problems_of_target(fields) == "");
    else
        CHECK_THAT(problems_of_target(fields), Catch::Contains(complaint));
}

TEST_CASE("a policy for users has their nodes alone, and neither apps nor rules", "[config]") {
    CHECK(
        show(parse_policy("name: x\n"
                          "target: {scope: user}\n"
                          "settings:\n"
                          "  - {uri: ./User/Vendor/MSFT/A, format: int, value: 1}\n"
                          "  - {uri: ./Device/Vendor/MSFT/A, format: int, value: 1}\n"
                          "apps: []\n"
                          "compliance: {rules: [{min_os_version: 10}]}\n",
            "x.yaml")
                 .problems) ==
        "x.yaml:5:11: settings[1].uri: expected an address below ./User/ in a policy with the scope user (what is for "
        "the device belongs in one with the scope device), got './Device/Vendor/MSFT/A'\n"
        "x.yaml:6:7: apps: expected no apps in a policy with the scope user: packages are for devices\n"
        "x.yaml:7:1: compliance: expected no compliance rules in a policy with the scope user: they are for "
        "devices\n");
}

TEST_CASE("what Group Policy has as enabled and disabled is encoded as Windows wants it", "[config]") {
    auto const [fields, value] = GENERATE(table<std::string, std::string>({
        {"state: enabled", "<enabled/>"},
        {"state: disabled", "<disabled/>"},
        {"state: enabled, data: {B: 7, A: true}",
            "<enabled/><data id=\"B\" value=\"7\"/><data id=\"A\" value=\"true\"/>"},
        {"state: enabled, data: {A: \"<a & 'b'>\\n\"}",
            "<enabled/><data id=\"A\" value=\"&lt;a &amp; &#39;b&#39;&gt;&#10;\"/>"},
        {"state: enabled, data: {A: ''}", "<enabled/><data id=\"A\" value=\"\"/>"},
        {"state: enabled, data: {A: [x, 'y&z']}", "<enabled/><data id=\"A\" value=\"x&#xF000;y&amp;z\"/>"},
        {"state: enabled, data: {A: {https://x.example: 1, '*.y': 2}}",
            "<enabled/><data id=\"A\" value=\"https://x.example&#xF000;1&#xF000;*.y&#xF000;2\"/>"},
        {"state: enabled, data: {A: '{{user.upn}}'}", "<enabled/><data id=\"A\" value=\"{{user.upn}}\"/>"},
        {"state: on", "x.yaml:3:37: settings[0].admx.state: expected enabled or disabled, got 'on'\n"},
        {"data: {A: 1}", "x.yaml:3:23: settings[0].admx.state: expected enabled or disabled, got nothing\n"},
        {"state: disabled, data: {A: 1}",
            "x.yaml:3:53: settings[0].admx.data: expected no data with the state disabled, got some\n"},
        {"state: enabled, data: [A]", "x.yaml:3:52: settings[0].admx.data: expected a mapping, got a list\n"},
        {"state: enabled, data: {A: }",
            "x.yaml:3:53: settings[0].admx.data.A: expected a text (\"\" for an empty one), got nothing\n"},
        {"state: enabled, data: {A: 1, A: 2}",
            "x.yaml:3:59: settings[0].admx.data.A: expected each key once, got 'A' again (first in line 3)\n"},
        {"state: enabled, dada: {A: 1}",
            "x.yaml:3:46: settings[0].admx.dada: expected a known key, got 'dada' (did you mean 'data'?)\n"},
    }));
    CAPTURE(fields);
    CHECK(admx(fields) == value);
}

TEST_CASE("a setting has a value or admx, which is text", "[config]") {
    auto const got =
        parse_policy("name: x\nsettings:\n  - {uri: ./Vendor/A, format: chr, admx: {state: enabled}}\n", "x");
    REQUIRE(got.value);
    CHECK(got.value->settings[0].format == "chr");
    CHECK(got.value->settings[0].markup);
    CHECK_THAT(problems_of_setting("uri: ./Vendor/A, value: 1, admx: {state: enabled}"),
        Catch::Contains("settings[0].value: expected one of value and admx, got both"));
    CHECK_THAT(problems_of_setting("uri: ./Vendor/A, format: int, admx: {state: enabled}"),
        Catch::Contains("settings[0].format: expected chr, which is the format of every setting with admx, got 'int'"));
}

TEST_CASE("only what mdmd can fill in may be left open", "[config]") {
    auto const [fields, complaint] = GENERATE(table<char const*, char const*>({
        {"uri: ./Vendor/A, format: chr, value: '{{device.name}}-{{user.domain}} {{{{x}}'", ""},
        {"uri: ./Vendor/A, format: xml, value: '<a>{{device.serial}}</a>'", ""},
        {"uri: './Vendor/{{tenant.id}}/A', format: int, value: 1", ""},
        {"uri: ./Vendor/A, format: chr, value: '{{device.nmae}}'",
            "x.yaml:3:43: settings[0].value: expected one of {{device.name}}, {{device.id}}, {{device.entra_id}}, "
            "{{device.serial}}, {{device.manufacturer}}, {{device.model}}, {{device.os_version}}, {{user.upn}}, "
            "{{user.id}}, {{user.name}}, {{user.domain}}, {{tenant.id}} behind {{ (of which itself is written {{{{), got "
            "'{{device.nmae'\n"},
        {"uri: ./Vendor/A, format: chr, value: '{{device.name'", "got '{{device.name'"},
        {"uri: ./Vendor/A, format: chr, value: '{{ device.name }}'", "got '{{ device.name '"},
        {"uri: ./Vendor/A, admx: {state: enabled, data: {E: '{{x}}'}}",
            "x.yaml:3:56: settings[0].admx.data.E: expected one"},
        {"uri: './Vendor/{{user.id}}/A', format: int, value: 1",
            "settings[0].uri: expected an address with no substitution but {{tenant.id}}, got"},
        {"uri: ./Vendor/A, format: int, value: '{{device.name}}'", "expected a whole number of 32 bits"},
        {"uri: ./Vendor/A, format: int, value: 1, since: soon",
            "settings[0].since: expected the first Windows that has the node such as 10.0.19045.2913, got 'soon'"},
    }));
    CAPTURE(fields);
    if (std::string_view(complaint).empty())
        CHECK(problems_of_setting(fields) == "");
    else
        CHECK_THAT(problems_of_setting(fields), Catch::Contains(complaint));
}

TEST_CASE("a template is text and open places in turns", "[config]") {
    auto const pieces = parse_template("a{{{{b}}{{user.upn}}{{{{{{device.id}}").value();
    REQUIRE(pieces.size() == 4);
    CHECK(pieces[0].text == "a{{b}}");
    CHECK(pieces[1].open == placeholder::user_upn);
    CHECK(pieces[2].text == "{{");
    CHECK(pieces[3].open == placeholder::device_id);
    CHECK(parse_template("").value().empty());
    CHECK(name(placeholder::device_os_version) == "device.os_version");
    CHECK(name(placeholder::tenant_id) == "tenant.id");
}

TEST_CASE("apps are read as they are written", "[config]") {
    std::string const digest(64, 'A');
    auto const got = parse_policy(
        "name: x\napps:\n"
        "  - product_code: \"{aaaaaaaa-2222-3333-4444-55555555555f}\"\n"
        "    url: https://Pkg.Contoso.com/a.msi?sig=1\n"
        "    sha256: " +
            digest +
            "\n"
            "    version: 1.2.3.4\n"
            "    upgrade_code: \"{bbbbbbbb-2222-3333-4444-555555555555}\"\n"
            "    arguments: /quiet ALLUSERS=1\n"
            "    timeout: 1h\n"
            "    retries: 0\n"
            "  - {product_code: \"{cccccccc-2222-3333-4444-555555555555}\", url: a-1.0.MSI, version: 1}\n"
            "  - {product_code: \"{dddddddd-2222-3333-4444-555555555555}\", intent: uninstall}\n",
        "x.yaml");
    REQUIRE(show(got.problems) == "");
    CHECK(got.warnings.empty());
    auto const& all = got.value->apps;
    REQUIRE(all.size() == 3);
    CHECK(all[0].product_code == "{AAAAAAAA-2222-3333-4444-55555555555F}");
    CHECK(all[0].url == "https://pkg.contoso.com/a.msi?sig=1");
    CHECK(all[0].file.empty());
    CHECK(all[0].sha256 == std::string(64, 'a'));
    CHECK(all[0].version == "1.2.3.4");
    CHECK(all[0].upgrade_code == "{BBBBBBBB-2222-3333-4444-555555555555}");
    CHECK(all[0].arguments == "/quiet ALLUSERS=1");
    CHECK(all[0].intent == app_intent::install);
    CHECK(all[0].timeout == 60min);
    CHECK(all[0].retries == 0);
    CHECK(all[0].line == 3);
    CHECK(all[1].file == "a-1.0.MSI");
    CHECK(all[1].url.empty());
    CHECK(all[1].timeout == 30min);
    CHECK(all[1].retries == 3);
    CHECK(all[2].intent == app_intent::uninstall);
}

TEST_CASE("an app that cannot be installed is refused", "[config]") {
    std::string const code = "product_code: '{aaaaaaaa-2222-3333-4444-555555555555}', ";
    std::string const sum = ", sha256: " + std::string(64, '0');
    auto const [fields, complaint] = GENERATE_COPY(table<std::string, std::string>({
        {code + "url: a.msi, version: 1", ""},
        {"url: a.msi, version: 1",
            "apps[0].product_code: expected the package's product code, \"{GUID}\", got nothing"},
        {"product_code: aaaaaaaa-2222-3333-4444-555555555555, url: a.msi, version: 1",
            "apps[0].product_code: expected"},
        {code + "version: 1", "apps[0].url: expected an https URL, or the name of a file in the folder of packages"},
        {code + "url: a.msi", "apps[0].version: expected the package's version such as 1.2.3, got nothing"},
        {code + "url: https://x.example/a.msi, version: 1",
            "apps[0].sha256: expected the SHA-256 of a package that comes"},
        {code + "url: http://x.example/a.msi, version: 1" + sum, "apps[0].url: expected"},
        {code + "url: http://localhost/a.msi, version: 1" + sum, "apps[0].url: expected"},
        {code + "url: ../a.msi, version: 1", "apps[0].url: expected"},
        {code + "url: .a.msi, version: 1", "apps[0].url: expected"},
        {code + "url: a.exe, version: 1", "apps[0].url: expected"},
        {code + "url: a.msi, version: 1.2.3.4.5", "apps[0].version: expected one to four numbers such as 1.2.3"},
        {code + "url: a.msi, version: 1.x", "apps[0].version: expected"},
        {code + "url: a.msi, version: 1.65536", "apps[0].version: expected"},
        {code + "url: a.msi, version: 1, sha256: abc", "apps[0].sha256: expected the SHA-256 of the package in 64"},
        {code + "url: a.msi, version: 1, intent: update", "apps[0].intent: expected install or uninstall"},
        {code + "url: a.msi, version: 1, timeout: 90s", "apps[0].timeout: expected whole minutes from 1m to 24h"},
        {code + "url: a.msi, version: 1, retries: 11", "apps[0].retries: expected a number from 0 to 10"},
        {code + "url: a.msi, version: 1, name: x", "apps[0].name: expected a known key"},
    }));
    CAPTURE(fields);
    if (complaint.empty())
        CHECK(problems_of_app(fields) == "");
    else
        CHECK_THAT(problems_of_app(fields), Catch::Contains(complaint));
}

TEST_CASE("a product is in a policy once", "[config]") {
    CHECK_THAT(
        show(parse_policy("name: x\napps:\n"
                          "  - {product_code: '{aaaaaaaa-2222-3333-4444-555555555555}', url: a.msi, version: 1}\n"
                          "  - {product_code: '{AAAAAAAA-2222-3333-4444-555555555555}', intent: uninstall}\n",
            "x.yaml")
                 .problems),
        Catch::Contains("x.yaml:4:5: apps: expected each product once") && Catch::Contains("(first in line 3)"));
}
