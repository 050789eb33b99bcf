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
    // hour, and after that while Graph does not answer. Waits for Graph for at most 5 s where nothing is remembered.
    // Errors: not_found (Graph knows no such user), unavailable (Graph does not answer or does not permit it, and
    // nothing is remembered).
    [[nodiscard]] result<std::set<std::string>> of(std::string_view user_id);

private:
    struct entry {
        std::set<std::string> groups;
        time_point at;
    };
    context& context_;
    application_token& token_;
    std::mutex mutex_;
    std::map<std::string, entry> known_;
};

}  // namespace mdmd::service
