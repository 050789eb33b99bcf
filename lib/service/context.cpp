#include "service/context.hpp"

#include <fmt/format.h>

#include "core/log.hpp"
#include "core/random.hpp"
#include "core/text.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {
namespace {

constexpr auto doubtful_for = std::chrono::hours(24);

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

std::shared_ptr<configuration const> ready(configuration c) {
    c.rules = std::make_shared<compliance::rulebook const>(c.policies);
    return std::make_shared<configuration const>(std::move(c));
}

context::context(store::database& store, clock const& c, std::shared_ptr<configuration const> conf, http::transport out)
    : db(store),
      time(c),
      config_(std::move(conf)),
      transport_(std::move(out)),
      authority_(store, c, config_->settings),
      form_key_(form_key_of(store)),
      maintenance_(db.read([](store::connection& reader) { return store::get_meta(reader, "maintenance") == "on"; })) {
    clock_is_doubtful();  // from now on it is watched
}

bool context::clock_is_doubtful() {
    std::scoped_lock const lock(watching_clock_);
    auto const running = time.running();
    if (auto const by = clock_watch_.moved(time.now(), running)) {
        doubted_since_ = running;
        log::warning("the clock was set",
            {{"seconds", fmt::format("{:+}", std::chrono::round<std::chrono::seconds>(*by).count())},
                {"reason",
                    "what is due is looked at anew, and nothing old is forgotten for a day; if it is not right now, tokens "
                    "and certificates are judged wrongly: keep it by NTP"}});
    }
    return doubted_since_ && running - *doubted_since_ < doubtful_for;
}

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
