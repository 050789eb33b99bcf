#pragma once
#include <string>

namespace mdmd {

std::string random_bytes(std::size_t count);  // from the kernel, getrandom(2)
std::string new_guid();                       // RFC 4122 version 4, lower case

}  // namespace mdmd
