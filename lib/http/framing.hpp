// From bytes to one request, without I/O: Beast reads the grammar, the rules that Beast leaves open are here.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/http_message.hpp"

namespace mdmd::http {

struct framing_rules {
    std::uint32_t header_bytes;
    std::uint64_t body_bytes;
    std::size_t header_fields;
    bool chunked_allowed;
};

// Takes a chunked body apart. Stricter than the grammar: no chunk extensions, no trailers, sizes of at most eight
// digits. Source: RFC 9112 section 7.1
class chunk_decoder {
public:
    // Appends content to `body` and returns how many bytes it took: all of them, or fewer where the body has ended
    // or broken off.
    std::size_t put(std::string_view input, std::string& body);
    bool complete() const { return at_ == at::end; }
    char const* broken() const { return broken_; }          // nullptr: not so
    std::uint64_t announced() const { return announced_; }  // the sizes of all chunks that have begun

private:
    enum class at { size, size_lf, data, data_cr, data_lf, last_cr, last_lf, end };
    void put_size(char);
    void put_mark(char);
    void expect(char got, char wanted, at next, char const* otherwise);
    at at_ = at::size;
    char const* broken_ = nullptr;
    int digits_ = 0;
    std::uint64_t size_ = 0;
    std::uint64_t announced_ = 0;
};

// Reads one request. What is not plainly one request is refused, with the status to answer before the connection is
// closed: after a refusal nobody knows where the next request would begin.
class request_reader {
public:
    enum class state { header, body, complete, refused };

    explicit request_reader(framing_rules const&);

    // `input` is all that has come and was not taken yet; returns how many bytes of it were taken. A header is taken
    // whole or not at all: until then, call again with the same bytes and more.
    std::size_t put(std::string_view input);
    state where() const { return state_; }
    bool begun() const { return scanned_ > 0; }

    // From the header, so valid in body and complete.
    std::string const& host() const { return host_; }  // lower case, without port
    bool keep_alive() const { return keep_alive_; }
    bool is_http_1_0() const { return http_1_0_; }
    bool expects_continue() const { return expects_continue_; }
    // Its body is there in complete. Of refused, what was read of it and is good by itself: nothing, or method, path
    // and query, or these and the fields.
    request& message() { return request_; }

    void refuse(int status, std::string why);
    int status() const { return status_; }              // of refused
    std::string const& reason() const { return why_; }  // for the log; holds nothing that the peer sent

private:
    std::size_t put_header(std::string_view input);
    bool end_line(std::string_view input, std::size_t lf);  // whether the header ends here
    void read_header(std::string_view block);
    std::size_t put_body(std::string_view input);

    framing_rules rules_;
    state state_ = state::header;
    int status_ = 0;
    std::string why_;

    std::size_t start_ = 0;    // of the request line: behind the one empty line that may come first
    std::size_t scanned_ = 0;  // how far `input` was looked at
    std::size_t line_ = 0;     // start of the line that scanned_ stands in
    std::size_t lines_ = 0;    // that have ended

    request request_;
    std::string host_;
    bool keep_alive_ = false;
    bool http_1_0_ = false;
    bool expects_continue_ = false;
    bool chunked_ = false;
    std::uint64_t content_length_ = 0;
    chunk_decoder chunks_;
};

// An answer as it goes on the wire, without what is in a file. Content-Length, Date and Connection are written here,
// whatever `r` has of them. nullopt: its status or a field is not something that HTTP can carry (a line break in a
// value, say), or it has both a body and a file.
struct answer_form {
    bool head = false;      // the request was a HEAD: everything but the body
    bool close = false;     // this is the connection's last answer
    bool http_1_0 = false;  // the client must be told that the connection stays
};
std::optional<std::string> to_wire(response const& r, answer_form);
// Whether content follows the header of an answer of that status.
bool has_content(int status, answer_form);

bool is_token(std::string_view);        // a method or a field name: RFC 9110 section 5.6.2
bool is_field_value(std::string_view);  // no control characters but the tab
std::string reason_phrase(int status);

}  // namespace mdmd::http
