#include "backup/envelope.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <utility>

#include "core/random.hpp"
#include "crypto/seal.hpp"

namespace mdmd::backup {
namespace {

constexpr std::string_view magic = "mdmd backup\n";
constexpr std::size_t version_at = 12, protection_at = 13, salt_at = 16, header_bytes = 32;
constexpr std::size_t chunk_bytes = 64 * 1024, digest_bytes = 32;
constexpr char by_digest = 0, by_key = 1;
constexpr int scrypt_cost = 16;  // 64 MiB

secret key_from(secret const& passphrase, std::string_view header) {
    return secret(crypto::scrypt(passphrase.reveal(), header.substr(salt_at), scrypt_cost));
}

std::string numbered(std::uint64_t number, bool last) {
    constexpr int bits = 64;
    std::string out(3, '\0');
    for (int shift = bits - 8; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
    return out + (last ? '\1' : '\0');
}

std::string digest(std::string_view header, std::string_view number, std::string_view chunk) {
    crypto::sha256_stream all;
    for (auto const part : {header, number, chunk}) all.add(part);
    return all.finish();
}

}  // namespace

envelope_writer::envelope_writer(sink out, secret const& passphrase) : out_(std::move(out)), header_(magic) {
    header_ += static_cast<char>(format_version);
    header_ += passphrase.empty() ? by_digest : by_key;
    header_.resize(salt_at);
    header_ += random_bytes(header_bytes - salt_at);
    if (!passphrase.empty()) key_ = key_from(passphrase, header_);
}

void envelope_writer::add(std::string_view content) {
    while (!content.empty()) {
        // A full chunk waits until it is known that it is not the last one.
        if (waiting_.size() == chunk_bytes) put(false, std::exchange(waiting_, {}));
        auto const room = chunk_bytes - waiting_.size();
        waiting_ += content.substr(0, room);
        content.remove_prefix(std::min(room, content.size()));
    }
}

void envelope_writer::finish() { put(true, std::exchange(waiting_, {})); }

void envelope_writer::put(bool last, std::string_view chunk) {
    if (number_ == 0) out_(header_);
    auto const number = numbered(number_++, last);
    if (key_.empty()) {
        out_(chunk);
        out_(digest(header_, number, chunk));
    } else {
        out_(crypto::seal(key_.reveal(), number, header_, chunk));
    }
}

result<envelope_reader> envelope_reader::open(source in, secret const& passphrase) {
    std::string header;
    while (header.size() < header_bytes) {
        auto const more = in(header_bytes - header.size());
        if (more.empty()) break;
        header += more;
    }
    if (header.size() < header_bytes || !header.starts_with(magic))
        return fail(errc::malformed, "it is not a backup of mdmd");
    if (auto const version = static_cast<unsigned char>(header[version_at]); version != format_version)
        return fail(
            errc::unsupported, fmt::format("it has backup format {}, this mdmctl reads {}: it takes another mdmd",
                                   version, format_version));
    if ((header[protection_at] != by_digest && header[protection_at] != by_key) ||
        header.substr(protection_at + 1, 2) != std::string(2, '\0'))
        return fail(errc::malformed, "its header is damaged");
    bool const locked = header[protection_at] == by_key;
    if (locked && passphrase.empty()) return fail(errc::unauthenticated, "it is encrypted: name its --passphrase-file");
    if (!locked && !passphrase.empty())
        return fail(errc::unauthenticated, "it is not encrypted: it may be anybody's; leave out --passphrase-file");
    auto key = locked ? key_from(passphrase, header) : secret();
    return envelope_reader(std::move(in), std::move(header), std::move(key));
}

result<std::string> envelope_reader::next() {
    auto const whole = chunk_bytes + (key_.empty() ? digest_bytes : crypto::seal_bytes);
    if (ended_) return std::string();
    // One byte more than a chunk shows that it is not the last one.
    while (ahead_.size() <= whole) {
        auto const more = in_(whole + 1 - ahead_.size());
        if (more.empty()) break;
        ahead_ += more;
    }
    ended_ = ahead_.size() <= whole;
    std::string sealed = ahead_.substr(0, whole);
    ahead_.erase(0, sealed.size());
    auto const number = numbered(number_, ended_);
    bool const first = number_++ == 0;
    auto const damaged = fail(errc::malformed, "it is damaged, or cut off");
    if (!key_.empty()) {
        auto text = crypto::unseal(key_.reveal(), number, header_, sealed);
        if (text) return std::move(*text);
        return first ? fail(errc::unauthenticated, "the passphrase is another one, or it is damaged") : damaged;
    }
    if (sealed.size() < digest_bytes) return damaged;
    auto const chunk = std::string_view(sealed).substr(0, sealed.size() - digest_bytes);
    if (digest(header_, number, chunk) != std::string_view(sealed).substr(chunk.size())) return damaged;
    return std::string(chunk);
}

}  // namespace mdmd::backup
