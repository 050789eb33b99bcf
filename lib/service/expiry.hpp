// What ends when: the application's keys, the TLS certificates, the device authority, the extra trust roots.
#pragma once
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/backoff.hpp"
#include "service/application_token.hpp"
#include "service/context.hpp"

namespace mdmd::service {

struct expiry {
    std::string
        what;  // "entra_key", "entra_next_key", "tls_certificate", "admin_tls_certificate", "authority", "ca_file"
    std::optional<time_point> ends;
    std::string source;  // "Graph", "entra.key_expires", "certificate"; empty where the end is not known
};

class expiries {
public:
    expiries(context& c, application_token& t) : context_(c), token_(t) {}

    // Called by a timer. Asks Graph for the ends of the application's keys once a day, and whenever there is another
    // key; what it says is kept in the store. Where the application may not read itself (Application.Read.All), and
    // where it has no such key, entra.key_expires is all there is.
    void refresh_if_due();
    void ask_again();             // at the next call, whatever was asked before: permissions may have changed
    bool attempted() const;       // the first question to Graph has been answered or has failed
    std::string problem() const;  // why Graph did not tell; empty: it did, or was not asked yet

    // What there is, whether or not its end is known.
    std::vector<expiry> list() const;
    // Of the current key and of the next one, whichever of them is in use; nullopt where there is none.
    std::optional<expiry> of_key(bool next) const;
    // The end of one of them.
    std::optional<time_point> end_of(std::string_view what) const;

private:
    result<void> ask();

    context& context_;
    application_token& token_;
    mutable std::mutex mutex_;
    bool attempted_ = false;
    std::string problem_;
    std::string asked_for_;  // the keys that the last answer was about, and how often a token could be had again
    time_point next_{};
    backoff retries_{std::chrono::minutes(1), std::chrono::hours(1)};
};

}  // namespace mdmd::service
