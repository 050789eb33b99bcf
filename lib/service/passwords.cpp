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
constexpr auto patience = 30s;             // nor does Windows wait longer for an answer
constexpr std::size_t longest_name = 256;  // as config reads them

// For its cost of 10, where there is no user to take one from.
constexpr char nobodys_hash[] = "$2y$10$abcdefghijklmnopqrstuu4T826PRnz0Hu6YlprUuxkZxOOj5Fw5S";

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

// A place among those that compute at once, if there is still something to compute when it is free.
class passwords::turn {
public:
    turn(passwords& all, question const& what) : all_(all), what_(what) {
        std::unique_lock lock(all_.mutex_);
        auto const judged = [this] { return (verdict_ = all_.judge(what_)) != verdict::wait; };
        if (!judged() && all_.waiting_ < most_waiting) {
            ++all_.waiting_;
            all_.free_.wait_for(lock, patience, judged);
            --all_.waiting_;
        }
        if (verdict_ == verdict::compute) all_.computing_.push_back(&what_);
    }
    turn(turn const&) = delete;
    turn& operator=(turn const&) = delete;
    ~turn() {
        if (verdict_ != verdict::compute) return;
        std::scoped_lock const lock(all_.mutex_);
        std::erase(all_.computing_, &what_);
        all_.free_.notify_all();
    }
    verdict got() const { return verdict_; }

private:
    passwords& all_;
    question const& what_;
    verdict verdict_ = verdict::wait;
};

passwords::passwords(context& c, unsigned at_once)
    : context_(c),
      key_(random_bytes(32)),
      at_once_(static_cast<int>(std::max(1U, at_once > 0 ? at_once : std::thread::hardware_concurrency()))),
      tries_(window) {}

result<std::string> passwords::check(std::string_view typed, secret const& password, std::string_view address) {
    auto const name = lower(trim(typed));
    // An empty one is what a renewing device sends, and no attempt to authenticate.
    if (name.empty() || name.size() > longest_name || password.empty())
        return fail(errc::unauthenticated, "an empty name or password, or a name that is too long");
    auto const config = context_.config();
    auto const& users = config->settings.enrollment.users;
    auto const* user = find(users, name);
    if (!user) user = find(users, bare(name));
    auto const dearest =
        std::max_element(users.begin(), users.end(), [](auto const& a, auto const& b) {  // "$2y$10$": by the two digits
            return a.hash.reveal().substr(4, 2) < b.hash.reveal().substr(4, 2);
        });
    auto const hash = user ? user->hash : dearest != users.end() ? dearest->hash : secret(std::string(nobodys_hash));

    // By the bare name, so that other domains before or behind it give no further tries.
    question asked{.place = "address " + place_of(address), .user = fmt::format("user {}", bare(name))};
    asked.pair = asked.place + " " + asked.user;
    // Of users that are not there too: what waits for what must tell nobody who is.
    auto what = fmt::format("{}\n{}\n{}\n", asked.place, user ? user->name : name, hash.reveal());
    what += password.reveal();
    asked.seal = crypto::hmac_sha256(key_, what);
    wipe(what);

    turn const mine(*this, asked);
    switch (mine.got()) {
        case verdict::compute: break;
        case verdict::known: return user->name;
        case verdict::locked: return fail(errc::forbidden, "too many wrong passwords: wait a quarter of an hour");
        case verdict::wait: return fail(errc::unavailable, "too many passwords are being checked at once");
    }
    bool const same = is_password(password, hash) && user;
    // Who has a cheaper hash than others must not be known by the time that an answer takes.
    if (user && !same && user->hash.reveal().substr(4, 2) != dearest->hash.reveal().substr(4, 2))
        static_cast<void>(is_password(password, dearest->hash));
    auto const now = context_.time.now();
    std::scoped_lock const lock(mutex_);
    if (!same) {
        for (auto const* by : {&asked.pair, &asked.place, &asked.user}) tries_.count(*by, now);
        return fail(errc::unauthenticated, user ? "the password is wrong" : "there is no such user");
    }
    tries_.forget(asked.pair);
    if (remembered_.size() >= most_remembered)
        std::erase_if(remembered_, [&](auto const& r) { return r.second <= now; });
    if (remembered_.size() >= most_remembered) remembered_.clear();
    remembered_[asked.seal] = now + remembered_for;
    return user->name;
}

passwords::verdict passwords::judge(question const& asked) const {
    auto const now = context_.time.now();
    bool one_too_many = false;
    for (auto const& [by, most] :
        {std::pair(&asked.pair, most_of_pair), {&asked.place, most_of_address}, {&asked.user, most_of_user}}) {
        auto const wrong = tries_.counted(*by, now);
        // First, since whoever may not guess shall not learn here either.
        if (wrong >= most) return verdict::locked;
        one_too_many = one_too_many || wrong + begun(*by) >= most;
    }
    if (auto const known = remembered_.find(asked.seal); known != remembered_.end() && known->second > now)
        return verdict::known;
    // Of many at once with the same name and password the first computes for all.
    bool const same_is_begun = std::any_of(
        computing_.begin(), computing_.end(), [&](question const* other) { return other->seal == asked.seal; });
    bool const full = static_cast<int>(computing_.size()) >= at_once_;
    return full || one_too_many || same_is_begun ? verdict::wait : verdict::compute;
}

int passwords::begun(std::string const& by) const {
    return static_cast<int>(std::count_if(computing_.begin(), computing_.end(),
        [&](question const* other) { return other->pair == by || other->place == by || other->user == by; }));
}

}  // namespace mdmd::service
