#include "catalogue/catalogue.hpp"

#include <chrono>
#include <set>

#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::catalogue;

namespace {

std::string found(std::string_view uri) {
    auto const* const n = find(uri);
    return n ? std::string(n->uri) : "none";
}

constexpr char const* lock = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength";

}  // namespace

TEST_CASE("every node of the catalogue is read whole and found by its own address", "[catalogue]") {
    CHECK(all().size() == 5158);  // 5,162 without the four that stand for every policy
    std::set<std::string_view> const formats{"chr", "int", "bool", "node", "null", "b64", "xml", "bin", "time"};
    for (auto const& n : all()) {
        CAPTURE(n.uri);
        CHECK(formats.contains(n.format));
        CHECK(n.access.find_first_not_of("ACDEGR") == n.access.npos);
        CHECK(n.uri.starts_with("./"));
        auto const* const again = find(n.uri);
        REQUIRE(again);
        CHECK(again->uri == n.uri);
    }
}

TEST_CASE(
    "a node is found in any spelling, whatever stands for its free names, and in its scope alone", "[catalogue]") {
    auto const [uri, expected] = GENERATE(table<std::string, std::string>({
        {lock, lock},
        {"./Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength", lock},
        {"./User/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength", "none"},
        {"./vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength", "none"},
        {"./Device/Vendor/MSFT/DeviceStatus/SecureBootState", "./Vendor/MSFT/DeviceStatus/SecureBootState"},
        {"./DevDetail/SwV", "./DevDetail/SwV"},
        {"./Device/Vendor/MSFT/PassportForWork/{{tenant.id}}/Policies/PINComplexity/Digits",
            "./Device/Vendor/MSFT/PassportForWork/*/Policies/PINComplexity/Digits"},
        {"./User/Vendor/MSFT/PassportForWork/8d05/Policies/UsePassportForWork",
            "./User/Vendor/MSFT/PassportForWork/*/Policies/UsePassportForWork"},
        {"./Device/Vendor/MSFT/PassportForWork/Biometrics/UseBiometrics",
            "./Device/Vendor/MSFT/PassportForWork/Biometrics/UseBiometrics"},
        {"./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA%7D/DownloadInstall",
            "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/*/DownloadInstall"},
        {"./Vendor/MSFT/Policy/Config/DeviceLock", "none"},
        {"./Vendor/MSFT/Contoso", "none"},
        {"", "none"},
    }));
    CAPTURE(uri);
    CHECK(found(uri) == expected);
}

TEST_CASE("the node says all that the DDF file does", "[catalogue]") {
    auto const& n = *find(lock);
    CHECK(n.format == "int");
    CHECK(n.access == "ADGR");
    CHECK(n.since == "10.0.10240");
    CHECK(n.standard == "4");
    CHECK(n.how == limit::range);
    CHECK(n.values == "[4-16]");
    CHECK_FALSE(n.deprecated);
    CHECK(find("./Vendor/MSFT/PassportForWork/UseBiometrics")->deprecated);
    CHECK(values_of(*find("./Vendor/MSFT/PassportForWork/x/Policies/PINComplexity/Digits")) ==
          std::vector<std::string_view>{"0", "1", "2"});
    auto const& admx = *find("./User/Vendor/MSFT/Policy/Config/ADMX_WindowsMediaPlayer/DoNotShowAnchor");
    CHECK(admx.how == limit::admx);
    CHECK(admx.values == "DoNotShowAnchor");
}

TEST_CASE("what only has nodes below it is no node and not unknown", "[catalogue]") {
    CHECK(is_interior("./Device/Vendor/MSFT/BitLocker"));
    CHECK(is_interior("./Vendor/MSFT/Policy/Config/DeviceLock"));
    CHECK_FALSE(is_interior(lock));
    CHECK_FALSE(is_interior("./Vendor/MSFT/Contoso"));
}

TEST_CASE("the node that was meant is named", "[catalogue]") {
    auto const [written, expected] = GENERATE(table<std::string, std::string>({
        {"./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePaswordLenght", lock},
        {"./Device/Vendor/MSFT/Policy/DeviceLock/MinDevicePasswordLength", lock},
        {"./Vendor/MSFT/policy/config/devicelock/mindevicepasswordlength", lock},
        {"./Vendor/MSFT/DeviceStatus/SecureBootStat", "./Vendor/MSFT/DeviceStatus/SecureBootState"},
        {"./Device/Vendor/MSFT/PassportForWork/{{tenant.id}}/Policies/PinComplexity/Digit",
            "./Device/Vendor/MSFT/PassportForWork/{{tenant.id}}/Policies/PINComplexity/Digits"},
        {"./User/Vendor/MSFT/PassportForWork/8d05/Policies/UsePassportForWrk",
            "./User/Vendor/MSFT/PassportForWork/8d05/Policies/UsePassportForWork"},
        {"./Device/Vendor/MSFT/Contoso/Entirely/Different", ""},
        {"./" + std::string(1000, '/'), ""},
    }));
    CAPTURE(written);
    CHECK(nearest(written) == expected);
}

TEST_CASE("a thousand look-ups and twenty suggestions take no noticeable time", "[catalogue]") {
    all();
    auto const begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i) CHECK(find(lock));
    for (int i = 0; i < 20; ++i)
        CHECK(nearest("./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePaswordLenght") == lock);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));  // with sanitizers, on a busy machine
}

TEST_CASE("the first Windows of a node is told where it is known", "[catalogue]") {
    CHECK(first_version(std::string(lock)) == os_version{{10, 0, 10240, 0}});
    CHECK(first_version(std::string("./Vendor/MSFT/PassportForWork/x/Policies/UseCloudTrustForOnPremAuth")) ==
          os_version{{10, 0, 22621, 0}});
    // ADMX areas came to Windows 10 with KB5005101.
    CHECK(first_version(std::string("./User/Vendor/MSFT/Policy/Config/ADMX_WindowsMediaPlayer/DoNotShowAnchor")) ==
          os_version{{10, 0, 19041, 1202}});
    // In previews only.
    CHECK_FALSE(first_version(std::string("./Vendor/MSFT/PassportForWork/x/Policies/DisablePostLogonProvisioning")));
    CHECK_FALSE(first_version(std::string("./Vendor/MSFT/Contoso")));
}
