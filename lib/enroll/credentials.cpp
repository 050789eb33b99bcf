// Who asks: the credential in the wsse:Security header.
// Source: WS-Security 1.0; [MS-MDE2] section 3.4.4.1.1.1; observed requests of Windows for the JWT form
#include <fmt/format.h>

#include "core/text.hpp"
#include "enroll/soap.hpp"

namespace mdmd::enroll {
namespace {

constexpr std::string_view jwt_type = "urn:ietf:params:oauth:token-type:jwt";
constexpr std::string_view user_token_type =
    "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentUserToken";

// Tokens are ASCII by their making (RFC 7515's compact form, our own random ones), so UTF-16LE text is known by its
// zero bytes, and anything above ASCII is not a token.
bool is_utf16le_ascii(std::string_view bytes) {
    if (bytes.empty() || bytes.size() % 2) return false;
    for (std::size_t i = 0; i < bytes.size(); i += 2)
        if (bytes[i] == '\0' || static_cast<unsigned char>(bytes[i]) >= 0x80 || bytes[i + 1] != '\0') return false;
    return true;
}

// What a BinarySecurityToken's text stands for; empty where it is not base64 of anything.
secret token_text(std::string_view encoded) {
    auto bytes = unbase64(encoded);
    if (!bytes) return {};
    secret const decoded(std::move(*bytes));
    auto text = decoded.reveal();
    if (text.starts_with("\xff\xfe")) text.remove_prefix(2);
    if (!is_utf16le_ascii(text)) return secret(std::string(trim(text)));
    std::string narrow;
    narrow.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) narrow += text[i];
    secret const held(std::move(narrow));
    return secret(std::string(trim(held.reveal())));
}

bool looks_like_jwt(std::string_view text) { return text.starts_with("eyJ") && split(text, '.').size() == 3; }

credential binary_token(xml::tree const& element, bool is_signed) {
    auto const type = loose_attribute(element, "ValueType", {ns::wsse, ns::wsu}).value_or("");
    if (type == jwt_type) {
        auto jwt = token_text(element.data());
        if (jwt.empty()) return unreadable_credential{"the JWT is not base64"};
        return entra_token{std::move(jwt)};
    }
    // The certificate flow sends its certificate as a DeviceEnrollmentUserToken too; its signature tells it apart.
    if (is_signed || type == "X509v3" || type.ends_with("#X509v3")) return certificate_token{};
    if (type == user_token_type) {
        auto text = token_text(element.data());
        if (text.empty()) return unreadable_credential{"the DeviceEnrollmentUserToken is not base64"};
        if (looks_like_jwt(text.reveal())) return entra_token{std::move(text)};
        return user_token{std::move(text)};
    }
    return unreadable_credential{fmt::format("a BinarySecurityToken of type '{}'", printable(type, 120))};
}

credential name_and_password(xml::tree const& element) {
    auto const names = find_all(element, ns::wsse, "Username");
    auto const passwords = find_all(element, ns::wsse, "Password");
    if (names.size() != 1 || trim(names.front()->data()).empty())
        return unreadable_credential{"a UsernameToken without one Username"};
    if (passwords.size() > 1) return unreadable_credential{"a UsernameToken with several passwords"};
    username_token token{.username = std::string(trim(names.front()->data())), .password = {}};
    if (passwords.empty()) return token;
    auto const& password = *passwords.front();
    auto const type = loose_attribute(password, "Type", {ns::wsse, ns::wsu}).value_or("PasswordText");
    if (!type.ends_with("PasswordText")) return unreadable_credential{"a password that is not PasswordText"};
    token.password = secret(password.data());  // not trimmed: blanks may be part of it
    return token;
}

}  // namespace

credential credential_of(envelope const& e) {
    auto const* const header = e.header();
    if (!header) return no_credential{};
    std::vector<xml::tree const*> binary;
    std::vector<xml::tree const*> names;
    bool is_signed = false;
    for (auto const* const security : find_all(*header, ns::wsse, "Security")) {
        auto const b = find_all(*security, ns::wsse, "BinarySecurityToken");
        auto const n = find_all(*security, ns::wsse, "UsernameToken");
        binary.insert(binary.end(), b.begin(), b.end());
        names.insert(names.end(), n.begin(), n.end());
        is_signed = is_signed || find_first(*security, ns::signature, "Signature");
    }
    // Choosing one of several would let a peer show one to us and another to whatever looks at it before us.
    if (binary.size() + names.size() > 1) return unreadable_credential{"several credentials"};
    if (!binary.empty()) return binary_token(*binary.front(), is_signed);
    if (is_signed) return certificate_token{};
    if (!names.empty()) return name_and_password(*names.front());
    return no_credential{};
}

}  // namespace mdmd::enroll
