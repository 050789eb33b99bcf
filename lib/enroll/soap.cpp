#include "enroll/soap.hpp"

#include <fmt/format.h>
#include <stdexcept>

#include "core/text.hpp"

namespace mdmd::enroll {
namespace {

bool same_namespace(std::string_view a, std::string_view b) {
    if (a.ends_with('/')) a.remove_suffix(1);
    if (b.ends_with('/')) b.remove_suffix(1);
    return a == b;
}

std::string message_id_in(xml::tree const& envelope) {
    auto const* const header = find_first(envelope, ns::soap, "Header");
    auto const* const id = header ? find_first(*header, ns::addressing, "MessageID") : nullptr;
    return id && !trim(id->data()).empty() ? id->data() : std::string{};
}

}  // namespace

std::string_view request_action(operation op) {
    switch (op) {
        case operation::discover:
            return "http://schemas.microsoft.com/windows/management/2012/01/enrollment/IDiscoveryService/Discover";
        case operation::get_policies:
            return "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPolicies";
        case operation::request_token: return "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RST/wstep";
    }
    throw std::logic_error("operation out of range");
}

std::string_view response_action(operation op) {
    switch (op) {
        case operation::discover:
            return "http://schemas.microsoft.com/windows/management/2012/01/enrollment/IDiscoveryService/"
                   "DiscoverResponse";
        case operation::get_policies:
            return "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPoliciesResponse";
        case operation::request_token: return "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RSTRC/wstep";
    }
    throw std::logic_error("operation out of range");
}

std::vector<xml::tree const*> find_all(xml::tree const& parent, std::string_view ns, std::string_view local) {
    std::vector<xml::tree const*> found;
    for (auto const& [name, child] : parent)
        if (name.local == local && same_namespace(name.ns, ns)) found.push_back(&child);
    return found;
}

xml::tree const* find_first(xml::tree const& parent, std::string_view ns, std::string_view local) {
    for (auto const& [name, child] : parent)
        if (name.local == local && same_namespace(name.ns, ns)) return &child;
    return nullptr;
}

std::optional<std::string_view> loose_attribute(
    xml::tree const& element, std::string_view local, std::initializer_list<std::string_view> namespaces) {
    if (auto const plain = xml::attribute(element, "", local)) return trim(*plain);
    for (auto const ns : namespaces)
        for (auto const& spelled : {std::string(ns), std::string(ns) + '/'})
            if (auto const prefixed = xml::attribute(element, spelled, local)) return trim(*prefixed);
    return std::nullopt;
}

result<xml::tree const*> envelope::payload(std::string_view ns, std::string_view local) const {
    auto const bodies = find_all(tree, ns::soap, "Body");
    if (bodies.size() != 1) return fail(errc::malformed, "the envelope has not exactly one Body");
    auto const found = find_all(*bodies.front(), ns, local);
    if (found.size() != 1) return fail(errc::malformed, fmt::format("the body has not exactly one {}", local));
    return found.front();
}

result<envelope> open_envelope(std::string_view soap, operation op) {
    auto parsed = xml::parse(soap);
    if (!parsed) {
        auto const code = parsed.error().code == errc::too_large ? errc::too_large : errc::malformed;
        return fail(code, parsed.error().detail);
    }
    if (parsed->root.local != "Envelope" || parsed->root.ns != ns::soap)
        return fail(errc::malformed, "not a SOAP 1.2 envelope");
    envelope e{.tree = std::move(parsed->content), .message_id = {}};
    e.message_id = message_id_in(e.tree);
    // An absent action is forgiven, as the body says it too; one that contradicts the address it came to is not.
    auto const* const header = e.header();
    auto const* const action = header ? find_first(*header, ns::addressing, "Action") : nullptr;
    if (action && trim(action->data()) != request_action(op))
        return fail(errc::malformed, fmt::format("a:Action is '{}'", printable(trim(action->data()), 160)));
    return e;
}

std::string message_id_of(std::string_view soap) {
    auto const parsed = xml::parse(soap);
    return parsed ? message_id_in(parsed->content) : std::string{};
}

std::string carried(std::string_view text, std::size_t most) {
    auto out = printable(text, most);
    // Well-formed UTF-8 may still hold U+FFFE and U+FFFF, which XML 1.0 leaves out of its characters.
    for (std::string_view const noncharacter : {"\xef\xbf\xbe", "\xef\xbf\xbf"})
        for (auto at = out.find(noncharacter); at != out.npos; at = out.find(noncharacter, at))
            out.replace(at, noncharacter.size(), "\xef\xbf\xbd");
    return out;
}

void open_answer(xml::writer& out, operation op, std::string_view message_id, std::string_view correlation) {
    out.open("s:Envelope").attribute("xmlns:s", ns::soap).attribute("xmlns:a", ns::addressing);
    if (op == operation::request_token) out.attribute("xmlns:u", ns::wsu);
    out.open("s:Header");
    out.open("a:Action").attribute("s:mustUnderstand", "1").text(response_action(op)).close();
    if (!correlation.empty()) {
        out.open("ActivityId").attribute("CorrelationId", correlation).attribute("xmlns", ns::diagnostics);
        out.text(correlation).close();
    }
    if (!message_id.empty()) out.leaf("a:RelatesTo", message_id);
}

std::string finished(xml::writer&& out) {
    auto text = std::move(out).finish();
    if (!text) throw std::logic_error("cannot write an enrollment answer: " + text.error().detail);
    return std::move(*text);
}

}  // namespace mdmd::enroll
