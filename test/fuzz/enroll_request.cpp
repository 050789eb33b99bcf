// Properties: a MessageID is the same however it is read and comes back unchanged in an answer that is XML; what is
// accepted has its mandatory parts; no refusal breaks a log line.
#include <cstdint>
#include <cstdlib>

#include "core/text.hpp"
#include "enroll/messages.hpp"
#include "xml/document.hpp"

using namespace mdmd;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

template <class T> bool check(result<T> const& parsed, std::string const& message_id) {
    if (!parsed) {
        auto const& e = parsed.error();
        require(e.code == errc::malformed || e.code == errc::too_large);
        require(is_utf8(e.detail) && e.detail.find('\n') == e.detail.npos);
        return false;
    }
    require(parsed->message_id == message_id);
    return true;
}

void check_credential(enroll::credential const& who) {
    if (auto const* const token = std::get_if<enroll::entra_token>(&who)) require(!token->jwt.empty());
    if (auto const* const token = std::get_if<enroll::user_token>(&who)) require(!token->text.empty());
    if (auto const* const user = std::get_if<enroll::username_token>(&who)) require(!user->username.empty());
    if (auto const* const bad = std::get_if<enroll::unreadable_credential>(&who)) require(!bad->why.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    auto const id = enroll::message_id_of(text);

    auto const discover = enroll::parse_discover(text);
    auto const policies = enroll::parse_policies_request(text);
    auto const token = enroll::parse_token_request(text);
    if (check(discover, id)) {
        require(!discover->auth_policies.empty());
        auto const version = enroll::version_for(discover->request_version);
        require(version == "3.0" || version == "4.0");
    }
    if (check(policies, id)) {
        check_credential(policies->who);
    }
    if (check(token, id)) {
        check_credential(token->who);
        require(token->request_type == "Recovery" || !token->binary.empty());
        require(token->request_type != "Issue" || !token->item("deviceid").empty());
    }

    auto const answer = xml::parse(enroll::fault(enroll::operation::discover, enroll::refusal::message_format,
        discover ? discover->email : discover.error().detail, id, "0f1e2d3c-1111-4222-8333-444455556666"));
    require(answer.has_value());
    auto const* const header = xml::child(answer->content, "http://www.w3.org/2003/05/soap-envelope", "Header");
    require(header != nullptr);
    auto const* const relates = xml::child(*header, "http://www.w3.org/2005/08/addressing", "RelatesTo");
    require((relates != nullptr) != id.empty());
    require(!relates || relates->data() == id);
    return 0;
}
