#include "omadm/blank.hpp"

#include "test/support.hpp"

using namespace mdmd;

namespace {

std::string item(std::string_view uri, std::string_view data) {
    return fmt::format("<Item><Target><LocURI>{}</LocURI></Target><Data>{}</Data></Item>", uri, data);
}

}  // namespace

TEST_CASE("what opens something is not shown, the rest is byte for byte", "[omadm][security]") {
    struct row {
        std::string text, shown;
    };
    auto const jwt = std::string("eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln");
    auto const r = GENERATE_COPY(values<row>({
        {"<A> <Data>x</Data>\r\n</A>", "<A> <Data>x</Data>\r\n</A>"},
        {item("./Vendor/MSFT/X/Value", "8"), item("./Vendor/MSFT/X/Value", "8")},
        {"<Cred><Meta><Type>syncml:auth-md5</Type></Meta><Data>c2VjcmV0</Data></Cred>",
            "<Cred><Meta><Type>syncml:auth-md5</Type></Meta><Data>***</Data></Cred>"},
        {"<Chal><Meta><NextNonce xmlns=\"syncml:metinf\">bm9uY2U=</NextNonce></Meta></Chal>",
            "<Chal><Meta><NextNonce xmlns=\"syncml:metinf\">***</NextNonce></Meta></Chal>"},
        {"<Item><Meta><Type xmlns=\"syncml:metinf\"> com.microsoft/MDM/AADUserToken </Type></Meta><Data>abc</Data></Item>",
            "<Item><Meta><Type xmlns=\"syncml:metinf\"> com.microsoft/MDM/AADUserToken </Type></Meta><Data>***</Data></Item>"},
        {item("./X", jwt), item("./X", "***")},
        {item("./Device/Vendor/MSFT/ClientCertificateInstall/PFXCertInstall/1/PFXCertPassword", "pw"),
            item("./Device/Vendor/MSFT/ClientCertificateInstall/PFXCertInstall/1/PFXCertPassword", "***")},
        {item("./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/1/Install/Challenge", "pw"),
            item("./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/1/Install/Challenge", "***")},
        {item("./Vendor/MSFT/WiFi/Profile/Home/WlanXml", "&lt;sharedKey&gt;&lt;keyMaterial&gt;pw"),
            item("./Vendor/MSFT/WiFi/Profile/Home/WlanXml", "***")},
        // The value before the node's name, and prefixes.
        {"<s:Item><s:Data>pw</s:Data><s:Source><s:LocURI>./X/Password</s:LocURI></s:Source></s:Item>",
            "<s:Item><s:Data>***</s:Data><s:Source><s:LocURI>./X/Password</s:LocURI></s:Source></s:Item>"},
        // A secret item does not hide the next one.
        {item("./X/Password", "pw") + item("./X/Y", "8"), item("./X/Password", "***") + item("./X/Y", "8")},
        {"<Data>" + jwt + "</Data>", "<Data>***</Data>"},
        {item("./X", "<![CDATA[" + jwt + "]]>"), item("./X", "***")},
        {item("./X", "<![CDATA[</Data>8<Data>]]>"), item("./X", "<![CDATA[</Data>8<Data>]]>")},
    }));
    CAPTURE(r.text);
    CHECK(omadm::blank(r.text) == r.shown);
}

TEST_CASE("what is no XML ends where it cannot be followed", "[omadm][security]") {
    CHECK(omadm::blank("") == "");
    CHECK(omadm::blank("no tags") == "no tags");
    CHECK(omadm::blank("<A>x<Data>secret") == "<A>x<Data>secret");
    CHECK(omadm::blank("<A>x<B attribute=\"y") == "<A>x");
    CHECK(omadm::blank("</A></B>") == "</A></B>");
}

TEST_CASE("a node's value is shown, unless it opens something", "[omadm][security]") {
    struct row {
        std::string uri, value, shown;
    };
    auto const r = GENERATE(values<row>({
        {"./Vendor/MSFT/X/Value", "8", "8"},
        {"./Vendor/MSFT/X/Value", "", ""},
        {"./Vendor/MSFT/Policy/Config/DeviceLock/DevicePasswordEnabled", "0", "0"},
        {"./Vendor/MSFT/Policy/Config/DeviceLock/AllowPasswordReveal", "true", "true"},
        {"./Vendor/MSFT/VPNv2/Home/Password", "1234", "***"},
        {"./Vendor/MSFT/ClientCertificateInstall/SCEP/1/Install/Challenge", "pw", "***"},
        {"./Vendor/MSFT/WiFi/Profile/Home/WlanXml", "<sharedKey><keyMaterial>pw</keyMaterial></sharedKey>", "***"},
    }));
    CAPTURE(r.uri);
    CHECK(omadm::shown_value(r.uri, r.value) == r.shown);
}
