#include "service/renewal.hpp"

namespace mdmd::service {

outcome<std::string> renewal::renew(enroll::token_request const&, http::request const&, attempt&) {
    static_cast<void>(context_);
    return failure{
        enroll::refusal::not_supported, "certificate renewal was asked for", "certificate renewal is not enabled"};
}

bool renewal::renewing(http::request const&, enroll::credential const&) const { return false; }

}  // namespace mdmd::service
