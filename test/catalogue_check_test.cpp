#include "catalogue/check.hpp"

#include "test/support.hpp"

using namespace mdmd;

namespace {

std::string check(std::string const& text) {
    auto const got = config::parse_policy(text, "x.yaml");
    for (auto const& p : got.problems) UNSCOPED_INFO(p.line_text());
    REQUIRE(got.value);
    std::string out;
    for (auto const& f : catalogue::check(*got.value))
        out += (f.error ? "error: " : "warning: ") + f.what.line_text() + "\n";
    return out;
}

std::string check_setting(std::string const& fields, std::string const& target = "{}") {
    return check("name: x\ntarget: " + target + "\nsettings:\n  - {" + fields + "}\n");
}

}  // namespace

TEST_CASE("what Windows would not take is named with its place", "[catalogue]") {
    auto const [fields, expected] = GENERATE(table<std::string, std::string>({
        {"uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength, format: int, value: 8", ""},
        {"uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength, format: int, value: 17",
            "error: x.yaml:4:102: settings[0].value: expected a number from 4 to 16, got 17\n"},
        {"uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength, format: chr, value: 8",
            "error: x.yaml:4:90: settings[0].format: expected int, got chr\n"},
        {"uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/DevicePasswordEnabled, format: int, value: 2",
            "error: x.yaml:4:100: settings[0].value: expected one of 0, 1, got '2'\n"},
        {"uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLenght, format: int, value: 8",
            "warning: x.yaml:4:11: settings[0].uri: expected a node of Windows', got "
            "'./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLenght', which is not known (did you mean "
            "'./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength'?)\n"},
        {"uri: ./Vendor/MSFT/Contoso/Entirely/Different, format: int, value: 8",
            "warning: x.yaml:4:11: settings[0].uri: expected a node of Windows', got "
            "'./Vendor/MSFT/Contoso/Entirely/Different', which is not known\n"},
        {"uri: ./Vendor/MSFT/DeviceStatus/SecureBootState, format: int, value: 1",
            "error: x.yaml:4:11: settings[0].uri: expected a node that can be set, got "
            "'./Vendor/MSFT/DeviceStatus/SecureBootState', which can only be read\n"},
        {"uri: ./Vendor/MSFT/Reboot/RebootNow, format: 'null'",
            "error: x.yaml:4:11: settings[0].uri: expected a node that can be set, got "
            "'./Vendor/MSFT/Reboot/RebootNow', which can only be executed\n"},
        {"uri: ./Vendor/MSFT/PassportForWork/UseBiometrics, format: bool, value: true",
            "warning: x.yaml:4:11: settings[0].uri: expected a node that is kept up, got "
            "'./Vendor/MSFT/PassportForWork/UseBiometrics', which is deprecated\n"},
        {"uri: './Vendor/MSFT/PassportForWork/{{tenant.id}}/Policies/UsePassportForWork', format: bool, value: true",
            ""},
        // What was not said, or cannot be told, is no mistake.
        {"uri: ./Vendor/MSFT/Policy/Config/Chrome~Policy~googlechrome/HomepageLocation, format: chr, value: <enabled/>",
            ""},
        {"uri: ./Vendor/MSFT/PassportForWork/DeviceUnlock/GroupA, format: chr, value: '{{device.serial}}'", ""},
    }));
    CAPTURE(fields);
    CHECK(check_setting(fields) == expected);
}

TEST_CASE("a node of the other scope is an error that names it", "[catalogue]") {
    CHECK(check_setting(
              "uri: ./User/Vendor/MSFT/BitLocker/RequireDeviceEncryption, format: int, value: 1", "{scope: user}") ==
          "error: x.yaml:4:11: settings[0].uri: expected a node that users have, got "
          "'./User/Vendor/MSFT/BitLocker/RequireDeviceEncryption', which Windows has for the device only: "
          "'./Device/Vendor/MSFT/BitLocker/RequireDeviceEncryption'\n");
}

TEST_CASE("a node that came after the least targeted Windows is a warning", "[catalogue]") {
    std::string const fields =
        "uri: ./Vendor/MSFT/PassportForWork/t/Policies/UseCloudTrustForOnPremAuth, format: bool, value: true";
    CHECK(check_setting(fields) == "");
    CHECK(check_setting(fields, "{min_os_version: 10.0.22621}") == "");
    CHECK_THAT(check_setting(fields, "{min_os_version: 10.0.19045}"),
        Catch::StartsWith("warning: x.yaml:4:11: settings[0].uri: expected a node that every targeted Windows has") &&
            Catch::Contains("which came with 10.0.22621, above target.min_os_version"));
    CHECK(check_setting(fields + ", since: 10.0.19045", "{min_os_version: 10.0.19045}") == "");
}

TEST_CASE("values are judged by the kind of their node", "[catalogue]") {
    auto const [uri, format, value, fits] = GENERATE(table<std::string, std::string, std::string, bool>({
        {"Device/Vendor/MSFT/Policy/Config/InternetExplorer/DisableWebAddressAutoComplete", "chr", "<enabled/>", true},
        {"Device/Vendor/MSFT/Policy/Config/InternetExplorer/DisableWebAddressAutoComplete", "chr",
            "<enabled/><data id=\"a\" value=\"b\"/>", true},
        {"Device/Vendor/MSFT/Policy/Config/InternetExplorer/DisableWebAddressAutoComplete", "chr", " <disabled /> ",
            true},
        {"Device/Vendor/MSFT/Policy/Config/InternetExplorer/DisableWebAddressAutoComplete", "chr", "1", false},
        {"Device/Vendor/MSFT/Policy/Config/InternetExplorer/DisableWebAddressAutoComplete", "chr",
            "<enabled/><data id=a/>", false},
        {"Vendor/MSFT/Firewall/MdmStore/FirewallRules/r/Direction", "chr", "IN", true},
        {"Vendor/MSFT/Firewall/MdmStore/FirewallRules/r/Direction", "chr", "in", true},
        {"Vendor/MSFT/Firewall/MdmStore/FirewallRules/r/Direction", "chr", "BOTH", false},
        {"Vendor/MSFT/Firewall/MdmStore/FirewallRules/r/InterfaceTypes", "chr", "Wireless,Lan", true},
        {"Vendor/MSFT/Firewall/MdmStore/FirewallRules/r/InterfaceTypes", "chr", "Wireless,Wired", false},
        {"Device/Vendor/MSFT/PassportForWork/DeviceUnlock/GroupA", "chr", "{D6886603-9D2F-4EB2-B667-1971041FA96B}",
            true},
        {"Device/Vendor/MSFT/PassportForWork/Biometrics/UseBiometrics", "bool", "false", true},
    }));
    CAPTURE(uri, value);
    auto const got = check_setting("uri: ./" + uri + ", format: " + format + ", value: '" + value + "'");
    if (fits)
        CHECK(got == "");
    else
        CHECK_THAT(got, Catch::StartsWith("error: x.yaml:4:") && Catch::Contains("settings[0].value: expected "));
}

TEST_CASE("what a rule asks for must be there to be read", "[catalogue]") {
    CHECK(check("name: x\ncompliance:\n  rules:\n    - {uri: ./Vendor/MSFT/DeviceStatus/SecureBootSate, value: 1}\n"
                "    - {uri: ./Vendor/MSFT/DeviceStatus/SecureBootState, value: 1}\n"
                "    - {uri: ./Vendor/MSFT/Reboot/RebootNow, value: 1}\n") ==
          "warning: x.yaml:4:13: compliance.rules[0].uri: expected a node of Windows', got "
          "'./Vendor/MSFT/DeviceStatus/SecureBootSate', which is not known (did you mean "
          "'./Vendor/MSFT/DeviceStatus/SecureBootState'?)\n");
}

TEST_CASE("the policies that are shipped are known to Windows", "[catalogue]") {
    auto const got = config::load_policies(test::source("config/policies"));
    REQUIRE(got.value);
    CHECK(got.value->size() == 11);
    for (auto const& f : catalogue::check(*got.value)) {
        UNSCOPED_INFO(f.what.line_text());
        CHECK_FALSE(true);
    }
}
