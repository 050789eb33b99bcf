#include "config/load.hpp"
#include "config/node_uri.hpp"
#include "config/pattern.hpp"
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
    CHECK(std::get<min_os_version_rule>(p.rules[0].what).text == "10.0.19045.3803");
    CHECK(std::get<min_os_version_rule>(p.rules[0].what).version.parts[3] == 3803);
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
            "expected one of min_os_version and uri in a rule, got both"},
        {"op: eq, value: 1", "expected min_os_version or uri in a rule, got neither"},
        {"encryption: required", "expected a known key, got 'encryption'"},
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
    auto const got = load_policies(MDMD_SOURCE "/config/policies");
    CHECK(show(got.problems) == "");
    CHECK(got.warnings.empty());
    REQUIRE(got.value);
    CHECK(got.value->size() == 3);
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
