#include "e2e/process.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <stdexcept>
#include <system_error>

namespace mdmd::e2e {
namespace {

using namespace std::chrono_literals;

class descriptor {
public:
    descriptor(int fd, char const* what) : fd_(fd) {
        if (fd_ < 0) throw std::system_error(errno, std::generic_category(), what);
    }
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    ~descriptor() { ::close(fd_); }
    int get() const { return fd_; }

private:
    int fd_;
};

pid_t spawn(std::vector<std::string> const& command, int out, int err, std::vector<int> const& handed = {}) {
    std::vector<char*> arguments;
    for (auto const& a : command) arguments.push_back(const_cast<char*>(a.c_str()));
    arguments.push_back(nullptr);
    auto const parent = ::getpid();
    auto const child = ::fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child > 0) return child;
    // Other threads may have held any lock: from here to exec nothing but system calls.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGPIPE, SIG_DFL);  // whatever a test has done with it
    if (::getppid() != parent) ::_exit(127);
    ::dup2(::open("/dev/null", O_RDONLY), 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    auto const first_free = 3U + static_cast<unsigned>(handed.size());
    for (std::size_t i = 0; i < handed.size(); ++i)  // out of each other's way first
        ::dup2(handed[i], 1000 + static_cast<int>(i));
    for (std::size_t i = 0; i < handed.size(); ++i) ::dup2(1000 + static_cast<int>(i), 3 + static_cast<int>(i));
    ::close_range(first_free, ~0U, 0);  // the simulated tenant's sockets are not to live on in a daemon
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
}

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

std::string all_of(int fd) {
    std::string text;
    char piece[4096];
    for (off_t at = 0;;) {
        auto const n = ::pread(fd, piece, sizeof piece, at);
        if (n <= 0) return text;
        text.append(piece, static_cast<std::size_t>(n));
        at += n;
    }
}

}  // namespace

finished run(std::vector<std::string> const& command) {
    descriptor const out(::memfd_create("stdout", MFD_CLOEXEC), "memfd_create");
    descriptor const err(::memfd_create("stderr", MFD_CLOEXEC), "memfd_create");
    auto const child = spawn(command, out.get(), err.get());
    int status = 0;
    bool const in_time = becomes_true(60s, [&] { return ::waitpid(child, &status, WNOHANG) != 0; });
    if (!in_time) {
        ::kill(child, SIGKILL);
        ::waitpid(child, &status, 0);
        throw std::runtime_error(command[0] + " does not end");
    }
    return {exit_code(status), all_of(out.get()), all_of(err.get())};
}

process::process(
    std::vector<std::string> const& command, std::filesystem::path const& output, std::vector<int> const& handed)
    : id_(0) {
    descriptor const out(::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), "open");
    id_ = spawn(command, out.get(), out.get(), handed);
}

process::~process() {
    if (ended()) return;
    ::kill(id_, SIGKILL);
    ::waitpid(id_, nullptr, 0);
}

void process::signal(int number) const {
    if (!code_) ::kill(id_, number);  // once it is waited for, its number may be another's
}

std::optional<int> process::ended() {
    int status = 0;
    if (!code_ && ::waitpid(id_, &status, WNOHANG) == id_) code_ = exit_code(status);
    return code_;
}

std::optional<int> process::wait(std::chrono::milliseconds patience) {
    becomes_true(patience, [&] { return ended().has_value(); });
    return code_;
}

}  // namespace mdmd::e2e
