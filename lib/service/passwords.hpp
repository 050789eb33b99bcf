// The names and passwords of enrollment.users_file: is it the right one, and how often may be guessed.
#pragma once
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/secret.hpp"
#include "service/context.hpp"
#include "service/tries.hpp"

namespace mdmd::service {

// Wrong tries within 15 minutes after which more are not looked at: 10 for a user from one address, 30 from one
// address, 300 for a user from anywhere. So nobody is kept out by what somebody else tries from elsewhere, short of
// many addresses at once. An IPv6 address counts by its first 64 bits. Right passwords are no tries, however many come
// at once: what could be one too many waits until those before it are known for right or wrong.
class passwords {
public:
    // Callers that wait for their turn at most, each in a thread: as many threads as that are needed besides those for
    // everybody else. A school class or a training room that enrolls at once has room.
    static constexpr int most_waiting = 128;

    // bcrypt is meant to be slow: it runs `at_once` times at once, once for each core where that is 0.
    explicit passwords(context&, unsigned at_once = 0);

    // Whose name and password they are: the name as the file has it, lower case. Names are compared without regard to
    // case: as typed, "DOMAIN\user" and "user@domain" included, then the bare user. A user that is not there costs as
    // much as a wrong password. A right one is remembered for five minutes, for the same address: Windows sends it with
    // each request.
    //
    // Errors: unauthenticated (wrong, empty, no such user), forbidden (too many wrong tries), unavailable (more than
    // most_waiting wait, or it took over 30 s until it was this one's turn).
    [[nodiscard]] result<std::string> check(std::string_view name, secret const& password, std::string_view address);

private:
    // What is asked for, as it is counted, and as it is remembered.
    struct question {
        std::string pair, place, user;  // whose tries: of the user from there, from there, of the user from anywhere
        std::string seal;               // HMAC of place, name, hash and password
    };
    enum class verdict { compute, known, locked, wait };
    class turn;  // to compute
    // With mutex_ held:
    verdict judge(question const&) const;
    int begun(std::string const& by) const;

    context& context_;
    std::string const key_;  // of seals; of this process alone
    int const at_once_;
    std::mutex mutex_;
    std::condition_variable free_;
    int waiting_ = 0;
    std::vector<question const*> computing_;
    tries tries_;                                   // wrong ones
    std::map<std::string, time_point> remembered_;  // seal of what was right -> until when
};

}  // namespace mdmd::service
