#include <boost/json.hpp>

#include "core/random.hpp"
#include "core/text.hpp"
#include "http/server.hpp"
#include "sim/device.hpp"
#include "sim/provisioning.hpp"
#include "sim/tenant.hpp"
#include "sim/terms_client.hpp"
#include "test/support.hpp"
#include "xml/document.hpp"

using namespace mdmd;

namespace {

constexpr char s_ns[] = "http://www.w3.org/2003/05/soap-envelope";
constexpr char a_ns[] = "http://www.w3.org/2005/08/addressing";
constexpr char o_ns[] = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
constexpr char wst_ns[] = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";

std::string replaced(std::string text, std::string const& what, std::string const& with) {
    auto const at = text.find(what);
    if (at == text.npos) throw std::runtime_error("nothing to replace: " + what);
    return text.replace(at, what.size(), with);
}

struct request_facts {
    std::string message_id, token, binary, request_type;
    std::map<std::string, std::string> context;
};

request_facts read_request(std::string const& body) {
    auto const doc = xml::parse(body).value();
    request_facts f;
    auto const& header = *xml::child(doc.content, s_ns, "Header");
    f.message_id = xml::child(header, a_ns, "MessageID")->data();
    if (auto const* const sec = xml::child(header, o_ns, "Security"))
        if (auto const* const token = xml::child(*sec, o_ns, "BinarySecurityToken"))
            f.token = unbase64(token->data()).value();
    auto const* const rst = xml::child(*xml::child(doc.content, s_ns, "Body"), wst_ns, "RequestSecurityToken");
    if (!rst) return f;
    f.request_type = xml::child(*rst, wst_ns, "RequestType")->data();
    f.binary = unbase64(xml::child(*rst, o_ns, "BinarySecurityToken")->data()).value();
    constexpr char auth_ns[] = "http://schemas.xmlsoap.org/ws/2006/12/authorization";
    for (auto const* item : xml::children(*xml::child(*rst, auth_ns, "AdditionalContext"), auth_ns, "ContextItem"))
        f.context[std::string(*xml::attribute(*item, "", "Name"))] = xml::child(*item, auth_ns, "Value")->data();
    return f;
}

// The public key of a PKCS#10: the SubjectPublicKeyInfo of a 2048-bit RSA key has a beginning of its own.
std::string public_key_of(std::string const& pkcs10) {
    auto const at =
        pkcs10.find(std::string("\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 17));
    return pkcs10.substr(at, 294);
}

// A management server as small as can be that does everything right, until a test makes it do one thing wrong.
class scripted_server {
public:
    scripted_server() : root_(sim::make_authority("Scripted root")), tls_(sim::make_authority("Scripted TLS root")) {
        auto const own = sim::make_server(tls_, {"mdm.contoso.test"});
        auto const open = http::make_tls({own.own.pem(), secret(own.key.pem())}).value();
        auto const mutual =
            http::make_tls({own.own.pem(), secret(own.key.pem()), root_.own.pem(), http::client_certificates::required})
                .value();
        port_ = server_.listen(
            "127.0.0.1", 0, {{.host = "mdm.contoso.test", .tls = open, .handle = [this](http::request const& r) {
                                  return enroll(r);
                              }}});
        management_port_ = server_.listen(
            "127.0.0.1", 0, {{.host = "mdm.contoso.test", .tls = mutual, .handle = [this](http::request const& r) {
                                  return manage(r);
                              }}});
        server_.start();
    }

    std::string url(std::string const& path) const { return fmt::format("https://mdm.contoso.test:{}{}", port_, path); }
    std::string management_url() const {
        return fmt::format("https://mdm.contoso.test:{}/ManagementServer/MDM.svc", management_port_);
    }
    sim::network net() const {
        return {.server_ca_pem = tls_.own.pem(),
            .connect_to = {{fmt::format("mdm.contoso.test:{}", port_), fmt::format("127.0.0.1:{}", port_)},
                {fmt::format("mdm.contoso.test:{}", management_port_), fmt::format("127.0.0.1:{}", management_port_)}}};
    }
    sim::join_options join(sim::tenant const& t) const {
        sim::join_options o;
        o.tenant = sim::tenant_access{t.url(), t.tenant_id(), t.client_id(), t.app_id(), t.ca_pem(), t.control_token()};
        o.user = "ada@contoso.com";
        o.terms_url = url("/TermsOfUse");
        o.discovery_url = url("/EnrollmentServer/Discovery.svc");
        o.net = net();
        return o;
    }

    // What a test changes: the text of the answer on a path, and the provisioning document.
    std::map<std::string, std::function<std::string(std::string)>> change;
    std::function<std::string(std::string)> change_document = [](std::string s) { return s; };
    std::string commands;  // for the first message of every session
    bool decline_button = false;
    std::optional<http::response> terms_answer;
    request_facts last_request;
    std::vector<http::request> seen;

private:
    http::response soap(
        http::request const& r, std::string const& action, std::string const& message_id, std::string const& body) {
        auto text = fmt::format(
            "<s:Envelope xmlns:s=\"{}\" xmlns:a=\"{}\"><s:Header><a:Action s:mustUnderstand=\"1\">{}</a:Action>"
            "<a:RelatesTo>{}</a:RelatesTo></s:Header><s:Body>{}</s:Body></s:Envelope>",
            s_ns, a_ns, action, message_id, body);
        if (change.contains(r.path)) text = change[r.path](text);
        return {.status = text.find("s:Fault") == text.npos ? 200 : 500,
            .headers = {{"Content-Type", "application/soap+xml; charset=utf-8"}},
            .body = text};
    }

    http::response terms(http::request const& r) {
        auto const query = parse_query(r.query, false);
        if (r.method == "POST") {
            auto const form = parse_query(r.body);
            auto const accepted = find_parameter(form, "decision") == "accept";
            return {.status = 302,
                .headers = {{"Location",
                    fmt::format("{}?IsAccepted={}{}&client-request-id={}", *find_parameter(form, "to"), accepted,
                        accepted ? "&OpaqueBlob=blob-1" : "", *find_parameter(form, "id"))}},
                .body = {}};
        }
        if (terms_answer) return *terms_answer;
        auto page = fmt::format(
            "<html><form method=\"post\" action=\"/TermsOfUse\"><input type=\"hidden\" name=\"to\" value=\"{}\">"
            "<input type=hidden name=id value=\"{}\"><button name=\"decision\" value=\"accept\">Accept</button>{}"
            "</form></html>",
            html_escape(*find_parameter(query, "redirect_uri")),
            html_escape(*find_parameter(query, "client-request-id")),
            decline_button ? "<button name=\"decision\" value=\"decline\">Decline</button>" : "");
        return {.status = 200,
            .headers = {{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}},
            .body = page};
    }

    http::response enroll(http::request const& r) {
        seen.push_back(r);
        if (r.path == "/TermsOfUse") return terms(r);
        if (r.method == "GET") return {.status = 200, .headers = {}, .body = {}};
        auto const f = read_request(r.body);
        std::string const discovery = "http://schemas.microsoft.com/windows/management/2012/01/enrollment";
        std::string const wstep = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";
        if (r.path == "/EnrollmentServer/Discovery.svc")
            return soap(r, discovery + "/IDiscoveryService/DiscoverResponse", f.message_id,
                fmt::format(
                    "<DiscoverResponse xmlns=\"{}\"><DiscoverResult><AuthPolicy>Federated</AuthPolicy><EnrollmentVersion>4.0"
                    "</EnrollmentVersion><EnrollmentPolicyServiceUrl>{}</EnrollmentPolicyServiceUrl><EnrollmentServiceUrl>{}"
                    "</EnrollmentServiceUrl></DiscoverResult></DiscoverResponse>",
                    discovery, url("/EnrollmentServer/Policy.svc"), url("/EnrollmentServer/Enrollment.svc")));
        if (r.path == "/EnrollmentServer/Policy.svc")
            return soap(r, wstep + "policy/IPolicy/GetPoliciesResponse", f.message_id, policies);
        last_request = f;
        auto const document = base64(change_document(provisioning(f)));
        return soap(r, wstep + "/RSTRC/wstep", f.message_id,
            fmt::format(
                "<RequestSecurityTokenResponseCollection xmlns=\"{0}\"><RequestSecurityTokenResponse><TokenType>http://"
                "schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken</TokenType>"
                "<RequestedSecurityToken><BinarySecurityToken xmlns=\"{1}\" ValueType=\"http://schemas.microsoft.com/"
                "5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentProvisionDoc\" EncodingType=\"{1}#base64binary\">{2}"
                "</BinarySecurityToken></RequestedSecurityToken><RequestID xmlns=\"{3}\">0</RequestID>"
                "</RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>",
                wst_ns, o_ns, document, wstep));
    }

    std::string provisioning(request_facts const& f) {
        auto const own = sim::issue_client(root_, public_key_of(f.binary), "device-1");
        auto const store = f.context.at("EnrollmentType") == "Device" ? "System" : "User";
        auto const held = [](sim::certificate const& c) {
            return fmt::format(
                "<characteristic type=\"{}\"><parm name=\"EncodedCertificate\" value=\"{}\"/></characteristic>",
                c.thumbprint(), base64(c.der()));
        };
        if (f.request_type.ends_with("/Renew"))
            return fmt::format(
                "<wap-provisioningdoc version=\"1.1\"><characteristic type=\"CertificateStore\"><characteristic "
                "type=\"My\"><characteristic type=\"{}\">{}<characteristic type=\"PrivateKeyContainer\"/></characteristic>"
                "</characteristic></characteristic><characteristic type=\"APPLICATION\"><parm name=\"PROVIDER-ID\" "
                "value=\"mdmd\"/></characteristic></wap-provisioningdoc>",
                store, held(own));
        return fmt::format(
            "<wap-provisioningdoc version=\"1.1\"><characteristic type=\"CertificateStore\"><characteristic type=\"Root\">"
            "<characteristic type=\"System\">{0}</characteristic></characteristic><characteristic type=\"My\"><characteristic "
            "type=\"{1}\">{2}<characteristic type=\"PrivateKeyContainer\"/></characteristic><characteristic type=\"WSTEP\">"
            "<characteristic type=\"Renew\"><parm name=\"ROBOSupport\" value=\"true\" datatype=\"boolean\"/><parm "
            "name=\"RenewPeriod\" value=\"60\" datatype=\"integer\"/><parm name=\"RetryInterval\" value=\"4\" datatype=\"integer\"/>"
            "</characteristic></characteristic></characteristic></characteristic><characteristic type=\"APPLICATION\"><parm "
            "name=\"APPID\" value=\"w7\"/><parm name=\"PROVIDER-ID\" value=\"mdmd\"/><parm name=\"NAME\" value=\"Scripted\"/><parm "
            "name=\"ADDR\" value=\"{3}\"/><parm name=\"BACKCOMPATRETRYDISABLED\"/><parm name=\"DEFAULTENCODING\" "
            "value=\"application/vnd.syncml.dm+xml\"/><parm name=\"SSLCLIENTCERTSEARCHCRITERIA\" "
            "value=\"Subject=CN%3Ddevice-1&amp;Stores=My%5C{1}\"/><characteristic type=\"APPAUTH\"><parm name=\"AAUTHLEVEL\" "
            "value=\"CLIENT\"/><parm name=\"AAUTHTYPE\" value=\"DIGEST\"/><parm name=\"AAUTHSECRET\" value=\"s1\"/><parm "
            "name=\"AAUTHDATA\" value=\"bm9uY2U=\"/></characteristic><characteristic type=\"APPAUTH\"><parm name=\"AAUTHLEVEL\" "
            "value=\"APPSRV\"/><parm name=\"AAUTHTYPE\" value=\"DIGEST\"/><parm name=\"AAUTHNAME\" value=\"d1\"/><parm "
            "name=\"AAUTHSECRET\" value=\"s2\"/><parm name=\"AAUTHDATA\" value=\"bm9uY2U=\"/></characteristic></characteristic>"
            "<characteristic type=\"DMClient\"><characteristic type=\"Provider\"><characteristic type=\"mdmd\"><parm "
            "name=\"EntDMID\" value=\"device-1\" datatype=\"string\"/><characteristic type=\"Poll\"><parm "
            "name=\"NumberOfFirstRetries\" value=\"5\" datatype=\"integer\"/><parm name=\"IntervalForFirstSetOfRetries\" value=\"15\" "
            "datatype=\"integer\"/><parm name=\"NumberOfSecondRetries\" value=\"10\" datatype=\"integer\"/><parm "
            "name=\"IntervalForSecondSetOfRetries\" value=\"60\" datatype=\"integer\"/><parm "
            "name=\"NumberOfRemainingScheduledRetries\" value=\"0\" datatype=\"integer\"/><parm "
            "name=\"IntervalForRemainingScheduledRetries\" value=\"1440\" datatype=\"integer\"/></characteristic></characteristic>"
            "</characteristic></characteristic></wap-provisioningdoc>",
            held(root_.own), store, held(own), management_url());
    }

    http::response manage(http::request const& r) {
        seen.push_back(r);
        auto const first = r.body.find("<MsgID>1<") != r.body.npos;
        auto const between = [&](std::string const& tag) {
            auto const at = r.body.find("<" + tag + ">") + tag.size() + 2;
            return r.body.substr(at, r.body.find('<', at) - at);
        };
        auto const device = between("Source><LocURI");
        std::string statuses;
        int id = 1;
        auto const status = [&](int ref, std::string const& name) {
            statuses += fmt::format(
                "<Status><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Cmd>{}</Cmd><Data>200</Data></Status>",
                id++, first ? 1 : 2, ref, name);
        };
        status(0, "SyncHdr");
        if (first) {
            // Alerts count from 2, the Replace comes last.
            int ref = 2;
            for (auto at = r.body.find("<Alert>"); at != r.body.npos; at = r.body.find("<Alert>", at + 1))
                status(ref++, "Alert");
            status(ref, "Replace");
        }
        auto const goodbye = r.body.find("unenrollment.userrequest") != r.body.npos;
        auto text = fmt::format(
            "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>{}</SessionID>"
            "<MsgID>{}</MsgID><Target><LocURI>{}</LocURI></Target><Source><LocURI>{}</LocURI></Source></SyncHdr><SyncBody>{}{}"
            "<Final/></SyncBody></SyncML>",
            between("SessionID"), first ? 1 : 2, device, management_url(), statuses, first && !goodbye ? commands : "");
        return {.status = 200, .headers = {{"Content-Type", "application/vnd.syncml.dm+xml"}}, .body = text};
    }

    static std::string const policies;
    sim::identity root_, tls_;
    http::server server_{1, 2};
    std::uint16_t port_ = 0, management_port_ = 0;
};

std::string const scripted_server::policies =
    "<GetPoliciesResponse xmlns=\"http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy\" "
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><response><policyID/><policyFriendlyName xsi:nil=\"true\"/>"
    "<nextUpdateHours xsi:nil=\"true\"/><policiesNotChanged xsi:nil=\"true\"/><policies><policy><policyOIDReference>0"
    "</policyOIDReference><cAs xsi:nil=\"true\"/><attributes><commonName>c</commonName><policySchema>3</policySchema>"
    "<certificateValidity><validityPeriodSeconds>31536000</validityPeriodSeconds><renewalPeriodSeconds>5184000"
    "</renewalPeriodSeconds></certificateValidity><permission><enroll>true</enroll><autoEnroll>false</autoEnroll></permission>"
    "<privateKeyAttributes><minimalKeyLength>2048</minimalKeyLength><keySpec xsi:nil=\"true\"/><keyUsageProperty "
    "xsi:nil=\"true\"/><permissions xsi:nil=\"true\"/><algorithmOIDReference xsi:nil=\"true\"/><cryptoProviders><provider>"
    "Microsoft Software Key Storage Provider</provider></cryptoProviders></privateKeyAttributes><revision><majorRevision>101"
    "</majorRevision><minorRevision>0</minorRevision></revision><supersededPolicies xsi:nil=\"true\"/><privateKeyFlags "
    "xsi:nil=\"true\"/><subjectNameFlags xsi:nil=\"true\"/><enrollmentFlags xsi:nil=\"true\"/><generalFlags xsi:nil=\"true\"/>"
    "<hashAlgorithmOIDReference>0</hashAlgorithmOIDReference><rARequirements xsi:nil=\"true\"/><keyArchivalAttributes "
    "xsi:nil=\"true\"/><extensions xsi:nil=\"true\"/></attributes></policy></policies></response><cAs xsi:nil=\"true\"/><oIDs>"
    "<oID><value>2.16.840.1.101.3.4.2.1</value><group>4</group><oIDReferenceID>0</oIDReferenceID><defaultName>"
    "szOID_NIST_sha256</defaultName></oID></oIDs></GetPoliciesResponse>";

struct world {
    world() : tenant({}) {
        tenant.start();
        REQUIRE(tenant.add_user("ada@contoso.com"));
    }
    sim::tenant tenant;
    scripted_server server;
    test::scratch dir;
};

// For tests of one wrong answer after the other: making a world takes several keys. What the last row changed is
// undone.
world& shared_world() {
    static world w;
    w.server.change.clear();
    w.server.change_document = [](std::string text) { return text; };
    w.server.terms_answer.reset();
    return w;
}

}  // namespace

TEST_CASE(
    "a corporate device accepts, registers, enrolls, and its next process manages with its certificate", "[sim]") {
    world w;
    {
        sim::device d(w.dir.path());
        auto const r = d.join(w.server.join(w.tenant));
        CAPTURE(r.failure ? r.failure->text : "");
        REQUIRE_FALSE(r.failure);
        CHECK(r.steps == std::vector<std::string>{
                             "terms", "register", "probe", "discovery", "policy", "enrollment", "provisioning"});
        CHECK(w.server.last_request.context.at("EnrollmentData") == "blob-1");
        CHECK(w.server.last_request.context.at("EnrollmentType") == "Device");
        CHECK(w.server.last_request.context.at("DeviceID") == d.device_id());
        CHECK(w.tenant.devices().at(0).device_id == d.entra_device_id());
        CHECK(w.tenant.devices().at(0).trust == "AzureAd");
        auto const payload = *unbase64url(split(w.server.last_request.token, '.')[1]);
        CHECK(payload.find(d.entra_device_id()) != payload.npos);
        CHECK(w.server.seen.at(0).query.find("mode=azureadjoin") != std::string::npos);
        CHECK_FALSE(w.server.seen.at(1).headers.get("Authorization"));
    }
    for (auto const* file : {"device.json", "key.pem", "certificate.pem"})
        CHECK((std::filesystem::status(w.dir.path() / file).permissions() & std::filesystem::perms(0077)) ==
              std::filesystem::perms::none);
    w.server.commands =
        "<Replace><CmdID>9</CmdID><Item><Target><LocURI>./Vendor/MSFT/Policy/Config/A/B</LocURI></Target>"
        "<Data>x</Data></Item></Replace>";
    sim::device d(w.dir.path());
    REQUIRE(d.enrolled());
    sim::sync_options o;
    o.net = w.server.net();
    o.tenant = w.server.join(w.tenant).tenant;
    auto const r = d.sync(o);
    CHECK(r.failure == "");
    CHECK(w.server.seen.back().query == "mode=Maintenance&Platform=WoA");
    CHECK(w.server.seen.back().headers.get("Authorization"));
    CHECK(w.server.seen.back().headers.get("client-request-id") == "device-1");
    CHECK_FALSE(w.server.seen.back().peer_certificate.empty());
    CHECK(sim::device(w.dir.path()).tree().get("./Vendor/MSFT/Policy/Config/A/B").value == "x");
    CHECK(d.tree().get("./Vendor/MSFT/DMClient/Provider/mdmd/AADDeviceID").value == d.entra_device_id());
    CHECK(d.tree().get("./Vendor/MSFT/DMClient/Provider/mdmd/EntDMID").value == "device-1");
    CHECK(d.sync(o).failure == "");
    CHECK(w.server.seen.back().body.find("<SessionID>2<") != std::string::npos);
    o.without_certificate = true;
    CHECK_FALSE(d.sync(o).failure.empty());
}

TEST_CASE("a personal device may decline, and then nothing was registered", "[sim]") {
    world w;
    w.server.decline_button = true;
    auto o = w.server.join(w.tenant);
    o.corporate = false;
    o.accept_terms = false;
    sim::device d(w.dir.path());
    auto const r = d.join(o);
    REQUIRE(r.failure);
    CHECK(r.failure->step == "terms");
    CHECK_THAT(r.failure->text, Catch::Contains("rejectedTermsOfUse"));
    CHECK(w.tenant.devices().empty());
    o.accept_terms = true;
    CHECK_FALSE(d.join(o).failure);
    CHECK(w.tenant.devices().at(0).trust == "Workplace");
    CHECK(w.server.last_request.context.at("EnrollmentType") == "Full");
}

TEST_CASE("a corporate device's page must not show Decline", "[sim]") {
    world w;
    w.server.decline_button = true;
    auto const r = sim::device(w.dir.path()).join(w.server.join(w.tenant));
    REQUIRE(r.failure);
    CHECK_THAT(r.failure->text, Catch::Contains("shows Decline"));
}

TEST_CASE("what the Terms of Use answer instead of a page is told", "[sim]") {
    auto& w = shared_world();
    test::scratch const dir;
    auto const [answer, text] = GENERATE(table<http::response, char const*>({
        {{.status = 302,
             .headers = {{"Location",
                 "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS?error=unauthorized_client&error_description=unauthorized_client"}},
             .body = {}},
            "unauthorized_client: unauthorized_client"},
        {{.status = 302, .headers = {{"Location", "https://elsewhere.test/"}}, .body = {}}, "not to our redirect_uri"},
        {{.status = 400, .headers = {}, .body = "no"}, "HTTP status 400"},
        {{.status = 200, .headers = {{"Content-Type", "text/html"}}, .body = "x"}, "no-store"},
        {{.status = 200,
             .headers = {{"Content-Type", "text/html"}, {"Cache-Control", "no-store"}, {"X-Frame-Options", "DENY"}},
             .body = "x"},
            "X-Frame-Options"},
        {{.status = 200,
             .headers = {{"Content-Type", "text/html"}, {"Cache-Control", "no-store"},
                 {"Content-Security-Policy", "default-src 'none'; form-action 'self'"}},
             .body = "x"},
            "form-action"},
        {{.status = 200, .headers = {{"Content-Type", "text/html"}, {"Cache-Control", "no-store"}}, .body = "<p>hello"},
            "no form with an Accept button"},
    }));
    w.server.terms_answer = answer;
    auto const r = sim::device(dir.path()).join(w.server.join(w.tenant));
    REQUIRE(r.failure);
    CHECK(r.failure->step == "terms");
    CHECK_THAT(r.failure->text, Catch::Contains(text));
}

TEST_CASE(
    "what Windows would refuse at enrollment ends the join with the reason and undoes the registration", "[sim]") {
    std::string const discovery = "/EnrollmentServer/Discovery.svc", policy = "/EnrollmentServer/Policy.svc",
                      enrollment = "/EnrollmentServer/Enrollment.svc";
    auto const [path, from, to, text, hresult] =
        GENERATE_COPY(table<std::string, std::string, std::string, std::string, std::uint32_t>({
            {discovery, "<a:RelatesTo>", "<a:RelatesTo>x", "RelatesTo", 0x80180001},
            {discovery, "DiscoverResponse</a:Action>", "Discover</a:Action>", "Action", 0x80180001},
            {discovery, ">Federated<", ">Certificate<", "was not offered", 0x80180001},
            {discovery, ">4.0<", ">5.0<", "EnrollmentVersion", 0x80180001},
            {discovery, "ServiceUrl>https:", "ServiceUrl>http:", "is not https", 0x80180001},
            {discovery, "ServiceUrl>https:", "ServiceUrl> https:", "white space", 0x80180001},
            {policy, "<policySchema>3", "<policySchema>2", "policySchema", 0x80180001},
            {policy, "<permission><enroll>true</enroll><autoEnroll>false</autoEnroll></permission>", "",
                "<permission> was expected", 0x80180001},
            {policy, "<hashAlgorithmOIDReference>0", "<hashAlgorithmOIDReference>1", "references no oID", 0x80180001},
            {policy, "2.16.840.1.101.3.4.2.1", "1.3.14.3.2.29", "not SHA-256", 0x80180001},
            {policy, "<cAs xsi:nil=\"true\"/><oIDs>", "<oIDs>", "<cAs> was expected", 0x80180001},
            {enrollment, "#base64binary", "#hexBinary", "EncodingType", 0x80180001},
            {enrollment, "<RequestID", "<a:Request", "not XML", 0x80180001},
        }));
    CAPTURE(path, from);
    auto& w = shared_world();
    test::scratch const dir;
    w.server.change[path] = [from = from, to = to](std::string s) { return replaced(std::move(s), from, to); };
    auto const r = sim::device(dir.path()).join(w.server.join(w.tenant));
    REQUIRE(r.failure);
    CHECK_THAT(r.failure->text, Catch::Contains(text));
    CHECK(r.failure->hresult == hresult);
    CHECK(w.tenant.devices().empty());
}

TEST_CASE("what Windows would refuse in a provisioning document fails with the provider's own error", "[sim]") {
    auto const [from, to, text, hresult] = GENERATE(table<std::string, std::string, std::string, std::uint32_t>({
        {"type=\"Root\"", "type=\"root\"", "store 'root'", 0x8018001E},
        {"type=\"My\"><characteristic type=\"System\"", "type=\"My\"><characteristic type=\"User\"", "other store",
            0x80180024},
        {"<characteristic type=\"PrivateKeyContainer\"/>", "", "no PrivateKeyContainer", 0x8018001E},
        {"RenewPeriod\" value=\"60\"", "RenewPeriod\" value=\"2\"", "RetryInterval is over", 0x8018001E},
        {"\"APPID\" value=\"w7\"", "\"APPID\" value=\"w5\"", "APPID", 0x8018001F},
        {"name=\"ADDR\" value=\"https", "name=\"ADDR\" value=\"http", "ADDR", 0x8018001F},
        {"name=\"NAME\"", "name=\"Name\"", "unknown parm 'Name'", 0x8018001F},
        {"BACKCOMPATRETRYDISABLED\"", "BACKCOMPATRETRYDISABLED\" value=\"1\"", "BACKCOMPATRETRYDISABLED", 0x8018001F},
        {"\"AAUTHLEVEL\" value=\"CLIENT\"", "\"AAUTHLEVEL\" value=\"APPSRV\"", "no AAUTHNAME", 0x8018001F},
        {"\"s2\"", "\"s1\"", "same secret", 0x8018001F},
        {"Subject=CN%3Ddevice-1", "Subject=CN%3Ddevice-2", "looks for", 0x80180024},
        {"Subject=CN%3Ddevice-1", "Subject=CN=device-1", "not percent-encoded", 0x80180024},
        {"Stores=My%5CSystem", "Stores=My%5CUser", "looks in", 0x80180024},
        {"<characteristic type=\"mdmd\">", "<characteristic type=\"other\">", "PROVIDER-ID is 'mdmd'", 0x80180020},
        {"\"EntDMID\" value=\"device-1\"", "\"EntDMID\" value=\"\"", "EntDMID", 0x80180020},
        {"ScheduledRetries\" value=\"0\"", "ScheduledRetries\" value=\"3\"", "0 sets without end", 0x80180020},
        {"\"NumberOfSecondRetries\" value=\"10\"", "\"NumberOfSecondRetries\" value=\"0\"", "2 sets without end",
            0x80180020},
        {"\"NumberOfFirstRetries\" value=\"5\"", "\"NumberOfFirstRetries\" value=\"0\"", "first set", 0x80180020},
        {"version=\"1.1\"", "version=\"1.0\"", "version 1.1", 0x80180022},
        {"<characteristic type=\"DMClient\">", "<characteristic type=\"Registry\">", "'Registry'", 0x80180022},
    }));
    CAPTURE(from);
    auto& w = shared_world();
    test::scratch const dir;
    w.server.change_document = [from = from, to = to](std::string s) { return replaced(std::move(s), from, to); };
    auto const r = sim::device(dir.path()).join(w.server.join(w.tenant));
    REQUIRE(r.failure);
    CHECK(r.failure->step == "provisioning");
    CHECK_THAT(r.failure->text, Catch::Contains(text));
    CHECK(r.failure->hresult == hresult);
    CHECK_FALSE(sim::device(dir.path()).enrolled());
}

TEST_CASE("certificates in the document must be what their names say, for our key, and chain", "[sim]") {
    world w;
    auto const stranger = sim::make_authority("Somebody else");
    auto const foreign = sim::issue_client(stranger, stranger.key.public_der(), "device-1");
    auto const swap = [](std::string text, std::string const& store, sim::certificate const& c, bool rename) {
        auto const type =
            text.find("type=\"", text.find("type=\"System\"", text.find("type=\"" + store + "\"")) + 10) + 6;
        if (rename) text.replace(type, 40, c.thumbprint());
        auto const value = text.find("value=\"", type) + 7;
        return text.replace(value, text.find('"', value) - value, base64(c.der()));
    };
    auto const failing = [&](std::function<std::string(std::string)> change) {
        w.server.change_document = std::move(change);
        auto const r = sim::device(w.dir.path()).join(w.server.join(w.tenant));
        REQUIRE(r.failure);
        return r.failure->text;
    };
    CHECK_THAT(failing([&](std::string s) { return swap(std::move(s), "My", foreign, false); }),
        Catch::Contains("the certificate's SHA-1 is"));
    auto const not_ours = failing([&](std::string s) { return swap(std::move(s), "My", foreign, true); });
    CHECK_THAT(not_ours, Catch::Contains("not for our key"));
    CHECK_THAT(not_ours, Catch::Contains("does not verify"));
    CHECK_THAT(failing([&](std::string s) { return swap(std::move(s), "Root", stranger.own, true); }),
        Catch::Contains("does not verify"));
    CHECK_THAT(failing([&](std::string s) { return swap(std::move(s), "Root", foreign, true); }),
        Catch::Contains("not self-signed"));
}

TEST_CASE("a SOAP fault is told with subcode, error type, trace and what Windows calls it", "[sim]") {
    world w;
    w.server.change["/EnrollmentServer/Enrollment.svc"] = [](std::string s) {
        auto const from = s.find("<s:Body>") + 8;
        return s.replace(from, s.find("</s:Body>") - from,
            "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>s:Authorization</s:Value></s:Subcode></s:Code>"
            "<s:Reason><s:Text xml:lang=\"en-US\">device cap reached</s:Text></s:Reason><s:Detail><DeviceEnrollmentServiceError "
            "xmlns=\"http://schemas.microsoft.com/windows/pki/2009/01/enrollment\"><ErrorType>DeviceCapReached</ErrorType>"
            "<Message>m</Message><TraceId>t-1</TraceId></DeviceEnrollmentServiceError></s:Detail></s:Fault>");
    };
    auto const r = sim::device(w.dir.path()).join(w.server.join(w.tenant));
    REQUIRE(r.failure);
    CHECK(r.failure->step == "enrollment");
    CHECK(r.failure->http_status == 500);
    CHECK(r.failure->subcode == "s:Authorization");
    CHECK(r.failure->error_type == "DeviceCapReached");
    CHECK(r.failure->trace_id == "t-1");
    CHECK(r.failure->hresult == 0x80180013);
}

TEST_CASE("a renewal brings a new certificate, and the old one is kept until a session with it has worked", "[sim]") {
    world w;
    auto const form = GENERATE(sim::token_form::pkcs7, sim::token_form::pkcs7_microsoft);
    sim::join_report before, after;
    {
        sim::device d(w.dir.path());
        before = d.join(w.server.join(w.tenant));
        REQUIRE_FALSE(before.failure);
        CHECK_FALSE(d.previous_credentials());
        after = d.renew({.form = form, .net = w.server.net()});
    }
    CAPTURE(after.failure ? after.failure->text : "");
    REQUIRE_FALSE(after.failure);
    CHECK(after.thumbprint != before.thumbprint);
    CHECK(w.server.last_request.request_type.ends_with("/Renew"));
    sim::device d(w.dir.path());
    CHECK(d.credentials()->own.thumbprint() == after.thumbprint);
    REQUIRE(d.previous_credentials());
    CHECK(d.previous_credentials()->own.thumbprint() == before.thumbprint);
    sim::sync_options o;
    o.net = w.server.net();
    o.previous_certificate = true;
    CHECK(d.sync(o).failure == "");
    CHECK(d.previous_credentials());
    o.previous_certificate = false;
    CHECK(d.sync(o).failure == "");
    CHECK_FALSE(d.previous_credentials());
    CHECK_FALSE(std::filesystem::exists(w.dir.path() / "previous-key.pem"));
}

TEST_CASE("a renewal whose answer was lost is asked for again with the same request", "[sim]") {
    world w;
    std::optional<sim::device> d(w.dir.path());
    auto const before = d->join(w.server.join(w.tenant));
    REQUIRE_FALSE(before.failure);
    CHECK(d->renew({.again = true, .net = w.server.net()}).failure);
    auto const lost = d->renew({.lose_reply = true, .net = w.server.net()});
    REQUIRE(lost.failure);
    CHECK(lost.failure->hresult == 0x80180010);
    auto const first = public_key_of(w.server.last_request.binary);
    d.emplace(w.dir.path());
    CHECK(d->credentials()->own.thumbprint() == before.thumbprint);
    CHECK_FALSE(d->renew({.again = true, .net = w.server.net()}).failure);
    CHECK(public_key_of(w.server.last_request.binary) == first);
    CHECK(d->credentials()->own.public_der() == first);
}

TEST_CASE("a renewal's document is taken as strictly as an enrollment's", "[sim]") {
    world w;
    sim::device d(w.dir.path());
    REQUIRE_FALSE(d.join(w.server.join(w.tenant)).failure);
    struct row {
        char const *what, *with, *why;
        std::uint32_t hresult;
    };
    auto const [what, with, why, hresult] = GENERATE(values<row>({
        {"value=\"mdmd\"", "value=\"other\"", "enrolled at 'mdmd'", 0x8018001F},
        {"PROVIDER-ID", "NAME", "no PROVIDER-ID", 0x8018001F},
        {"<characteristic type=\"PrivateKeyContainer\"/>", "", "no PrivateKeyContainer", 0x8018001E},
        {"type=\"System\"", "type=\"User\"", "wants the other store", 0x80180024},
        {"</wap-provisioningdoc>", "<characteristic type=\"CM_CellularEntries\"/></wap-provisioningdoc>",
            "is not taken at enrollment", 0x80180022},
        {"name=\"PROVIDER-ID\" value=\"mdmd\"/>",
            "name=\"PROVIDER-ID\" value=\"mdmd\"/><parm name=\"ADDR\" value=\"https://x\"/>", "more than PROVIDER-ID",
            0x8018001F},
    }));
    CAPTURE(why);
    w.server.change_document = [&](std::string s) { return replaced(std::move(s), what, with); };
    auto const r = d.renew({.net = w.server.net()});
    REQUIRE(r.failure);
    CHECK(r.failure->step == "provisioning");
    CHECK_THAT(r.failure->text, Catch::Contains(why));
    CHECK(r.failure->hresult == hresult);
    CHECK_FALSE(d.previous_credentials());
}

TEST_CASE("a message is written as oddly as it is told", "[sim]") {
    auto const plain = sim::token_request("urn:uuid:1", "https://x", sim::jwt_credential("a.b.c"),
        std::string(100, 'x'), {{"UXInitiated", "true"}, {"DeviceName", "true story"}});
    auto const odd = [&](sim::oddities const& o) { return sim::written_oddly(plain, o); };
    CHECK(odd({}) == plain);
    CHECK_THAT(odd({.wrapped_base64 = true}), Catch::Contains("eHh4eHh4\r\neHh4"));
    CHECK_THAT(odd({.capital_booleans = true}), Catch::Contains(">True<") && Catch::Contains(">true story<"));
    CHECK_THAT(odd({.white_space = true}), Catch::Contains(">\r\n\t  true story \n  <"));
    CHECK_THAT(odd({.prefixed_attributes = true}), Catch::Contains(" wsse:ValueType=") && Catch::Contains(" ac:Name="));
    CHECK_THAT(odd({.slash_namespaces = true}), Catch::Contains("xmlsoap.org/ws/2006/12/authorization/\""));
    auto const unprefixed = odd({.default_namespaces = true});
    CHECK_THAT(unprefixed, Catch::Contains("<RequestSecurityToken xmlns=") && Catch::Contains("</Security>"));
    for (auto const& text : {plain, odd({.prefixed_attributes = true}), odd({.slash_namespaces = true}), unprefixed,
             odd({.white_space = true})})
        CHECK(xml::parse(text));
}

TEST_CASE("an ordered unenrollment ends with a session that says goodbye, and the device forgets", "[sim]") {
    world w;
    sim::device d(w.dir.path());
    REQUIRE_FALSE(d.join(w.server.join(w.tenant)).failure);
    w.server.commands =
        "<Exec><CmdID>9</CmdID><Item><Target><LocURI>./Device/Vendor/MSFT/DMClient/Provider/mdmd/Unenroll</LocURI>"
        "</Target><Meta><Format xmlns=\"syncml:metinf\">chr</Format></Meta><Data>mdmd</Data></Item></Exec>";
    sim::sync_options o;
    o.net = w.server.net();
    auto const r = d.sync(o);
    CHECK(r.failure == "");
    CHECK(d.state() == "unenrolled");
    CHECK(w.server.seen.back().body.find("com.microsoft:mdm.unenrollment.userrequest") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(w.dir.path() / "key.pem"));
    CHECK_THAT(d.sync(o).failure, Catch::Contains("unenrolled"));
}

TEST_CASE("forms are read from a page as a browser would", "[sim]") {
    auto const forms = sim::read_forms(
        R"(<!doctype html><p>x<form method=POST action="/a?b&amp;c"><input type=hidden name='n' value="&quot;v&quot;">
        <input name=pin><button name="d" value="yes">I <b>accept</b></button></form><button>outside</button>)");
    REQUIRE(forms.size() == 1);
    CHECK(forms[0].method == "post");
    CHECK(forms[0].action == "/a?b&c");
    REQUIRE(forms[0].fields.size() == 3);
    CHECK(forms[0].fields[0].value == "\"v\"");
    CHECK(forms[0].fields[1].type == "text");
    CHECK(forms[0].fields[2].text.find("accept") != std::string::npos);
}
