// What every use case works with: configuration as a snapshot, store, clock, the device authority, a way out.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "compliance/compliance.hpp"
#include "config/policy_file.hpp"
#include "config/settings.hpp"
#include "core/clock_watch.hpp"
#include "core/http_message.hpp"
#include "core/time.hpp"
#include "crypto/crypto.hpp"
#include "service/authority.hpp"
#include "store/database.hpp"
#include "terms/library.hpp"

namespace mdmd::service {

struct configuration {
    config::settings settings;
    std::vector<config::policy_file> policies;
    terms::library texts{};                                  // of settings.terms.files
    std::shared_ptr<compliance::rulebook const> rules = {};  // of the policies
};
// With what is made of it.
std::shared_ptr<configuration const> ready(configuration);

class context {
public:
    // Makes the device authority, and the key that seals the Terms of Use form, where the store has none yet.
    context(store::database&, clock const&, std::shared_ptr<configuration const>, http::transport);

    store::database& db;
    clock const& time;

    std::shared_ptr<configuration const> config() const;
    void replace(std::shared_ptr<configuration const>, http::transport);
    // In maintenance no device enrolls; enrolled ones are managed. Kept in the store: durable when the second returns.
    bool maintenance() const { return maintenance_; }
    void set_maintenance(bool);

    // Whether the clock was set in the last 24 hours, which it tells the log of. Until then it may be wrong: what is
    // old by it is not forgotten.
    bool clock_is_doubtful();

    [[nodiscard]] result<http::response> call(http::call const&) const;

    // What issues device certificates now, as a snapshot.
    crypto::authority authority() const { return authority_.current(); }
    device_authority& authorities() { return authority_; }
    device_authority const& authorities() const { return authority_; }
    std::string const& form_key() const { return form_key_; }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<configuration const> config_;
    http::transport transport_;
    device_authority authority_;
    std::string form_key_;
    std::mutex changing_maintenance_;
    std::atomic<bool> maintenance_;
    std::mutex watching_clock_;
    clock_watch clock_watch_;
    std::optional<std::chrono::milliseconds> doubted_since_;  // of time.running()
};

}  // namespace mdmd::service
