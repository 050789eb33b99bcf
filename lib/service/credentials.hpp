// Who asks for an enrollment: the credential of a security header, checked.
#pragma once
#include "service/attempt.hpp"
#include "service/context.hpp"
#include "service/passwords.hpp"
#include "service/signing_keys.hpp"

namespace mdmd::service {

class credentials {
public:
    credentials(context& c, signing_keys& k) : context_(c), keys_(k), passwords_(c) {}

    // What it tells goes to the attempt, refused or not. The token of a sign-in on our page is taken as long as it has
    // not expired: that it opens one enrollment only is for store::use_sign_in() to say, in the enrollment's own write,
    // so that a request which is repeated after a lost answer is answered again.
    [[nodiscard]] outcome<enrollee> identify(enroll::credential const&, attempt&);

    // The correlation id of the flow that a sign-in on our page began; empty for every other credential.
    std::string flow_of(enroll::credential const&);

private:
    outcome<enrollee> of_entra(std::string_view jwt, attempt&);
    outcome<enrollee> of_password(enroll::username_token const&, attempt&);
    outcome<enrollee> of_sign_in(std::string_view token, attempt&);

    context& context_;
    signing_keys& keys_;
    passwords passwords_;
};

}  // namespace mdmd::service
