// The device authority: what issues the certificates of devices now, and all that ever did.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "config/settings.hpp"
#include "crypto/crypto.hpp"
#include "store/authority.hpp"
#include "store/database.hpp"

namespace mdmd::service {

// An issuing certificate with the root above it. One follows the other; certificates of devices stay good under theirs.
struct generation {
    crypto::certificate root, issuing;
    bool own = true;  // made here; otherwise it came with authority.certificate_file
    time_point created;
};

struct generation_view {
    generation what;
    bool current = false;  // it issues now
    bool valid = false;    // it is trusted: it has not ended, and is needed or there is room for it
    bool ended = false;
    std::int64_t devices = 0;  // enrolled ones with a good certificate of it
};

// At most 16 generations are trusted at a time, wherever they come from: their names go with every TLS handshake, and
// Schannel reads no more than 16 KB of them. Where there are more that have not ended, the oldest that no enrolled
// device needs go without: every good certificate that they vouch for has another trusted one above it, made for the
// same key. One that a device does need stays; then nothing further is taken.
class device_authority {
public:
    // That of authority.certificate_file, or the store's own, which is made where there is none. Throws
    // std::runtime_error where the files are not good, they are one generation too many, or the store's keys cannot be
    // opened, with a text that names the setting.
    device_authority(store::database&, clock const&, config::settings const&);

    // What issues now, as a snapshot.
    crypto::authority current() const;

    struct issued {
        crypto::certificate device, issuing, root;
    };
    // As crypto::issue_device_certificate, with the chain that it hangs on. What is shortened by the authority's end is
    // told in the log.
    issued issue(crypto::signing_request const&, crypto::device_profile const&, time_point now) const;
    // The generation that issued a certificate: for when its chain is to be sent again.
    std::optional<generation> issuer_of(crypto::certificate const& device) const;
    // As crypto::check_device_certificate, of whichever generation. Errors: unauthenticated.
    [[nodiscard]] result<void> check(crypto::certificate const& device, time_point now) const;
    // What devices' certificates may hang on, PEM, for TLS: never empty. Of our own generations the roots too; of
    // others' the issuing certificates alone, since their roots have other children.
    std::string client_authorities_pem() const;

    std::vector<generation_view> list() const;  // newest first

    // A new intermediate under our own root, with a key of authority.key_type. From now on it issues; the one before
    // stays trusted, and its key is forgotten. Durable when this returns.
    // Errors: conflict (the authority is another's; devices need too many others; the root has ended), with what to do.
    [[nodiscard]] result<generation> rollover();

    // Takes another configuration over: files that changed, another passphrase (with which the keys are encrypted
    // anew). Errors, where nothing changes: malformed, forbidden, unauthenticated, conflict…, with a text that names
    // the setting.
    [[nodiscard]] result<void> adopt(config::settings const&);

    // Called whenever what client_authorities_pem() says has changed, and before anything is issued that needs it; in
    // the thread that made the change.
    void on_change(std::function<void()>);

private:
    struct state {
        crypto::authority current;
        bool own = true;
        std::vector<generation> generations;  // oldest first
        std::set<std::string> unneeded;       // fingerprints of those that have not ended and are not trusted
    };
    // What of the settings is used.
    struct wishes {
        std::string organization;
        crypto::key_kind key_kind = crypto::key_kind::rsa;
        secret passphrase;
        std::string certificate_pem;
        secret key_pem;
    };
    static wishes wishes_of(config::settings const&);

    std::shared_ptr<state const> now_used() const;
    void set(state);
    void publish(state);  // first what is trusted, then what issues
    // `before`: the wishes that were followed so far, whose passphrase may open what the new one does not.
    result<state> load(wishes const&, wishes const* before);
    std::vector<generation> stored_generations() const;
    // Which of these need not be trusted, so that 16 are left, or as few as devices allow; never the current one, and
    // not the one before it, of which a certificate may be on its way to the store.
    std::set<std::string> unneeded_of(
        std::vector<generation> const&, std::string_view current, std::string_view before) const;
    // The same. Errors: conflict (more than 16 are needed), with what to do.
    result<std::set<std::string>> make_room(
        std::vector<generation> const&, std::string_view current, std::string_view before) const;

    store::database& db_;
    clock const& time_;
    std::mutex changing_;  // held by one rollover or adoption at a time
    wishes wishes_;
    std::function<void()> changed_;
    mutable std::mutex mutex_;
    std::shared_ptr<state const> state_;
};

// What is wrong with authority.certificate_file and authority.key_file, if anything.
std::optional<config::problem> check_authority_files(config::settings const&, time_point now);

}  // namespace mdmd::service
