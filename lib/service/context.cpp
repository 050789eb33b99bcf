#include "service/context.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "core/text.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {
namespace {

crypto::authority load_authority(store::authority_part const& root, store::authority_part const& issuing) {
    return {crypto::certificate::from_pem(root.certificate_pem).value(),
        crypto::certificate::from_pem(issuing.certificate_pem).value(),
        crypto::private_key::from_pem(issuing.key_pem).value()};
}

crypto::authority authority_of(store::database& db, std::string const& organization, time_point now) {
    auto const stored = [&](char const* role) {
        return db.read([&](store::connection& c) { return store::find_authority(c, role); });
    };
    auto root = stored("root");
    auto issuing = stored("issuing");
    if (!root || !issuing) {
        auto const made = crypto::make_authority(organization, now);
        // Both in one write: an authority is never half there.
        db.write([&](store::connection& c) {
            store::add_authority(c, {"root", made.root.pem(), made.root_key.to_pem(), now});
            store::add_authority(c, {"issuing", made.issuing.pem(), made.issuing_key.to_pem(), now});
        });
        log::info("device authority made", {{"root", made.root.subject()}, {"issuing", made.issuing.subject()},
                                               {"ends", rfc3339(made.issuing.not_after())}});
        root = stored("root");
        issuing = stored("issuing");
    }
    return load_authority(root.value(), issuing.value());
}

std::string form_key_of(store::database& db) {
    auto const key = db.write([](store::connection& c) {
        auto const known = store::get_meta(c, "terms_form_key");
        if (known) return *known;
        auto made = base64(random_bytes(32));
        store::set_meta(c, "terms_form_key", made);
        return made;
    });
    return unbase64(key).value();
}

}  // namespace

context::context(store::database& store, clock const& c, std::shared_ptr<configuration const> conf, http::transport out)
    : db(store),
      time(c),
      config_(std::move(conf)),
      transport_(std::move(out)),
      authority_(std::make_shared<crypto::authority const>(
          authority_of(store, config_->settings.server.public_url.host, c.now()))),
      form_key_(form_key_of(store)),
      maintenance_(db.read([](store::connection& reader) { return store::get_meta(reader, "maintenance") == "on"; })) {}

std::shared_ptr<configuration const> context::config() const {
    std::scoped_lock const lock(mutex_);
    return config_;
}

void context::replace(std::shared_ptr<configuration const> conf, http::transport out) {
    std::scoped_lock const lock(mutex_);
    config_ = std::move(conf);
    transport_ = std::move(out);
}

void context::set_maintenance(bool on) {
    std::scoped_lock const lock(changing_maintenance_);  // what is kept and what is remembered change in one order
    db.write([&](store::connection& c) { store::set_meta(c, "maintenance", on ? "on" : "off"); });
    maintenance_ = on;
    log::info(on ? "maintenance begins: no device enrolls" : "maintenance ends");
}

result<http::response> context::call(http::call const& c) const {
    http::transport out;
    {
        std::scoped_lock const lock(mutex_);
        out = transport_;
    }
    return out(c);
}

}  // namespace mdmd::service
