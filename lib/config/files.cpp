#include "config/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <vector>

#include "config/address.hpp"
#include "config/load.hpp"
#include "core/descriptor.hpp"
#include "core/text.hpp"

namespace mdmd::config {
namespace {

constexpr std::size_t most_bytes = std::size_t{1024} * 1024;

error unreadable(std::filesystem::path const& file, int cause) {
    return fail(errc::not_found, fmt::format("expected a readable file, got '{}' ({})", printable(file.string()),
                                     std::generic_category().message(cause)));
}

error not_regular(std::filesystem::path const& file, mode_t mode) {
    return fail(errc::malformed, fmt::format("expected a regular file, got {}'{}'", S_ISDIR(mode) ? "the folder " : "",
                                     printable(file.string())));
}

// What is wrong with the access that `mode` gives; empty: nothing.
std::string too_open(std::filesystem::path const& file, mode_t mode) {
    auto const remedy = fmt::format("got mode {:04o} (chmod 640 {})", mode & 07777, printable(file.string()));
    if ((mode & (S_IROTH | S_IWOTH | S_IXOTH)) != 0) return "expected a file that others cannot read, " + remedy;
    if ((mode & S_IWGRP) != 0) return "expected a file that its group cannot write, " + remedy;
    return {};
}

struct pem_block {
    std::string_view label;  // "CERTIFICATE"
    std::string_view text;   // from BEGIN to END
};

// Up to the first that has no end. What stands around the blocks is of no interest: openssl writes names of keys there.
std::vector<pem_block> pem_blocks(std::string_view text) {
    constexpr std::string_view begin = "-----BEGIN ", dashes = "-----";
    std::vector<pem_block> out;
    for (auto at = text.find(begin); at != text.npos; at = text.find(begin, at)) {
        auto const rest = text.substr(at + begin.size());
        auto const label = rest.substr(0, rest.find(dashes));
        auto const last = fmt::format("-----END {}-----", label);
        auto const end = text.find(last, at);
        if (end == text.npos) break;
        out.push_back({label, text.substr(at, end + last.size() - at)});
        at = end + last.size();
    }
    return out;
}

// "ENCRYPTED" in the label [RFC 7468 11] or in the header of the older form [RFC 1421 4.6.1.1].
bool needs_passphrase(pem_block const& key) {
    return key.label.starts_with("ENCRYPTED ") || key.text.find("Proc-Type: 4,ENCRYPTED") != key.text.npos;
}

bool is_private_key(pem_block const& block) {
    return block.label == "PRIVATE KEY" || block.label == "RSA PRIVATE KEY" || block.label == "EC PRIVATE KEY" ||
           block.label == "ENCRYPTED PRIVATE KEY";
}

error passphrase(std::filesystem::path const& file) {
    return fail(errc::unsupported,
        fmt::format("expected a private key without a passphrase, got one with it in '{}'", printable(file.string())));
}

// The text without its ends of line.
secret only_line(secret const& whole) {
    auto text = whole.reveal();
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    return secret(std::string(text));
}

}  // namespace

result<std::string> read_file(std::filesystem::path const& file, readers who) {
    descriptor const in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (in.get() < 0) return unreadable(file, errno);
    struct stat info {};
    if (::fstat(in.get(), &info) != 0) return unreadable(file, errno);
    if (!S_ISREG(info.st_mode)) return not_regular(file, info.st_mode);
    if (who == readers::owner_and_group)
        if (auto const open = too_open(file, info.st_mode); !open.empty()) return fail(errc::forbidden, open);

    // One byte more than the file has, so that its end is seen without growing: growing leaves a copy behind, of what
    // may be a key.
    std::string text(std::min(static_cast<std::size_t>(info.st_size), most_bytes) + 1, '\0');
    for (std::size_t used = 0;;) {
        if (used == text.size()) text.resize(std::min(used + std::size_t{64} * 1024, most_bytes + 1));
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

result<credential> parse_credential(secret whole, std::filesystem::path const& file) {
    auto const text = whole.reveal();
    auto const name = printable(file.string());
    credential out;
    if (text.find("-----BEGIN ") == text.npos) {
        auto line = only_line(whole);
        if (line.empty()) return fail(errc::malformed, fmt::format("expected a key, got the empty file '{}'", name));
        auto const shown = line.reveal();
        if (!std::all_of(shown.begin(), shown.end(), [](char c) { return c >= 0x20 && c <= 0x7e; }))
            return fail(errc::malformed,
                fmt::format("expected one line of printable ASCII, or PEM, got something else in '{}'", name));
        out.text = std::move(line);
        return out;
    }
    std::size_t keys = 0;
    for (auto const& block : pem_blocks(text)) {
        if (block.label == "CERTIFICATE") {
            out.certificate_pem.append(block.text).append("\n");
        } else if (is_private_key(block)) {
            if (needs_passphrase(block)) return passphrase(file);
            out.key_pem = secret(std::string(block.text) + "\n");
            ++keys;
        }
    }
    if (out.certificate_pem.empty())
        return fail(errc::malformed,
            fmt::format("expected PEM with a certificate and its private key, got no certificate in '{}'", name));
    if (keys != 1)
        return fail(errc::malformed, fmt::format("expected PEM with a certificate and its private key, got {} in '{}'",
                                         keys == 0 ? "no private key" : fmt::format("{} private keys", keys), name));
    return out;
}

result<credential> read_credential(std::filesystem::path const& file) {
    auto read = read_file(file, readers::owner_and_group);
    if (!read) return read.error();
    return parse_credential(secret(std::move(read).value()), file);
}

result<secret> read_proxy_credentials(std::filesystem::path const& file) {
    auto read = read_file(file, readers::owner_and_group);
    if (!read) return read.error();
    auto line = only_line(secret(std::move(read).value()));
    if (is_basic_credentials(line.reveal())) return line;
    return fail(
        errc::malformed, fmt::format("expected one line, user:password, got {}'{}'",
                             line.empty() ? "the empty file " : "something else in ", printable(file.string())));
}

result<> check_command(std::filesystem::path const& file) {
    struct stat info {};
    auto const name = printable(file.string());
    if (::stat(file.c_str(), &info) != 0)
        return fail(errc::not_found,
            fmt::format("expected an executable file, got '{}' ({})", name, std::generic_category().message(errno)));
    if (!S_ISREG(info.st_mode)) return not_regular(file, info.st_mode);
    if ((info.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0)
        return fail(errc::forbidden,
            fmt::format("expected an executable file, got mode {:04o} (chmod +x {})", info.st_mode & 07777, name));
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return fail(errc::forbidden, fmt::format("expected a file that its owner alone can write, got mode {:04o} "
                                                 "(chmod go-w {})",
                                         info.st_mode & 07777, name));
    return {};
}

result<std::string> read_certificate(std::filesystem::path const& file) {
    auto read = read_file(file, readers::anyone);
    if (!read) return read.error();
    auto const blocks = pem_blocks(*read);
    if (std::none_of(blocks.begin(), blocks.end(), [](pem_block const& b) { return b.label == "CERTIFICATE"; }))
        return fail(errc::malformed,
            fmt::format("expected a PEM file with a certificate, got '{}' without one", printable(file.string())));
    return read;
}

result<std::string> read_certificate_alone(std::filesystem::path const& file) {
    auto pem = read_certificate(file);
    if (!pem) return pem;
    auto const blocks = pem_blocks(*pem);
    if (std::any_of(blocks.begin(), blocks.end(), is_private_key))
        return fail(errc::malformed,
            fmt::format("expected a PEM file with certificates alone, got '{}' with a private key in it",
                printable(file.string())));
    return pem;
}

result<secret> read_any_private_key(std::filesystem::path const& file) {
    auto read = read_file(file, readers::owner_and_group);
    if (!read) return read.error();
    secret key(std::move(read).value());
    auto const blocks = pem_blocks(key.reveal());
    if (std::none_of(blocks.begin(), blocks.end(), is_private_key))
        return fail(errc::malformed,
            fmt::format("expected a PEM file with a private key, got '{}' without one", printable(file.string())));
    return key;
}

result<secret> read_private_key(std::filesystem::path const& file) {
    auto key = read_any_private_key(file);
    if (!key) return key;
    auto const blocks = pem_blocks(key->reveal());
    if (std::any_of(blocks.begin(), blocks.end(), needs_passphrase)) return passphrase(file);
    return key;
}

result<secret> read_passphrase(std::filesystem::path const& file) {
    auto read = read_file(file, readers::owner_and_group);
    if (!read) return read.error();
    constexpr std::size_t longest = 512;  // OpenSSL opens keys with no more than 1024
    auto line = only_line(secret(std::move(read).value()));
    if (line.reveal().size() > longest)
        return fail(errc::malformed, fmt::format("expected a passphrase of at most {} bytes, got {} in '{}'", longest,
                                         line.reveal().size(), printable(file.string())));
    if (!line.empty() && line.reveal().find('\n') == std::string_view::npos) return line;
    return fail(errc::malformed, fmt::format("expected one line with a passphrase, got {}'{}'",
                                     line.empty() ? "the empty file " : "several in ", printable(file.string())));
}

}  // namespace mdmd::config
