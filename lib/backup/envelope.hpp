// How a backup's content is packed: in chunks of 64 KiB, each sealed by itself, so that a file of any size is written
// and read in little memory, and nothing is believed before it is known to be whole.
//
//   header, 32 bytes:  "mdmd backup\n", the format's version (1), how it is sealed (0, 1), two zeros, a salt of 16
//   bytes then chunks:       65536 bytes of content, the last one 0 to 65536, each with its seal
//
//   sealed 0:  the chunk, then SHA-256 of header, number, chunk: against damage, not against people
//   sealed 1:  AES-256-GCM of the chunk, then its tag of 16 bytes. Key: scrypt of the passphrase with the salt, N 2^16,
//              r 8, p 1, 32 bytes. Nonce: number. Authenticated beside it: header.
//   number:    12 bytes: 0 0 0, the chunk's number from 0 on in 8 bytes, big-endian, then 1 for the last chunk, else 0
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "core/error.hpp"
#include "core/secret.hpp"

namespace mdmd::backup {

constexpr std::uint8_t format_version = 1;

class envelope_writer {
public:
    using sink = std::function<void(std::string_view)>;
    // An empty passphrase: not encrypted. Nothing is written before the first add() or finish().
    envelope_writer(sink, secret const& passphrase);
    void add(std::string_view content);
    void finish();  // once, at the end

private:
    void put(bool last, std::string_view chunk);

    sink out_;
    std::string header_;
    secret key_;
    std::string waiting_;
    std::uint64_t number_ = 0;
};

class envelope_reader {
public:
    using source = std::function<std::string(std::size_t most)>;  // bytes; none: the end
    // Errors: malformed (no backup of mdmd's), unsupported (a newer format), unauthenticated (it is encrypted, and
    // there is no passphrase; or not, and there is one).
    [[nodiscard]] static result<envelope_reader> open(source, secret const& passphrase);
    bool encrypted() const { return !key_.empty(); }
    // The next piece of content, at most 64 KiB; empty: it has ended, and was whole. Errors: malformed (damaged, cut,
    // or more behind its end), unauthenticated (the first chunk cannot be opened: another passphrase, or damaged).
    [[nodiscard]] result<std::string> next();

private:
    envelope_reader(source in, std::string header, secret key)
        : in_(std::move(in)), header_(std::move(header)), key_(std::move(key)) {}

    source in_;
    std::string header_;
    secret key_;
    std::string ahead_;
    std::uint64_t number_ = 0;
    bool ended_ = false;
};

}  // namespace mdmd::backup
