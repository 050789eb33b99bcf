#include "test/sim_world.hpp"

using namespace mdmd;
using namespace mdmd::sim_world;

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
