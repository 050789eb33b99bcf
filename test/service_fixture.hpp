// An appliance over a real store, with a clock that is moved and a tenant that is scripted. The tenant signs tokens
// with a key of its own; nothing here goes to a network.
#pragma once
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <boost/json.hpp>
#include <mutex>

#include "core/log.hpp"
#include "core/random.hpp"
#include "service/appliance.hpp"
#include "service/operate.hpp"
#include "test/breakable_store.hpp"
#include "test/support.hpp"

template <class T> struct Catch::StringMaker<boost::system::result<T, mdmd::service::failure>> {
    static std::string convert(boost::system::result<T, mdmd::service::failure> const& r) {
        return r ? "value" : "failure: " + r.error().detail;
    }
};

namespace mdmd::test {

namespace json = boost::json;

class rsa_key {
public:
    rsa_key() : key_(EVP_RSA_gen(2048), &EVP_PKEY_free) {}
    EVP_PKEY* get() const { return key_.get(); }
    std::string sign(std::string_view text) const {
        std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> const ctx(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
        std::size_t size = 256;
        std::string signature(size, '\0');
        EVP_DigestSignInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key_.get());
        EVP_DigestSign(ctx.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
            reinterpret_cast<unsigned char const*>(text.data()), text.size());
        return signature;
    }
    std::string modulus() const {
        BIGNUM* n = nullptr;
        EVP_PKEY_get_bn_param(key_.get(), "n", &n);
        std::string bytes(static_cast<std::size_t>(BN_num_bytes(n)), '\0');
        BN_bn2bin(n, reinterpret_cast<unsigned char*>(bytes.data()));
        BN_free(n);
        return bytes;
    }
    // A PKCS#10 for this key, DER.
    std::string request() const {
        std::unique_ptr<X509_REQ, decltype(&X509_REQ_free)> const r(X509_REQ_new(), &X509_REQ_free);
        X509_REQ_set_pubkey(r.get(), key_.get());
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(r.get()), "CN", MBSTRING_ASC,
            reinterpret_cast<unsigned char const*>("device"), -1, -1, 0);
        X509_REQ_sign(r.get(), key_.get(), EVP_sha256());
        unsigned char* der = nullptr;
        auto const size = i2d_X509_REQ(r.get(), &der);
        std::string bytes(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
        OPENSSL_free(der);
        return bytes;
    }

private:
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

inline rsa_key const& shared_key() {
    static rsa_key const key;
    return key;
}

inline constexpr char tenant_id[] = "11111111-2222-3333-4444-555555555555";
inline constexpr char client_id[] = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
inline constexpr char user_id[] = "0d000000-0000-0000-0000-000000000001";
inline constexpr char entra_device[] = "de000000-0000-0000-0000-000000000001";

// Entra and Graph as a function of a call. What it is asked is remembered.
struct fake_tenant {
    std::mutex mutex;
    std::string kid = "k1";
    bool away = false;
    bool no_v1 = false;  // there is no metadata of version 1.0
    int fetches = 0;
    int token_requests = 0;
    json::value token_refusal = nullptr;                                     // an object: answered with 401
    std::map<std::string, std::string> devices{{entra_device, "object-1"}};  // deviceId -> object id
    std::map<std::string, std::set<std::string>> owners;                     // deviceId -> object ids of users
    std::optional<http::response> owners_answer;                             // instead of what is known of any device
    std::vector<std::string> owners_asked;                                   // of these
    std::vector<http::response> patch_answers;   // given before 204, first one first; of status 0: left out
    std::vector<http::response> batch_answers;   // given to a batch as a whole, first one first
    std::vector<std::size_t> batches;            // how many requests were in each
    std::map<std::string, int> refused_secrets;  // client secret -> AADSTS code
    std::vector<std::string> secrets_tried;      // in order
    http::response application{403, {}, R"({"error":{"code":"Authorization_RequestDenied","message":"no"}})"};
    int application_reads = 0;
    std::map<std::string, std::set<std::string>> groups{{user_id, {}}};  // of each user that Graph knows
    std::set<std::string> disabled_users, gone_users;
    std::optional<http::response> account_answer;  // instead of what is known of any account
    std::vector<http::response> group_answers;     // given before the truth, first one first
    std::vector<std::string> group_calls;          // "POST https://…"
    // Asked first, where they are set: of a call, and of a request in a batch. Status 0 leaves that out.
    std::function<std::optional<http::response>(http::call const&)> instead, instead_of_member;
    int hook_status = 204;
    std::vector<std::string> hook_bodies;  // of POSTs to https://hook.test
    struct write {
        std::string object_id, body;
        bool operator==(write const&) const = default;
    };
    std::vector<write> writes;

    result<http::response> operator()(http::call const& c) {
        std::scoped_lock const lock(mutex);
        if (away) return fail(errc::unavailable, "connection refused");
        if (instead)
            if (auto answer = instead(c)) return std::move(*answer);
        return c.url == "https://graph.test/v1.0/$batch" ? batch(c) : answer_to(c);
    }

    // As Graph does it, and as strict.
    http::response batch(http::call const& c) {
        auto const refuse = [](std::string const& why) {
            return http::response{
                400, {}, json::serialize(json::value{{"error", {{"code", "BadRequest"}, {"message", why}}}})};
        };
        auto const body = json::parse(c.body);
        auto const& requests = body.at("requests").as_array();
        batches.push_back(requests.size());
        if (!batch_answers.empty()) {
            auto const a = batch_answers.front();
            batch_answers.erase(batch_answers.begin());
            return a;
        }
        if (c.method != "POST" || c.headers.get("Content-Type") != "application/json") return refuse("no JSON");
        if (requests.empty() || requests.size() > 20) return refuse("1 to 20");
        json::array responses;
        std::set<std::string> ids;
        for (auto const& r : requests) {
            auto const& o = r.as_object();
            auto const text = [&](char const* name) { return std::string(o.at(name).as_string()); };
            if (!ids.insert(text("id")).second) return refuse("an id twice");
            if (!text("url").starts_with('/')) return refuse("not relative");
            http::call one{
                .method = text("method"), .url = "https://graph.test/v1.0" + text("url"), .headers = {}, .body = {}};
            if (auto const* const b = o.if_contains("body")) {
                if (o.at("headers").at("Content-Type") != "application/json") return refuse("no Content-Type");
                one.body = json::serialize(*b);
            }
            auto instead_of_this = instead_of_member ? instead_of_member(one) : std::nullopt;
            auto const answer = instead_of_this ? *instead_of_this : answer_to(one);
            if (answer.status == 0) continue;
            json::object headers;
            for (auto const& [name, value] : answer.headers) headers[name] = value;
            // In another order than that of the requests.
            responses.insert(responses.begin(),
                json::object{{"id", text("id")}, {"status", answer.status}, {"headers", std::move(headers)},
                    {"body", answer.body.empty() ? json::value(nullptr) : json::parse(answer.body)}});
        }
        return {200, {{"Content-Type", "application/json"}}, json::serialize(json::object{{"responses", responses}})};
    }

    http::response answer_to(http::call const& c) {
        auto const path = c.url.substr(c.url.find('/', 8));
        auto const ok = [](json::value const& v) {
            return http::response{200, {{"Content-Type", "application/json"}}, json::serialize(v)};
        };
        std::string const tenant = tenant_id;
        if (path == "/" + tenant + "/.well-known/openid-configuration" && !no_v1) {
            ++fetches;
            return ok({{"issuer", "https://sts.windows.net/" + tenant + "/"}, {"jwks_uri", "https://login.test/keys"}});
        }
        if (path == "/" + tenant + "/v2.0/.well-known/openid-configuration")
            return ok({{"issuer", "https://login.test/" + tenant + "/v2.0"}, {"jwks_uri", "https://login.test/keys"}});
        if (path == "/keys")
            return ok({{"keys", {{{"kty", "RSA"}, {"use", "sig"}, {"kid", kid},
                                    {"n", base64url(shared_key().modulus())}, {"e", "AQAB"}}}}});
        if (path.ends_with("/oauth2/v2.0/token")) {
            ++token_requests;
            if (token_refusal.is_object()) return http::response{401, {}, json::serialize(token_refusal)};
            secrets_tried.emplace_back(find_parameter(parse_query(c.body, true), "client_secret").value_or(""));
            if (auto const i = refused_secrets.find(secrets_tried.back()); i != refused_secrets.end())
                return http::response{401, {},
                    json::serialize(
                        json::object{{"error", "invalid_client"}, {"error_codes", json::array{i->second}}})};
            return ok({{"token_type", "Bearer"}, {"expires_in", 3599}, {"access_token", "graph-token"}});
        }
        if (c.url.starts_with("https://hook.test")) {
            hook_bodies.push_back(c.body);
            return http::response{hook_status, {}, ""};
        }
        if (path.starts_with("/v1.0/applications(")) {
            ++application_reads;
            return application;
        }
        if (auto const query = path.find("?$select=id,accountEnabled");
            path.starts_with("/v1.0/users/") && query != path.npos) {
            auto const id = path.substr(12, query - 12);
            if (account_answer) return *account_answer;
            if (!gone_users.contains(id)) return ok({{"id", id}, {"accountEnabled", !disabled_users.contains(id)}});
            return http::response{404, {}, R"({"error":{"code":"Request_ResourceNotFound","message":"no"}})"};
        }
        if (path.starts_with("/v1.0/users/")) {
            group_calls.push_back(c.method + " " + c.url);
            if (!group_answers.empty()) {
                auto const a = group_answers.front();
                group_answers.erase(group_answers.begin());
                return a;
            }
            auto const user = groups.find(path.substr(12, path.find('/', 12) - 12));
            if (user != groups.end()) return ok({{"value", json::value_from(user->second)}});
        }
        if (constexpr std::string_view key = "/v1.0/devices(deviceId='", rest = "')/registeredOwners?$select=id";
            c.method == "GET" && path.starts_with(key) && path.ends_with(rest)) {
            owners_asked.push_back(path.substr(key.size(), path.size() - key.size() - rest.size()));
            if (owners_answer) return *owners_answer;
            if (auto const known = owners.find(owners_asked.back()); known != owners.end()) {
                json::array all;
                for (auto const& id : known->second)
                    all.push_back({{"@odata.type", "#microsoft.graph.user"}, {"id", id}});
                return ok({{"value", all}});
            }
        }
        if (c.method == "GET" && path.starts_with("/v1.0/devices?")) {
            json::array found;
            for (auto const& [device, object] : devices)
                if (percent_decode(path).value().find(device) != std::string::npos)
                    found.push_back({{"id", object}, {"deviceId", device}});
            return ok({{"value", found}});
        }
        if (c.method == "PATCH" && path.starts_with("/v1.0/devices/")) {
            if (!patch_answers.empty()) {
                auto const a = patch_answers.front();
                patch_answers.erase(patch_answers.begin());
                return a;
            }
            writes.push_back({path.substr(14), c.body});
            return http::response{204, {}, ""};
        }
        return http::response{404, {}, R"({"error":{"code":"Request_ResourceNotFound","message":"no"}})"};
    }

    std::string token(time_point now, json::object extra = {}, bool v2 = false) {
        json::object claims{{"ver", v2 ? "2.0" : "1.0"}, {"tid", tenant_id}, {"oid", user_id},
            {"upn", "user@contoso.com"}, {"scp", "mdm_delegation"}, {"nbf", to_ms(now) / 1000 - 60},
            {"exp", to_ms(now) / 1000 + 3600}, {"uti", "u"}};
        claims["iss"] = v2 ? std::string("https://login.test/") + tenant_id + "/v2.0"
                           : std::string("https://sts.windows.net/") + tenant_id + "/";
        claims["aud"] = v2 ? client_id : "https://mdm.test";
        for (auto const& [k, v] : extra) claims[k] = v;
        auto const text = base64url(json::serialize(json::object{{"alg", "RS256"}, {"typ", "JWT"}, {"kid", kid}})) +
                          "." + base64url(json::serialize(claims));
        return text + "." + base64url(shared_key().sign(text));
    }
};

struct appliance_fixture {
    appliance_fixture() { log::configure(log::level::error); }

    scratch folder;
    manual_clock time{from_ms(1'800'000'000'000)};
    std::shared_ptr<fake_tenant> tenant = std::make_shared<fake_tenant>();
    std::shared_ptr<std::atomic<bool>> store_is_broken = std::make_shared<std::atomic<bool>>(false);  // nothing commits
    store::database db{std::make_unique<breakable_engine>(folder.path() / "mdmd.db", store_is_broken)};
    service::configuration config = default_configuration();
    std::unique_ptr<service::appliance> appliance = start();

    static service::configuration default_configuration() {
        service::configuration c;
        auto& s = c.settings;
        s.entra.tenant_id = tenant_id;
        s.entra.client_id = client_id;
        s.entra.app_id = "https://mdm.test";
        s.entra.key.text = secret("the-application-secret");
        s.entra.login_url = {"https://login.test", "login.test", 443};
        s.entra.graph_url = {"https://graph.test", "graph.test", 443};
        s.server.public_url = {"https://mdm.test", "mdm.test", 443};
        s.server.management_url = {"https://mdm.test:8443", "mdm.test", 8443};
        return c;
    }
    http::transport out() {
        return [t = tenant](http::call const& c) { return (*t)(c); };
    }
    // Making an authority's keys takes a second: one is enough for all the appliances of a test program.
    void share_authority() {
        static auto const made = crypto::make_authority("mdm.test", from_ms(1'800'000'000'000));
        db.write([&](store::connection& c) {
            auto const root = made.root.fingerprint();
            store::add_authority(c, {root, "root", "own", root, made.root.pem(), made.root_key.to_pem(), time.now()});
            store::add_authority(c, {made.issuing.fingerprint(), "issuing", "own", root, made.issuing.pem(),
                                        made.issuing_key.to_pem(), time.now()});
        });
    }
    std::unique_ptr<service::appliance> start() {
        share_authority();
        return std::make_unique<service::appliance>(db, time, service::ready(config), out());
    }
    void report_now() { static_cast<void>(appliance->report.report_now().value()); }
    // What the timers do, once each.
    void timers() {
        appliance->token.watch();
        appliance->ends.refresh_if_due();
        appliance->remind.tick();
        appliance->remind.deliver();
        appliance->report.judge();
        appliance->report.tick();
        appliance->trouble.tick();
    }
    void reconfigure() { appliance->reload(service::ready(config), out()); }

    static http::request request(std::string method, std::string path, std::string body = {}) {
        http::request r;
        r.id = new_guid();
        r.method = std::move(method);
        auto const cut = path.find('?');
        r.path = path.substr(0, cut);
        if (cut != path.npos) r.query = path.substr(cut + 1);
        r.body = std::move(body);
        return r;
    }

    static std::string between(std::string_view text, std::string_view from, std::string_view to) {
        auto const a = text.find(from);
        if (a == text.npos) return {};
        auto const b = text.find(to, a + from.size());
        return std::string(text.substr(a + from.size(), b - a - from.size()));
    }

    // Opens the Terms of Use as Windows does.
    http::response open_terms(bool corporate, std::string const& token) {
        auto r = request("GET",
            std::string(
                "/TermsOfUse?redirect_uri=ms-appx-web://app/ToUResponse&client-request-id=34be581c-6ebd-49d6-a4e1-150eff4b7213"
                "&api-version=1.0") +
                (corporate ? "&mode=azureadjoin" : ""));
        r.headers.add("Authorization", "Bearer " + token);
        return appliance->terms.show(r);
    }
    http::response answer_terms(std::string const& page, std::string const& decision) {
        auto const state = between(page, "name=\"state\" value=\"", "\"");
        return appliance->terms.decide(
            request("POST", "/TermsOfUse", "state=" + percent_encode(state) + "&decision=" + decision));
    }
    // The blob of accepted Terms of Use.
    std::string accept_terms(bool corporate, json::object claims = {}) {
        auto const page = open_terms(corporate, tenant->token(time.now(), std::move(claims)));
        REQUIRE(page.status == 200);
        auto const done = answer_terms(page.body, "accept");
        REQUIRE(done.status == 302);
        auto const location = std::string(done.headers.get("Location").value());
        return std::string(find_parameter(parse_query(location.substr(location.find('?') + 1)), "OpaqueBlob").value());
    }

    struct enrollment {
        bool corporate = true;
        std::string blob;
        std::string token;
        std::string csr = shared_key().request();
        std::string hardware = "HW1";
        std::string device_id = "MDMDEVICE1";
        std::string os_version = "10.0.22631.3447";
        std::string device_type = "CIMClient_Windows";
        std::string extra_items = "";
        std::string request_type = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue";
        std::string binary_type = "PKCS10";
    };
    static std::string rst(enrollment const& e) {
        auto const item = [](std::string_view name, std::string_view value) {
            return fmt::format(R"(<ac:ContextItem Name="{}"><ac:Value>{}</ac:Value></ac:ContextItem>)", name, value);
        };
        constexpr auto wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
        return fmt::format(
            R"(<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:wsse="{0}" xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512" xmlns:ac="http://schemas.xmlsoap.org/ws/2006/12/authorization"><s:Header><a:Action s:mustUnderstand="1">http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RST/wstep</a:Action><a:MessageID>urn:uuid:0d5a1441-5891-453b-becf-a2e5f6ea3749</a:MessageID><wsse:Security s:mustUnderstand="1"><wsse:BinarySecurityToken ValueType="urn:ietf:params:oauth:token-type:jwt" EncodingType="{0}#base64binary">{1}</wsse:BinarySecurityToken></wsse:Security></s:Header><s:Body><wst:RequestSecurityToken><wst:TokenType>http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken</wst:TokenType><wst:RequestType>{2}</wst:RequestType><wsse:BinarySecurityToken ValueType="http://schemas.microsoft.com/windows/pki/2009/01/enrollment#{5}" EncodingType="{0}#base64binary">{3}</wsse:BinarySecurityToken><ac:AdditionalContext>{4}</ac:AdditionalContext></wst:RequestSecurityToken></s:Body></s:Envelope>)",
            wsse, base64(e.token), e.request_type, base64(e.csr),
            item("EnrollmentType", e.corporate ? "Device" : "Full") + item("DeviceType", e.device_type) +
                item("DeviceID", e.device_id) + item("OSVersion", e.os_version) + item("OSEdition", "4") +
                item("DeviceName", "PC1") + item("HWDevID", e.hardware) + item("EnrollmentData", e.blob) +
                e.extra_items,
            e.binary_type);
    }
    http::response enroll(enrollment const& e) {
        return appliance->enroll.enroll(request("POST", "/EnrollmentServer/Enrollment.svc", rst(e)));
    }
    // GetPolicies with a token of Entra's.
    http::response policies(std::string const& token) {
        constexpr auto wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
        return appliance->enroll.policies(request("POST", "/EnrollmentServer/Policy.svc",
            fmt::format(
                R"(<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:wsse="{0}"><s:Header><a:Action s:mustUnderstand="1">http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPolicies</a:Action><a:MessageID>urn:uuid:72048B64-0F19-448F-8C2E-B4C661860AA0</a:MessageID><wsse:Security s:mustUnderstand="1"><wsse:BinarySecurityToken ValueType="urn:ietf:params:oauth:token-type:jwt" EncodingType="{0}#base64binary">{1}</wsse:BinarySecurityToken></wsse:Security></s:Header><s:Body><GetPolicies xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"><client/><requestFilter/></GetPolicies></s:Body></s:Envelope>)",
                wsse, base64(token))));
    }
    json::object device_claims(char const* device = entra_device) { return {{"deviceid", device}}; }
    std::string device_token(char const* device = entra_device) {
        return tenant->token(time.now(), device_claims(device));
    }

    // The device certificate of an RSTR, DER.
    static std::string certificate_of(http::response const& r) {
        REQUIRE(r.status == 200);
        auto const document = unbase64(between(r.body, "#base64binary\">", "</")).value();
        return unbase64(between(document.substr(document.find("type=\"My\"")), "EncodedCertificate\" value=\"", "\""))
            .value();
    }
    std::string enroll_one(bool corporate = true) {
        return certificate_of(
            enroll({.corporate = corporate, .blob = accept_terms(corporate), .token = device_token()}));
    }

    // --- SyncML ---
    std::string certificate;
    static std::string syncml(std::string_view session, int msg, std::string_view body, bool final = true,
        std::string_view source = "MDMDEVICE1") {
        return fmt::format(
            R"(<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>{}</SessionID><MsgID>{}</MsgID><Target><LocURI>https://mdm.test:8443/ManagementServer/MDM.svc</LocURI></Target><Source><LocURI>{}</LocURI></Source></SyncHdr><SyncBody>{}{}</SyncBody></SyncML>)",
            session, msg, source, body, final ? "<Final/>" : "");
    }
    http::response post(std::string const& body) {
        auto r = request("POST", "/ManagementServer/MDM.svc?mode=Maintenance&Platform=WoA", body);
        r.headers.add("Content-Type", "application/vnd.syncml.dm+xml");
        r.peer_certificate = certificate;
        return appliance->manage.session(r);
    }
};

}  // namespace mdmd::test
