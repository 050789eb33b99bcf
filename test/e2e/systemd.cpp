// The daemon as systemd runs it: what it is told, and the sockets that it is handed.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <csignal>
#include <cstring>
#include <future>

#include "core/text.hpp"
#include "e2e/appliance.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

class socket_of_test {
public:
    explicit socket_of_test(int fd) : fd_(fd) { REQUIRE(fd_ >= 0); }
    socket_of_test(socket_of_test const&) = delete;
    socket_of_test& operator=(socket_of_test const&) = delete;
    ~socket_of_test() { ::close(fd_); }
    int get() const { return fd_; }

private:
    int fd_;
};

// What systemd has: a listening socket that outlives the daemon.
class unit_socket : public socket_of_test {
public:
    unit_socket() : socket_of_test(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        REQUIRE(::bind(get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
        REQUIRE(::listen(get(), 128) == 0);
        REQUIRE(::getsockname(get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
        port = ntohs(at.sin_port);
    }
    std::uint16_t port = 0;
};

// $NOTIFY_SOCKET, and what comes there.
class notified : public socket_of_test {
public:
    explicit notified(std::filesystem::path const& path)
        : socket_of_test(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        REQUIRE(path.string().size() < sizeof at.sun_path);
        std::strcpy(at.sun_path, path.c_str());
        REQUIRE(::bind(get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    }
    // The next message but those about the status; empty: none came.
    std::string next(std::chrono::milliseconds patience = 20s) const {
        auto const until = std::chrono::steady_clock::now() + patience;
        for (;;) {
            auto const left =
                std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
            pollfd p{get(), POLLIN, 0};
            if (left.count() <= 0 || ::poll(&p, 1, static_cast<int>(left.count())) <= 0) return {};
            std::array<char, 4096> text{};
            auto const n = ::recv(get(), text.data(), text.size(), 0);
            std::string const got(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
            if (!got.starts_with("STATUS=")) return got;
        }
    }
};

// The status of an answer that may be a while in coming.
int discovery(http::client_options options, std::uint16_t port) {
    options.connect_to[fmt::format("{}:443", e2e::host)] = fmt::format("127.0.0.1:{}", port);
    http::client c(options);
    auto const got = c.send({.method = "GET", .url = e2e::discovery_url, .headers = {}, .body = {}});
    return got ? got->status : -1;
}

std::string on_loopback(std::uint16_t port) { return fmt::format("127.0.0.1:{}", port); }

}  // namespace

TEST_CASE("systemd is told when the daemon is ready, takes a configuration, lives and stops", "[e2e]") {
    e2e::world w;
    notified const systemd(w.folder.path() / "notify");
    auto const next_but_watchdog = [&] {
        for (;;)
            if (auto const got = systemd.next(); got != "WATCHDOG=1") return got;
    };
    w.app->start({.environment = {"NOTIFY_SOCKET=" + (w.folder.path() / "notify").string(), "WATCHDOG_USEC=2000000"}});
    CHECK(next_but_watchdog() == "READY=1\nSTATUS=Serving");
    CHECK(systemd.next() == "WATCHDOG=1");
    CHECK(systemd.next() == "WATCHDOG=1");
    w.app->reload();
    CHECK(next_but_watchdog().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    CHECK(next_but_watchdog() == "READY=1");
    // A configuration that is not taken is told of in the same way: the daemon serves on.
    w.app->write("config.yaml", "nothing: useful\n");
    w.app->reload();
    CHECK(next_but_watchdog().starts_with("RELOADING=1\n"));
    CHECK(next_but_watchdog() == "READY=1");
    CHECK(w.app->stop() == 0);
    CHECK(next_but_watchdog() == "STOPPING=1");
}

TEST_CASE("a daemon that is stopped in its tracks gives no sign of life, nor one that nobody asks for it", "[e2e]") {
    e2e::world w;
    notified const systemd(w.folder.path() / "notify");
    auto const socket = "NOTIFY_SOCKET=" + (w.folder.path() / "notify").string();
    w.app->start({.environment = {socket}});
    CHECK(systemd.next() == "READY=1\nSTATUS=Serving");
    CHECK(systemd.next(2500ms).empty());
    w.app->kill9();

    w.app->start({.environment = {socket, "WATCHDOG_USEC=2000000"}});
    CHECK(systemd.next() == "READY=1\nSTATUS=Serving");
    CHECK(systemd.next() == "WATCHDOG=1");
    w.app->daemon().signal(SIGSTOP);
    while (!systemd.next(100ms).empty()) {}  // what was on its way
    CHECK(systemd.next(2500ms).empty());
    w.app->daemon().signal(SIGCONT);
    CHECK(systemd.next() == "WATCHDOG=1");
}

TEST_CASE("who connects while the daemon is started again is served, where systemd holds the sockets", "[e2e]") {
    unit_socket const for_public;
    unit_socket const for_management;
    unit_socket const for_nobody;
    e2e::world w({{"server.listen", on_loopback(for_public.port)},
        {"server.management_listen", on_loopback(for_management.port)}});
    e2e::surroundings const around{.sockets = {for_management.get(), for_nobody.get(), for_public.get()}};
    w.app->start(around);
    CHECK(w.app->port("public") == for_public.port);
    CHECK(w.app->port("management") == for_management.port);
    CHECK(w.app->logs(fmt::format("no listener is on port={}", for_nobody.port)));
    auto const options = w.app->client_options();  // while it runs: its ports are known
    CHECK(discovery(options, for_public.port) == 200);
    // A session over the socket of the management listener.
    auto const device = e2e::joined(w, "ALICE-PC", "alice@contoso.test");
    e2e::require_clean(device->sync(w.sync()));

    CHECK(w.app->stop() == 0);
    std::vector<std::future<int>> waiting;
    for (int i = 0; i < 5; ++i)
        waiting.push_back(std::async(std::launch::async, [&] { return discovery(options, for_public.port); }));
    w.app->start(around);
    for (auto& one : waiting) CHECK(one.get() == 200);
}
