#include "daemon/systemd.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <ctime>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include <fmt/format.h>

#include "core/text.hpp"

namespace mdmd::daemon {

bool to_journal_by_default() {
    // $JOURNAL_STREAM is "device:inode" of what systemd connected; it may be inherited where stderr is not.
    auto const* stream = std::getenv("JOURNAL_STREAM");
    struct stat s {};
    return stream && ::fstat(STDERR_FILENO, &s) == 0 && fmt::format("{}:{}", s.st_dev, s.st_ino) == stream;
}

void to_journal(log::record const& r) {
    int const priority = [&] {
        switch (r.severity) {
            case log::level::error: return 3;
            case log::level::warning: return 4;
            case log::level::info: return 6;
            default: return 7;
        }
    }();
    std::vector<std::string> lines;
    std::string message(r.message);
    for (auto const& f : r.fields) message += fmt::format(" {}={}", f.key, f.value);
    lines.push_back("MESSAGE=" + printable(message, 4096));
    lines.push_back(fmt::format("PRIORITY={}", priority));
    lines.emplace_back("SYSLOG_IDENTIFIER=mdmd");
    for (auto const& f : r.fields) {
        std::string key = "MDMD_";
        for (char const c : f.key) key += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        lines.push_back(key + "=" + printable(f.value));
    }
    std::vector<iovec> parts;
    for (auto& l : lines) parts.push_back({l.data(), l.size()});
    sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

void tell_systemd(std::string const& state) { sd_notify(0, state.c_str()); }

void tell_systemd_reloading() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    tell_systemd(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000LL + now.tv_nsec / 1000));
}

std::optional<std::chrono::microseconds> watchdog_period() {
    std::uint64_t usec = 0;
    if (sd_watchdog_enabled(0, &usec) <= 0) return std::nullopt;
    return std::chrono::microseconds(usec / 2);
}

handed_sockets::handed_sockets() {
    auto const count = sd_listen_fds(1);
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
        sockaddr_storage at{};
        socklen_t size = sizeof at;
        std::uint16_t port = 0;  // of what no listener is on
        if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 &&
            ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0) {
            if (at.ss_family == AF_INET) port = ntohs(reinterpret_cast<sockaddr_in const&>(at).sin_port);
            if (at.ss_family == AF_INET6) port = ntohs(reinterpret_cast<sockaddr_in6 const&>(at).sin6_port);
        }
        by_port_.emplace(port, fd);
    }
}

std::vector<int> handed_sockets::take(std::uint16_t port) {
    std::vector<int> taken;
    if (port == 0) return taken;
    auto const [first, last] = by_port_.equal_range(port);
    for (auto i = first; i != last; ++i) taken.push_back(i->second);
    by_port_.erase(first, last);
    return taken;
}

std::vector<std::uint16_t> handed_sockets::close_rest() {
    std::vector<std::uint16_t> ports;
    for (auto const& [port, fd] : by_port_) {
        ports.push_back(port);
        ::close(fd);
    }
    by_port_.clear();
    return ports;
}

}  // namespace mdmd::daemon
