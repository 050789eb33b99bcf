#include "service/push.hpp"

#include "core/log.hpp"
#include "core/random.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto longest_wait = 15min;  // a device that could not be woken by then comes by its own schedule
constexpr auto longest_pause = 2h;    // what the push service asks for, at most
constexpr auto call_limit = 10s;
constexpr std::size_t batch = 64;  // of one tick, so that a reload is heard in between

constexpr std::string_view root = "./Device/Vendor/MSFT/DMClient/Provider/mdmd/Push/";
constexpr std::string_view pfn_key = "push:pfn";
constexpr std::string_view channel_key = "push:channel";
constexpr std::string_view status_key = "push:status";

omadm::wanted read(std::string_view key, std::string_view leaf) {
    return {std::string(key), {.what = omadm::verb::get, .uri = std::string(root).append(leaf)}};
}

// The part of a channel that is not a secret: whoever knows all of it and has a token may wake the device.
std::string host_of(std::string_view uri) {
    auto const rest = uri.substr(std::min<std::size_t>(uri.size(), 8));
    return printable(rest.substr(0, rest.find_first_of("/?")), 128);
}

error unreachable(error const& e) {
    return fail(errc::unavailable, "Windows' push service cannot be reached: " + e.detail);
}

}  // namespace

bool push::configured() const { return context_.config()->settings.management.push.has_value(); }

void push::wake(std::string_view device_id) {
    if (!configured()) return;
    std::scoped_lock const lock(mutex_);
    if (!queue_.add(device_id, context_.time.now()))
        log::warning("a device is not woken",
            {{"device_id", std::string(device_id)}, {"reason", "too many wait to be woken already"}});
}

std::vector<omadm::wanted> push::questions() const {
    if (!configured()) return {};
    return {read(pfn_key, "PFN"), read(channel_key, "ChannelURI"), read(status_key, "Status")};
}

std::optional<omadm::wanted> push::take(omadm::outcome const& o) const {
    auto const config = context_.config();
    auto const& identity = config->settings.management.push;
    if (!identity || o.key != pfn_key) return std::nullopt;
    auto const write = [&](omadm::verb how) {
        return omadm::wanted{std::string(pfn_key), {.what = how,
                                                       .uri = std::string(root) + "PFN",
                                                       .format = "chr",
                                                       .type = "text/plain",
                                                       .data = identity->package_family_name}};
    };
    switch (o.sent.what) {
        case omadm::verb::get:
            if (o.status == 404) return write(omadm::verb::add);
            if (o.status == 200 && o.value && trim(*o.value) != identity->package_family_name)
                return write(omadm::verb::replace);
            return std::nullopt;
        // A node that Windows has without a value is written, one that it has not is added.
        case omadm::verb::add: return o.status == 418 ? std::optional(write(omadm::verb::replace)) : std::nullopt;
        default: return std::nullopt;
    }
}

void push::take_channel(store::connection& db, std::string_view device_id, std::optional<std::string_view> uri,
    std::optional<int> status, time_point now) {
    auto const known = store::find_push_channel(db, device_id);
    auto next = known.value_or(store::push_channel{.device_id = std::string(device_id), .uri = {}, .since = now});
    if (uri) {
        auto const channel = trim(*uri);
        if (channel.empty() || entra::is_push_channel(channel))
            next.uri = channel;
        else
            log::warning("a device's push channel is not one of Windows' push service, and is not used",
                {{"device_id", std::string(device_id)}, {"host", host_of(channel)}});
    }
    if (status) next.status = *status;
    if (known && known->uri == next.uri && known->status == next.status) return;
    if (!known && next.uri.empty() && next.status < 0) return;
    next.since = now;
    store::put_push_channel(db, next);
    if (next.status > 0)
        log::warning("a device's push channel does not work",
            {{"device_id", std::string(device_id)}, {"status", std::to_string(next.status)},
                {"reason", std::string(entra::push_status_text(static_cast<int>(next.status)))}});
}

void push::reload() { reloaded_ = true; }

std::string push::problem() const {
    std::scoped_lock const lock(mutex_);
    return problem_;
}

void push::say(std::string problem) {
    {
        std::scoped_lock const lock(mutex_);
        if (problem_ == problem) return;
        problem_ = problem;
    }
    if (!problem.empty())
        log::error("devices cannot be woken", {{"reason", problem}});
    else
        log::info("devices can be woken again");
}

push::outcome push::leave_alone(std::optional<std::chrono::milliseconds> retry_after) {
    not_before_ = retries_.failed(context_.time.now(), random_fraction(), retry_after);
    return {.what = step::pause};
}

void push::tick() {
    if (reloaded_.exchange(false)) {
        std::scoped_lock const lock(mutex_);
        token_.reset();
        problem_.clear();
        queue_.all_due(context_.time.now());
        not_before_ = {};
        retries_.succeeded();
    }
    for (std::size_t i = 0; i < batch && !stopping_ && !reloaded_; ++i) {
        if (!has_come(not_before_, context_.time.now(), longest_pause)) return;
        std::optional<wake_queue::entry> next;
        {
            std::scoped_lock const lock(mutex_);
            // A wake that comes from here on is another one: what it is for may not be seen by the session that
            // this one begins.
            next = queue_.next(context_.time.now());
        }
        if (!next) return;
        if (context_.time.now() - next->asked > longest_wait) {
            log::info("a device was not woken in time", {{"device_id", next->device_id}});
            continue;
        }
        auto const got = wake_one(next->device_id);
        if (got.what == step::done) continue;
        if (got.what == step::later)
            next->due = next->pauses.failed(context_.time.now(), random_fraction(), got.retry_after);
        std::scoped_lock const lock(mutex_);
        queue_.put_back(std::move(*next));
        return;  // were it the service that is in trouble, it would be asked once a second, and not by all that wait
    }
}

push::outcome push::wake_one(std::string const& device_id) {
    auto const config = context_.config();
    auto const& identity = config->settings.management.push;
    if (!identity) return {};
    log::scope const scope("device_id", device_id);
    auto const channel = context_.db.read([&](store::connection& db) -> std::optional<store::push_channel> {
        auto const device = store::find_device(db, device_id);
        if (!device || device->state != "enrolled") return std::nullopt;
        return store::find_push_channel(db, device_id);
    });
    // What the store has was checked when it came; it is asked again here, since this decides whom we call.
    if (!channel || !entra::is_push_channel(channel->uri)) {
        log::debug("a device without a push channel is not woken");
        return {};
    }
    return send(*identity, *channel);
}

std::optional<entra::access_token> push::token(config::push_identity const& identity) {
    auto const now = context_.time.now();
    {
        std::scoped_lock const lock(mutex_);
        if (token_ && now < token_->expires) return token_;
    }
    auto call = entra::push_token_request(identity.login_url.text, identity.package_sid, identity.key);
    call.timeout = call_limit;
    auto const answer = context_.call(call);
    wipe(call.body);
    auto const got =
        answer ? entra::parse_push_token(*answer, now) : result<entra::access_token>(unreachable(answer.error()));
    if (!got) {
        say(got.error().detail);
        leave_alone(answer ? entra::retry_after(*answer, now) : std::nullopt);
        return std::nullopt;
    }
    std::scoped_lock const lock(mutex_);
    token_ = *got;
    return token_;
}

push::outcome push::send(config::push_identity const& identity, store::push_channel const& channel) {
    for (bool second : {false, true}) {
        auto const with = token(identity);
        if (!with) return {.what = step::pause};
        auto call = entra::push_request(channel.uri, *with);
        call.timeout = call_limit;
        auto const got = context_.call(call);
        if (!got) {
            say(unreachable(got.error()).detail);
            return {.what = step::later};
        }
        auto const answer = entra::parse_push_answer(*got, context_.time.now());
        switch (answer.what) {
            case entra::push_outcome::delivered:
            case entra::push_outcome::dropped:
                say("");
                retries_.succeeded();
                log::info(answer.what == entra::push_outcome::delivered ? "a device was woken"
                                                                        : "the push service dropped a wake-up",
                    {{"answer", answer.detail}});
                return {};
            case entra::push_outcome::token_ended: {
                std::scoped_lock const lock(mutex_);
                token_.reset();
                break;
            }
            case entra::push_outcome::foreign:
                say(fmt::format(
                    "the push channel belongs to another app identity: management.push.package_family_name and "
                    "package_sid are not of one app, or the device was given another one ({})",
                    answer.detail));
                return {};
            case entra::push_outcome::channel_gone:
                log::info("a device's push channel has ended", {{"answer", answer.detail}});
                context_.db.write(
                    [&](store::connection& db) { store::drop_push_channel(db, channel.device_id, channel.uri); });
                return {};
            case entra::push_outcome::later:
                log::warning("a device cannot be woken yet", {{"answer", answer.detail}});
                return {.what = step::later, .retry_after = answer.retry_after};
            case entra::push_outcome::throttled:
                log::warning("the push service wants to be left alone", {{"answer", answer.detail}});
                return leave_alone(answer.retry_after);
            case entra::push_outcome::refused:
                log::error("the push service refused a wake-up", {{"answer", answer.detail}});
                return {};
        }
        if (second) break;
    }
    say("Windows' push service refuses the token that it has just issued");
    return leave_alone(std::nullopt);
}

}  // namespace mdmd::service
