// Whether a user's account in Entra is there and enabled: asked of Graph when a device enrolls.
#pragma once
#include <map>
#include <mutex>
#include <string>

#include "service/application_token.hpp"
#include "service/context.hpp"

namespace mdmd::service {

class accounts {
public:
    accounts(context& c, application_token& t) : context_(c), token_(t) {}

    // What Graph says now, or said within the last 30 s. Waits for it for at most 5 s, besides what a token takes;
    // where it does not answer or does not permit it, nothing is asked for a while. Errors: unavailable.
    [[nodiscard]] result<entra::account_state> of(std::string_view user_id);

    void forget();  // another tenant's users come from now on

private:
    result<entra::account_state> ask(std::string const& user_id);

    struct entry {
        entra::account_state state;
        time_point at;
    };
    context& context_;
    application_token& token_;
    std::mutex mutex_;
    std::map<std::string, entry> known_;
    time_point not_before_{};  // Graph is left alone until then
    std::string problem_;      // why
};

}  // namespace mdmd::service
