// The SOAP 1.2 envelope that all three enrollment services share: names, reading, writing. Private to lib/enroll.
// Source: SOAP 1.2 part 1 section 5; WS-Addressing 1.0; [MS-MDE2] section 2.2
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "enroll/messages.hpp"
#include "xml/document.hpp"
#include "xml/writer.hpp"

namespace mdmd::enroll {

namespace ns {
inline constexpr std::string_view soap = "http://www.w3.org/2003/05/soap-envelope";
inline constexpr std::string_view addressing = "http://www.w3.org/2005/08/addressing";
inline constexpr std::string_view wsu =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
inline constexpr std::string_view wsse =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
inline constexpr std::string_view trust = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
inline constexpr std::string_view context = "http://schemas.xmlsoap.org/ws/2006/12/authorization";
inline constexpr std::string_view signature = "http://www.w3.org/2000/09/xmldsig#";
inline constexpr std::string_view discovery = "http://schemas.microsoft.com/windows/management/2012/01/enrollment";
inline constexpr std::string_view xcep = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy";
inline constexpr std::string_view wstep = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";
inline constexpr std::string_view diagnostics = "http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics";
inline constexpr std::string_view xsi = "http://www.w3.org/2001/XMLSchema-instance";
inline constexpr std::string_view xsd = "http://www.w3.org/2001/XMLSchema";
}  // namespace ns

inline constexpr std::string_view device_enrollment_token =
    "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken";

std::string_view request_action(operation);
std::string_view response_action(operation);  // of faults too

// --- Reading -----------------------------------------------------------------------------------------------------

// The children of that name, in order. A namespace matches with and without a trailing slash: discovery requests in
// Microsoft's documents carry one, those of real devices do not.
std::vector<xml::tree const*> find_all(xml::tree const& parent, std::string_view ns, std::string_view local);
xml::tree const* find_first(xml::tree const& parent, std::string_view ns, std::string_view local);

// An attribute's value, trimmed, whether it is written without a prefix or with that of one of these namespaces.
std::optional<std::string_view> loose_attribute(
    xml::tree const& element, std::string_view local, std::initializer_list<std::string_view> namespaces);

struct envelope {
    xml::tree tree;
    std::string message_id;  // verbatim, empty where absent
    xml::tree const* header() const { return find_first(tree, ns::soap, "Header"); }
    // The one element of the body with that name. Errors: malformed.
    result<xml::tree const*> payload(std::string_view ns, std::string_view local) const;
};

// Errors: malformed (not XML, not SOAP 1.2, an a:Action of another operation), too_large. A DOCTYPE and an encoding
// other than UTF-8 are malformed here: the peer can do nothing with the difference.
result<envelope> open_envelope(std::string_view soap, operation);

// The credential of the wsse:Security headers.
credential credential_of(envelope const&);

// --- Writing -----------------------------------------------------------------------------------------------------

// Text from outside as XML can carry it: controls escaped visibly, cut at `most` bytes.
std::string carried(std::string_view, std::size_t most = 1024);

// Opens s:Envelope and s:Header, with a:Action, ActivityId (unless `correlation` is empty) and a:RelatesTo (unless
// `message_id` is empty). The header is left open.
void open_answer(xml::writer&, operation, std::string_view message_id, std::string_view correlation);

// The document. What cannot be written here is a mistake of ours, so it throws std::logic_error.
std::string finished(xml::writer&&);

}  // namespace mdmd::enroll
