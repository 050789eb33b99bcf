// Which groups of Entra's a user is in: asked of Graph, remembered for an hour.
#pragma once
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "service/application_token.hpp"
#include "service/context.hpp"

namespace mdmd::service {

class user_groups {
public:
    user_groups(context& c, application_token& t) : context_(c), token_(t) {}

    // Object IDs, lower case, through other groups too [Graph: getMemberGroups]. What is remembered is used for an
    // hour, and after that while Graph does not answer. Waits for Graph for at most 5 s, besides what a token takes.
    // Errors: not_found (Graph knows no such user), unavailable (Graph does not answer or does not permit it, and
    // nothing is remembered).
    [[nodiscard]] result<std::set<std::string>> of(std::string_view user_id);
    // Whether enrollment.allowed_groups lets the user in; asks nobody where it is empty. Who was put into a group just
    // now is not turned away by what is remembered: that is used for 10 s only where it would. Errors: as of().
    [[nodiscard]] result<bool> may_enroll(std::string_view user_id);

    // Called by a timer of its own: where policies are for groups, the groups of enrolled devices' users are kept in
    // the store, not older than an hour where Graph answers, for sessions and verdicts to go by.
    void tick();

    void forget();  // another tenant's users come from now on

private:
    struct entry {
        std::set<std::string> groups;
        time_point at;
    };
    result<std::set<std::string>> of(std::string_view user_id, std::chrono::seconds most_age);
    result<std::set<std::string>> ask(std::string const& user_id);
    void keep(std::string const& user_id, std::set<std::string> const& groups);

    context& context_;
    application_token& token_;
    std::mutex mutex_;
    std::map<std::string, entry> known_;
    time_point not_before_{};  // Graph is left alone until then
    std::string problem_;      // why
    time_point next_tick_{};
};

}  // namespace mdmd::service
