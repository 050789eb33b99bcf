// Failures on order: the tenant answers what a rule says instead of what it should.
#pragma once
#include <boost/json.hpp>
#include <chrono>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/http_message.hpp"

namespace mdmd::sim {

struct fault_rule {
    std::string method;  // empty: any
    std::string path;    // a prefix; a regular expression over the whole path where it begins with '^'
    int status = 0;      // 0: no answer of its own, only the delay
    bool drop = false;   // no answer at all: the connection is closed, or a request left out of its batch's answer
    bool apply = false;  // with status or drop: the request is carried out all the same
    http::fields headers;
    std::string body;
    std::chrono::milliseconds delay{0};
    int count = -1;  // how often it still applies; -1: always
};

// {"method":"PATCH","path":"/v1.0/devices","status":429,"headers":{"Retry-After":"2"},"body":…,"delay_ms":0,
// "count":1}; "drop":true in the place of a status; "apply":true; body: text, or JSON that is sent as such. The
// requests of a batch are POST /v1.0/$batch together and each by its own method and path. Errors: malformed.
[[nodiscard]] result<fault_rule> parse_fault(boost::json::value const&);
boost::json::object as_json(fault_rule const&);

// Rules by the name of what they break, for those that need more than a status: "metadata" (503), "jwks-down" (503),
// "jwks-broken" (not JSON), "jwks-empty" (no keys), "graph-throttled" (429 with Retry-After 1), "graph-down" (503),
// "graph-refused" (403 as an application that is no MDM), of batches "graph-hangs-up" (nothing done, no answer),
// "graph-hangs-up-late" (done, no answer), "graph-some-throttled" (each report 429 with Retry-After 0.5) and
// "graph-some-dropped" (each report left out of the answer), "token-down" (503); of notifications "wns-token-down"
// (503), "wns-unauthorized" (401), "wns-forbidden" (403), "wns-gone" (410), "wns-throttled" (406), "wns-down" (503),
// both with Retry-After 1, and "wns-dropped" (200 that says so).
std::optional<fault_rule> named_fault(std::string_view name);

class fault_list {
public:
    void add(fault_rule);
    void clear() { rules_.clear(); }
    // The first rule for such a request, counted down.
    std::optional<fault_rule> take(std::string_view method, std::string_view path);
    boost::json::array as_json() const;

private:
    struct entry {
        fault_rule rule;
        std::optional<std::regex> pattern;
    };
    std::vector<entry> rules_;
};

}  // namespace mdmd::sim
