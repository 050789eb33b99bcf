// What is common to serving files over HTTP: parts, versions and dates of a representation. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.hpp"

namespace mdmd::http {

struct byte_range {
    enum class kind {
        whole,          // no part is asked for, or not one that is served as such
        part,           // `length` bytes from `offset` on, at least one
        unsatisfiable,  // it begins behind the end
    } what = kind::whole;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool operator==(byte_range const&) const = default;
};
// The part of `size` bytes that a Range field asks for: "bytes=0-499", "bytes=500-", "bytes=-500". Several parts, other
// units and what is no range are the whole. [RFC 9110 14.1.2, 14.2]
byte_range choose_range(std::string_view field, std::uint64_t size);

// "bytes 0-499/1234", or "bytes */1234" for a range that is none of it. [RFC 9110 14.4]
std::string content_range(byte_range const&, std::uint64_t size);

// Whether a list of entity tags such as If-None-Match's has that one, weakly compared, or is "*". [RFC 9110 13.1.2]
bool has_tag(std::string_view list, std::string_view tag);

// "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale. [RFC 9110 5.6.7]
std::string http_date(time_point);

}  // namespace mdmd::http
