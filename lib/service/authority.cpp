#include "service/authority.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "core/log.hpp"
#include "crypto/server_certificate.hpp"

namespace mdmd::service {
namespace {

constexpr std::size_t most_trusted = 16;

constexpr char certificate_setting[] = "authority.certificate_file";
constexpr char key_setting[] = "authority.key_file";

// Whether what import_authority() finds wrong is about the key.
bool is_about_key(errc code) {
    return code == errc::unauthenticated || code == errc::unsupported || code == errc::conflict;
}

secret sealed(crypto::private_key const& key, secret const& passphrase) {
    return passphrase.empty() ? key.to_pem() : key.to_pem(passphrase);
}

store::authority_part part_of(char const* role, char const* origin, crypto::certificate const& c,
    crypto::certificate const& root, secret key_pem, time_point now) {
    return {c.fingerprint(), role, origin, root.fingerprint(), c.pem(), std::move(key_pem), now};
}

using own_keys = std::map<std::string, crypto::private_key, std::less<>>;  // by their certificates' fingerprints

// A stored key, by whichever passphrase opens it.
struct opened {
    crypto::private_key key;
    bool as_wanted;  // encrypted by the passphrase that is wanted, or not at all where none is
};
result<opened> open(secret const& pem, secret const& passphrase, secret const& passphrase_before) {
    if (!crypto::is_encrypted(pem)) {
        auto key = crypto::private_key::from_pem(pem);
        if (!key)
            return fail(key.error().code, "a private key of the device authority in the store: " + key.error().detail);
        return opened{std::move(*key), passphrase.empty()};
    }
    if (passphrase.empty())
        return fail(errc::unauthenticated,
            "authority.passphrase_file: expected the passphrase of the device authority's private keys, which the store "
            "keeps encrypted, got none, nor a systemd credential authority-passphrase");
    if (auto key = crypto::private_key::from_pem(pem, passphrase)) return opened{std::move(*key), true};
    if (!passphrase_before.empty())
        if (auto key = crypto::private_key::from_pem(pem, passphrase_before)) return opened{std::move(*key), false};
    return fail(errc::unauthenticated,
        "authority.passphrase_file: expected the passphrase by which the store keeps the device authority's private keys "
        "encrypted, got another one");
}

bool has_ended(generation const& g, time_point now) {
    return g.issuing.not_after() <= now || g.root.not_after() <= now;
}

bool issued(generation const& g, crypto::certificate const& device) {
    return device.issuer() == g.issuing.subject() && crypto::is_issued_by(device, g.issuing);
}

}  // namespace

device_authority::wishes device_authority::wishes_of(config::settings const& s) {
    using kind = decltype(s.authority.key_type);
    return {.organization = s.server.public_url.host,
        .key_kind = s.authority.key_type == kind::p256 ? crypto::key_kind::p256 : crypto::key_kind::rsa,
        .passphrase = s.authority.passphrase,
        .certificate_pem = s.authority.certificate_pem,
        .key_pem = s.authority.key_pem};
}

device_authority::device_authority(store::database& db, clock const& time, config::settings const& s)
    : db_(db), time_(time), wishes_(wishes_of(s)) {
    set(load(wishes_, nullptr).value());
}

result<device_authority::state> device_authority::load(wishes const& w, wishes const* before) {
    auto const now = time_.now();
    auto const list = [&] { return db_.read([](store::connection& c) { return store::list_authorities(c); }); };
    auto parts = list();
    auto const issues = [](store::authority_part const& p) {  // the one of ours that does, or would
        return p.role == "issuing" && p.origin == "own" && !p.key_pem.empty();
    };

    std::optional<crypto::authority> external;
    std::string const issuing_before = before ? now_used()->current.issuing.fingerprint() : "";
    if (!w.certificate_pem.empty()) {
        auto got = crypto::import_authority(w.certificate_pem, w.key_pem, w.passphrase, now);
        if (!got)
            return fail(got.error().code,
                fmt::format(
                    "{}: {}", is_about_key(got.error().code) ? key_setting : certificate_setting, got.error().detail));
        external = std::move(*got);
        auto known = stored_generations();
        auto const fingerprint = external->issuing.fingerprint();
        if (std::none_of(
                known.begin(), known.end(), [&](auto const& g) { return g.issuing.fingerprint() == fingerprint; })) {
            known.push_back({external->root, external->issuing, false, now});
            if (auto const room = make_room(known, fingerprint, issuing_before); !room)
                return fail(room.error().code, fmt::format("{}: {}", certificate_setting, room.error().detail));
        }
    } else if (std::none_of(parts.begin(), parts.end(), issues)) {
        auto const made = crypto::make_authority(w.organization, now, w.key_kind);
        auto const root = part_of("root", "own", made.root, made.root, sealed(made.root_key, w.passphrase), now);
        auto const issuing =
            part_of("issuing", "own", made.issuing, made.root, sealed(made.issuing_key, w.passphrase), now);
        // Both in one write: an authority is never half there.
        db_.write([&](store::connection& c) {
            store::add_authority(c, root);
            store::add_authority(c, issuing);
        });
        log::info("device authority made", {{"root", made.root.subject()}, {"issuing", made.issuing.subject()},
                                               {"ends", rfc3339(made.issuing.not_after())}});
        parts = list();
    }

    // Our own keys are opened where they are needed, and encrypted anew where the passphrase is another.
    own_keys keys;
    std::vector<std::pair<std::string, secret>> sealed_anew;
    bool const other_passphrase = before && before->passphrase.reveal() != w.passphrase.reveal();
    for (auto const& p : parts) {
        if (p.key_pem.empty()) continue;
        if (external && crypto::is_encrypted(p.key_pem) && !other_passphrase)
            continue;  // each costs tenths of a second
        auto got = open(p.key_pem, w.passphrase, before ? before->passphrase : secret());
        if (!got && external) {
            log::warning("a key of the own device authority, which is not in use, cannot be opened",
                {{"reason", got.error().detail}});
            continue;
        }
        if (!got) return got.error();
        if (!got->as_wanted) sealed_anew.emplace_back(p.fingerprint, sealed(got->key, w.passphrase));
        keys.emplace(p.fingerprint, std::move(got->key));
    }
    db_.write([&](store::connection& c) {
        for (auto const& [fingerprint, pem] : sealed_anew) store::set_authority_key(c, fingerprint, pem);
        if (!external) return;
        store::add_authority(c, part_of("root", "external", external->root, external->root, {}, now));
        store::add_authority(c, part_of("issuing", "external", external->issuing, external->root, {}, now));
    });
    if (!sealed_anew.empty()) db_.forget_history();
    if (!sealed_anew.empty())
        log::info("the device authority's private keys are encrypted by authority.passphrase_file");

    auto generations = stored_generations();
    if (external) {
        auto unneeded = unneeded_of(generations, external->issuing.fingerprint(), issuing_before);
        return state{std::move(*external), false, std::move(generations), std::move(unneeded)};
    }
    auto const current = std::find_if(parts.begin(), parts.end(), issues);
    auto const is_current = [&](generation const& g) { return g.issuing.fingerprint() == current->fingerprint; };
    auto const g = std::find_if(generations.begin(), generations.end(), is_current);
    crypto::authority own{g->root, g->issuing, keys.at(current->fingerprint)};
    auto unneeded = unneeded_of(generations, current->fingerprint, issuing_before);
    return state{std::move(own), true, std::move(generations), std::move(unneeded)};
}

std::vector<generation> device_authority::stored_generations() const {
    auto const parts = db_.read([](store::connection& c) { return store::list_authorities(c); });
    std::map<std::string, crypto::certificate, std::less<>> roots;
    std::vector<generation> all;
    for (auto const& p : parts)
        if (p.role == "root") roots.emplace(p.fingerprint, crypto::certificate::from_pem(p.certificate_pem).value());
    for (auto const& p : parts)
        if (p.role == "issuing")
            all.push_back({roots.at(p.root), crypto::certificate::from_pem(p.certificate_pem).value(),
                p.origin == "own", p.created});
    return all;
}

std::set<std::string> device_authority::unneeded_of(
    std::vector<generation> const& all, std::string_view current, std::string_view before) const {
    auto const now = time_.now();
    std::vector<generation const*> trusted;  // oldest first
    for (auto const& g : all)
        if (!has_ended(g, now)) trusted.push_back(&g);
    std::set<std::string> unneeded;
    if (trusted.size() <= most_trusted) return unneeded;

    std::vector<std::set<generation const*>> certificates;  // of devices: what vouches for each
    db_.read([&](store::connection& db) {
        store::each_valid_certificate(db, now, [&](std::string const&, std::string const& pem) {
            auto const c = crypto::certificate::from_pem(pem).value();
            std::set<generation const*> above;
            for (auto const* g : trusted)
                if (service::issued(*g, c)) above.insert(g);
            if (!above.empty()) certificates.push_back(std::move(above));
        });
    });
    for (auto const* g : trusted) {
        if (trusted.size() - unneeded.size() <= most_trusted) break;
        auto const fingerprint = g->issuing.fingerprint();
        bool const needed = std::any_of(certificates.begin(), certificates.end(),
            [&](auto const& above) { return above.size() == 1 && above.contains(g); });
        if (needed || fingerprint == current || fingerprint == before) continue;
        unneeded.insert(fingerprint);
        for (auto& above : certificates) above.erase(g);
    }
    return unneeded;
}

result<std::set<std::string>> device_authority::make_room(
    std::vector<generation> const& all, std::string_view current, std::string_view before) const {
    auto unneeded = unneeded_of(all, current, before);
    auto const now = time_.now();
    auto const valid = static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](generation const& g) { return !has_ended(g, now); }));
    if (valid - unneeded.size() <= most_trusted) return unneeded;
    return fail(errc::conflict,
        fmt::format(
            "expected at most {} issuing certificates that enrolled devices need, got {}: let the devices of the "
            "oldest renew first, or delete those that never come (see `mdmctl ca show`)",
            most_trusted, valid - unneeded.size()));
}

std::shared_ptr<device_authority::state const> device_authority::now_used() const {
    std::scoped_lock const lock(mutex_);
    return state_;
}

void device_authority::set(state s) {
    auto next = std::make_shared<state const>(std::move(s));
    std::scoped_lock const lock(mutex_);
    state_ = std::move(next);
}

void device_authority::publish(state next) {
    auto const before = now_used();
    set({before->current, before->own, next.generations, next.unneeded});
    try {
        if (changed_) changed_();
    } catch (std::exception const& e) {  // it is in the store: there is no way back
        log::error("devices of the new authority are not let in before a restart", {{"reason", e.what()}});
    }
    set(std::move(next));
}

void device_authority::on_change(std::function<void()> call) {
    std::scoped_lock const turn(changing_);
    changed_ = std::move(call);
}

crypto::authority device_authority::current() const { return now_used()->current; }

device_authority::issued device_authority::issue(
    crypto::signing_request const& request, crypto::device_profile const& profile, time_point now) const {
    auto const a = current();
    auto device = crypto::issue_device_certificate(a, request, profile, now);
    if (device.not_after() < std::chrono::floor<std::chrono::seconds>(now + profile.validity))
        log::warning("a device certificate is shortened by the end of the device authority: renew that",
            {{"device", profile.common_name}, {"ends", rfc3339(device.not_after())}, {"authority", a.issuing.subject()},
                {"docs", "authority.md"}});
    return {std::move(device), a.issuing, a.root};
}

std::optional<generation> device_authority::issuer_of(crypto::certificate const& device) const {
    // An authority of another's may be certified anew for the same key: of those the one that is good for longest.
    auto const s = now_used();
    auto const now = time_.now();
    auto const rank = [&](generation const& g) {
        return g.issuing.fingerprint() == s->current.issuing.fingerprint() ? 2 : has_ended(g, now) ? 0 : 1;
    };
    generation const* best = nullptr;
    for (auto const& g : s->generations)
        if (service::issued(g, device) && (!best || rank(g) >= rank(*best))) best = &g;
    return best ? std::optional(*best) : std::nullopt;
}

result<void> device_authority::check(crypto::certificate const& device, time_point now) const {
    auto const s = now_used();
    result<void> checked = fail(errc::unauthenticated, "device certificate: not issued by the device authority");
    for (auto g = s->generations.rbegin(); g != s->generations.rend() && !checked; ++g)
        if (!s->unneeded.contains(g->issuing.fingerprint()) && service::issued(*g, device))
            checked = crypto::check_device_certificate(g->root, g->issuing, device, now);
    return checked;
}

std::string device_authority::client_authorities_pem() const {
    auto const s = now_used();
    auto const now = time_.now();
    std::string pem;
    std::set<std::string> seen;
    auto const add = [&](crypto::certificate const& c) {
        if (seen.insert(c.fingerprint()).second) pem += c.pem();
    };
    for (auto const& g : s->generations) {
        if (has_ended(g, now) || s->unneeded.contains(g.issuing.fingerprint())) continue;
        if (g.own) add(g.root);
        add(g.issuing);
    }
    add(s->current.issuing);
    return pem;
}

std::vector<generation_view> device_authority::list() const {
    auto const s = now_used();
    auto const now = time_.now();
    std::vector<std::set<std::string>> devices(s->generations.size());
    db_.read([&](store::connection& db) {
        store::each_valid_certificate(db, now, [&](std::string const& device, std::string const& pem) {
            auto const c = crypto::certificate::from_pem(pem).value();
            for (std::size_t i = 0; i < devices.size(); ++i)
                if (service::issued(s->generations[i], c)) devices[i].insert(device);
        });
    });
    std::vector<generation_view> all;
    for (auto i = s->generations.size(); i-- > 0;) {
        auto const& g = s->generations[i];
        all.push_back({.what = g,
            .current = g.issuing.fingerprint() == s->current.issuing.fingerprint(),
            .valid = !has_ended(g, now) && !s->unneeded.contains(g.issuing.fingerprint()),
            .ended = has_ended(g, now),
            .devices = static_cast<std::int64_t>(devices[i].size())});
    }
    return all;
}

result<generation> device_authority::rollover() {
    std::scoped_lock const turn(changing_);
    auto const before = now_used();
    auto const now = time_.now();
    if (!before->own)
        return fail(errc::conflict,
            "the device authority is that of authority.certificate_file: put a new issuing certificate with its root there, "
            "its key into authority.key_file, and run `systemctl reload mdmd`; the one before stays trusted until its end");
    auto const& root = before->current.root;
    if (root.not_after() <= now)
        return fail(errc::conflict, fmt::format("the root {} ended at {}", root.subject(), rfc3339(root.not_after())));
    auto const parts = db_.read([](store::connection& c) { return store::list_authorities(c); });
    auto const stored_root =
        std::find_if(parts.begin(), parts.end(), [&](auto const& p) { return p.fingerprint == root.fingerprint(); });
    auto const root_key = open(stored_root->key_pem, wishes_.passphrase, {});
    if (!root_key) return root_key.error();
    auto const made = crypto::make_intermediate(wishes_.organization, root, root_key->key, wishes_.key_kind, now);
    auto generations = before->generations;
    generations.push_back({root, made.issuing, true, now});
    auto room = make_room(generations, made.issuing.fingerprint(), before->current.issuing.fingerprint());
    if (!room) return room.error();
    auto const part = part_of("issuing", "own", made.issuing, root, sealed(made.issuing_key, wishes_.passphrase), now);
    db_.write([&](store::connection& c) {
        // It signs nothing any more: whoever gets hold of the store later shall not have it.
        store::set_authority_key(c, before->current.issuing.fingerprint(), {});
        store::add_authority(c, part);
    });
    db_.forget_history();
    publish({{root, made.issuing, made.issuing_key}, true, std::move(generations), *std::move(room)});
    log::info("device authority rolled over",
        {{"issuing", made.issuing.subject()}, {"key_type", made.issuing.key_type()},
            {"ends", rfc3339(made.issuing.not_after())}, {"before", before->current.issuing.subject()}});
    return generation{root, made.issuing, true, now};
}

result<void> device_authority::adopt(config::settings const& s) {
    std::scoped_lock const turn(changing_);
    auto next = wishes_of(s);
    bool const same = next.passphrase.reveal() == wishes_.passphrase.reveal() &&
                      next.certificate_pem == wishes_.certificate_pem &&
                      next.key_pem.reveal() == wishes_.key_pem.reveal();
    if (!same) {
        auto loaded = load(next, &wishes_);
        if (!loaded) return loaded.error();
        auto const before = current();
        bool const other = before.issuing.fingerprint() != loaded->current.issuing.fingerprint();
        auto const subject = loaded->current.issuing.subject();
        auto const ends = crypto::end_of(loaded->current);
        publish(std::move(*loaded));
        if (other)
            log::info("devices get certificates of another authority",
                {{"issuing", subject}, {"ends", rfc3339(ends)}, {"before", before.issuing.subject()}});
    }
    wishes_ = std::move(next);
    return {};
}

std::optional<config::problem> check_authority_files(config::settings const& s, time_point now) {
    auto const& a = s.authority;
    if (a.certificate_pem.empty()) return std::nullopt;
    auto const got = crypto::import_authority(a.certificate_pem, a.key_pem, a.passphrase, now);
    if (got) return std::nullopt;
    if (is_about_key(got.error().code)) return config::problem{s.file, 0, 0, key_setting, got.error().detail};
    return config::problem{
        s.file, a.certificate_file_at.line, a.certificate_file_at.column, certificate_setting, got.error().detail};
}

}  // namespace mdmd::service
