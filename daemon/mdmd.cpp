// mdmd: arguments, configuration, wiring, run, exit code. The only owner of threads, timers and signals.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <condition_variable>
#include <csignal>
#include <cstdio>

#include "admin/listener.hpp"
#include "daemon/configuration.hpp"
#include "daemon/routes.hpp"
#include "daemon/systemd.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "service/appliance.hpp"
#include "store/connection.hpp"
#include "version.hpp"

namespace {

using namespace mdmd;
using namespace std::chrono_literals;

constexpr auto stop_grace = 10s;
constexpr auto io_patience = 5s;
// Requests of one listener that may wait for a worker: what takes some seconds to serve on a small machine.
constexpr std::size_t most_waiting = 512;
constexpr char admin_site[] = "admin.";  // no host's name: new certificates of public names must not reach it

daemon::loaded_configuration load(std::filesystem::path const& file) {
    return daemon::load_configuration(file, config::from_process());
}

void configure_log(config::settings const& s) {
    using form = decltype(s.log.format);
    log::configure(s.log.level);
    auto format = s.log.format;
    if (format == form::automatic) format = daemon::to_journal_by_default() ? form::journald : form::text;
    log::configure(format == form::journald ? log::sink(daemon::to_journal)
                   : format == form::json   ? log::sink(log::to_json)
                                            : log::sink(log::to_text));
}

// Calls `work` about once a second until stopped. What it throws is the environment's failure: told, and tried again.
class timer {
public:
    timer(char const* name, std::function<void()> work)
        : thread_([name, work = std::move(work)](std::stop_token const& stop) {
              std::mutex mutex;
              std::condition_variable_any wake;
              std::string last_failure;
              while (!stop.stop_requested()) {
                  try {
                      work();
                      last_failure.clear();
                  } catch (std::exception const& e) {
                      if (last_failure != e.what()) log::error("timer failed", {{"timer", name}, {"reason", e.what()}});
                      last_failure = e.what();
                  }
                  std::unique_lock lock(mutex);
                  wake.wait_for(lock, stop, 1s, [] { return false; });
              }
          }) {}
    void request_stop() { thread_.request_stop(); }

private:
    std::jthread thread_;
};

// As many connections as there are file descriptors for, some being left for the store, for calls to Entra and for the
// administrator.
http::limits limits_for_this_process() {
    constexpr rlim_t wanted = 65'536;
    constexpr rlim_t kept_back = 256;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = std::min(files.rlim_max, wanted);
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::getrlimit(RLIMIT_NOFILE, &files);
    http::limits limits;
    auto const room = files.rlim_cur > 2 * kept_back ? files.rlim_cur - kept_back : kept_back;
    limits.connections = std::min<std::size_t>(limits.connections, room);
    limits.connections_per_address = std::max<std::size_t>(64, limits.connections / 8);
    return limits;
}

class running {
public:
    explicit running(std::shared_ptr<service::configuration const> const& config)
        : db_(store::sqlite_engine(config->settings.storage.path)),
          appliance_(db_, time_, config, daemon::way_out(config->settings, stopping_.get_token())),
          server_(std::max(1U, std::thread::hardware_concurrency()),
              std::max(32U, 8 * std::thread::hardware_concurrency()) + service::passwords::most_waiting,
              limits_for_this_process()) {
        auto const& s = config->settings;
        http::site public_site{
            s.server.public_url.host, http::make_tls(public_identity(s)).value(), daemon::public_routes(appliance_)};
        public_site.lost = [this](http::request const& head, http::lost_stage stage) {
            daemon::client_lost(appliance_, head, stage == http::lost_stage::answering);
        };
        http::site management_site{s.server.management_url.host, http::make_tls(management_identity(s)).value(),
            daemon::management_routes(appliance_)};
        for (auto& [site, away] : {std::pair(&public_site, &away_.enrollment), {&management_site, &away_.management}}) {
            site->most_waiting = most_waiting;
            site->refused = [away = away](http::request const& head, int status, std::string_view) {
                return away->answer(head, status);
            };
        }
        if (s.server.listen == s.server.management_listen && s.server.listen.port != 0) {
            listen("public and management", s.server.listen, {public_site, management_site});
        } else {
            listen("public", s.server.listen, {public_site});
            listen("management", s.server.management_listen, {management_site});
        }
        auto const admin_tls =
            s.admin.certificate_pem.empty() ? nullptr : http::make_tls(daemon::admin_identity(s)).value();
        http::site admin{admin_site, admin_tls, daemon::admin_routes(appliance_, away_, listening_), true};
        admin.own_workers = true;
        admin.refused = [this](http::request const& head, int status, std::string_view why) {
            return admin::refused_request(appliance_, head, status, why);
        };
        listen("admin", s.admin.listen, {std::move(admin)});
        server_.listen_unix(s.admin.socket, 0660,
            daemon::socket_routes(appliance_, {MDMD_VERSION, time_.now(), [] { ::kill(::getpid(), SIGHUP); }}));
        // Before a new authority issues its first certificate, the listeners know it.
        appliance_.ctx.authorities().on_change([this] {
            std::scoped_lock const lock(changing_tls_);
            auto const now_used = appliance_.ctx.config();
            server_.replace_tls(now_used->settings.server.public_url.host, public_identity(now_used->settings));
            server_.replace_tls(now_used->settings.server.management_url.host, management_identity(now_used->settings));
        });
        for (auto const port : handed_.close_rest())
            log::warning("systemd hands over a socket that no listener is on", {{"port", std::to_string(port)}});
        server_.start();
        listening_ = true;
        keys_timer_.emplace("signing keys", [this] { appliance_.keys.refresh_if_due(); });
        judge_timer_.emplace("compliance", [this] { appliance_.report.judge(); });
        report_timer_.emplace("reports", [this] { appliance_.report.tick(); });
        application_timer_.emplace("application keys", [this] {
            appliance_.token.watch();
            appliance_.ends.refresh_if_due();
        });
        reminder_timer_.emplace("reminders", [this] {
            appliance_.ctx.clock_is_doubtful();
            appliance_.remind.tick();
            tell_status();
        });
        delivery_timer_.emplace("deliveries", [this] {
            appliance_.remind.deliver();
            appliance_.notices.deliver();
        });
        attempts_timer_.emplace("attempts", [this] { appliance_.trouble.tick(); });
        sessions_timer_.emplace("sessions", [this] { appliance_.tend_sessions(); });
        people_timer_.emplace("look-ups", [this] { appliance_.look_up_people(); });
        push_timer_.emplace("push", [this] { appliance_.push.tick(); });
        if (auto const period = daemon::watchdog_period())
            watchdog_timer_.emplace("watchdog", [this, period] { tell_watchdog(*period); });
    }

    void reload(std::filesystem::path const& file) {
        auto const got = load(file);
        for (auto const& w : got.warnings) log::warning("configuration", {{"warning", w.line_text()}});
        for (auto const& w : got.refusable) log::warning("configuration", {{"warning", w.line_text()}});
        for (auto const& p : got.problems) log::error("configuration not taken", {{"problem", p.line_text()}});
        if (!got.value) return;
        auto const before = appliance_.ctx.config();
        auto const& a = before->settings;
        auto const& b = got.value->settings;
        if (a.server.listen != b.server.listen || a.server.management_listen != b.server.management_listen ||
            a.admin.listen != b.admin.listen || a.admin.socket != b.admin.socket || a.storage.path != b.storage.path ||
            a.server.public_url.host != b.server.public_url.host ||
            a.server.management_url.host != b.server.management_url.host) {
            log::error("configuration not taken",
                {{"problem",
                    "listen addresses, host names, admin.socket and storage.path change with a restart only"}});
            return;
        }
        if (a.admin.certificate_pem.empty() != b.admin.certificate_pem.empty()) {
            log::error("configuration not taken",
                {{"problem", "TLS of admin.listen is switched on or off with a restart only"}});
            return;
        }
        if (!before->policies.empty() && got.value->policies.empty() && !std::filesystem::exists(b.policies_dir)) {
            // An unmounted disk must not take every setting off every device.
            log::error("configuration not taken",
                {{"problem", fmt::format("the folder of the policies is gone: {}", b.policies_dir.string())}});
            return;
        }
        // What can still fail comes first.
        auto out = daemon::way_out(b, stopping_.get_token());
        if (auto const adopted = appliance_.ctx.authorities().adopt(b); !adopted) {
            log::error("configuration not taken", {{"problem", adopted.error().detail}});
            return;
        }
        configure_log(b);
        std::scoped_lock const lock(changing_tls_);
        server_.replace_tls(b.server.public_url.host, public_identity(b));
        server_.replace_tls(b.server.management_url.host, management_identity(b));
        if (!b.admin.certificate_pem.empty()) server_.replace_tls(admin_site, daemon::admin_identity(b));
        appliance_.reload(got.value, std::move(out));
        log::info(
            "configuration taken", {{"file", file.string()}, {"policies", std::to_string(got.value->policies.size())}});
    }

    void stop() {
        appliance_.report.stop();
        appliance_.remind.stop();
        appliance_.notices.stop();
        appliance_.push.stop();
        watchdog_timer_.reset();
        for (auto* t : timers()) (*t)->request_stop();
        server_.stop(stop_grace);
        stopping_.request_stop();  // the timers' calls to a server that does not answer
        for (auto* t : timers()) t->reset();
        try {
            appliance_.sessions.flush();
            appliance_.trouble.flush();
        } catch (store::store_error const& e) {
            log::error("the last sessions' traces and events are not kept", {{"reason", e.what()}});
        }
    }

private:
    std::array<std::optional<timer>*, 10> timers() {
        return {&keys_timer_, &judge_timer_, &report_timer_, &application_timer_, &reminder_timer_, &delivery_timer_,
            &attempts_timer_, &sessions_timer_, &people_timer_, &push_timer_};
    }
    // What `systemctl status` shows. It counts devices: not every second.
    void tell_status() {
        auto const now = std::chrono::steady_clock::now();
        if (now < next_status_) return;
        next_status_ = now + 10s;
        auto const line = service::status_line(appliance_);
        if (line != told_status_) daemon::tell_systemd("STATUS=" + printable(line, 400));
        told_status_ = line;
    }
    // A sign of life, unless what everything else waits for is stuck: an I/O thread, or the store's writer. A disk that
    // is full is no reason to be started again.
    void tell_watchdog(std::chrono::microseconds period) {
        auto const now = std::chrono::steady_clock::now();
        if (now < next_sign_) return;
        if (!server_.answers(io_patience)) {
            log::error("an I/O thread does not answer");
            return;
        }
        static_cast<void>(db_.probe());
        daemon::tell_systemd("WATCHDOG=1");
        next_sign_ = now + period - 1s;  // the timer's step
    }
    http::tls_identity management_identity(config::settings const& s) const {
        return {s.server.certificate_pem, s.server.key_pem, appliance_.ctx.authorities().client_authorities_pem(),
            s.management.digest ? http::client_certificates::optional : http::client_certificates::required};
    }
    // A device that renews its certificate may show the one it has.
    http::tls_identity public_identity(config::settings const& s) const {
        auto identity = management_identity(s);
        identity.clients = http::client_certificates::optional;
        return identity;
    }
    // On the sockets that systemd has made for this port, whatever their addresses are, or else on one of our own.
    void listen(char const* what, config::endpoint const& at, std::vector<http::site> sites) {
        auto const handed = handed_.take(at.port);
        for (int const socket : handed) {
            server_.adopt(socket, sites);
            log::info("listening", {{"listener", what}, {"address", "systemd"}, {"port", std::to_string(at.port)}});
        }
        if (!handed.empty()) return;
        auto const port = server_.listen(at.address, at.port, std::move(sites));
        log::info("listening", {{"listener", what}, {"address", at.address}, {"port", std::to_string(port)}});
    }

    std::stop_source stopping_;
    system_clock time_;
    store::database db_;
    service::appliance appliance_;
    std::atomic<bool> listening_ = false;
    daemon::sent_away_by_listener away_;
    daemon::handed_sockets handed_;
    std::mutex changing_tls_;  // held until listeners and configuration agree
    http::server server_;
    std::string told_status_;  // these two are of the reminders' timer alone
    std::chrono::steady_clock::time_point next_status_{};
    std::optional<timer> keys_timer_, judge_timer_, report_timer_, application_timer_, reminder_timer_, delivery_timer_,
        attempts_timer_, sessions_timer_, people_timer_, push_timer_;
    std::chrono::steady_clock::time_point next_sign_{};  // of the watchdog's timer alone
    std::optional<timer> watchdog_timer_;
};

int run(std::filesystem::path const& file, std::shared_ptr<service::configuration const> const& config) {
    ::umask(0077);
    // Keys are in this process's memory: it leaves no core behind, and nobody but root looks into it.
    ::prctl(PR_SET_DUMPABLE, 0);
    std::signal(SIGPIPE, SIG_IGN);
    // Every thread inherits this: signals are taken here, one by one, and nowhere else.
    sigset_t taken;
    sigemptyset(&taken);
    for (int const s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&taken, s);
    pthread_sigmask(SIG_BLOCK, &taken, nullptr);

    running daemon(config);
    daemon::tell_systemd("READY=1\nSTATUS=Serving");
    log::info("ready", {{"version", MDMD_VERSION}, {"config", file.string()}});
    while (true) {
        int signal = 0;
        if (sigwait(&taken, &signal) != 0) continue;
        if (signal != SIGHUP) break;
        daemon::tell_systemd_reloading();
        try {
            daemon.reload(file);
        } catch (std::exception const& e) {  // the store, most likely: what serves goes on serving
            log::error("configuration not taken whole", {{"problem", e.what()}});
        }
        daemon::tell_systemd("READY=1");
    }
    daemon::tell_systemd("STOPPING=1");
    log::info("stopping");
    daemon.stop();
    log::info("stopped");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"An on-premises MDM appliance for Windows that works with Microsoft Entra ID.", "mdmd"};
    app.set_version_flag("--version", MDMD_VERSION);
    std::string file = "/etc/mdmd/config.yaml";
    bool check = false;
    app.add_option("--config", file, "The configuration")->capture_default_str();
    app.add_flag(
        "--check-config", check, "Say what is wrong with the configuration and its policies, and exit with 0 or 1");
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    try {
        if (!check && daemon::unconfigured(file)) {
            fmt::print(stderr, "{}: not configured yet: `mdmctl init` fills it in. Nothing was started.\n", file);
            return 1;
        }
        auto const got = load(std::filesystem::absolute(file));
        for (auto const& w : got.warnings) fmt::print(stderr, "warning: {}\n", w.line_text());
        for (auto const& p : got.problems) fmt::print(stderr, "{}\n", p.line_text());
        for (auto const& p : got.refusable) fmt::print(stderr, "{}{}\n", check ? "" : "warning: ", p.line_text());
        if (!got.value || (check && !got.refusable.empty())) return 1;
        if (check) {
            fmt::print("{}: ok, {} policies\n", file, got.value->policies.size());
            return 0;
        }
        configure_log(got.value->settings);
        return run(std::filesystem::absolute(file), got.value);
    } catch (std::exception const& e) {
        log::error("mdmd ends", {{"reason", e.what()}});
        return 1;
    }
}
