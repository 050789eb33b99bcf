#include "config/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/text.hpp"

namespace mdmd::config {
namespace {

constexpr std::size_t most_bytes = std::size_t{1024} * 1024;

class descriptor {
public:
    explicit descriptor(int fd) : fd_(fd) {}
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    ~descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

private:
    int fd_;
};

error unreadable(std::filesystem::path const& file, int cause) {
    return fail(errc::not_found, fmt::format("expected a readable file, got '{}' ({})", printable(file.string()),
                                     std::generic_category().message(cause)));
}

// What is wrong with the access that `mode` gives; empty: nothing.
std::string too_open(std::filesystem::path const& file, mode_t mode) {
    auto const remedy = fmt::format("got mode {:04o} (chmod 640 {})", mode & 07777, printable(file.string()));
    if ((mode & (S_IROTH | S_IWOTH | S_IXOTH)) != 0) return "expected a file that others cannot read, " + remedy;
    if ((mode & S_IWGRP) != 0) return "expected a file that its group cannot write, " + remedy;
    return {};
}

bool holds_pem(std::string_view text, std::string_view label) {
    auto const begin = text.find(fmt::format("-----BEGIN {}-----", label));
    return begin != text.npos && text.find(fmt::format("-----END {}-----", label), begin) != text.npos;
}

}  // namespace

result<std::string> read_file(std::filesystem::path const& file, readers who) {
    descriptor const in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (in.get() < 0) return unreadable(file, errno);
    struct stat info {};
    if (::fstat(in.get(), &info) != 0) return unreadable(file, errno);
    if (!S_ISREG(info.st_mode))
        return fail(errc::malformed, fmt::format("expected a regular file, got {} '{}'",
                                         S_ISDIR(info.st_mode) ? "the folder" : "", printable(file.string())));
    if (who == readers::owner_and_group)
        if (auto const open = too_open(file, info.st_mode); !open.empty()) return fail(errc::forbidden, open);

    std::string text;
    for (std::size_t used = 0;;) {
        text.resize(std::min(used + std::size_t{64} * 1024, most_bytes + 1));
        auto const n = ::read(in.get(), text.data() + used, text.size() - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return unreadable(file, errno);
        used += static_cast<std::size_t>(n);
        if (used > most_bytes)
            return fail(
                errc::too_large, fmt::format("expected a file of at most 1 MiB, got '{}'", printable(file.string())));
        if (n == 0) {
            text.resize(used);
            return text;
        }
    }
}

result<secret> read_key_text(std::filesystem::path const& file) {
    auto read = read_file(file, readers::owner_and_group);
    if (!read) return read.error();
    auto text = std::move(read).value();
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (text.empty())
        return fail(errc::malformed, fmt::format("expected a key, got the empty file '{}'", printable(file.string())));
    bool const plain = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
    secret key(std::move(text));
    if (!plain)
        return fail(errc::malformed,
            fmt::format("expected one line of printable ASCII, got something else in '{}'", printable(file.string())));
    return key;
}

result<std::string> read_certificate(std::filesystem::path const& file) {
    auto read = read_file(file, readers::anyone);
    if (!read) return read.error();
    if (!holds_pem(*read, "CERTIFICATE"))
        return fail(errc::malformed,
            fmt::format("expected a PEM file with a certificate, got '{}' without one", printable(file.string())));
    return read;
}

result<secret> read_private_key(std::filesystem::path const& file) {
    auto read = read_file(file, readers::owner_and_group);
    if (!read) return read.error();
    secret key(std::move(read).value());
    auto const text = key.reveal();
    if (holds_pem(text, "ENCRYPTED PRIVATE KEY") || text.find("Proc-Type: 4,ENCRYPTED") != text.npos)
        return fail(
            errc::unsupported, fmt::format("expected a private key without a passphrase, got one with it in '{}'",
                                   printable(file.string())));
    if (!holds_pem(text, "PRIVATE KEY") && !holds_pem(text, "RSA PRIVATE KEY") && !holds_pem(text, "EC PRIVATE KEY"))
        return fail(errc::malformed,
            fmt::format("expected a PEM file with a private key, got '{}' without one", printable(file.string())));
    return key;
}

}  // namespace mdmd::config
