#include "service/passwords.hpp"

#include <crypt.h>
#include <algorithm>
#include <memory>
#include <thread>

#include "core/random.hpp"
#include "core/text.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto window = 15min;
constexpr int most_of_pair = 10, most_of_address = 30, most_of_user = 300;
constexpr std::size_t most_remembered = 10'000;
constexpr auto remembered_for = 5min;
constexpr int most_waiting = 24;  // of the 32 workers that there are at least
constexpr auto patience = 20s;
constexpr std::size_t longest_name = 256;  // as config reads them

// For its cost of 10, where there is no user to take one from.
constexpr char nobodys_hash[] = "$2y$10$abcdefghijklmnopqrstuu4T826PRnz0Hu6YlprUuxkZxOOj5Fw5S";

int most_computing() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

// False too for a password that is too long for crypt(3): over 511 bytes.
bool is_password(secret const& password, secret const& hash) {
    auto const state = std::make_unique<crypt_data>();
    std::string typed(password.reveal());
    std::string const wanted(hash.reveal());
    auto const* const made = ::crypt_r(typed.c_str(), wanted.c_str(), state.get());
    bool const same = made && made[0] != '*' && crypto::equal_in_constant_time(made, wanted);
    explicit_bzero(state.get(), sizeof(crypt_data));
    wipe(typed);
    return same;
}

std::string_view bare(std::string_view name) {
    if (auto const slash = name.rfind('\\'); slash != name.npos) name.remove_prefix(slash + 1);
    return name.substr(0, name.find('@'));
}

config::local_user const* find(std::vector<config::local_user> const& users, std::string_view name) {
    auto const at = std::find_if(users.begin(), users.end(), [&](auto const& u) { return u.name == name; });
    return at == users.end() ? nullptr : &*at;
}

}  // namespace

// A place among those that compute at once; whoever gets none is turned away.
class passwords::turn {
public:
    explicit turn(passwords& all) : all_(all) {
        std::unique_lock lock(all_.mutex_);
        auto const is_free = [this] { return all_.computing_ < most_computing(); };
        if (!is_free() && all_.waiting_ >= most_waiting) return;
        ++all_.waiting_;
        taken_ = all_.free_.wait_for(lock, patience, is_free);
        --all_.waiting_;
        if (taken_) ++all_.computing_;
    }
    turn(turn const&) = delete;
    turn& operator=(turn const&) = delete;
    ~turn() {
        if (!taken_) return;
        std::scoped_lock const lock(all_.mutex_);
        --all_.computing_;
        all_.free_.notify_one();
    }
    bool taken() const { return taken_; }

private:
    passwords& all_;
    bool taken_ = false;
};

passwords::passwords(context& c) : context_(c), key_(random_bytes(32)), tries_(window) {}

result<std::string> passwords::check(std::string_view typed, secret const& password, std::string_view address) {
    auto const name = lower(trim(typed));
    // An empty one is what a renewing device sends, and no attempt to authenticate.
    if (name.empty() || name.size() > longest_name || password.empty())
        return fail(errc::unauthenticated, "an empty name or password, or a name that is too long");
    auto const config = context_.config();
    auto const& users = config->settings.enrollment.users;
    auto const* user = find(users, name);
    if (!user) user = find(users, bare(name));

    // By the bare name, so that other domains before or behind it give no further tries.
    auto const from = "address " + place_of(address);
    auto const to = fmt::format("user {}", bare(name));
    auto const pair = from + " " + to;
    auto const too_often = [] { return fail(errc::forbidden, "too many wrong passwords: wait a quarter of an hour"); };

    std::string seal;
    if (user) {
        std::string what = fmt::format("{}\n{}\n{}\n", place_of(address), user->name, user->hash.reveal());
        what += password.reveal();
        seal = crypto::hmac_sha256(key_, what);
        wipe(what);
    }
    auto const now = context_.time.now();
    {
        std::scoped_lock const lock(mutex_);
        // First, since whoever may not guess shall not learn here either.
        if (exhausted(pair, from, to)) return too_often();
        if (auto const known = remembered_.find(seal); user && known != remembered_.end() && known->second > now)
            return user->name;
    }
    turn const mine(*this);
    if (!mine.taken()) return fail(errc::unavailable, "too many passwords are being checked at once");
    {
        std::scoped_lock const lock(mutex_);
        // Of many at once with the same name and password the first computes for all.
        if (auto const known = remembered_.find(seal); user && known != remembered_.end() && known->second > now)
            return user->name;
        // A try is counted before it is made: of many at once no more than those allowed are made.
        if (exhausted(pair, from, to)) return too_often();
        for (auto const* key : {&pair, &from, &to}) tries_.count(*key, now);
    }
    auto const dearest =
        std::max_element(users.begin(), users.end(), [](auto const& a, auto const& b) {  // "$2y$10$": by the two digits
            return a.hash.reveal().substr(4, 2) < b.hash.reveal().substr(4, 2);
        });
    bool const same = is_password(password, user                     ? user->hash
                                            : dearest != users.end() ? dearest->hash
                                                                     : secret(std::string(nobodys_hash)));
    // Who has a cheaper hash than others must not be known by the time that an answer takes.
    if (user && !same && user->hash.reveal().substr(4, 2) != dearest->hash.reveal().substr(4, 2))
        static_cast<void>(is_password(password, dearest->hash));
    if (!user || !same) return fail(errc::unauthenticated, user ? "the password is wrong" : "there is no such user");
    std::scoped_lock const lock(mutex_);
    tries_.forget(pair);
    tries_.uncount(from);
    tries_.uncount(to);
    if (remembered_.size() >= most_remembered)
        std::erase_if(remembered_, [&](auto const& r) { return r.second <= now; });
    if (remembered_.size() >= most_remembered) remembered_.clear();
    remembered_[seal] = now + remembered_for;
    return user->name;
}

bool passwords::exhausted(std::string const& pair, std::string const& place, std::string const& user) const {
    auto const now = context_.time.now();
    return tries_.counted(pair, now) >= most_of_pair || tries_.counted(place, now) >= most_of_address ||
           tries_.counted(user, now) >= most_of_user;
}

}  // namespace mdmd::service
