// One-time PINs that an administrator gives to a user for one enrollment. Kept as salted scrypt hashes.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "service/context.hpp"
#include "store/pins.hpp"

namespace mdmd::service {

class pins {
public:
    explicit pins(context& c) : context_(c) {}

    struct created {
        std::string pin;  // eight digits: shown once, kept nowhere
        std::string upn;
        time_point expires;
    };
    // Replaces the PIN that the user has. Errors: malformed (not a UPN, a time outside 1 s to 30 days).
    [[nodiscard]] result<created> create(std::string_view upn, std::chrono::seconds ttl);
    std::vector<store::pin> list() const;
    // Errors: not_found.
    [[nodiscard]] result<void> revoke(std::string_view upn);

    // Does it open the door: counted as a try before it is compared, in constant time; good once. The fifth wrong one
    // locks the PIN. `also` is done in the write that marks it as used; where that throws, it is not. Errors:
    // unauthenticated (wrong, none, used, expired: which of these is for the log), forbidden (locked). UPNs are
    // compared without regard to case.
    [[nodiscard]] result<void> use(
        std::string_view upn, std::string_view pin,
        std::function<void(store::connection&)> const& also = [](store::connection&) {});

private:
    context& context_;
};

// "usable", "used", "locked", "expired".
std::string_view state_of(store::pin const&, time_point now);

}  // namespace mdmd::service
