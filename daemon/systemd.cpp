#include "daemon/systemd.hpp"

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

}  // namespace mdmd::daemon
