// A tenant and a management server as small as can be, for tests of the simulated device over real TLS.
#pragma once
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

namespace mdmd::sim_world {

constexpr char s_ns[] = "http://www.w3.org/2003/05/soap-envelope";
constexpr char a_ns[] = "http://www.w3.org/2005/08/addressing";
constexpr char o_ns[] = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
constexpr char wst_ns[] = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";

inline std::string replaced(std::string text, std::string const& what, std::string const& with) {
    auto const at = text.find(what);
    if (at == text.npos) throw std::runtime_error("nothing to replace: " + what);
    return text.replace(at, what.size(), with);
}

struct request_facts {
    std::string message_id, token, binary, request_type;
    std::map<std::string, std::string> context;
};

inline request_facts read_request(std::string const& body) {
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
inline std::string public_key_of(std::string const& pkcs10) {
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
    std::string commands;                      // for the first message of every session
    std::map<std::string, std::string> files;  // by path, for GET, in ranges too
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

    static http::response file(http::request const& r, std::string const& bytes) {
        auto const range = r.headers.get("Range");
        if (!range) return {.status = 200, .headers = {}, .body = bytes};
        auto const dash = range->find('-');
        auto const from = std::stoul(std::string(range->substr(6, dash - 6)));
        auto const part = bytes.substr(from, std::stoul(std::string(range->substr(dash + 1))) + 1 - from);
        return {.status = 206,
            .headers = {{"Content-Range", fmt::format("bytes {}-{}/{}", from, from + part.size() - 1, bytes.size())},
                {"ETag", "\"1\""}},
            .body = part};
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
        if (files.contains(r.path)) return file(r, files[r.path]);
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

inline std::string const scripted_server::policies =
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
inline world& shared_world() {
    static world w;
    w.server.change.clear();
    w.server.change_document = [](std::string text) { return text; };
    w.server.terms_answer.reset();
    return w;
}

}  // namespace mdmd::sim_world
