#include "soap.hpp"

#include <charconv>
#include <cmath>
#include <functional>
#include <set>
#include <span>

#include "core/text.hpp"
#include "xml/document.hpp"

namespace mdmd::sim {
namespace {

constexpr char s_ns[] = "http://www.w3.org/2003/05/soap-envelope";
constexpr char a_ns[] = "http://www.w3.org/2005/08/addressing";
constexpr char u_ns[] = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
constexpr char o_ns[] = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
constexpr char wst_ns[] = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
constexpr char enroll_ns[] = "http://schemas.microsoft.com/windows/management/2012/01/enrollment";
constexpr char xcep_ns[] = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy";
constexpr char wstep_ns[] = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";
constexpr char xsi_ns[] = "http://www.w3.org/2001/XMLSchema-instance";
constexpr char base64_encoding[] =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary";
constexpr char token_type[] =
    "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken";
constexpr char document_type[] =
    "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentProvisionDoc";

std::string envelope(std::string const& namespaces, std::string const& action, std::string const& message_id,
    std::string const& to, std::string const& security, std::string const& body) {
    return fmt::format(
        "<s:Envelope xmlns:s=\"{}\" xmlns:a=\"{}\"{}><s:Header><a:Action s:mustUnderstand=\"1\">{}</a:Action>"
        "<a:MessageID>{}</a:MessageID><a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address>"
        "</a:ReplyTo><a:To s:mustUnderstand=\"1\">{}</a:To>{}</s:Header>{}</s:Envelope>",
        s_ns, a_ns, namespaces, action, message_id, html_escape(to), security, body);
}

std::string const more_namespaces = fmt::format(
    " xmlns:u=\"{}\" xmlns:wsse=\"{}\" xmlns:wst=\"{}\" xmlns:ac=\"http://schemas.xmlsoap.org/ws/2006/12/authorization\"",
    u_ns, o_ns, wst_ns);

std::string security(std::string const& credential) {
    return fmt::format("<wsse:Security s:mustUnderstand=\"1\">{}</wsse:Security>", credential);
}

struct fault_code {
    char const* name;
    std::uint32_t hresult;
};
constexpr fault_code subcodes[] = {{"s:MessageFormat", 0x80180001}, {"s:Authentication", 0x80180002},
    {"s:Authorization", 0x80180003}, {"s:CertificateRequest", 0x80180004}, {"s:EnrollmentServer", 0x80180005},
    {"a:InternalServiceFault", 0x80180006}, {"a:InvalidSecurity", 0x80180007}};
constexpr fault_code error_types[] = {{"DeviceCapReached", 0x80180013}, {"DeviceNotSupported", 0x80180014},
    {"NotSupported", 0x80180015}, {"NotEligibleToRenew", 0x80180016}, {"InMaintenance", 0x80180017},
    {"UserLicense", 0x80180018}, {"InvalidEnrollmentData", 0x80180019}, {"CustomServerError", 0x80180032}};
constexpr std::uint32_t message_format = 0x80180001, unknown_error = 0x80180008, empty_message = 0x80180029,
                        too_many_requests = 0x80180033;

std::uint32_t hresult_of(std::string_view subcode, std::string_view error_type) {
    for (auto const& t : error_types)
        if (error_type == t.name) return t.hresult;
    for (auto const& c : subcodes)
        if (subcode == c.name) return c.hresult;
    return unknown_error;
}

std::string text_of(xml::tree const* t) { return t ? std::string(trim(t->data())) : std::string(); }

// The children of `t` in order, without the entry for its attributes.
std::vector<std::pair<xml::name, xml::tree const*>> children(xml::tree const& t) {
    std::vector<std::pair<xml::name, xml::tree const*>> all;
    for (auto const& [name, inner] : t)
        if (!xml::is_attributes(name)) all.emplace_back(name, &inner);
    return all;
}

// One answer in hand: the checks that all three have in common, and a place for the first failure.
class answer_reader {
public:
    explicit answer_reader(http::response const& r) : http_(r) { failure.http_status = r.status; }

    bool good() const { return failure.text.empty(); }
    void wrong(std::string text, std::uint32_t hresult = message_format) {
        if (!good()) return;
        failure.text = std::move(text);
        failure.hresult = hresult;
    }

    // Body's only child, if the envelope is the right answer to the message.
    xml::tree const* open(
        std::string const& action, std::string const& message_id, char const* ns, char const* element) {
        if (http_.headers.get("Transfer-Encoding")) wrong("the answer has Transfer-Encoding");
        if (auto const length = http_.headers.get("Content-Length");
            !length || *length != std::to_string(http_.body.size()))
            wrong("the answer has no exact Content-Length");
        if (http_.body.empty())
            wrong(fmt::format("HTTP status {} without a body", http_.status), http_.status == 429   ? too_many_requests
                                                                              : http_.status == 200 ? empty_message
                                                                                                    : unknown_error);
        if (!good()) return nullptr;
        auto parsed = xml::parse(http_.body);
        if (!parsed) {
            wrong(fmt::format("HTTP status {}: not XML: {}", http_.status, parsed.error().detail),
                http_.status == 200 ? message_format : unknown_error);
            return nullptr;
        }
        document_ = std::move(*parsed);
        if (document_.root != xml::name{s_ns, "Envelope"}) wrong("not a SOAP 1.2 envelope");
        auto const parts = children(document_.content);
        if (parts.size() != 2 || parts[0].first != xml::name{s_ns, "Header"} ||
            parts[1].first != xml::name{s_ns, "Body"})
            wrong("the envelope is not Header and Body");
        if (!good()) return nullptr;
        auto const& header = *parts[0].second;
        auto const body = children(*parts[1].second);
        auto const content_type = http_.headers.get("Content-Type").value_or("");
        if (!iequals(trim(split(content_type, ';').front()), "application/soap+xml"))
            wrong(fmt::format("Content-Type is '{}'", printable(content_type, 100)));
        if (text_of(xml::child(header, a_ns, "Action")) != action)
            wrong(fmt::format(
                "Action is '{}', not {}", printable(text_of(xml::child(header, a_ns, "Action")), 200), action));
        if (text_of(xml::child(header, a_ns, "RelatesTo")) != message_id)
            wrong(fmt::format("RelatesTo is '{}', not our MessageID",
                printable(text_of(xml::child(header, a_ns, "RelatesTo")), 200)));
        if (body.size() != 1) wrong("Body holds not exactly one element");
        if (!good()) return nullptr;
        if (body[0].first == xml::name{s_ns, "Fault"}) {
            fault(*body[0].second);
            return nullptr;
        }
        if (http_.status != 200) wrong(fmt::format("HTTP status {}", http_.status), unknown_error);
        if (body[0].first != xml::name{ns, element})
            wrong(fmt::format("Body holds <{}>, not <{}>", body[0].first.local, element));
        return good() ? body[0].second : nullptr;
    }

    // Children have these names, in this order; nullptr for one that is absent where '?' marks it optional.
    std::vector<xml::tree const*> sequence(
        xml::tree const& t, std::string const& where, char const* ns, std::span<char const* const> names) {
        std::vector<xml::tree const*> found;
        auto const all = children(t);
        std::size_t at = 0;
        for (std::string_view name : names) {
            auto const optional = name.ends_with('?');
            if (optional) name.remove_suffix(1);
            if (at < all.size() && all[at].first.ns == ns && all[at].first.local == name) {
                found.push_back(all[at++].second);
            } else {
                if (!optional)
                    wrong(fmt::format("<{}>: <{}> was expected{}", where, name,
                        at < all.size() ? fmt::format(" where <{}> stands", all[at].first.local) : ""));
                found.push_back(nullptr);
            }
        }
        if (at < all.size()) wrong(fmt::format("<{}>: <{}> is too much or out of order", where, all[at].first.local));
        return found;
    }

    long number(xml::tree const* t, char const* name, long least) {
        auto const s = text_of(t);
        long v = 0;
        auto const [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
        if (ec != std::errc{} || end != s.data() + s.size() || v < least)
            wrong(fmt::format("{} '{}' is not a number of {} or more", name, printable(s, 40), least));
        return v;
    }

    enroll_failure failure;

private:
    void fault(xml::tree const& f) {
        auto const* const code = xml::child(f, s_ns, "Code");
        auto const* const subcode = code ? xml::child(*code, s_ns, "Subcode") : nullptr;
        auto const* const reason = xml::child(f, s_ns, "Reason");
        auto const* const detail = xml::child(f, s_ns, "Detail");
        auto const* const error = detail ? xml::child(*detail, wstep_ns, "DeviceEnrollmentServiceError") : nullptr;
        failure.subcode = subcode ? text_of(xml::child(*subcode, s_ns, "Value")) : std::string();
        if (error) {
            failure.error_type = text_of(xml::child(*error, wstep_ns, "ErrorType"));
            failure.trace_id = text_of(xml::child(*error, wstep_ns, "TraceId"));
        }
        auto const text = reason ? text_of(xml::child(*reason, s_ns, "Text")) : std::string();
        if (code == nullptr || text_of(xml::child(*code, s_ns, "Value")) != "s:Receiver")
            return wrong("a SOAP fault whose Code is not s:Receiver", unknown_error);
        wrong(fmt::format("SOAP fault {}{}{}: {}", failure.subcode, failure.error_type.empty() ? "" : " ",
                  failure.error_type, printable(text, 300)),
            hresult_of(failure.subcode, failure.error_type));
    }

    http::response const& http_;
    xml::document document_;
};

bool is_nil(xml::tree const* t) { return t && xml::attribute(*t, xsi_ns, "nil") == "true"; }

std::string host_of(std::string_view url) {
    auto const from = url.find("://");
    auto const rest = from == url.npos ? url : url.substr(from + 3);
    return lower(rest.substr(0, rest.find_first_of(":/?")));
}

}  // namespace

std::string discover_request(std::string const& message_id, std::string const& to, std::string const& email,
    std::string const& request_version, std::string const& os_version, std::string const& os_edition,
    std::vector<std::string> const& auth_policies) {
    std::string policies;
    for (auto const& p : auth_policies) policies += fmt::format("<AuthPolicy>{}</AuthPolicy>", p);
    // The trailing slash of the namespace is what Windows sends.
    return envelope("", std::string(enroll_ns) + "/IDiscoveryService/Discover", message_id, to, "",
        fmt::format(
            "<s:Body><Discover xmlns=\"{}/\"><request xmlns:i=\"{}\"><EmailAddress>{}</EmailAddress>"
            "<RequestVersion>{}</RequestVersion><DeviceType>CIMClient_Windows</DeviceType>"
            "<ApplicationVersion>{}</ApplicationVersion><OSEdition>{}</OSEdition><AuthPolicies>{}</AuthPolicies>"
            "</request></Discover></s:Body>",
            enroll_ns, xsi_ns, html_escape(email), request_version, os_version, os_edition, policies));
}

std::string policies_request(std::string const& message_id, std::string const& to, std::string const& credential) {
    return envelope(more_namespaces, std::string(xcep_ns) + "/IPolicy/GetPolicies", message_id, to,
        security(credential),
        fmt::format(
            "<s:Body xmlns:xsi=\"{}\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><GetPolicies xmlns=\"{}\"><client>"
            "<lastUpdate xsi:nil=\"true\"/><preferredLanguage xsi:nil=\"true\"/></client>"
            "<requestFilter xsi:nil=\"true\"/></GetPolicies></s:Body>",
            xsi_ns, xcep_ns));
}

std::string token_request(std::string const& message_id, std::string const& to, std::string const& credential,
    std::string const& token_der, context_items const& items, token_form form) {
    std::string context;
    for (auto const& [name, value] : items)
        context += fmt::format(
            "<ac:ContextItem Name=\"{}\"><ac:Value>{}</ac:Value></ac:ContextItem>", name, html_escape(value));
    bool const renew = form != token_form::pkcs10;
    auto const value_type = form == token_form::pkcs10            ? std::string(wstep_ns) + "#PKCS10"
                            : form == token_form::pkcs7_microsoft ? std::string(wstep_ns) + "#PKCS7"
                                                                  : std::string(o_ns) + "#PKCS7";
    auto const once = base64(token_der);
    return envelope(more_namespaces, std::string(wstep_ns) + "/RST/wstep", message_id, to, security(credential),
        fmt::format(
            "<s:Body><wst:RequestSecurityToken><wst:TokenType>{}</wst:TokenType><wst:RequestType>{}/{}</wst:RequestType>"
            "<wsse:BinarySecurityToken ValueType=\"{}\" EncodingType=\"{}\">{}</wsse:BinarySecurityToken>"
            "<ac:AdditionalContext xmlns=\"http://schemas.xmlsoap.org/ws/2006/12/authorization\">{}"
            "</ac:AdditionalContext></wst:RequestSecurityToken></s:Body>",
            token_type, "http://docs.oasis-open.org/ws-sx/ws-trust/200512", renew ? "Renew" : "Issue", value_type,
            base64_encoding, form == token_form::pkcs7_twice ? base64(once) : once, context));
}

namespace {

void replace_all(std::string& text, std::string_view what, std::string_view with) {
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + with.size()))
        text.replace(at, what.size(), with);
}

// Changes the text of the innermost elements of these names.
void change_texts(std::string& soap, std::set<std::string_view> const& names,
    std::function<std::string(std::string_view)> const& change) {
    std::string out;
    std::size_t from = 0;
    for (auto end = soap.find("</"); end != soap.npos; end = soap.find("</", end + 2)) {
        auto const name = std::string_view(soap).substr(end + 2, soap.find('>', end) - end - 2);
        auto const begin = soap.rfind('>', end);
        if (begin == soap.npos || begin < from || begin + 1 == end || !names.contains(name)) continue;
        out += soap.substr(from, begin + 1 - from) + change(std::string_view(soap).substr(begin + 1, end - begin - 1));
        from = end;
    }
    soap = out + soap.substr(from);
}

}  // namespace

std::string written_oddly(std::string soap, oddities const& odd) {
    if (odd.wrapped_base64)
        change_texts(soap, {"wsse:BinarySecurityToken"}, [](std::string_view text) {
            std::string lines;
            for (std::size_t i = 0; i < text.size(); i += 64) lines += std::string(text.substr(i, 64)) + "\r\n";
            return lines;
        });
    if (odd.capital_booleans)
        change_texts(soap, {"ac:Value"}, [](std::string_view text) {
            return std::string(text == "true" ? "True" : text == "false" ? "False" : text);
        });
    if (odd.white_space)
        change_texts(soap,
            {"ac:Value", "EmailAddress", "RequestVersion", "AuthPolicy", "OSEdition", "ApplicationVersion",
                "DeviceType", "wst:RequestType", "wst:TokenType", "a:To", "a:Action", "a:Address",
                "wsse:BinarySecurityToken", "wsse:Username"},
            [](std::string_view text) { return fmt::format("\r\n\t  {} \n  ", text); });
    if (odd.slash_namespaces)
        for (std::string_view const ns : {xcep_ns, "http://schemas.xmlsoap.org/ws/2006/12/authorization"})
            replace_all(soap, fmt::format("=\"{}\"", ns), fmt::format("=\"{}/\"", ns));
    if (odd.no_slash_namespace)
        replace_all(soap, fmt::format("=\"{}/\"", enroll_ns), fmt::format("=\"{}\"", enroll_ns));
    if (odd.prefixed_attributes) {
        for (std::string_view const name : {"ValueType", "EncodingType"})
            replace_all(soap, fmt::format(" {}=", name), fmt::format(" wsse:{}=", name));
        replace_all(soap, " Name=", " ac:Name=");
    }
    if (odd.default_namespaces) {
        replace_all(soap, "<wst:RequestSecurityToken>", fmt::format("<RequestSecurityToken xmlns=\"{}\">", wst_ns));
        for (std::string_view const prefix : {"wst:", "ac:"})  // AdditionalContext has its own xmlns
            for (std::string_view const bracket : {"<", "</"})
                replace_all(soap, fmt::format("{}{}", bracket, prefix), bracket);
        replace_all(soap, "<wsse:Security ", fmt::format("<Security xmlns=\"{}\" ", o_ns));
        replace_all(soap, "</wsse:Security>", "</Security>");
    }
    return soap;
}

std::string jwt_credential(std::string const& jwt) {
    return fmt::format(
        "<wsse:BinarySecurityToken ValueType=\"urn:ietf:params:oauth:token-type:jwt\" EncodingType=\"{}\">{}"
        "</wsse:BinarySecurityToken>",
        base64_encoding, base64(jwt));
}

std::string user_token_credential(std::string const& token) {
    return fmt::format(
        "<wsse:BinarySecurityToken ValueType=\"http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/"
        "DeviceEnrollmentUserToken\" EncodingType=\"{}\">{}</wsse:BinarySecurityToken>",
        base64_encoding, base64(token));
}

std::string username_credential(std::string const& user, std::string const& password) {
    return fmt::format(
        "<wsse:UsernameToken u:Id=\"uuid-cc1ccc1f-2fba-4bcf-b063-ffc0cac77917-4\"><wsse:Username>{}"
        "</wsse:Username><wsse:Password wsse:Type=\"http://docs.oasis-open.org/wss/2004/01/"
        "oasis-200401-wss-username-token-profile-1.0#PasswordText\">{}</wsse:Password></wsse:UsernameToken>",
        html_escape(user), html_escape(password));
}

answer<discovered> read_discovery(http::response const& r, std::string const& message_id,
    std::string const& request_version, std::vector<std::string> const& offered) {
    answer_reader in(r);
    auto const* const body = in.open(
        std::string(enroll_ns) + "/IDiscoveryService/DiscoverResponse", message_id, enroll_ns, "DiscoverResponse");
    if (!body) return {std::nullopt, in.failure};
    auto const* const result = xml::child(*body, enroll_ns, "DiscoverResult");
    if (!result) {
        in.wrong("no DiscoverResult");
        return {std::nullopt, in.failure};
    }
    auto const field = [&](char const* name) {
        auto const* const t = xml::child(*result, enroll_ns, name);
        if (t && trim(t->data()) != t->data()) in.wrong(fmt::format("{} has white space around it", name));
        return text_of(t);
    };
    discovered d{field("AuthPolicy"), field("EnrollmentVersion"), field("EnrollmentPolicyServiceUrl"),
        field("EnrollmentServiceUrl"), field("AuthenticationServiceUrl")};
    if (std::find(offered.begin(), offered.end(), d.auth_policy) == offered.end())
        in.wrong(fmt::format("AuthPolicy '{}' was not offered", printable(d.auth_policy, 40)));
    auto const version = d.version.empty() ? 3.0 : std::atof(d.version.c_str());
    if (version < 3.0 || version > std::atof(request_version.c_str()))
        in.wrong(fmt::format(
            "EnrollmentVersion '{}' is not between 3.0 and ours, {}", printable(d.version, 40), request_version));
    for (auto const* url : {&d.policy_url, &d.enrollment_url})
        if (!url->starts_with("https://"))
            in.wrong(fmt::format("service address '{}' is not https", printable(*url, 200)));
    if (host_of(d.policy_url) != host_of(d.enrollment_url))
        in.wrong("policy and enrollment service have different hosts");
    if (!in.good()) return {std::nullopt, in.failure};
    return {std::move(d), {}};
}

answer<certificate_policy> read_policies(http::response const& r, std::string const& message_id) {
    answer_reader in(r);
    auto const* const body =
        in.open(std::string(xcep_ns) + "/IPolicy/GetPoliciesResponse", message_id, xcep_ns, "GetPoliciesResponse");
    if (!body) return {std::nullopt, in.failure};
    auto const stop = [&] { return answer<certificate_policy>{std::nullopt, in.failure}; };

    // Element order is an xs:sequence throughout. [MS-XCEP] 3.1.4.1.3
    constexpr char const* outer[] = {"response", "cAs", "oIDs"};
    constexpr char const* response[] = {
        "policyID", "policyFriendlyName", "nextUpdateHours", "policiesNotChanged", "policies"};
    constexpr char const* policy[] = {"policyOIDReference", "cAs", "attributes"};
    constexpr char const* attributes[] = {"commonName", "policySchema", "certificateValidity", "permission",
        "privateKeyAttributes", "revision", "supersededPolicies", "privateKeyFlags", "subjectNameFlags",
        "enrollmentFlags", "generalFlags", "hashAlgorithmOIDReference", "rARequirements", "keyArchivalAttributes",
        "extensions"};
    constexpr char const* validity[] = {"validityPeriodSeconds", "renewalPeriodSeconds"};
    constexpr char const* permission[] = {"enroll", "autoEnroll"};
    constexpr char const* key[] = {
        "minimalKeyLength", "keySpec", "keyUsageProperty", "permissions", "algorithmOIDReference", "cryptoProviders"};
    constexpr char const* revision[] = {"majorRevision", "minorRevision"};
    constexpr char const* oid[] = {"value", "group", "oIDReferenceID", "defaultName"};

    auto const top = in.sequence(*body, "GetPoliciesResponse", xcep_ns, outer);
    if (!in.good()) return stop();
    auto const resp = in.sequence(*top[0], "response", xcep_ns, response);
    if (!in.good()) return stop();
    auto const policies = children(*resp[4]);
    if (policies.size() != 1 || policies[0].first != xml::name{xcep_ns, "policy"}) {
        in.wrong("policies holds not exactly one policy");
        return stop();
    }
    auto const pol = in.sequence(*policies[0].second, "policy", xcep_ns, policy);
    if (!in.good()) return stop();
    auto const attr = in.sequence(*pol[2], "attributes", xcep_ns, attributes);
    if (!in.good()) return stop();
    auto const times = in.sequence(*attr[2], "certificateValidity", xcep_ns, validity);
    auto const perm = in.sequence(*attr[3], "permission", xcep_ns, permission);
    auto const keys = in.sequence(*attr[4], "privateKeyAttributes", xcep_ns, key);
    in.sequence(*attr[5], "revision", xcep_ns, revision);
    if (!in.good()) return stop();
    for (std::size_t i : {6u, 7u, 8u, 9u, 10u, 12u, 13u, 14u})
        if (!is_nil(attr[i]) && text_of(attr[i]).empty() && children(*attr[i]).empty())
            in.wrong(fmt::format("{} is empty and not nil", attributes[i]));
    if (text_of(attr[1]) != "3") in.wrong("policySchema is not 3");
    if (text_of(perm[0]) != "true") in.wrong("permission/enroll is not true");
    certificate_policy p;
    p.validity_s = in.number(times[0], "validityPeriodSeconds", 1);
    p.renewal_s = in.number(times[1], "renewalPeriodSeconds", 1);
    p.minimal_key_length = static_cast<int>(in.number(keys[0], "minimalKeyLength", 1024));
    if (p.renewal_s >= p.validity_s) in.wrong("renewalPeriodSeconds is not under validityPeriodSeconds");
    for (auto const& [name, t] : children(*top[2])) {
        if (name != xml::name{xcep_ns, "oID"}) {
            in.wrong("oIDs holds something else than oID");
            return stop();
        }
        auto const o = in.sequence(*t, "oID", xcep_ns, oid);
        if (!in.good()) return stop();
        in.number(o[1], "group", 1);
        if (auto const default_name = o[3]->data(); default_name.empty() || default_name != text_of(o[3]))
            in.wrong("an oID's defaultName is empty or has white space around it");
        if (text_of(o[2]) == text_of(attr[11])) p.hash_oid = text_of(o[0]);
    }
    if (p.hash_oid.empty()) in.wrong("hashAlgorithmOIDReference references no oID");
    if (p.hash_oid != "2.16.840.1.101.3.4.2.1")
        in.wrong(fmt::format("the hash algorithm is {}, not SHA-256", printable(p.hash_oid, 60)));
    if (!in.good()) return stop();
    return {std::move(p), {}};
}

answer<std::string> read_token_response(http::response const& r, std::string const& message_id) {
    answer_reader in(r);
    auto const* const body =
        in.open(std::string(wstep_ns) + "/RSTRC/wstep", message_id, wst_ns, "RequestSecurityTokenResponseCollection");
    auto const stop = [&] { return answer<std::string>{std::nullopt, in.failure}; };
    if (!body) return stop();
    constexpr char const* one[] = {"RequestSecurityTokenResponse"};
    auto const collection = in.sequence(*body, "RequestSecurityTokenResponseCollection", wst_ns, one);
    if (!in.good()) return stop();
    auto const& response = *collection[0];
    if (text_of(xml::child(response, wst_ns, "TokenType")) != token_type)
        in.wrong("TokenType is not DeviceEnrollmentToken");
    auto const* const requested = xml::child(response, wst_ns, "RequestedSecurityToken");
    auto const* const token = requested ? xml::child(*requested, o_ns, "BinarySecurityToken") : nullptr;
    if (!token) {
        in.wrong("no RequestedSecurityToken/BinarySecurityToken");
        return stop();
    }
    if (xml::attribute(*token, "", "ValueType") != document_type)
        in.wrong("the token's ValueType is not DeviceEnrollmentProvisionDoc");
    if (xml::attribute(*token, "", "EncodingType") != base64_encoding)
        in.wrong("the token's EncodingType is not base64binary");
    if (!xml::child(response, wstep_ns, "RequestID")) in.wrong("no RequestID");
    auto const document = unbase64(token->data());
    if (!document || document->empty()) in.wrong("the token is not base64");
    if (!in.good()) return stop();
    return {*document, {}};
}

}  // namespace mdmd::sim
