#include "http/framing.hpp"

#include <fmt/format.h>
#include <array>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <charconv>
#include <ctime>

#include "core/http_content.hpp"

namespace mdmd::http {
namespace {

namespace beast = boost::beast;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string_view view(beast::string_view s) { return {s.data(), s.size()}; }

constexpr std::array<std::string_view, 7> methods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

// Origin-form (RFC 9112 section 3.2.1) in printable ASCII; the path without "." and ".." segments, percent-encoded
// ones included, so that no handler can be led out of what it serves.
char const* target_fault(std::string_view target) {
    if (!target.starts_with('/')) return "target is not a path";
    for (char const c : target)
        if (c <= 0x20 || c >= 0x7f || c == '#') return "target holds a character that it must not";
    auto const path = lower(target.substr(0, target.find('?')));
    for (auto const& segment : split(path, '/')) {
        std::string plain;
        for (std::size_t i = 0; i < segment.size(); ++i) {
            bool const dot = std::string_view(segment).substr(i, 3) == "%2e";
            plain += dot ? '.' : segment[i];
            if (dot) i += 2;
        }
        if (plain == "." || plain == "..") return "target has a dot segment";
    }
    return nullptr;
}

// uri-host [ ":" port ] (RFC 9110 section 7.2): a name or an IPv4 address, or an IPv6 address in brackets. Returns
// the host, lower case.
std::optional<std::string> host_of(std::string_view value) {
    auto const end = value.starts_with('[') ? value.find(']') : value.find(':');
    auto const cut = value.starts_with('[') ? (end == value.npos ? end : end + 1) : std::min(end, value.size());
    if (cut == value.npos) return std::nullopt;
    auto const host = value.substr(0, cut);
    auto const port = value.substr(cut);
    if (host.empty() || host.size() > 255) return std::nullopt;
    if (host.starts_with('[')) {
        for (char const c : host.substr(1, host.size() - 2))
            if (hex_value(c) < 0 && c != ':' && c != '.') return std::nullopt;
    } else {
        for (char const c : host)
            if (!is_alnum(c) && c != '-' && c != '.' && c != '_') return std::nullopt;
    }
    if (!port.empty()) {
        unsigned number = 0;
        auto const* const last = port.data() + port.size();
        auto const [at, e] = std::from_chars(port.data() + 1, last, number);
        if (port[0] != ':' || e != std::errc() || at != last || number == 0 || number > 65535) return std::nullopt;
    }
    return lower(host);
}

std::string const& date_now() {
    thread_local std::time_t at = 0;
    thread_local std::string text;
    if (auto const now = std::time(nullptr); now != at || text.empty()) {
        at = now;
        text = http_date(from_ms(std::int64_t{now} * 1000));
    }
    return text;
}

// "... HTTP/2.0" is a version that we do not speak; everything else that Beast calls a bad version is no request.
bool names_a_version(std::string_view request_line) {
    auto const at = request_line.rfind(" HTTP/");
    if (at == request_line.npos || std::count(request_line.begin(), request_line.end(), ' ') != 2) return false;
    auto const v = request_line.substr(at + 6);
    return v.size() == 3 && is_digit(v[0]) && v[1] == '.' && is_digit(v[2]);
}

}  // namespace

bool is_token(std::string_view s) {
    for (char const c : s)
        if (!is_alnum(c) && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) return false;
    return !s.empty();
}

bool is_field_value(std::string_view s) {
    for (char const c : s)
        if (is_control(c) && c != '\t') return false;
    return true;
}

std::string reason_phrase(int status) {
    auto const known = beast::http::int_to_status(static_cast<unsigned>(status));
    return known == beast::http::status::unknown ? std::string() : std::string(beast::http::obsolete_reason(known));
}

// --- chunks

std::size_t chunk_decoder::put(std::string_view input, std::string& body) {
    std::size_t taken = 0;
    while (taken < input.size() && at_ != at::end && broken_ == nullptr) {
        if (at_ == at::data) {
            auto const n = std::min<std::uint64_t>(size_, input.size() - taken);
            body.append(input.substr(taken, n));
            taken += n;
            size_ -= n;
            if (size_ == 0) at_ = at::data_cr;
        } else {
            put_mark(input[taken++]);
        }
    }
    return taken;
}

void chunk_decoder::put_mark(char c) {
    switch (at_) {
        case at::size: return put_size(c);
        case at::size_lf:
            announced_ += size_;
            return expect(c, '\n', size_ == 0 ? at::last_cr : at::data, "chunk size is not followed by CR LF");
        case at::data_cr: return expect(c, '\r', at::data_lf, "chunk is not followed by CR LF");
        case at::data_lf: digits_ = 0; return expect(c, '\n', at::size, "chunk is not followed by CR LF");
        case at::last_cr: return expect(c, '\r', at::last_lf, "trailer fields");
        case at::last_lf: return expect(c, '\n', at::end, "last chunk is not followed by CR LF");
        case at::data:
        case at::end: return;
    }
}

void chunk_decoder::put_size(char c) {
    auto const digit = hex_value(c);
    if (digit < 0) {
        if (digits_ == 0)
            broken_ = "chunk without a size";
        else
            expect(c, '\r', at::size_lf, c == ';' ? "chunk extension" : "chunk size is not a number");
        return;
    }
    if (++digits_ > 8)
        broken_ = "chunk size has over 8 digits";
    else
        size_ = size_ * 16 + static_cast<std::uint64_t>(digit);
}

void chunk_decoder::expect(char got, char wanted, at next, char const* otherwise) {
    if (got == wanted)
        at_ = next;
    else
        broken_ = otherwise;
}

// --- requests

request_reader::request_reader(framing_rules const& rules) : rules_(rules) {}

void request_reader::refuse(int status, std::string why) {
    state_ = state::refused;
    status_ = status;
    why_ = std::move(why);
}

std::size_t request_reader::put(std::string_view input) {
    std::size_t taken = 0;
    if (state_ == state::header) taken = put_header(input);
    if (state_ == state::body) taken += put_body(input.substr(taken));
    return taken;
}

// Looks at every byte once, as it comes: what can only become a refusal is refused without waiting for more.
std::size_t request_reader::put_header(std::string_view input) {
    for (; scanned_ < input.size() && state_ == state::header; ++scanned_) {
        char const c = input[scanned_];
        char const before = scanned_ > 0 ? input[scanned_ - 1] : '\0';
        if (scanned_ - start_ >= rules_.header_bytes) {
            refuse(lines_ == 0 ? 414 : 431, fmt::format("header over {} bytes", rules_.header_bytes));
        } else if ((c == '\n') != (before == '\r')) {
            refuse(400, "CR and LF that do not belong together");
        } else if (is_control(c) && c != '\t' && c != '\r' && c != '\n') {
            refuse(400, "control character in the header");
        } else if ((c == ' ' || c == '\t') && scanned_ == line_) {
            refuse(400, "line that begins with a blank");
        } else if (c == '\n' && end_line(input, scanned_)) {
            auto const end = ++scanned_;
            read_header(input.substr(start_, end - start_));
            return end;
        }
    }
    return 0;
}

bool request_reader::end_line(std::string_view, std::size_t lf) {
    bool const empty = lf == line_ + 1;
    line_ = lf + 1;
    if (empty && lines_ == 0 && start_ == 0) {  // RFC 9112 section 2.2: one empty line before a request is ignored
        start_ = line_;
        return false;
    }
    if (!empty && ++lines_ > rules_.header_fields + 1)
        refuse(431, fmt::format("over {} header fields", rules_.header_fields));
    return empty && state_ == state::header;
}

// `block`: request line, fields and the empty line, of which is known that lines end in CR LF, none is folded, and
// there are not too many.
void request_reader::read_header(std::string_view block) {
    beast::http::request_parser<beast::http::empty_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(block.size()) + 1);
    parser.body_limit(boost::none);
    parser.skip(true);  // the body is read here, not by Beast
    beast::error_code e;
    parser.put(boost::asio::buffer(block.data(), block.size()), e);
    if (e == beast::http::error::bad_version && names_a_version(block.substr(0, block.find('\r'))))
        return refuse(505, "HTTP version");
    if (e || !parser.is_done()) return refuse(400, e.message());

    auto const& got = parser.get();
    http_1_0_ = got.version() == 10;
    keep_alive_ = parser.keep_alive();

    auto const method = view(got.method_string());
    if (std::find(methods.begin(), methods.end(), method) == methods.end()) return refuse(501, "method");

    auto const target = view(got.target());
    if (auto const* const fault = target_fault(target); fault != nullptr) return refuse(400, fault);
    request_.method = method;
    auto const question = target.find('?');
    request_.path = target.substr(0, question);
    if (question != target.npos) request_.query = target.substr(question + 1);

    for (auto const& f : got) request_.headers.add(std::string(view(f.name_string())), std::string(view(f.value())));

    auto const hosts = got.count(beast::http::field::host);
    if (hosts > 1 || (hosts == 0 && !http_1_0_)) return refuse(400, fmt::format("{} Host fields", hosts));
    if (hosts == 1) {
        auto host = host_of(view(got[beast::http::field::host]));
        if (!host) return refuse(400, "Host field is not a host");
        host_ = std::move(*host);
    }

    auto const encodings = got.count(beast::http::field::transfer_encoding);
    auto const lengths = got.count(beast::http::field::content_length);
    if (encodings > 0) {
        bool const chunked =
            encodings == 1 && iequals(view(got[beast::http::field::transfer_encoding]), "chunked") && !http_1_0_;
        if (!chunked) return refuse(501, "Transfer-Encoding that is not chunked alone");
        if (lengths > 0) return refuse(400, "Transfer-Encoding and Content-Length");
        if (!rules_.chunked_allowed) return refuse(411, "chunked body");
        chunked_ = true;
    }
    if (lengths > 1) return refuse(400, "several Content-Length fields");
    if (lengths == 1) {
        auto const value = view(got[beast::http::field::content_length]);
        auto const* const last = value.data() + value.size();
        auto const [at, parse_error] = std::from_chars(value.data(), last, content_length_);
        if (value.empty() || at != last || parse_error != std::errc())
            return refuse(400, "Content-Length is not one number");
        if (content_length_ > rules_.body_bytes)
            return refuse(413, fmt::format("body over {} bytes", rules_.body_bytes));
    }

    if (auto const expects = got.count(beast::http::field::expect); expects > 0) {
        if (expects > 1 || !iequals(view(got[beast::http::field::expect]), "100-continue"))
            return refuse(417, "Expect that is not 100-continue");
        expects_continue_ = !http_1_0_;  // RFC 9110 section 10.1.1: of no meaning in 1.0
    }

    state_ = chunked_ || content_length_ > 0 ? state::body : state::complete;
}

std::size_t request_reader::put_body(std::string_view input) {
    auto& body = request_.body;
    if (!chunked_) {
        auto const n = std::min<std::uint64_t>(content_length_ - body.size(), input.size());
        body.append(input.substr(0, n));
        if (body.size() == content_length_) state_ = state::complete;
        return n;
    }
    auto const n = chunks_.put(input, body);
    if (chunks_.broken() != nullptr)
        refuse(400, chunks_.broken());
    else if (chunks_.announced() > rules_.body_bytes)
        refuse(413, fmt::format("body over {} bytes", rules_.body_bytes));
    else if (chunks_.complete())
        state_ = state::complete;
    return n;
}

// --- answers

bool has_content(int status, answer_form form) { return !form.head && status != 204 && status != 304; }

std::optional<std::string> to_wire(response const& r, answer_form form) {
    if (r.status < 200 || r.status > 599 || (r.file && (!r.file->file || !r.body.empty()))) return std::nullopt;
    auto out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", r.status, reason_phrase(r.status), date_now());
    for (auto const& [name, value] : r.headers) {
        if (!is_token(name) || !is_field_value(value)) return std::nullopt;
        bool const ours = iequals(name, "Content-Length") || iequals(name, "Date") || iequals(name, "Connection") ||
                          iequals(name, "Transfer-Encoding");
        if (!ours) out += fmt::format("{}: {}\r\n", name, value);
    }
    // RFC 9110 sections 8.6, 15.3.5, 15.4.5: 204 has neither length nor body, 304 no body
    auto const length = r.file ? r.file->length : r.body.size();
    if (r.status != 204) out += fmt::format("Content-Length: {}\r\n", length);
    if (form.close)
        out += "Connection: close\r\n";
    else if (form.http_1_0)
        out += "Connection: keep-alive\r\n";
    out += "\r\n";
    if (has_content(r.status, form)) out += r.body;
    return out;
}

}  // namespace mdmd::http
