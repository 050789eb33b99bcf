// GCC 12's static C++ library and libxcrypt's ask for arc4random, which glibc has since 2.36 and RHEL 9 not: they find
// this one. What is shipped is linked with it.
#include <sys/random.h>
#include <cstdint>
#include <cstdlib>

extern "C" void arc4random_buf(void* to, std::size_t size) noexcept {
    for (auto* at = static_cast<char*>(to); size > 0;) {
        auto const got = getrandom(at, size, 0);  // interrupted by a signal: less, or nothing
        if (got <= 0) continue;
        at += got;
        size -= static_cast<std::size_t>(got);
    }
}

extern "C" std::uint32_t arc4random() noexcept {
    std::uint32_t number = 0;
    arc4random_buf(&number, sizeof number);
    return number;
}
