#include "backup/backup.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <boost/json.hpp>
#include <cerrno>
#include <system_error>

#include "core/text.hpp"
#include "crypto/crypto.hpp"

namespace mdmd::backup {
namespace {

namespace json = boost::json;

constexpr std::size_t piece_bytes = 64 * 1024;
constexpr std::size_t most_manifest = 16 * 1024;
constexpr std::size_t length_bytes = 4;
constexpr std::string_view sqlite_magic("SQLite format 3\0", 16);

// At most so many bytes; none: the end.
std::string read_some(int fd, std::size_t most) {
    std::string out(most, '\0');
    ssize_t n = 0;
    do n = ::read(fd, out.data(), most);
    while (n < 0 && errno == EINTR);
    if (n < 0) throw std::system_error(errno, std::generic_category(), "reading");
    out.resize(static_cast<std::size_t>(n));
    return out;
}

// What follows in an envelope, in lengths of one's own.
class content {
public:
    explicit content(envelope_reader& from) : from_(from) {}
    // At least one and at most so many bytes. Errors: malformed where there is nothing more.
    result<std::string> some(std::size_t most) {
        if (have_.empty()) {
            auto more = from_.next();
            if (!more) return more.error();
            if (more->empty()) return fail(errc::malformed, "it is shorter than it says");
            have_ = std::move(*more);
        }
        auto out = have_.substr(0, most);
        have_.erase(0, out.size());
        return out;
    }
    result<std::string> exactly(std::size_t count) {
        std::string out;
        while (out.size() < count) {
            auto more = some(count - out.size());
            if (!more) return more.error();
            out += *more;
        }
        return out;
    }
    result<void> end() {
        auto const more = have_.empty() ? from_.next() : result<std::string>(have_);
        if (!more) return more.error();
        if (!more->empty()) return fail(errc::malformed, "it is longer than it says");
        return {};
    }

private:
    envelope_reader& from_;
    std::string have_;
};

result<manifest> unpack_envelope(int fd, std::string begun, secret const& passphrase, int out) {
    auto opened = envelope_reader::open(
        [fd, begun = std::move(begun)](std::size_t most) mutable {
            if (begun.empty()) return read_some(fd, most);
            auto some = begun.substr(0, most);
            begun.erase(0, some.size());
            return some;
        },
        passphrase);
    if (!opened) return opened.error();
    content all(*opened);
    auto const length = all.exactly(length_bytes);
    if (!length) return length.error();
    std::size_t count = 0;
    for (char const c : *length) count = count << 8 | static_cast<unsigned char>(c);
    if (count > most_manifest) return fail(errc::malformed, "its manifest is too long");
    auto const text = all.exactly(count);
    if (!text) return text.error();
    auto what = parse_manifest(*text);
    if (!what) return what;
    crypto::sha256_stream digest;
    for (auto left = what->size; left > 0;) {
        auto const piece = all.some(static_cast<std::size_t>(std::min<std::uint64_t>(left, piece_bytes)));
        if (!piece) return piece.error();
        digest.add(*piece);
        write_all(out, *piece);
        left -= piece->size();
    }
    if (auto const ended = all.end(); !ended) return ended.error();
    if (hex(digest.finish()) != what->sha256) return fail(errc::malformed, "its database is not the one that it names");
    return what;
}

}  // namespace

std::string to_json(manifest const& m) {
    return json::serialize(json::object{{"format", format_version}, {"mdmd", m.mdmd}, {"schema", m.schema},
        {"made", rfc3339(m.made)}, {"host", m.host},
        {"parts", json::array{json::object{{"name", "database"}, {"size", m.size}, {"sha256", m.sha256}}}}});
}

result<manifest> parse_manifest(std::string_view text) {
    auto const bad = fail(errc::malformed, "its manifest cannot be read");
    boost::system::error_code failed;
    auto const value = json::parse(text, failed);
    auto const* const o = failed ? nullptr : value.if_object();
    if (!o) return bad;
    auto const string = [](json::object const& from, char const* key, std::string& to) {
        auto const* const v = from.if_contains(key);
        if (!v || !v->is_string()) return false;
        to = v->as_string();
        return true;
    };
    auto const number = [](json::object const& from, char const* key) {
        auto const* const v = from.if_contains(key);
        return v && v->is_int64() && v->as_int64() >= 0 ? std::optional(v->as_int64()) : std::nullopt;
    };
    auto const format = number(*o, "format");
    if (!format) return bad;
    if (*format != format_version)
        return fail(
            errc::unsupported, fmt::format("its manifest has format {}, this mdmctl reads {}: it takes another mdmd",
                                   *format, format_version));
    manifest m;
    std::string made;
    auto const schema = number(*o, "schema");
    if (!string(*o, "mdmd", m.mdmd) || !string(*o, "host", m.host) || !string(*o, "made", made) || !schema) return bad;
    auto const at = parse_rfc3339(made);
    auto const* const parts = o->if_contains("parts");
    if (!at || !parts || !parts->is_array() || parts->as_array().size() != 1) return bad;
    auto const* const part = parts->as_array()[0].if_object();
    std::string name;
    if (!part || !string(*part, "name", name) || name != "database" || !string(*part, "sha256", m.sha256)) return bad;
    auto const size = number(*part, "size");
    if (!size) return bad;
    m.made = *at;
    m.schema = *schema;
    m.size = static_cast<std::uint64_t>(*size);
    return m;
}

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        auto const n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw std::system_error(errno, std::generic_category(), "writing");
        text.remove_prefix(static_cast<std::size_t>(n));
    }
}

result<manifest> write(std::filesystem::path const& database, int fd, secret const& passphrase, maker const& by) {
    store::file_beside const copy(database.string() + ".backup");
    store::copy_database(database, copy.path());
    auto const schema = store::examine_copy(copy.path());
    if (!schema) return schema.error();
    manifest m{.mdmd = by.mdmd, .schema = *schema, .made = by.now, .host = by.host};
    crypto::sha256_stream digest;
    while (true) {
        auto const piece = read_some(copy.get(), piece_bytes);
        if (piece.empty()) break;
        digest.add(piece);
        m.size += piece.size();
    }
    m.sha256 = hex(digest.finish());

    envelope_writer out([fd](std::string_view text) { write_all(fd, text); }, passphrase);
    auto const text = to_json(m);
    std::string length;
    for (int shift = 24; shift >= 0; shift -= 8) length += static_cast<char>(text.size() >> shift & 0xff);
    out.add(length + text);
    if (::lseek(copy.get(), 0, SEEK_SET) != 0) throw std::system_error(errno, std::generic_category(), "reading");
    while (true) {
        auto const piece = read_some(copy.get(), piece_bytes);
        if (piece.empty()) break;
        out.add(piece);
    }
    out.finish();
    return m;
}

result<unpacked> unpack(int fd, secret const& passphrase, std::filesystem::path const& database) {
    unpacked out;
    out.file = std::make_unique<store::file_beside>(database.string() + ".restore");
    auto begun = read_some(fd, sqlite_magic.size());
    if (begun == sqlite_magic) {
        for (auto piece = begun; !piece.empty(); piece = read_some(fd, piece_bytes)) write_all(out.file->get(), piece);
    } else {
        auto what = unpack_envelope(fd, std::move(begun), passphrase, out.file->get());
        if (!what) return what.error();
        out.what = std::move(*what);
    }
    store::sync_file(out.file->path());
    auto const schema = store::examine_copy(out.file->path());
    if (!schema) return schema.error();
    if (out.what && out.what->schema != *schema)
        return fail(errc::malformed, "its database has another schema version than it says");
    out.schema = *schema;
    return out;
}

}  // namespace mdmd::backup
