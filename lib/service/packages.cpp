#include "service/packages.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>

#include "core/descriptor.hpp"
#include "core/http_content.hpp"
#include "core/text.hpp"
#include "crypto/crypto.hpp"

namespace mdmd::service {
namespace {

constexpr std::string_view prefix = "/packages/";
constexpr std::size_t longest_name = 128;

http::response plain(int status, std::string_view text) {
    return {status, {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}},
        std::string(text) + "\n"};
}

// Letters, digits, ".", "_" and "-", not beginning with a dot: no other spelling, no hidden file, no way out.
bool is_package_name(std::string_view name) {
    if (name.empty() || name.size() > longest_name || name.starts_with('.')) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
}

struct opened {
    std::shared_ptr<descriptor> file;
    struct stat info {};
};

// A regular file that lies in the folder itself. O_NONBLOCK: a pipe of that name must not be waited for.
result<opened> open_package(std::filesystem::path const& folder, std::string const& name) {
    auto const cannot = [&](int cause) {
        return fail(errc::not_found, fmt::format("expected a readable file in {}, got '{}' ({})", folder.string(),
                                         printable(name), std::generic_category().message(cause)));
    };
    descriptor const in(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (in.get() < 0) return cannot(errno);
    opened out;
    out.file = std::make_shared<descriptor>(
        ::openat(in.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (out.file->get() < 0) return cannot(errno);
    if (::fstat(out.file->get(), &out.info) != 0) return cannot(errno);
    if (!S_ISREG(out.info.st_mode))
        return fail(errc::malformed, fmt::format("expected a regular file, got '{}'", printable(name)));
    return out;
}

// Another one after every change of the file.
std::string identity_of(struct stat const& s) {
    return fmt::format("{:x}-{:x}-{:x}{:08x}", s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

}  // namespace

http::response packages::serve(http::request const& r) const {
    auto const config = context_.config();
    auto const& folder = config->settings.apps.directory;
    std::string const name = r.path.size() > prefix.size() ? r.path.substr(prefix.size()) : std::string();
    auto const nothing = [] { return plain(404, "There is no such package."); };
    if (folder.empty() || !is_package_name(name)) return nothing();
    auto const found = open_package(folder, name);
    if (!found) return nothing();

    auto const size = static_cast<std::uint64_t>(found->info.st_size);
    auto const tag = '"' + identity_of(found->info) + '"';
    auto const changed = http::http_date(from_ms(std::int64_t{found->info.st_mtim.tv_sec} * 1000));
    http::response out{200,
        {{"ETag", tag}, {"Last-Modified", changed}, {"Accept-Ranges", "bytes"}, {"X-Content-Type-Options", "nosniff"},
            {"Content-Type", "application/octet-stream"}},
        {}};
    // Where there are both, the date is not looked at. [RFC 9110 13.2.2]
    auto const known = r.headers.get("If-None-Match");
    if (known ? http::has_tag(*known, tag) : trim(r.headers.get("If-Modified-Since").value_or("")) == changed) {
        out.status = 304;
        out.file = http::file_part{found->file, 0, size};  // for the length that is told
        return out;
    }
    http::byte_range part{http::byte_range::kind::whole, 0, size};
    // A part of another version than the one that the client has the rest of is of no use. A date is no strong
    // validator here, since a file may change twice in a second. [RFC 9110 13.1.5]
    auto const condition = r.headers.get("If-Range");
    if (auto const range = r.headers.get("Range");
        range && r.method == "GET" && (!condition || trim(*condition) == tag))
        part = http::choose_range(*range, size);
    if (part.what == http::byte_range::kind::unsatisfiable) {
        auto refused = plain(416, "The package has no such part.");
        refused.headers.add("Content-Range", http::content_range(part, size));
        return refused;
    }
    if (part.what == http::byte_range::kind::part) {
        out.status = 206;
        out.headers.add("Content-Range", http::content_range(part, size));
    }
    out.file = http::file_part{found->file, part.offset, part.length};
    return out;
}

result<std::string> package_digests::of(std::filesystem::path const& folder, std::string const& name) {
    auto const found = open_package(folder, name);
    if (!found) return found.error();
    auto const path = folder / name;
    // A file of the same name on another disk may have the same number.
    auto const identity = fmt::format("{:x}-{}", found->info.st_dev, identity_of(found->info));
    {
        std::scoped_lock const lock(mutex_);
        if (auto const known = all_.find(path); known != all_.end() && known->second.identity == identity)
            return known->second.sha256;
    }
    crypto::sha256_stream digest;
    std::string piece(std::size_t{1} << 20, '\0');
    while (true) {
        auto const n = ::read(found->file->get(), piece.data(), piece.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return fail(errc::not_found, fmt::format("expected a readable file, got '{}' ({})", printable(name),
                                             std::generic_category().message(errno)));
        if (n == 0) break;
        digest.add({piece.data(), static_cast<std::size_t>(n)});
    }
    auto sha256 = hex(digest.finish());
    std::scoped_lock const lock(mutex_);
    all_[path] = {identity, sha256};
    return sha256;
}

std::vector<config::problem> complete_apps(
    config::settings const& s, std::vector<config::policy_file>& policies, package_digests& digests) {
    std::vector<config::problem> out;
    for (auto& policy : policies)
        for (auto& a : policy.apps) {
            if (a.file.empty() || a.intent == config::app_intent::uninstall) continue;
            auto const wrong = [&](char const* key, std::string text) {
                out.push_back({s.policies_dir / policy.file, a.line, 1, key, std::move(text)});
            };
            if (s.apps.directory.empty()) {
                wrong("apps.file", fmt::format("expected apps.directory in config.yaml, where '{}' lies, got none",
                                       printable(a.file)));
                continue;
            }
            if (!is_package_name(a.file)) {
                wrong("apps.file",
                    fmt::format("expected a name of letters, digits, '.', '_' and '-', got '{}'", printable(a.file)));
                continue;
            }
            auto const digest = digests.of(s.apps.directory, a.file);
            if (!digest) {
                wrong("apps.file", digest.error().detail);
                continue;
            }
            if (!a.sha256.empty() && !iequals(a.sha256, *digest)) {
                wrong("apps.sha256", fmt::format("expected that of '{}', which is {}, got {}", printable(a.file),
                                         *digest, printable(a.sha256, 64)));
                continue;
            }
            a.sha256 = *digest;
            a.url = s.server.public_url.text + std::string(prefix) + a.file;
        }
    return out;
}

}  // namespace mdmd::service
