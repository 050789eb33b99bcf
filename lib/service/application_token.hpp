// The appliance's own token for Graph, the key it is bought with, and that key's staged successor.
//
// There are two places for a key: the current one, which config.yaml names, and the next one, whose file comes and goes
// by itself. Both are proven by buying a token. When Entra refuses the current one, the next one is used at once.
#pragma once
#include <sys/stat.h>
#include <array>
#include <mutex>
#include <optional>

#include "core/backoff.hpp"
#include "entra/graph.hpp"
#include "service/context.hpp"

namespace mdmd::service {

enum class key_state { unproven, ok, refused, expired };
std::string_view name(key_state);

class application_token {
public:
    explicit application_token(context&);

    // A token with at least five minutes to live, bought at most once at a time. After a refusal of the key Entra is
    // left alone for 15 minutes, after other failures for as long as it asks, else 10 s doubling to 5 min. Errors:
    // unavailable, forbidden (the key is refused).
    [[nodiscard]] result<entra::access_token> get();
    void drop();  // Graph did not take it

    // Called by a timer about once a second: reads the next key's file when that has changed, and proves what is not
    // proven yet.
    void watch();
    // The configuration was taken anew: every key is read and proven again at once, whatever was waited for. In the
    // same tenant, what is in use stays so until Entra has taken, or refused, the key that is there now.
    void reload();
    // Tries both keys now.
    void test();
    // The next key is used from now on, having been tried. Errors: not_found (there is none), forbidden (Entra refuses
    // it), unavailable.
    [[nodiscard]] result<void> promote();

    struct key_view {
        bool present = false;
        bool certificate = false;
        std::string id;  // tells keys apart without telling what they are
        key_state state = key_state::unproven;
        std::optional<entra::token_refusal> refusal;
        std::string problem;  // why nothing is known of it: its file, or no answer from Entra
    };
    struct status {
        key_view current, next;
        bool next_in_use = false;
        key_view const& in_use() const { return next_in_use ? next : current; }
    };
    status current() const;
    // To be found in Graph's list of keys; empty where there is none.
    credential key(bool next) const;
    // Goes up each time a token could be had again after it could not: what waited may go on.
    int recoveries() const;

private:
    struct key_slot {
        credential key;
        key_view view;
        time_point not_before{};
        backoff retries{std::chrono::seconds(10), std::chrono::minutes(5)};
        bool proof_due = true;
    };
    key_slot slot_of(credential) const;
    key_slot& slot(bool next) { return next ? next_ : current_; }
    // With buying_ held:
    // Buys a token with one of the two keys and notes what became of it. Errors: forbidden, unavailable, conflict (the
    // configuration was taken anew meanwhile).
    result<entra::access_token> buy(bool next);
    void read_next(bool reread);
    // With mutex_ held:
    void take(entra::access_token);  // of the key in use
    void give_up();                  // there is none
    bool change_over();              // to the other key, where the one in use is refused and the other may help
    bool token_is_good() const;
    bool may_try(key_slot const&) const;

    context& context_;
    std::mutex buying_;  // one call to Entra at a time
    mutable std::mutex mutex_;
    key_slot current_, next_;
    bool use_next_ = false;
    std::array<std::int64_t, 5> next_file_{};  // by what it is told that the file has changed
    std::optional<entra::access_token> token_;
    time_point token_good_until_{};
    std::string place_;   // tenant, application and hosts that all of this is about
    int generation_ = 0;  // of what reload() ended: an answer to a key before it is not taken
    bool failing_ = false;
    int recoveries_ = 0;
};

entra::application application_of(config::settings const&);

}  // namespace mdmd::service
