#pragma once
#include <string>

namespace mdmd {

std::string random_bytes(std::size_t count);  // from the kernel, getrandom(2)
double random_fraction();                     // 0..1, evenly; for spreading retries, not for secrets
std::string new_guid();                       // RFC 4122 version 4, lower case

}  // namespace mdmd
