#include "core/text.hpp"

#include <fmt/format.h>
#include <array>
#include <cstdint>

namespace mdmd {
namespace {

constexpr std::string_view standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_safe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char down(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string encode(std::string_view in, std::string_view alphabet, bool pad) {
    std::string out;
    out.reserve((in.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < in.size(); i += 3) {
        auto const left = in.size() - i;
        std::uint32_t v = static_cast<std::uint32_t>(static_cast<unsigned char>(in[i])) << 16;
        if (left > 1) v |= static_cast<std::uint32_t>(static_cast<unsigned char>(in[i + 1])) << 8;
        if (left > 2) v |= static_cast<unsigned char>(in[i + 2]);
        out += alphabet[v >> 18];
        out += alphabet[(v >> 12) & 63];
        if (left > 1) out += alphabet[(v >> 6) & 63];
        if (left > 2) out += alphabet[v & 63];
        if (pad && left < 3) out.append(3 - left, '=');
    }
    return out;
}

std::optional<std::string> decode(std::string_view in, std::string_view alphabet, bool padded) {
    std::array<int, 256> value;
    value.fill(-1);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        value[static_cast<unsigned char>(alphabet[i])] = static_cast<int>(i);
    std::string out;
    out.reserve(in.size() / 4 * 3);
    std::uint32_t bits = 0;
    int held = 0;
    std::size_t symbols = 0;
    std::size_t padding = 0;
    for (char const c : in) {
        if (padded && blank(c)) continue;
        if (padded && c == '=') {
            ++padding;
            continue;
        }
        auto const v = value[static_cast<unsigned char>(c)];
        if (v < 0 || padding) return std::nullopt;
        ++symbols;
        bits = (bits << 6) | static_cast<std::uint32_t>(v);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out += static_cast<char>((bits >> held) & 0xff);
        }
    }
    if (symbols % 4 == 1 || (bits & ((1U << held) - 1)) != 0) return std::nullopt;
    if (padded && (symbols + padding) % 4 != 0) return std::nullopt;
    if (padding > 2) return std::nullopt;
    return out;
}

std::string to_hex(std::string_view bytes, char const* digits) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (char const c : bytes) {
        auto const b = static_cast<unsigned char>(c);
        out += digits[b >> 4];
        out += digits[b & 15];
    }
    return out;
}

int nibble(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The length of the well-formed UTF-8 sequence at the start of s, or 0.
std::size_t utf8_length(std::string_view s) {
    auto const at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    auto const follows = [&](std::size_t i, unsigned char from, unsigned char to) {
        return i < s.size() && at(i) >= from && at(i) <= to;
    };
    auto const first = at(0);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return follows(1, 0x80, 0xbf) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        unsigned char const from = first == 0xe0 ? 0xa0 : 0x80;
        unsigned char const to = first == 0xed ? 0x9f : 0xbf;
        return follows(1, from, to) && follows(2, 0x80, 0xbf) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        unsigned char const from = first == 0xf0 ? 0x90 : 0x80;
        unsigned char const to = first == 0xf4 ? 0x8f : 0xbf;
        return follows(1, from, to) && follows(2, 0x80, 0xbf) && follows(3, 0x80, 0xbf) ? 4 : 0;
    }
    return 0;
}

}  // namespace

std::string_view trim(std::string_view s) {
    while (!s.empty() && blank(s.front())) s.remove_prefix(1);
    while (!s.empty() && blank(s.back())) s.remove_suffix(1);
    return s;
}

std::string lower(std::string_view s) {
    std::string out(s);
    for (char& c : out) c = down(c);
    return out;
}

bool iequals(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (down(a[i]) != down(b[i])) return false;
    return true;
}

std::vector<std::string_view> split(std::string_view s, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        auto const at = s.find(separator);
        parts.push_back(s.substr(0, at));
        if (at == s.npos) return parts;
        s.remove_prefix(at + 1);
    }
}

std::string base64(std::string_view bytes) { return encode(bytes, standard, true); }
std::string base64url(std::string_view bytes) { return encode(bytes, url_safe, false); }
std::optional<std::string> unbase64(std::string_view s) { return decode(s, standard, true); }
std::optional<std::string> unbase64url(std::string_view s) { return decode(s, url_safe, false); }

std::string hex(std::string_view bytes) { return to_hex(bytes, "0123456789abcdef"); }
std::string hex_upper(std::string_view bytes) { return to_hex(bytes, "0123456789ABCDEF"); }

std::optional<std::string> unhex(std::string_view s) {
    if (s.size() % 2) return std::nullopt;
    std::string out;
    out.reserve(s.size() / 2);
    for (std::size_t i = 0; i < s.size(); i += 2) {
        auto const h = nibble(s[i]);
        auto const l = nibble(s[i + 1]);
        if (h < 0 || l < 0) return std::nullopt;
        out += static_cast<char>(h * 16 + l);
    }
    return out;
}

std::string percent_encode(std::string_view s) {
    std::string out;
    out.reserve(s.size());
    for (char const c : s) {
        bool const plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '_' || c == '~';
        if (plain)
            out += c;
        else
            out += "%" + to_hex({&c, 1}, "0123456789ABCDEF");
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view s, bool plus_is_blank) {
    std::string out;
    out.reserve(s.size());
    for (std::size_t i = 0; i < s.size(); ++i) {
        if (s[i] == '+' && plus_is_blank) {
            out += ' ';
        } else if (s[i] == '%') {
            auto const byte = unhex(s.substr(i + 1, 2));
            if (!byte || byte->empty()) return std::nullopt;
            out += *byte;
            i += 2;
        } else {
            out += s[i];
        }
    }
    return out;
}

parameters parse_query(std::string_view s, bool plus_is_blank) {
    parameters all;
    for (auto const pair : split(s, '&')) {
        if (pair.empty()) continue;
        auto const cut = pair.find('=');
        auto name = percent_decode(pair.substr(0, cut), plus_is_blank);
        auto value = percent_decode(cut == pair.npos ? std::string_view{} : pair.substr(cut + 1), plus_is_blank);
        if (name && value) all.emplace_back(std::move(*name), std::move(*value));
    }
    return all;
}

std::optional<std::string_view> find_parameter(parameters const& all, std::string_view name) {
    for (auto const& [n, v] : all)
        if (iequals(n, name)) return v;
    return std::nullopt;
}

bool is_utf8(std::string_view s) {
    while (!s.empty()) {
        auto const n = utf8_length(s);
        if (n == 0) return false;
        s.remove_prefix(n);
    }
    return true;
}

std::string cut_utf8(std::string_view s, std::size_t most) {
    if (s.size() <= most) return std::string(s);
    while (most > 0 && (static_cast<unsigned char>(s[most]) & 0xc0) == 0x80) --most;
    return std::string(s.substr(0, most));
}

std::string printable(std::string_view s, std::size_t most) {
    std::string out;
    while (!s.empty()) {
        auto const n = utf8_length(s);
        auto const first = static_cast<unsigned char>(s.front());
        std::string piece;
        if (n == 0 || first < 0x20 || first == 0x7f) {
            piece = s.front() == '\n'   ? "\\n"
                    : s.front() == '\r' ? "\\r"
                    : s.front() == '\t' ? "\\t"
                                        : fmt::format("\\x{:02x}", first);
            s.remove_prefix(1);
        } else {
            piece = s.substr(0, n);
            // U+0080..9F, U+2028, U+2029 and the bidirectional overrides would let a peer rewrite the line.
            if (piece >= "\xc2\x80" && piece <= "\xc2\x9f")
                piece = fmt::format("\\u{:04x}", static_cast<unsigned char>(piece[1]));
            else if (piece == "\xe2\x80\xa8" || piece == "\xe2\x80\xa9" ||
                     (piece >= "\xe2\x80\xaa" && piece <= "\xe2\x80\xae"))
                piece = "\\u20" + hex(piece.substr(2));
            s.remove_prefix(n);
        }
        if (out.size() + piece.size() > most) return out + "...";
        out += piece;
    }
    return out;
}

std::string html_escape(std::string_view s) {
    std::string out;
    out.reserve(s.size());
    for (char const c : s) switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    return out;
}

bool is_guid(std::string_view s) {
    if (s.size() != 36) return false;
    for (std::size_t i = 0; i < s.size(); ++i) {
        bool const dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s[i] != '-' : nibble(s[i]) < 0) return false;
    }
    return true;
}

}  // namespace mdmd
