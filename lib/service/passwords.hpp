// The names and passwords of enrollment.users_file: is it the right one, and how often may be guessed.
#pragma once
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "core/secret.hpp"
#include "service/context.hpp"
#include "service/tries.hpp"

namespace mdmd::service {

// Wrong tries within 15 minutes after which more are not looked at: 10 for a user from one address, 30 from one
// address, 300 for a user from anywhere. So nobody is kept out by what somebody else tries from elsewhere, short of
// many addresses at once. An IPv6 address counts by its first 64 bits.
class passwords {
public:
    explicit passwords(context&);

    // Whose name and password they are: the name as the file has it, lower case. Names are compared without regard to
    // case: as typed, "DOMAIN\user" and "user@domain" included, then the bare user. A user that is not there costs as
    // much as a wrong password. A right one is remembered for five minutes, for the same address: Windows sends it with
    // each request.
    //
    // Errors: unauthenticated (wrong, empty, no such user), forbidden (too many wrong tries), unavailable (more at once
    // than this machine shall compute, or it took over 5 s until it was this one's turn).
    [[nodiscard]] result<std::string> check(std::string_view name, secret const& password, std::string_view address);

private:
    class turn;  // to compute
    // With mutex_ held:
    bool exhausted(std::string const& pair, std::string const& place, std::string const& user) const;

    context& context_;
    std::string const key_;  // of what is remembered; of this process alone
    std::mutex mutex_;
    std::condition_variable free_;
    int computing_ = 0, waiting_ = 0;
    tries tries_;
    std::map<std::string, time_point> remembered_;  // HMAC of address, name, hash and password -> its end
};

}  // namespace mdmd::service
