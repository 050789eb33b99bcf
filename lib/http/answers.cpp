#include "http/answers.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace mdmd::http {
namespace {

namespace beast = boost::beast;
using boost::system::error_code;

error not_http() { return fail(errc::unavailable, "answer is not HTTP"); }

// 0: not a status line [RFC 9112 section 4]. Some proxies leave out the blank before an empty reason.
int status_of(std::string_view line) {
    auto const digit = [&](std::size_t at) { return line[at] >= '0' && line[at] <= '9'; };
    bool const good = line.size() >= 12 && digit(7) && line[8] == ' ' && line[9] >= '1' && digit(9) && digit(10) &&
                      digit(11) && (line.size() == 12 || line[12] == ' ');
    return good ? (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0') : 0;
}

}  // namespace

result<void> connect_reader::put(std::string& input) {
    static constexpr std::string_view version = "HTTP/1.", end = "\r\n\r\n";
    while (status_ == 0) {
        auto const known = std::min(input.size(), version.size());
        if (input.compare(0, known, version, 0, known) != 0) return not_http();
        auto const at = input.find(end, seen_);
        auto const size = at == input.npos ? input.size() : at + end.size();
        if (before_ + size > answer_header_bytes)
            return fail(errc::unavailable, fmt::format("answer's header over {} bytes", answer_header_bytes));
        if (at == input.npos) {
            seen_ = input.size() - std::min(input.size(), end.size() - 1);
            return {};
        }
        auto const status = status_of(std::string_view(input).substr(0, input.find("\r\n")));
        if (status == 0) return not_http();
        bool const interim = status < 200 && status != 101;  // RFC 9110 section 15.2
        if (!interim) status_ = status;
        input.erase(0, size);
        before_ += size;
        seen_ = 0;
    }
    return {};
}

void answer_reader::begin() {
    parser_.emplace();
    parser_->eager(true);
    parser_->skip(head_);
    parser_->header_limit(answer_header_bytes);
    parser_->body_limit(body_bytes_);
}

error answer_reader::failure(error_code const& e) const {
    if (e == beast::http::error::body_limit || e == beast::http::error::buffer_overflow)
        return fail(errc::too_large, fmt::format("answer over {} bytes", body_bytes_));
    if (e == beast::http::error::header_limit)
        return fail(errc::too_large, fmt::format("answer's header over {} bytes", answer_header_bytes));
    return fail(errc::unavailable, fmt::format("answer is not HTTP: {}", e.message()));
}

result<void> answer_reader::put(std::string& input) {
    while (!parser_->is_done() && !input.empty()) {
        error_code e;
        input.erase(0, parser_->put(boost::asio::buffer(input), e));
        if (e == beast::http::error::need_more) return {};
        if (e) return failure(e);
        if (!parser_->is_header_done()) continue;
        if (!parser_->chunked() && parser_->get().count(beast::http::field::transfer_encoding) > 0)
            return fail(errc::unavailable, "answer with an unknown Transfer-Encoding");
        if (parser_->get().result_int() < 100) return not_http();  // RFC 9110 section 15
        // An interim answer (RFC 9110 section 15.2) precedes the one we want; 101 was not asked for.
        if (auto const status = parser_->get().result_int(); status < 200 && parser_->is_done()) {
            if (status == 101) return fail(errc::unavailable, "answer 101 that nobody asked for");
            begin();
        }
    }
    return {};
}

result<void> answer_reader::put_end() {
    error_code e;
    bool const begun = parser_->got_some();  // Beast takes no end of nothing, which may come after an interim answer
    if (begun) parser_->put_eof(e);
    if (!begun || e || !parser_->is_done())
        return fail(errc::unavailable, "connection closed before the answer was complete");
    return {};
}

response answer_reader::take() {
    auto message = parser_->release();
    response r{.status = static_cast<int>(message.result_int()), .headers = {}, .body = {}};
    for (auto const& f : message) r.headers.add(std::string(f.name_string()), std::string(f.value()));
    r.body = std::move(message.body());
    return r;
}

}  // namespace mdmd::http
