// Who may enroll what: every restriction of the configuration's, in one place.
#pragma once
#include <optional>

#include "service/accounts.hpp"
#include "service/attempt.hpp"
#include "service/context.hpp"
#include "service/groups.hpp"

namespace mdmd::service {

class admission {
public:
    admission(context& c, user_groups& g, accounts& a) : context_(c), groups_(g), accounts_(a) {}

    // Why no device of that ownership enrolls this way now, whosever it is.
    std::optional<failure> closed(enrollee::kind, bool corporate) const;
    // Why the user may not enroll anything: blocked, gone, disabled, in none of the groups. Asks Graph. An account
    // that Graph does not tell of now counts as enabled, since Entra issued a token to it within the hour; a group that
    // it does not tell of, as one that the user is not in.
    std::optional<failure> turned_away(enrollee const&);
    // Both, and why this device may not be enrolled: kind of token, platform, version, edition.
    std::optional<failure> refused(enroll::token_request const&, enrollee const&);

private:
    context& context_;
    user_groups& groups_;
    accounts& accounts_;
};

}  // namespace mdmd::service
