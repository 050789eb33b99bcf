// Who asks for an enrollment: the credential of a security header, checked.
#pragma once
#include "service/attempt.hpp"
#include "service/context.hpp"
#include "service/signing_keys.hpp"

namespace mdmd::service {

class credentials {
public:
    credentials(context& c, signing_keys& k) : context_(c), keys_(k) {}

    // What it tells goes to the attempt, refused or not.
    [[nodiscard]] outcome<enrollee> identify(enroll::credential const&, attempt&);

private:
    context& context_;
    signing_keys& keys_;
};

}  // namespace mdmd::service
