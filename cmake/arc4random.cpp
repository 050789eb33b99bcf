// GCC 12's static C++ library asks for arc4random, which glibc has since 2.36 and RHEL 9 not: it finds this one. What
// is shipped is linked with it.
#include <sys/random.h>
#include <cstdint>
#include <cstdlib>

extern "C" std::uint32_t arc4random() noexcept {
    std::uint32_t number = 0;
    while (getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number)) {}
    return number;
}
