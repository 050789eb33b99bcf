#include <set>

#include "compliance/contradictions.hpp"
#include "compliance/rules.hpp"
#include "config/load.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::compliance;
using enum outcome;

namespace {

// A rule as a policy has it: "encryption: required".
rule rule_of(std::string const& text) {
    auto const got = config::parse_policy("name: x\ncompliance:\n  rules:\n    - {" + text + "}\n", "x.yaml");
    CAPTURE(text);
    for (auto const& p : got.problems) UNSCOPED_INFO(p.key << ": " << p.text);
    REQUIRE(got.value);
    REQUIRE(got.value->rules.size() == 1);
    return rule(got.value->rules[0]);
}
fact got(std::string value) { return {200, std::move(value), {}}; }
fact refused(int status) { return {status, std::nullopt, {}}; }
finding judged(rule const& r, std::string value) { return r.judge({{r.nodes.front(), got(std::move(value))}}); }

struct row {
    char const* rule;
    char const* value;
    outcome result;
    char const* found = nullptr;  // where it is not the value
};

}  // namespace

TEST_CASE("every rule is judged by every value of its node", "[compliance]") {
    // Values as M C.1 to C.6 list them: DeviceStatus, BitLocker, Defender and Policy CSPs.
    std::vector<row> const table{
        {"min_os_version: 10.0.19045.3803", "10.0.19045.3803", passed},
        {"min_os_version: 10.0.19045.3803", "10.0.22631.1", passed},
        {"min_os_version: 10.0.19045.3803", "10.0.19045.3802", failed},
        {"min_os_version: 10.0.19045.3803", "Windows", outcome::error, "not comparable: Windows"},
        {"min_os_version: 10.0.19045.3803", "", outcome::error, "not comparable: "},
        {"max_os_version: 10.0.19045", "10.0.19045.99999", passed},
        {"max_os_version: 10.0.19045", "10.0.19046.0", failed},
        {"max_os_version: 10.0.19045.3803", "10.0.19045.3804", failed},
        {"max_os_version: 10.0.19045", "ten", outcome::error, "not comparable: ten"},
        {"os_builds: [{lowest: 10.0.19045.3803, highest: 10.0.19045}, {lowest: 10.0.22631, highest: 10.0.22631.9}]",
            "10.0.19045.9000", passed},
        {"os_builds: [{lowest: 10.0.19045.3803, highest: 10.0.19045}, {lowest: 10.0.22631, highest: 10.0.22631.9}]",
            "10.0.22631.9", passed},
        {"os_builds: [{lowest: 10.0.19045.3803, highest: 10.0.19045}, {lowest: 10.0.22631, highest: 10.0.22631.9}]",
            "10.0.22000.1", failed},
        {"os_builds: [{lowest: 10.0.19045, highest: 10.0.19045}]", "x", outcome::error, "not comparable: x"},
        {"encryption: required", "1", passed, "1 (encrypted)"},
        {"encryption: required", "true", passed, "true (encrypted)"},
        {"encryption: required", "0", failed, "0 (not encrypted)"},
        {"encryption: required", "false", failed, "false (not encrypted)"},
        {"encryption: required", "2", outcome::error, "not comparable: 2"},
        {"bitlocker: required", "0", passed},
        {"bitlocker: required", "4", failed, "4 (the system drive is not protected)"},
        {"bitlocker: required", "8200", failed, "8200 (no TPM-only protector, no TPM)"},
        {"bitlocker: required", "1073741824", failed, "1073741824 (not as its policies want it)"},
        {"bitlocker: required", "on", outcome::error, "not comparable: on"},
        {"secure_boot: required", "0", failed, "0 (not supported)"},
        {"secure_boot: required", "1", passed, "1 (on)"},
        {"secure_boot: required", "2", failed, "2 (off)"},
        {"secure_boot: required", "3", outcome::error, "not comparable: 3"},
        {"tpm: required", "2.0, 0, 1.38", passed},
        {"tpm: required", "1.2, 2, 3", passed},
        {"tpm: required", "0.0", failed},
        {"tpm: required", "Not available", failed},
        {"tpm: required", "none", outcome::error, "not comparable: none"},
        {"tpm: \"2.0\"", "2.0, 0, 1.38", passed},
        {"tpm: \"2.0\"", "2.0", passed},
        {"tpm: \"2.0\"", "1.2, 2, 3", failed},
        {"tpm: \"2.0\"", "Not Available", failed},
        {"memory_integrity: required", "0", passed, "0 (running)"},
        {"memory_integrity: required", "1", failed, "1 (a restart is needed)"},
        {"memory_integrity: required", "2", failed, "2 (not configured)"},
        {"memory_integrity: required", "3", failed, "3 (virtualization-based security does not run)"},
        {"memory_integrity: required", "4", outcome::error, "not comparable: 4"},
        {"virtualization_based_security: required", "0", passed, "0 (running)"},
        {"virtualization_based_security: required", "1", failed, "1 (a restart is needed)"},
        {"virtualization_based_security: required", "2", failed, "2 (not a 64-bit system)"},
        {"virtualization_based_security: required", "3", failed, "3 (not licensed)"},
        {"virtualization_based_security: required", "4", failed, "4 (not configured)"},
        {"virtualization_based_security: required", "5", failed, "5 (the hardware does not support it)"},
        {"virtualization_based_security: required", "42", failed, "42 (does not run, for another reason)"},
        {"kernel_dma_protection: required", "1", passed, "1 (on)"},
        {"kernel_dma_protection: required", "2", failed, "2 (off)"},
        {"kernel_dma_protection: required", "0", outcome::error, "not comparable: 0"},
        {"firmware_protection: required", "0", passed, "0 (running)"},
        {"firmware_protection: required", "1", failed, "1 (a restart is needed)"},
        {"firmware_protection: required", "2", failed, "2 (not configured)"},
        {"firmware_protection: required", "3", failed, "3 (the hardware does not support it)"},
        {"firewall: required", "0", passed, "0 (on)"},
        {"firewall: required", "1", failed, "1 (off)"},
        {"firewall: required", "2", failed, "2 (not for everything)"},
        {"firewall: required", "3", unknown, "3 (Windows does not know yet)"},
        {"firewall: required", "4", not_applicable, "4 (not applicable)"},
        {"antivirus: required", "0", passed, "0 (on)"},
        {"antivirus: required", "1", failed, "1 (off)"},
        {"antivirus: required", "2", failed, "2 (not for everything)"},
        {"antivirus: required", "3", unknown, "3 (Windows does not know yet)"},
        {"antivirus: required", "4", not_applicable, "4 (not applicable)"},
        {"antispyware: required", "0", passed, "0 (on)"},
        {"antispyware: required", "1", failed, "1 (off)"},
        {"antispyware: required", "2", failed, "2 (poor)"},
        {"antispyware: required", "3", unknown, "3 (Windows does not know yet)"},
        {"defender: required", "true", passed, "true (on)"},
        {"defender: required", "1", passed, "1 (on)"},
        {"defender: required", "false", failed, "false (off)"},
        {"defender: required", "0", failed, "0 (off)"},
        {"defender: required", "maybe", outcome::error, "not comparable: maybe"},
        {"defender_version: 4.18.23110.3", "4.18.23110.3", passed},
        {"defender_version: 4.18.23110.3", "4.18.24010.12", passed},
        {"defender_version: 4.18.23110.3", "4.18.2211.5", failed},
        {"defender_version: 4.18.23110.3", "0.0.0.0", failed},
        {"defender_version: 4.18.23110.3", "latest", outcome::error, "not comparable: latest"},
        {"defender_signatures: required", "false", passed, "false (current)"},
        {"defender_signatures: required", "true", failed, "true (out of date)"},
        {"realtime_protection: required", "true", passed, "true (on)"},
        {"realtime_protection: required", "false", failed, "false (off)"},
        {"password: required", "0", passed, "0 (required)"},  // 0 is enabled, DeviceLock/DevicePasswordEnabled
        {"password: required", "1", failed, "1 (not required)"},
        {"password: required", "2", outcome::error, "not comparable: 2"},
        {"password_simple: blocked", "0", passed, "0 (blocked)"},
        {"password_simple: blocked", "1", failed, "1 (allowed)"},
        {"password_type: alphanumeric", "0", passed, "0 (alphanumeric)"},
        {"password_type: alphanumeric", "1", failed, "1 (numeric)"},
        {"password_type: alphanumeric", "2", failed, "2 (any)"},
        {"password_type: numeric", "0", passed, "0 (alphanumeric)"},
        {"password_type: numeric", "1", passed, "1 (numeric)"},
        {"password_type: numeric", "2", failed, "2 (any)"},
        {"password_type: device_default", "0", passed, "0 (alphanumeric)"},
        {"password_type: device_default", "1", passed, "1 (numeric)"},
        {"password_type: device_default", "2", passed, "2 (any)"},
        {"password_type: device_default", "3", outcome::error, "not comparable: 3"},
        {"password_min_length: 8", "8", passed},
        {"password_min_length: 8", "16", passed},
        {"password_min_length: 8", "7", failed},
        {"password_min_length: 8", "eight", outcome::error, "not comparable: eight"},
        {"password_min_character_sets: 3", "3", passed},
        {"password_min_character_sets: 3", "4", passed},
        {"password_min_character_sets: 3", "2", failed},
        {"password_expiration_days: 90", "90", passed},
        {"password_expiration_days: 90", "1", passed},
        {"password_expiration_days: 90", "91", failed},
        {"password_expiration_days: 90", "0", failed},  // never
        {"password_history: 5", "5", passed},
        {"password_history: 5", "50", passed},
        {"password_history: 5", "4", failed},
        {"password_lock_after_minutes: 15", "15", passed},
        {"password_lock_after_minutes: 15", "1", passed},
        {"password_lock_after_minutes: 15", "16", failed},
        {"password_lock_after_minutes: 15", "0", failed},  // never
        {"password_after_idle: required", "0", passed, "0 (required)"},
        {"password_after_idle: required", "1", failed, "1 (not required)"},
    };
    std::set<std::string> seen;
    for (auto const& r : table) {
        CAPTURE(r.rule, r.value);
        auto const made = rule_of(r.rule);
        seen.insert(made.name);
        for (auto const* blanks : {"", " ", "\n"}) {
            auto const found = judged(made, r.value + std::string(blanks));
            CHECK(found.result == r.result);
            CHECK(found.found == (r.found ? r.found : r.value));
            CHECK(found.asked);
        }
        // Whatever the rule: what was not answered is unknown.
        for (auto const status : {404, 405, 500, 507, 200}) {
            auto const found = made.judge({{made.nodes.front(), refused(status)}});
            CHECK(found.result == unknown);
            CHECK(found.asked);
        }
        CHECK(made.judge({}).result == unknown);
        CHECK_FALSE(made.judge({}).asked);
    }
    for (auto const& k : config::rule_kinds()) CHECK(seen.contains(std::string(k.name)));
}

TEST_CASE("a rule's second node counts where the first does not say it all", "[compliance]") {
    auto const [text, first, second, result, found] = GENERATE(table<char const*, fact, fact, outcome, char const*>({
        // BitLocker is as its policies want it where there are none: the drive itself decides.
        {"bitlocker: required", got("0"), got("1"), passed, "0"},
        {"bitlocker: required", got("0"), got("0"), failed, "0 (the system drive is not encrypted)"},
        {"bitlocker: required", got("0"), got("false"), failed, "0 (the system drive is not encrypted)"},
        {"bitlocker: required", got("0"), refused(404), passed, "0"},
        {"bitlocker: required", refused(404), got("1"), unknown, "unknown (404)"},
        {"defender_signatures: required", refused(404), got("1"), passed, "1 (current)"},
        {"defender_signatures: required", refused(404), got("0"), failed, "0 (out of date)"},
        {"defender_signatures: required", refused(404), got("2"), not_applicable, "2 (not applicable)"},
        {"defender_signatures: required", refused(404), got("x"), unknown, "unknown (404)"},
        {"defender_signatures: required", refused(404), refused(500), unknown, "unknown (404)"},
        {"defender_signatures: required", got("false"), got("0"), passed, "false (current)"},
    }));
    CAPTURE(text, found);
    auto const r = rule_of(text);
    REQUIRE(r.nodes.size() == 2);
    auto const judged = r.judge({{r.nodes[0], first}, {r.nodes[1], second}});
    CHECK(judged.result == result);
    CHECK(judged.found == found);
}

TEST_CASE("a rule for any node compares by the type that it names", "[compliance]") {
    auto const [text, value, result] = GENERATE(table<char const*, char const*, outcome>({
        {"type: boolean, value: true", "1", passed},
        {"type: boolean, value: true", "TRUE", passed},
        {"type: boolean, value: true", "0", failed},
        {"type: boolean, value: true", "yes", outcome::error},
        {"type: boolean, op: ne, value: 0", "true", passed},
        {"type: integer, value: 10", "010", passed},
        {"type: integer, op: ge, value: 10", "9", failed},
        {"type: integer, op: ge, value: 10", "10.5", outcome::error},
        {"type: number, op: lt, value: 1.5", "1.49", passed},
        {"type: number, op: lt, value: 1.5", "1.5", failed},
        {"type: number, op: le, value: 1.5", "1.50", passed},
        {"type: number, value: 1.5", "15e-1", passed},
        {"type: number, value: 1.5", "nan", outcome::error},
        {"type: number, op: gt, value: 1.5", "one", outcome::error},
        {"type: text, value: 1.0", "1.0.0", failed},  // without a type these are versions, and equal
        {"value: 1.0", "1.0.0", passed},
        {"type: text, op: in, value: [a, b]", "b", passed},
        {"type: text, op: in, value: [a, b]", "B", failed},
        {"type: text, op: matches, value: '^a'", "ab", passed},
        {"type: date_time, op: ge, value: 2026-01-31", "2026-01-31T00:00:00Z", passed},
        {"type: date_time, op: ge, value: 2026-01-31", "2026-01-31T00:30:00+01:00", failed},
        {"type: date_time, op: lt, value: 2026-01-31T12:00:00Z", "2026-01-31", passed},
        {"type: date_time, op: ge, value: 2026-01-31", "31.1.2026", outcome::error},
        {"type: version, op: ge, value: 4", "4.0.0.1", passed},
        {"type: version, op: ge, value: 4.1", "4", failed},
        {"type: version, op: in, value: [1.2, 1.3]", "1.3.0", passed},
        {"type: version, op: in, value: [1.2, 1.3]", "one", outcome::error},
        {"type: version, value: 1.2", "1.2.3.4.5", outcome::error},
    }));
    CAPTURE(text, value);
    CHECK(judged(rule_of(std::string("uri: ./Vendor/MSFT/X/Y, ") + text), value).result == result);
}

TEST_CASE("what passes by itself is unknown to rules for any node too, unless they name it", "[compliance]") {
    auto const [node, text, value, result] = GENERATE(table<char const*, char const*, char const*, outcome>({
        {"./Device/Vendor/MSFT/DeviceStatus/Firewall/Status", "value: 0", "3", unknown},
        {"./Vendor/MSFT/DeviceStatus/Firewall/Status", "op: in, value: [0, 4]", "3", unknown},
        {"./Vendor/MSFT/DeviceStatus/Firewall/Status", "op: in, value: [0, 3]", "3", passed},
        {"./Vendor/MSFT/DeviceStatus/Firewall/Status", "op: ne, value: 3", "3", failed},
        {"./Vendor/MSFT/DeviceStatus/Firewall/Status", "value: 0", "2", failed},
        {"./Vendor/MSFT/DeviceStatus/Antivirus/Status", "value: 0", "3", unknown},
        {"./Vendor/MSFT/DeviceStatus/Antispyware/Status", "op: lt, value: 2", "3", unknown},
        {"./Vendor/MSFT/DeviceStatus/UAC/Status", "value: 0", "3", failed},
    }));
    CAPTURE(node, text, value);
    CHECK(judged(rule_of(std::string("uri: ") + node + ", " + text), value).result == result);
}

TEST_CASE("two rules contradict each other where no answer keeps both", "[compliance]") {
    std::string const any = "uri: ./Vendor/MSFT/X/Y, ";
    std::string const boot = "uri: ./Device/Vendor/MSFT/DeviceStatus/SecureBootState, ";
    auto const [a, b, contradictory] = GENERATE_COPY(table<std::string, std::string, bool>({
        {"min_os_version: 10.0.22631", "max_os_version: 10.0.19045", true},
        {"min_os_version: 10.0.19045", "max_os_version: 10.0.19045", false},
        {"min_os_version: 10.0.19045.1", "min_os_version: 10.0.22631", false},
        {"min_os_version: 10.0.22631", "os_builds: [{lowest: 10.0.19045, highest: 10.0.22000}]", true},
        {"min_os_version: 10.0.20000", "os_builds: [{lowest: 10.0.19045, highest: 10.0.22000}]", false},
        {"os_builds: [{lowest: 10.0.1, highest: 10.0.2}]", "os_builds: [{lowest: 10.0.3, highest: 10.0.4}]", true},
        {"os_builds: [{lowest: 10.0.1, highest: 10.0.3}]", "os_builds: [{lowest: 10.0.3, highest: 10.0.4}]", false},
        {"secure_boot: required", "secure_boot: required", false},
        {"secure_boot: required", boot + "value: 2", true},
        {"secure_boot: required", boot + "op: ne, value: 2", false},
        {"secure_boot: required", boot + "op: exists", false},
        {"secure_boot: required", boot + "op: exists, value: false", true},
        {"secure_boot: required", "encryption: required", false},
        {"password_type: alphanumeric", "password_type: numeric", false},
        {"password_min_length: 8", "password_min_length: 12", false},
        {"password_expiration_days: 30", "password_expiration_days: 60", false},
        {"tpm: required", "tpm: \"2.0\"", false},
        {any + "value: 1", any + "value: 0", true},
        {any + "value: 1", any + "value: true", false},
        {any + "value: 1", any + "op: ne, value: 1", true},
        {any + "value: 1", any + "op: ne, value: 2", false},
        {any + "op: ne, value: 1", any + "op: ne, value: 2", false},
        {any + "value: 5", any + "op: ge, value: 6", true},
        {any + "op: in, value: [1, 2]", any + "op: in, value: [2, 3]", false},
        {any + "op: in, value: [1, 2]", any + "op: in, value: [3]", true},
        {any + "op: gt, value: 5", any + "op: lt, value: 6", true},
        {any + "op: gt, value: 5", any + "op: lt, value: 7", false},
        {any + "op: ge, value: 5", any + "op: le, value: 5", false},
        {any + "op: gt, value: 5", any + "op: le, value: 5", true},
        {any + "type: number, op: gt, value: 1", any + "type: number, op: lt, value: 1.1", false},
        {any + "type: number, op: gt, value: 1.1", any + "type: number, op: lt, value: 1", true},
        {any + "op: ge, value: 10.0.2", any + "op: lt, value: 10.0.1", true},
        {any + "op: ge, value: 10.0.1", any + "op: lt, value: 10.0.2", false},
        {any + "op: ge, value: 1", any + "op: ge, value: 1.2.3", true},
        {any + "type: date_time, op: ge, value: 2026-01-02", any + "type: date_time, op: lt, value: 2026-01-01", true},
        {any + "type: date_time, op: ge, value: 2026-01-01", any + "type: date_time, op: lt, value: 2026-01-02", false},
        {any + "op: matches, value: '^a'", any + "op: matches, value: '^b'", false},  // cannot be said
        {any + "op: matches, value: '^a'", any + "value: b", true},
        {any + "op: matches, value: '^a'", any + "op: in, value: [b, ab]", false},
        {any + "op: matches, value: '^[0-9]+$'", any + "op: ge, value: 5", false},
        {any + "op: exists, value: false", any + "op: matches, value: x", true},
        {any + "op: exists, value: false", any + "op: exists", true},
        {any + "op: exists", any + "op: matches, value: x", false},
    }));
    CAPTURE(a, b);
    CHECK(rule_of(a).contradicts(rule_of(b)) == contradictory);
    CHECK(rule_of(b).contradicts(rule_of(a)) == contradictory);
}

TEST_CASE("rules say what they want and which nodes they need", "[compliance]") {
    auto const [text, wanted, uri] = GENERATE(table<char const*, char const*, char const*>({
        {"min_os_version: 10.0.19045", "ge 10.0.19045", "./DevDetail/SwV"},
        {"max_os_version: 10.0.19045", "le 10.0.19045", "./DevDetail/SwV"},
        {"os_builds: [{lowest: 10.0.1, highest: 10.0.2}, {lowest: 11, highest: 12}]", "in 10.0.1 to 10.0.2, 11 to 12",
            "./DevDetail/SwV"},
        {"encryption: required", "required", "./Vendor/MSFT/DeviceStatus/Compliance/EncryptionCompliance"},
        {"tpm: required", "required", "./Vendor/MSFT/DeviceStatus/TPM/SpecificationVersion"},
        {"tpm: \"2.0\"", "ge 2.0", "./Vendor/MSFT/DeviceStatus/TPM/SpecificationVersion"},
        {"password_min_length: 8", "ge 8", "./Vendor/MSFT/Policy/Result/DeviceLock/MinDevicePasswordLength"},
        {"password_expiration_days: 90", "le 90", "./Vendor/MSFT/Policy/Result/DeviceLock/DevicePasswordExpiration"},
        {"password_simple: blocked", "blocked", "./Vendor/MSFT/Policy/Result/DeviceLock/AllowSimpleDevicePassword"},
        {"uri: ./Device/Vendor/MSFT/X/Y, op: in, value: [a, b]", "in a, b", "./Device/Vendor/MSFT/X/Y"},
    }));
    auto const r = rule_of(text);
    CHECK(r.wanted == wanted);
    CHECK(r.uri == uri);
}

TEST_CASE("who writes policies is told which of their rules contradict each other, and where", "[compliance]") {
    std::vector<config::policy_file> policies;
    auto const add = [&](std::string const& name, std::string const& rules) {
        policies.push_back(
            config::parse_policy("name: " + name + "\ncompliance:\n  rules:\n" + rules, name + ".yaml").value.value());
    };
    add("a", "    - min_os_version: 10.0.22631\n    - encryption: required\n");
    policies.push_back({.name = "settings alone"});
    CHECK(contradictions(policies).empty());
    add("b", "    - tpm: required\n    - max_os_version: 10.0.19045\n");
    auto const found = contradictions(policies);
    REQUIRE(found.size() == 1);
    CHECK(
        found[0].line_text() ==
        "b.yaml:5:23: compliance.rules[1]: 'max_os_version le 10.0.19045' and 'min_os_version ge 10.0.22631' in line 4 "
        "of a.yaml are kept by no device: one that both are for is in conflict");
}
