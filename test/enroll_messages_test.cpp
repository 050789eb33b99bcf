#include <fmt/format.h>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "enroll/messages.hpp"
#include "test/support.hpp"
#include "xml/document.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

std::string const soap_ns = "http://www.w3.org/2003/05/soap-envelope";
std::string const wsse_ns = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
std::string const jwt_type = "urn:ietf:params:oauth:token-type:jwt";
std::string const user_token_type =
    "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentUserToken";
std::string const pkcs10 = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment#PKCS10";
std::string const trust = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/";
std::string const discovery_ns = "http://schemas.microsoft.com/windows/management/2012/01/enrollment";
std::string const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJvaWQiOiJ4In0.c2lnbmF0dXJl";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    auto const at = text.find(from);
    if (at == text.npos) throw std::logic_error("not in the text: " + std::string(from));
    return text.replace(at, from.size(), to);
}

std::string envelope(std::string const& header, std::string const& body) {
    return fmt::format(
        R"(<s:Envelope xmlns:s="{}" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:wsse="{}" xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512" xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" xmlns:ac="http://schemas.xmlsoap.org/ws/2006/12/authorization"><s:Header>{}</s:Header><s:Body>{}</s:Body></s:Envelope>)",
        soap_ns, wsse_ns, header, body);
}

std::string discover(std::string const& body) {
    return envelope(
        "<a:Action>http://schemas.microsoft.com/windows/management/2012/01/enrollment/IDiscoveryService/Discover"
        "</a:Action><a:MessageID>urn:uuid:1</a:MessageID>",
        body);
}

std::string const good_discover = discover(
    "<Discover xmlns='http://schemas.microsoft.com/windows/management/2012/01/enrollment'><request>"
    "<EmailAddress>user@contoso.com</EmailAddress><RequestVersion>7.0</RequestVersion>"
    "<DeviceType>CIMClient_Windows</DeviceType><ApplicationVersion>10.0.22631.1</ApplicationVersion>"
    "<OSEdition>4</OSEdition><AuthPolicies><AuthPolicy>OnPremise</AuthPolicy>"
    "<AuthPolicy>Federated</AuthPolicy></AuthPolicies></request></Discover>");

std::string get_policies(std::string const& security) {
    return envelope(
        "<a:Action>http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPolicies</a:Action>" +
            security,
        "<GetPolicies xmlns='http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy'><client/></GetPolicies>");
}

std::string security(std::string const& tokens) { return "<wsse:Security>" + tokens + "</wsse:Security>"; }

std::string binary_token(std::string const& type, std::string const& text) {
    return fmt::format("<wsse:BinarySecurityToken ValueType='{}'>{}</wsse:BinarySecurityToken>", type, text);
}

std::string const mandatory_items =
    "<ac:ContextItem Name='DeviceID'><ac:Value>D1</ac:Value></ac:ContextItem>"
    "<ac:ContextItem Name='EnrollmentType'><ac:Value>Full</ac:Value></ac:ContextItem>"
    "<ac:ContextItem Name='DeviceType'><ac:Value>CIMClient_Windows</ac:Value></ac:ContextItem>"
    "<ac:ContextItem Name='OSVersion'><ac:Value>10.0.22631.1</ac:Value></ac:ContextItem>";

struct rst {
    std::string type = trust + "Issue";
    std::string value_type = pkcs10;
    std::string token = base64("\x30\x03request");
    std::string items = mandatory_items;
    std::string header = security(binary_token(jwt_type, base64(jwt)));
    std::string text() const {
        return envelope(
            "<a:Action>http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RST/wstep</a:Action>"
            "<a:MessageID>urn:uuid:3</a:MessageID>" +
                header,
            fmt::format("<wst:RequestSecurityToken><wst:RequestType>{}</wst:RequestType>{}"
                        "<ac:AdditionalContext>{}</ac:AdditionalContext></wst:RequestSecurityToken>",
                type, token.empty() ? "" : binary_token(value_type, token), items));
    }
};

enroll::credential credential_with(std::string const& header) {
    return enroll::parse_policies_request(get_policies(header)).value().who;
}

std::string kind(enroll::credential const& who) {
    constexpr char const* names[] = {"none", "entra", "user token", "user name", "certificate", "unreadable"};
    return names[who.index()];
}

std::string utf16le(std::string_view ascii, bool mark) {
    std::string out = mark ? "\xff\xfe" : "";
    for (char const c : ascii) (out += c) += '\0';
    return out;
}

std::string const id = "urn:uuid:748132ec-a575-4329-b01b-6171a9cf8478";
std::string const guid = "0f1e2d3c-1111-4222-8333-444455556666";

}  // namespace

TEST_CASE("a real Windows Discover is read", "[enroll][trace]") {
    auto const text = test::trace("windows10-enroll-manage-unenroll/02-discovery.request.body.xml");
    if (!text) return;
    auto const r = enroll::parse_discover(*text).value();
    CHECK(r.message_id == "urn:uuid:748132ec-a575-4329-b01b-6171a9cf8478");
    CHECK(r.email == "demo@fleetdm.ngrok.io");
    CHECK(r.request_version == "4.0");
    CHECK(r.device_type == "CIMClient_Windows");
    CHECK(r.application_version == "10.0.19043.2364");
    CHECK(r.os_edition == "72");
    CHECK(r.auth_policies == std::vector<std::string>{"OnPremise", "Federated"});
}

TEST_CASE("a real Windows GetPolicies is read with its user name and password", "[enroll][trace]") {
    auto const text = test::trace("windows10-enroll-manage-unenroll/03-xcep-getpolicies.request.body.xml");
    if (!text) return;
    auto const r = enroll::parse_policies_request(*text).value();
    CHECK(r.message_id == "urn:uuid:72048B64-0F19-448F-8C2E-B4C661860AA0");
    auto const& who = std::get<enroll::username_token>(r.who);
    CHECK(who.username == "demio");
    CHECK(who.password.reveal() == "demo");
}

TEST_CASE("a real Windows RequestSecurityToken is read", "[enroll][trace]") {
    auto const text = test::trace("windows10-enroll-manage-unenroll/04-wstep-rst.request.body.xml");
    if (!text) return;
    auto const r = enroll::parse_token_request(*text).value();
    CHECK(r.message_id == "urn:uuid:0d5a1441-5891-453b-becf-a2e5f6ea3749");
    CHECK(std::get<enroll::username_token>(r.who).username == "demio");
    CHECK(r.request_type == "Issue");
    CHECK(r.value_type == pkcs10);
    CHECK(r.item("DeviceID") == "B5B954E81FBCB94EB79BD08BE625F4EE");
    CHECK(r.item("EnrollmentType") == "Full");
    CHECK(r.item("osversion") == "10.0.19043.2364");
    CHECK(r.item("DeviceName") == "DESKTOP-28FGAI6");
    CHECK(r.item("MAC") == "00-0C-29-51-60-9D");
    CHECK(std::count_if(r.context.begin(), r.context.end(), [](auto const& i) { return i.name == "MAC"; }) == 6);
    CHECK(r.item_is_true("UXInitiated"));
    CHECK_FALSE(r.item_is_true("NotInOobe"));
    CHECK(r.item("EnrollmentData").empty());
    if (auto const der = test::trace("csr/A-win10-19043.der")) CHECK(hex(r.binary) == hex(*der));
}

TEST_CASE("a documented renewal's envelope is read once a token stands in its place", "[enroll][trace]") {
    auto const sample = test::trace("documentation-samples/learn-robo-renew.request.xml");
    if (!sample) return;
    auto const r =
        enroll::parse_token_request(replaced(*sample, "BinarySecurityTokenInsertedHere", base64("\x30\x02ok")));
    REQUIRE(r);
    CHECK(r->request_type == "Renew");
    CHECK(r->binary == "\x30\x02ok");
    CHECK(std::get<enroll::username_token>(r->who).password.empty());
    CHECK(r->item("ApplicationVersion") == "5.0.7616.0");
}

TEST_CASE("spellings that senders use mean the same Discover", "[enroll]") {
    auto const plain = std::string("'") + discovery_ns + "'";
    auto const [from, to] = GENERATE_REF(table<std::string, std::string>({
        {"user@contoso.com", "\n   user@contoso.com\n  "},
        {"<Discover xmlns=" + plain, "<Discover xmlns='" + discovery_ns + "/'"},
        {"enrollment/IDiscoveryService/Discover</a:Action>", "enrollment/IDiscoveryService/Discover\r\n</a:Action>"},
        {"<AuthPolicy>OnPremise</AuthPolicy>", "<AuthPolicy> OnPremise </AuthPolicy><AuthPolicy/>"},
        {"<request>", "<request xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><OSVersion>1</OSVersion>"},
        {"<s:Header>", "<s:Header><x:New xmlns:x='urn:x' s:mustUnderstand='1'/>"},
    }));
    CAPTURE(to);
    auto const r = enroll::parse_discover(replaced(good_discover, from, to));
    REQUIRE(r);
    CHECK(r->email == "user@contoso.com");
    CHECK(r->auth_policies == std::vector<std::string>{"OnPremise", "Federated"});
    CHECK(r->message_id == "urn:uuid:1");
}

TEST_CASE("an authentication policy without its own element is read", "[enroll]") {
    auto const r = enroll::parse_discover(replaced(
        good_discover, "<AuthPolicy>OnPremise</AuthPolicy><AuthPolicy>Federated</AuthPolicy>", " Certificate "));
    CHECK(r.value().auth_policies == std::vector<std::string>{"Certificate"});
}

TEST_CASE("what is not a Discover is malformed", "[enroll][security]") {
    auto const text = GENERATE_REF(values<std::string>({
        "",
        "hello",
        good_discover.substr(0, good_discover.size() - 5),
        "<!DOCTYPE s>" + good_discover,
        "<?xml version='1.0' encoding='UTF-16'?>" + good_discover,
        replaced(good_discover, soap_ns, "http://schemas.xmlsoap.org/soap/envelope/"),
        replaced(good_discover, "IDiscoveryService/Discover<", "IDiscoveryService/Other<"),
        replaced(good_discover, discovery_ns + "'", "urn:other'"),
        replaced(replaced(good_discover, "<request>", ""), "</request>", ""),
        replaced(good_discover, "<EmailAddress>user@contoso.com</EmailAddress>", ""),
        replaced(good_discover, "<RequestVersion>7.0</RequestVersion>", ""),
        replaced(good_discover, "<AuthPolicy>OnPremise</AuthPolicy><AuthPolicy>Federated</AuthPolicy>", ""),
        replaced(good_discover, "</s:Body>", "</s:Body><s:Body/>"),
        discover(""),
        discover("<x/>"),
    }));
    CAPTURE(text);
    auto const r = enroll::parse_discover(text);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::malformed);
}

TEST_CASE("a request without an action is known by its body, one with another's action is not", "[enroll]") {
    auto const action = std::string(
        "<a:Action>http://schemas.microsoft.com/windows/management/2012/01/enrollment/IDiscoveryService/Discover"
        "</a:Action>");
    CHECK(enroll::parse_discover(replaced(good_discover, action, "")));
    CHECK_FALSE(enroll::parse_token_request(good_discover));
    CHECK_FALSE(enroll::parse_policies_request(rst{}.text()));
}

TEST_CASE("requests beyond the limits are too large", "[enroll][security]") {
    std::string deep;
    for (int i = 0; i < 1000; ++i) deep += "<a>";
    CHECK(enroll::parse_discover(deep).error().code == errc::too_large);
    CHECK(enroll::parse_policies_request(std::string(2 << 20, ' ')).error().code == errc::too_large);
    CHECK(enroll::parse_token_request(deep).error().code == errc::too_large);
}

TEST_CASE("GetPolicies needs its client", "[enroll]") {
    CHECK(enroll::parse_policies_request(get_policies("")));
    CHECK(enroll::parse_policies_request(replaced(get_policies(""), "<client/>", "")).error().code == errc::malformed);
}

TEST_CASE("each kind of credential is told apart", "[enroll][security]") {
    auto const user = std::string("<wsse:UsernameToken><wsse:Username>u</wsse:Username></wsse:UsernameToken>");
    auto const signature = std::string("<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/>");
    auto const token = base64("0123456789abcdef");
    auto const [header, expected] = GENERATE_REF(table<std::string, std::string>({
        {"", "none"},
        {security(""), "none"},
        {security("<u:Timestamp u:Id='_0'/>"), "none"},
        {security(binary_token(jwt_type, base64(jwt))), "entra"},
        {security(binary_token(" " + jwt_type + " ", base64(jwt))), "entra"},
        {security(binary_token(jwt_type, base64(jwt)) + signature), "entra"},
        {security(binary_token(user_token_type, base64(jwt))), "entra"},
        {security(binary_token(user_token_type, base64(utf16le(jwt, false)))), "entra"},
        {security(binary_token(user_token_type, token)), "user token"},
        {security(binary_token(user_token_type, base64("eyJ.only-two"))), "user token"},
        {security(binary_token(user_token_type, token) + signature), "certificate"},
        {security(binary_token("X509v3", token)), "certificate"},
        {security(binary_token(
             "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3", token)),
            "certificate"},
        {security(signature), "certificate"},
        {security(user), "user name"},
        {security(binary_token(jwt_type, jwt)), "unreadable"},
        {security(binary_token(jwt_type, "")), "unreadable"},
        {security(binary_token(jwt_type, base64("\r\n"))), "unreadable"},
        {security(binary_token(user_token_type, "%%")), "unreadable"},
        {security(binary_token("urn:other", token)), "unreadable"},
        {security("<wsse:BinarySecurityToken>" + token + "</wsse:BinarySecurityToken>"), "unreadable"},
        {security(binary_token(jwt_type, base64(jwt)) + binary_token(jwt_type, base64(jwt))), "unreadable"},
        {security(binary_token(jwt_type, base64(jwt)) + user), "unreadable"},
        {security(binary_token(jwt_type, base64(jwt))) + security(user), "unreadable"},
        {security(user + user), "unreadable"},
        {security("<wsse:UsernameToken/>"), "unreadable"},
        {security("<wsse:UsernameToken><wsse:Username> </wsse:Username></wsse:UsernameToken>"), "unreadable"},
        {security("<wsse:UsernameToken><wsse:Username>u</wsse:Username><wsse:Password>a</wsse:Password>"
                  "<wsse:Password>b</wsse:Password></wsse:UsernameToken>"),
            "unreadable"},
        {security("<wsse:UsernameToken><wsse:Username>u</wsse:Username><wsse:Password Type='x#PasswordDigest'>a"
                  "</wsse:Password></wsse:UsernameToken>"),
            "unreadable"},
    }));
    CAPTURE(header);
    CHECK(kind(credential_with(header)) == expected);
}

TEST_CASE("a token's text is the same however it was wrapped", "[enroll]") {
    auto const wrapped = base64(jwt).insert(8, "\r\n  ").insert(30, "\n");
    auto const [type, text] = GENERATE_REF(table<std::string, std::string>({
        {jwt_type, base64(jwt)},
        {jwt_type, "\n " + wrapped + "\n"},
        {jwt_type, base64(jwt + "\r\n")},
        {jwt_type, base64(utf16le(jwt, false))},
        {jwt_type, base64(utf16le(jwt, true))},
        {jwt_type, base64(utf16le(jwt + "\n", true))},
        {user_token_type, wrapped},
        {user_token_type, base64(utf16le(jwt, true))},
    }));
    CAPTURE(text);
    auto const who = credential_with(security(binary_token(type, text)));
    REQUIRE(kind(who) == "entra");
    CHECK(std::get<enroll::entra_token>(who).jwt.reveal() == jwt);
}

TEST_CASE("prefixed and plain attributes, prefixed and default namespaces mean the same", "[enroll]") {
    auto const element = GENERATE_REF(values<std::string>({
        fmt::format(
            "<wsse:BinarySecurityToken wsse:ValueType='{}'>{}</wsse:BinarySecurityToken>", jwt_type, base64(jwt)),
        fmt::format("<wsse:BinarySecurityToken u:ValueType='{}'>{}</wsse:BinarySecurityToken>", jwt_type, base64(jwt)),
        fmt::format(
            "<BinarySecurityToken xmlns='{}' ValueType='{}'>{}</BinarySecurityToken>", wsse_ns, jwt_type, base64(jwt)),
        fmt::format("<o:BinarySecurityToken xmlns:o='{}' o:ValueType='{}'>{}</o:BinarySecurityToken>", wsse_ns,
            jwt_type, base64(jwt)),
    }));
    CAPTURE(element);
    CHECK(kind(credential_with(security(element))) == "entra");
    CHECK(kind(credential_with(fmt::format("<Security xmlns='{}'>{}</Security>", wsse_ns, element))) == "entra");
}

TEST_CASE("a password is taken as it is, blanks included, and may be missing or empty", "[enroll]") {
    auto const [password, expected] = GENERATE(table<std::string, std::string>({
        {"<wsse:Password>a b </wsse:Password>", "a b "},
        {"<wsse:Password Type='http://docs.oasis-open.org/wss/2004/01/"
         "oasis-200401-wss-username-token-profile-1.0#PasswordText'>&lt;&amp;</wsse:Password>",
            "<&"},
        {"<wsse:Password></wsse:Password>", ""},
        {"", ""},
    }));
    auto const who =
        credential_with(security("<wsse:UsernameToken u:Id='constant'><wsse:Username>\n DOMAIN\\user "
                                 "</wsse:Username>" +
                                 password + "</wsse:UsernameToken>"));
    REQUIRE(kind(who) == "user name");
    CHECK(std::get<enroll::username_token>(who).username == "DOMAIN\\user");
    CHECK(std::get<enroll::username_token>(who).password.reveal() == expected);
}

TEST_CASE("why a credential is unreadable does not tell the credential", "[enroll][security]") {
    auto const who = credential_with(security(binary_token(jwt_type, "se.cr.et")));
    CHECK(std::get<enroll::unreadable_credential>(who).why.find("se.cr.et") == std::string::npos);
}

TEST_CASE("an Issue request is read with repeated, unknown and oddly spaced context items", "[enroll]") {
    rst r;
    r.items +=
        "<ac:ContextItem Name='MAC'><ac:Value>A</ac:Value></ac:ContextItem>"
        "<ac:ContextItem Name='MAC'><ac:Value>B</ac:Value></ac:ContextItem>"
        "<ac:ContextItem Name='Invented'><ac:Value>x</ac:Value></ac:ContextItem>"
        "<ac:ContextItem ac:Name='NotInOobe'><ac:Value> True\n</ac:Value></ac:ContextItem>"
        "<ac:ContextItem Name=' UXInitiated '><ac:Value>1</ac:Value></ac:ContextItem>"
        "<ac:ContextItem Name='WhiteGlove'><ac:Value>False</ac:Value></ac:ContextItem>"
        "<ac:ContextItem Name='EnrollmentData'/><ac:ContextItem><ac:Value>no name</ac:Value></ac:ContextItem>"
        "<ac:ContextItem Name='EmmDeviceID'><ac:Value>e</ac:Value></ac:ContextItem>";
    r.token = "\n" + r.token.substr(0, 4) + "\r\n\t" + r.token.substr(4) + " ";
    auto const got = enroll::parse_token_request(r.text());
    REQUIRE(got);
    CHECK(got->binary == "\x30\x03request");
    CHECK(got->context.size() == 12);
    CHECK(got->item("MAC") == "A");
    CHECK(got->item("Invented") == "x");
    CHECK(got->item_is_true("NotInOobe"));
    CHECK(got->item_is_true("UXInitiated"));
    CHECK_FALSE(got->item_is_true("WhiteGlove"));
    CHECK_FALSE(got->item_is_true("absent"));
    CHECK(got->item("EnrollmentData").empty());
    CHECK(got->item("EmmDeviceId") == "e");
    CHECK(std::get<enroll::entra_token>(got->who).jwt.reveal() == jwt);
}

TEST_CASE("a request for a token that lacks or confuses something is malformed", "[enroll][security]") {
    auto const good = rst{}.text();
    auto const without = [&](std::string const& name) {
        return replaced(good, fmt::format("<ac:ContextItem Name='{}'>", name), "<ac:ContextItem Name='Other'>");
    };
    auto const text = GENERATE_REF(values<std::string>({
        rst{.type = "Issue"}.text(),
        rst{.type = trust + "Cancel"}.text(),
        rst{.type = trust + "issue"}.text(),
        rst{.type = trust}.text(),
        rst{.type = "http://docs.oasis-open.org/ws-sx/ws-trust/200512Issue"}.text(),
        rst{.type = ""}.text(),
        rst{.value_type = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment#PKCS7"}.text(),
        rst{.value_type = ""}.text(),
        rst{.value_type = "X509v3"}.text(),
        rst{.token = ""}.text(),
        rst{.token = "not base64!"}.text(),
        rst{.token = " "}.text(),
        rst{.token = base64("\x30") + "</wsse:BinarySecurityToken><wsse:BinarySecurityToken>"}.text(),
        rst{.type = trust + "Renew"}.text(),
        rst{.type = trust + "Renew", .value_type = wsse_ns + "#PKCS7", .token = base64("plain")}.text(),
        rst{.type = trust + "Renew", .value_type = wsse_ns + "#PKCS7", .token = "!"}.text(),
        rst{.items = ""}.text(),
        without("DeviceID"),
        without("EnrollmentType"),
        without("DeviceType"),
        without("OSVersion"),
        replaced(good, "<ac:Value>D1</ac:Value>", "<ac:Value> </ac:Value>"),
    }));
    CAPTURE(text);
    auto const r = enroll::parse_token_request(text);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::malformed);
    CHECK(r.error().detail.find(jwt) == std::string::npos);
}

TEST_CASE("a renewal is read in both value types, encoded once or twice, without context items", "[enroll]") {
    std::string const cms = "\x30\x82 a PKCS#7";
    auto const type = GENERATE_COPY(
        values<std::string>({wsse_ns + "#PKCS7", "http://schemas.microsoft.com/windows/pki/2009/01/enrollment#PKCS7"}));
    auto const token = GENERATE_COPY(values<std::string>({base64(cms), base64(base64(cms))}));
    auto const header = GENERATE(values<std::string>(
        {"", "<wsse:Security><wsse:UsernameToken><wsse:Username>u</wsse:Username><wsse:Password/>"
             "</wsse:UsernameToken></wsse:Security>"}));
    auto const r = enroll::parse_token_request(
        rst{.type = trust + "Renew", .value_type = type, .token = token, .items = "", .header = header}.text());
    REQUIRE(r);
    CHECK(r->request_type == "Renew");
    CHECK(r->value_type == type);
    CHECK(r->binary == cms);
}

TEST_CASE("a recovery is read with and without a body token", "[enroll]") {
    CHECK(enroll::parse_token_request(rst{.type = trust + "Recovery"}.text()).value().request_type == "Recovery");
    CHECK(enroll::parse_token_request(rst{.type = trust + "Recovery", .token = "", .items = ""}.text()));
}

TEST_CASE("a MessageID is kept to the letter", "[enroll]") {
    auto const [sent, expected] = GENERATE(table<std::string, std::string>({
        {"urn:uuid:1", "urn:uuid:1"},
        {"urn:uuid: 7481", "urn:uuid: 7481"},
        {" urn:uuid:1\n", " urn:uuid:1\n"},
        {"&lt;&amp;&#13;\"", "<&\r\""},
        {" \n", ""},
    }));
    auto const text = replaced(good_discover, "urn:uuid:1<", sent + "<");
    CHECK(enroll::parse_discover(text).value().message_id == expected);
    CHECK(enroll::message_id_of(text) == expected);
    if (expected.empty()) return;
    auto const answer = enroll::fault(enroll::operation::discover, enroll::refusal::internal, "", expected, guid);
    CHECK(enroll::message_id_of(
              replaced(replaced(answer, "a:RelatesTo", "a:MessageID"), "/a:RelatesTo", "/a:MessageID")) == expected);
}

TEST_CASE("the MessageID of a message that is otherwise wrong is found, and of a non-message is empty", "[enroll]") {
    CHECK(enroll::message_id_of(discover("<x/>")) == "urn:uuid:1");
    auto const text = GENERATE(values<std::string>({"", "hello", "<a/>", "<!DOCTYPE a><a/>"}));
    CHECK(enroll::message_id_of(text).empty());
}

TEST_CASE("the enrollment version is the asked one within 3.0 and 4.0", "[enroll]") {
    auto const [asked, expected] = GENERATE(table<std::string, std::string>({
        {"1.0", "3.0"},
        {"3.0", "3.0"},
        {"3", "3.0"},
        {"4.0", "4.0"},
        {" 4.0 ", "4.0"},
        {"5.0", "4.0"},
        {"7.0", "4.0"},
        {"10.0", "4.0"},
        {"99999999999999999999.0", "4.0"},
        {"", "4.0"},
        {"x", "4.0"},
        {"-1", "4.0"},
        {"3x", "4.0"},
    }));
    CAPTURE(asked);
    CHECK(enroll::version_for(asked) == expected);
}

TEST_CASE("answers are the protocol's, element by element", "[enroll][golden]") {
    enroll::discover_answer const urls{.auth_policy = "Federated",
        .enrollment_version = "4.0",
        .policy_url = "https://mdm.contoso.com/EnrollmentServer/Policy.svc",
        .enrollment_url = "https://mdm.contoso.com/EnrollmentServer/Enrollment.svc?a=1&b=2"};
    test::matches_golden("enroll/discover-response.xml", enroll::discover_response(urls, id, guid));
    test::matches_golden("enroll/policies-response.xml",
        enroll::policies_response({.validity = std::chrono::days(365), .renewal = std::chrono::days(60)}, id));
    auto const now = parse_rfc3339("2026-01-31T23:59:59Z").value();
    test::matches_golden(
        "enroll/token-response.xml", enroll::token_response("<wap-provisioningdoc version=\"1.1\"/>", id, now));
}

TEST_CASE("an answer to a request without a MessageID relates to nothing", "[enroll]") {
    for (auto const& text : {enroll::discover_response({}, "", guid),
             enroll::policies_response({.validity = 1h, .renewal = 1s}, ""), enroll::token_response("x", "", {}),
             enroll::fault(enroll::operation::request_token, enroll::refusal::internal, "", "", guid)}) {
        CHECK(xml::parse(text));
        CHECK(text.find("RelatesTo") == std::string::npos);
    }
}

TEST_CASE("each refusal has its fault", "[enroll][golden]") {
    std::string all;
    for (int i = 0; i <= static_cast<int>(enroll::refusal::invalid_enrollment_data); ++i) {
        auto const what = static_cast<enroll::refusal>(i);
        auto const& f = enroll::facts(what);
        CHECK(f.what == what);
        auto const text = enroll::fault(enroll::operation::request_token, what, "", id, guid);
        CHECK(xml::parse(text));
        all += fmt::format("0x{:08x} {} {}\n{}\n\n", f.hresult, f.constant, f.category, text);
    }
    test::matches_golden("enroll/faults.txt", all);
}

TEST_CASE("a fault answers with the action of its operation", "[enroll][golden]") {
    test::matches_golden("enroll/fault-discover.xml",
        enroll::fault(enroll::operation::discover, enroll::refusal::message_format, "no <EmailAddress>", id, guid));
    test::matches_golden("enroll/fault-get-policies.xml",
        enroll::fault(enroll::operation::get_policies, enroll::refusal::authentication, "", id, guid));
}

TEST_CASE("a fault can be written whatever its text holds", "[enroll][security]") {
    auto const text = GENERATE(values<std::string>(
        {"<&>\"'", "\x01\x1b[0m", "\xff\xfe", "\xef\xbf\xbf\xef\xbf\xbe", "]]>", std::string(100'000, 'x'), "a\r\nb"}));
    auto const answer = enroll::fault(enroll::operation::discover, enroll::refusal::internal, text, id, guid);
    auto const parsed = xml::parse(answer);
    REQUIRE(parsed);
    CHECK(answer.size() < 3000);
}
