// From bytes to one answer, without I/O: what other servers send us.
#pragma once
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/http_message.hpp"

namespace mdmd::http {

inline constexpr std::uint32_t answer_header_bytes = 64 * 1024;

// A proxy's answer to CONNECT as it comes in: nothing but a header, whatever lengths it states [RFC 9110 9.3.6]. So
// the fields are not even looked at.
class connect_reader {
public:
    // Takes from the front of `input` what belongs to the answer. Errors hold nothing that the proxy sent: unavailable.
    result<void> put(std::string& input);
    int status() const { return status_; }  // 0: not there yet

private:
    int status_ = 0;
    std::size_t seen_ = 0;    // where the end of the header may begin
    std::size_t before_ = 0;  // bytes of interim answers
};

// One answer as it comes in.
class answer_reader {
public:
    // `head`: to a HEAD, which has no body.
    answer_reader(bool head, std::size_t body_bytes) : head_(head), body_bytes_(body_bytes) { begin(); }

    // Takes from the front of `input` what belongs to the answer. Errors: too_large, unavailable (not HTTP).
    result<void> put(std::string& input);
    // The peer has closed: some answers end so. Errors: unavailable.
    result<void> put_end();
    bool done() const { return parser_->is_done(); }
    bool keep_alive() const { return parser_->keep_alive(); }
    response take();  // once done()

private:
    void begin();
    error failure(boost::system::error_code const&) const;

    bool head_;
    std::size_t body_bytes_;
    std::optional<boost::beast::http::response_parser<boost::beast::http::string_body>> parser_;
};

}  // namespace mdmd::http
