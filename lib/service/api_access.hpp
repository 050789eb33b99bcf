// Who may use the administrator's API over HTTP, and what for: local tokens, and Entra tokens with Graph's permissions.
#pragma once
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "core/secret.hpp"
#include "service/context.hpp"
#include "service/signing_keys.hpp"
#include "store/api_tokens.hpp"

namespace mdmd::service {

struct api_caller {
    std::string name;  // for the log: "token backup", "user alice@contoso.com", "application <client ID>"
    bool may_write = false;
};

struct api_refusal {
    // unauthenticated: none, not genuine, expired, not known; forbidden: genuine, without a permission of ours;
    // too_large: too many wrong ones from this address; unavailable: no signing keys to check it with.
    errc code;
    std::string detail;                   // for the log; never holds what was sent
    std::chrono::seconds retry_after{0};  // of too_large and unavailable
};

class api_access {
public:
    api_access(context& c, signing_keys& k) : context_(c), keys_(k) {}

    struct created {
        store::api_token kept;
        secret text;  // shown once, kept nowhere
    };
    // Errors: malformed (a name that is not 1 to 64 of A-Z a-z 0-9 . _ -, no such role, a time outside 1 s to 10
    // years), conflict (the name is taken).
    [[nodiscard]] result<created> create(std::string_view name, std::string_view role, std::chrono::seconds ttl);
    std::vector<store::api_token> list() const;
    // Errors: not_found.
    [[nodiscard]] result<void> revoke(std::string_view name);

    // Whose request it is, by its `Authorization: Bearer`. Wrong tokens are counted by the address they come from:
    // after 30 in a minute more are answered with too_large until that minute is over. A good one is always let in.
    [[nodiscard]] std::variant<api_caller, api_refusal> caller(http::request const&);

private:
    struct visitor {
        time_point since{};  // when its minute began
        int wrong = 0;
    };
    std::variant<api_caller, api_refusal> local(std::string const& digest);
    std::variant<api_caller, api_refusal> entra(std::string_view token);
    visitor& of(std::string const& place, time_point now);

    context& context_;
    signing_keys& keys_;
    std::mutex mutex_;
    std::map<std::string, visitor> visitors_;  // by place_of() their addresses
};

}  // namespace mdmd::service
