// HTTP as plain values, so that handlers and callers need no HTTP library: lib/http turns bytes into these.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/descriptor.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace mdmd::http {

// Header fields in order; names are compared without regard to case.
class fields {
public:
    fields() = default;
    fields(std::initializer_list<std::pair<std::string, std::string>> all) : all_(all) {}
    std::optional<std::string_view> get(std::string_view name) const {
        for (auto const& [n, v] : all_)
            if (iequals(n, name)) return v;
        return std::nullopt;
    }
    void add(std::string name, std::string value) { all_.emplace_back(std::move(name), std::move(value)); }
    auto begin() const { return all_.begin(); }
    auto end() const { return all_.end(); }

private:
    std::vector<std::pair<std::string, std::string>> all_;
};

// What a listener hands to a handler.
struct request {
    std::string id;      // a GUID of ours, in every log line of this request
    std::string method;  // upper case
    std::string path;    // as sent, without the query: "/EnrollmentServer/Policy.svc"
    std::string query;   // as sent, without the "?"
    fields headers;
    std::string body;
    std::string peer_address;      // "192.0.2.7"; empty on a Unix socket
    std::string peer_certificate;  // DER; empty where the listener asks for none
};

// A part of a file that is open for reading: `length` bytes from `offset` on.
struct file_part {
    std::shared_ptr<mdmd::descriptor const> file;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

// What a handler returns. Content-Length, Date and Connection are the listener's to write.
struct response {
    int status = 200;
    fields headers;
    std::string body;
    std::optional<file_part> file{};  // in the place of a body: read from disk piece by piece while it is sent
};

using handler = std::function<response(request const&)>;  // blocking; called on a worker

// A call to somebody else's server.
struct call {
    std::string method;
    std::string url;  // absolute
    fields headers;
    std::string body;
    std::chrono::milliseconds timeout{15'000};  // for the whole call
    bool direct = false;                        // past the proxy, where there is one
};

// Makes the call and waits for the answer. Errors: unavailable (name, connection, TLS, time-out, answer that is
// not HTTP), malformed (the URL), too_large (the answer). An HTTP error status is an answer, not an error.
using transport = std::function<result<response>(call const&)>;

}  // namespace mdmd::http
