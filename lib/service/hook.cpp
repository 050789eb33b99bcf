#include "service/hook.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <csignal>
#include <span>
#include <system_error>

#include "core/descriptor.hpp"

namespace mdmd::service {
namespace {

using steady = std::chrono::steady_clock;

struct spawn_setup {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    spawn_setup() {
        posix_spawn_file_actions_init(&files);
        posix_spawnattr_init(&attributes);
    }
    spawn_setup(spawn_setup const&) = delete;
    spawn_setup& operator=(spawn_setup const&) = delete;
    ~spawn_setup() {
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
    }
};

// Waits for one of the events, a fifth of a second at a time, so that a stop is seen. False: the time is up, or a stop.
bool wait(std::span<pollfd> on, steady::time_point until, std::stop_token const& stop) {
    while (!stop.stop_requested() && steady::now() < until) {
        auto const left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now());
        auto const n = ::poll(on.data(), on.size(), static_cast<int>(std::min<std::int64_t>(left.count(), 200)));
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
    }
    return false;
}

}  // namespace

result<void> run_hook(std::filesystem::path const& program, std::string const& input, std::chrono::milliseconds limit,
    std::stop_token stop) {
    auto const failed = [&](std::string const& why) {
        return fail(errc::unavailable, fmt::format("{}: {}", program.string(), why));
    };
    auto const until = steady::now() + limit;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    descriptor reading(ends[0]), writing(ends[1]);
    ::fcntl(writing.get(), F_SETFL, O_NONBLOCK);

    // A group of its own, so that all of it can be killed; the signals as a program expects them.
    spawn_setup setup;
    posix_spawn_file_actions_adddup2(&setup.files, reading.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&setup.files, STDERR_FILENO, STDOUT_FILENO);
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_setsigmask(&setup.attributes, &none);
    posix_spawnattr_setsigdefault(&setup.attributes, &usual);
    posix_spawnattr_setpgroup(&setup.attributes, 0);
    posix_spawnattr_setflags(&setup.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::string name = program.string();
    std::array<char*, 2> arguments{name.data(), nullptr};
    std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::array<char*, 2> environment{path.data(), nullptr};
    pid_t child = 0;
    if (int const e =
            ::posix_spawn(&child, name.c_str(), &setup.files, &setup.attributes, arguments.data(), environment.data()))
        return failed("cannot be started: " + std::generic_category().message(e));
    reading.close();
    descriptor const process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));

    // A program need not read what it is given; SIGPIPE is ignored by this process.
    for (std::size_t sent = 0; sent < input.size();) {
        std::array<pollfd, 2> both{{{writing.get(), POLLOUT, 0}, {process.get(), POLLIN, 0}}};
        if (!wait(both, until, stop)) break;
        auto const n = ::write(writing.get(), input.data() + sent, input.size() - sent);
        if (n < 0 && errno != EAGAIN && errno != EINTR) break;
        if (n > 0) sent += static_cast<std::size_t>(n);
        if (both[1].revents != 0) break;
    }
    writing.close();

    std::array<pollfd, 1> ended{{{process.get(), POLLIN, 0}}};
    bool const in_time = wait(ended, until, stop);
    if (!in_time) ::kill(-child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (!in_time && stop.stop_requested()) return failed("given up, since this process is stopping");
    if (!in_time)
        return failed(
            fmt::format("does not end within {} s", std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
    if (WIFSIGNALED(status)) return failed(fmt::format("ended by signal {}", WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0) return failed(fmt::format("ended with code {}", WEXITSTATUS(status)));
    return {};
}

}  // namespace mdmd::service
