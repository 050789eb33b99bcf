// Failures a caller is expected to handle, named by what the caller does next. A broken environment (disk,
// memory, OpenSSL) is an exception instead, caught once a request and once a tick.
#pragma once
#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>

namespace mdmd {

enum class errc {
    malformed = 1,    // the peer sent something we cannot parse
    unsupported,      // well-formed, but not something we do
    unauthenticated,  // no valid credential
    forbidden,        // valid credential, not allowed
    not_found,
    conflict,     // the state it asks for clashes with the state there is
    too_large,    // a limit was hit
    unavailable,  // somebody else is away; the same call may succeed later
};

struct error {
    errc code;
    std::string detail;  // for the log and the operator; never sent to a device
};

template <class T = void> using result = boost::system::result<T, error>;

[[nodiscard]] inline error fail(errc code, std::string detail) { return {code, std::move(detail)}; }

// Lets .value() throw where a failure would be a bug (tests, start-up).
[[noreturn]] inline void throw_exception_from_error(error const& e, boost::source_location const&) {
    throw std::runtime_error(e.detail);
}

}  // namespace mdmd
