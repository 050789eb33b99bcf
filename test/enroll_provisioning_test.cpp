#include <functional>

#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "enroll/provisioning.hpp"
#include "test/support.hpp"
#include "xml/document.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

auto const device_id = "0f1e2d3c-1111-4222-8333-444455556666";
auto const now = parse_rfc3339("2026-01-31T12:00:00Z").value();

struct issued {
    crypto::certificate root, issuing, device;
};

// Making keys is slow, so it is done once for all tests.
issued const& certificates() {
    static issued const all = [] {
        auto made = crypto::make_authority("Contoso", now);
        auto const request = test::read_file(test::golden("enroll/device-request.b64"));
        auto const csr = crypto::parse_signing_request(unbase64(request).value()).value();
        crypto::authority const authority{
            .root = made.root, .issuing = made.issuing, .issuing_key = std::move(made.issuing_key)};
        auto device = crypto::issue_device_certificate(
            authority, csr, {.common_name = device_id, .upn = "user@contoso.com", .validity = 24h * 365}, now);
        return issued{made.root, made.issuing, std::move(device)};
    }();
    return all;
}

enroll::provisioning example() {
    auto const& c = certificates();
    return {.root = c.root,
        .issuing = c.issuing,
        .device = c.device,
        .device_store = false,
        .device_id = device_id,
        .device_name = "DESKTOP-1",
        .upn = "user@contoso.com",
        .management_url = "https://mdm.contoso.com:8443/ManagementServer/MDM.svc",
        .app_id = "https://mdm.contoso.com",
        .name = "Contoso & Sons",
        .server_account = {.name = "server", .password = secret("for-the-device"), .nonce = "nonce-1"},
        .device_account = {.name = device_id, .password = secret("for-the-server"), .nonce = std::string("\0\xff", 2)},
        .renewal_window = 24h * 60,
        .poll = 8h};
}

// The characteristic at a path of types, each among the children of the one before.
xml::tree const* at(xml::tree const& from, std::vector<std::string> const& path) {
    auto const* here = &from;
    for (auto const& type : path) {
        xml::tree const* next = nullptr;
        for (auto const& [name, child] : *here)
            if (name.local == "characteristic" && xml::attribute(child, "", "type") == type) next = &child;
        if (!next) return nullptr;
        here = next;
    }
    return here;
}

std::optional<std::string> attribute_of_parm(xml::tree const* node, std::string_view name, std::string_view attribute) {
    if (!node) return std::nullopt;
    for (auto const& [element, child] : *node)
        if (element.local == "parm" && xml::attribute(child, "", "name") == name)
            if (auto const value = xml::attribute(child, "", attribute)) return std::string(*value);
    return std::nullopt;
}
std::optional<std::string> parm(xml::tree const* node, std::string_view name) {
    return attribute_of_parm(node, name, "value");
}

std::vector<std::string> types(xml::tree const* node) {
    std::vector<std::string> all;
    for (auto const& [element, child] : *node)
        if (element.local == "characteristic") all.emplace_back(xml::attribute(child, "", "type").value());
    return all;
}

std::string replace_all(std::string text, std::string const& from, std::string const& to) {
    for (auto p = text.find(from); p != text.npos; p = text.find(from, p + to.size())) text.replace(p, from.size(), to);
    return text;
}

}  // namespace

TEST_CASE("the provisioning document is the one Windows expects", "[enroll][golden]") {
    auto const& c = certificates();
    auto text = enroll::provisioning_document(example());
    for (auto const& [name, certificate] : {std::pair{"ROOT", c.root}, {"ISSUING", c.issuing}, {"DEVICE", c.device}}) {
        text = replace_all(text, base64(certificate.der()), std::string(name) + "-DER");
        text = replace_all(text, certificate.thumbprint(), std::string(name) + "-SHA1");
    }
    test::matches_golden("enroll/provisioning.xml", replace_all(text, "><", ">\n<") + "\n");
}

TEST_CASE("each certificate is named by the SHA-1 of its DER, in its store", "[enroll]") {
    bool const device_store = GENERATE(false, true);
    auto p = example();
    p.device_store = device_store;
    auto const doc = xml::parse(enroll::provisioning_document(p)).value();
    auto const* const store = at(doc.content, {"CertificateStore"});
    REQUIRE(store);
    CHECK(types(store) == std::vector<std::string>{"Root", "CA", "My"});
    auto const mine = std::string(device_store ? "System" : "User");
    CHECK(at(*store, {"My", device_store ? "User" : "System"}) == nullptr);
    auto const& c = certificates();
    for (auto const& [path, certificate] : {std::pair{std::vector<std::string>{"Root", "System"}, c.root},
             {{"CA", "System"}, c.issuing}, {{"My", mine}, c.device}}) {
        CAPTURE(path);
        auto const* const folder = at(*store, path);
        REQUIRE(folder);
        auto const hash = types(folder).at(0);
        auto const encoded = parm(at(*folder, {hash}), "EncodedCertificate").value();
        CHECK(encoded.find_first_of("\r\n ") == std::string::npos);
        CHECK(hash == hex_upper(crypto::sha1(unbase64(encoded).value())));
        CHECK(unbase64(encoded) == certificate.der());
    }
    CHECK(types(at(*store, {"My", mine})).at(1) == "PrivateKeyContainer");
}

TEST_CASE("the search criteria find the issued certificate", "[enroll]") {
    auto const [device_store, store] = GENERATE(table<bool, std::string>({{false, "My\\User"}, {true, "My\\System"}}));
    auto p = example();
    p.device_store = device_store;
    auto const doc = xml::parse(enroll::provisioning_document(p)).value();
    auto const written = parm(at(doc.content, {"APPLICATION"}), "SSLCLIENTCERTSEARCHCRITERIA").value();
    CHECK(written == enroll::certificate_search_criteria(device_id, device_store));
    auto const pairs = parse_query(written, false);
    CHECK(pairs == parameters{{"Subject", p.device.subject()}, {"Stores", store}});
    CHECK(written == std::string("Subject=CN%3D") + device_id + "&Stores=My%5C" + (device_store ? "System" : "User"));
}

TEST_CASE("both DM accounts are there, each with its own secret", "[enroll]") {
    auto const doc = xml::parse(enroll::provisioning_document(example())).value();
    std::vector<std::string> levels;
    for (auto const& [name, child] : *at(doc.content, {"APPLICATION"})) {
        if (name.local != "characteristic") continue;
        CHECK(xml::attribute(child, "", "type") == "APPAUTH");
        CHECK(parm(&child, "AAUTHTYPE") == "DIGEST");
        auto const level = parm(&child, "AAUTHLEVEL").value();
        levels.push_back(level);
        bool const client = level == "CLIENT";
        CHECK(parm(&child, "AAUTHSECRET") == (client ? "for-the-device" : "for-the-server"));
        CHECK(unbase64(parm(&child, "AAUTHDATA").value()) == (client ? "nonce-1" : std::string("\0\xff", 2)));
        CHECK(parm(&child, "AAUTHNAME") == (client ? std::nullopt : std::optional<std::string>(device_id)));
    }
    CHECK(levels == std::vector<std::string>{"CLIENT", "APPSRV"});
}

TEST_CASE("the DM client node is the provider's and every value in it has a type", "[enroll]") {
    auto const doc = xml::parse(enroll::provisioning_document(example())).value();
    auto const* const app = at(doc.content, {"APPLICATION"});
    CHECK(parm(app, "PROVIDER-ID") == enroll::provider_id);
    CHECK(parm(app, "NAME") == "Contoso & Sons");
    CHECK(parm(app, "ADDR") == "https://mdm.contoso.com:8443/ManagementServer/MDM.svc");
    CHECK(attribute_of_parm(app, "BACKCOMPATRETRYDISABLED", "name"));
    CHECK_FALSE(attribute_of_parm(app, "BACKCOMPATRETRYDISABLED", "value"));
    auto const* const provider = at(doc.content, {"DMClient", "Provider", enroll::provider_id});
    CHECK(parm(provider, "EntDMID") == device_id);
    CHECK(parm(provider, "EntDeviceName") == "DESKTOP-1");
    CHECK(parm(provider, "UPN") == "user@contoso.com");
    CHECK(parm(provider, "AADResourceID") == "https://mdm.contoso.com");
    std::function<void(xml::tree const&)> const typed = [&](xml::tree const& node) {
        for (auto const& [name, child] : node) {
            if (name.local == "parm") CHECK(xml::attribute(child, "", "datatype"));
            if (name.local == "characteristic") typed(child);
        }
    };
    typed(*provider);
    typed(*at(doc.content, {"CertificateStore", "My", "WSTEP"}));
}

TEST_CASE("what is not known is not written", "[enroll]") {
    auto p = example();
    p.upn.clear();
    p.app_id.clear();
    auto const doc = xml::parse(enroll::provisioning_document(p)).value();
    auto const* const provider = at(doc.content, {"DMClient", "Provider", enroll::provider_id});
    CHECK_FALSE(parm(provider, "UPN"));
    CHECK_FALSE(parm(provider, "AADResourceID"));
}

TEST_CASE("renewal and poll times are whole days and minutes within Windows' ranges", "[enroll]") {
    using std::chrono::seconds;
    auto const [window, poll, days, retry, minutes] =
        GENERATE(table<seconds, seconds, std::string, std::string, std::string>({
            {24h * 60, 8h, "60", "4", "480"},
            {24h * 61 - 1s, 8h + 1s, "60", "4", "481"},
            {36h, 8h, "1", "1", "480"},
            {1s, 1s, "1", "1", "1"},
            {0s, 0s, "1", "1", "1"},
            {24h * 3, 60s, "3", "3", "1"},
            {24h * 1001, 61s, "1000", "4", "2"},
        }));
    auto p = example();
    p.renewal_window = window;
    p.poll = poll;
    auto const doc = xml::parse(enroll::provisioning_document(p)).value();
    auto const* const renew = at(doc.content, {"CertificateStore", "My", "WSTEP", "Renew"});
    CHECK(parm(renew, "ROBOSupport") == "true");
    CHECK(parm(renew, "RenewPeriod") == days);
    CHECK(parm(renew, "RetryInterval") == retry);
    auto const* const schedule = at(doc.content, {"DMClient", "Provider", enroll::provider_id, "Poll"});
    CHECK(parm(schedule, "NumberOfFirstRetries") == "5");
    CHECK(parm(schedule, "IntervalForFirstSetOfRetries") == "15");
    CHECK(parm(schedule, "NumberOfSecondRetries") == "8");
    CHECK(parm(schedule, "IntervalForSecondSetOfRetries") == "60");
    CHECK(parm(schedule, "NumberOfRemainingScheduledRetries") == "0");
    CHECK(parm(schedule, "IntervalForRemainingScheduledRetries") == minutes);
}

TEST_CASE("a renewal's document has the new certificate in the old one's store, and the provider", "[enroll][golden]") {
    auto const& c = certificates();
    auto text = enroll::renewal_document({.device = c.device,
        .device_store = true,
        .root = std::nullopt,
        .issuing = c.issuing,
        .renewal_window = 24h * 60});
    for (auto const& [name, certificate] : {std::pair{"ISSUING", c.issuing}, {"DEVICE", c.device}}) {
        text = replace_all(text, base64(certificate.der()), std::string(name) + "-DER");
        text = replace_all(text, certificate.thumbprint(), std::string(name) + "-SHA1");
    }
    test::matches_golden("enroll/renewal.xml", replace_all(text, "><", ">\n<") + "\n");
}

TEST_CASE("a renewal's document brings of the authority only what is new", "[enroll]") {
    auto const& c = certificates();
    bool const root = GENERATE(false, true);
    bool const issuing = GENERATE(false, true);
    bool const device_store = GENERATE(false, true);
    auto const doc = xml::parse(enroll::renewal_document({.device = c.device,
                                    .device_store = device_store,
                                    .root = root ? std::optional(c.root) : std::nullopt,
                                    .issuing = issuing ? std::optional(c.issuing) : std::nullopt,
                                    .renewal_window = 24h}))
                         .value();
    std::vector<std::string> stores;
    if (root) stores.emplace_back("Root");
    if (issuing) stores.emplace_back("CA");
    stores.emplace_back("My");
    CHECK(types(&doc.content) == std::vector<std::string>{"CertificateStore", "APPLICATION"});
    auto const* const store = at(doc.content, {"CertificateStore"});
    CHECK(types(store) == stores);
    CHECK(types(at(*store, {"My"})) == std::vector<std::string>{device_store ? "System" : "User", "WSTEP"});
    auto const* const own = at(*store, {"My", device_store ? "System" : "User", c.device.thumbprint()});
    REQUIRE(own);
    CHECK(unbase64(parm(own, "EncodedCertificate").value()) == c.device.der());
    CHECK(types(own) == std::vector<std::string>{"PrivateKeyContainer"});
    CHECK(parm(at(doc.content, {"APPLICATION"}), "PROVIDER-ID") == enroll::provider_id);
    CHECK_FALSE(parm(at(doc.content, {"APPLICATION"}), "ADDR"));
}

TEST_CASE("names from devices and directories cannot break the document", "[enroll][security]") {
    auto const name = GENERATE(values<std::string>({"\"/><parm name=\"ROLE\" value=\"1\"/>",
        "a\x01"
        "b",
        "\xff", "\xef\xbf\xbf", "a\nb", "<&>'"}));
    auto p = example();
    p.device_name = p.upn = p.name = name;
    auto const doc = xml::parse(enroll::provisioning_document(p));
    REQUIRE(doc);
    CHECK_FALSE(parm(at(doc->content, {"APPLICATION"}), "ROLE"));
    auto const* const provider = at(doc->content, {"DMClient", "Provider", enroll::provider_id});
    CHECK(parm(provider, "EntDeviceName") == parm(provider, "UPN"));
}
