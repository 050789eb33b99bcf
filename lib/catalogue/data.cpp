#include "catalogue/data.hpp"

#include <cstddef>

// The assembler copies the file, whose path CMake gives, into the program.
__asm__(
    ".pushsection .rodata\n"
    ".global mdmd_catalogue_begin\n"
    ".global mdmd_catalogue_end\n"
    "mdmd_catalogue_begin:\n"
    ".incbin \"" MDMD_CATALOGUE
    "\"\n"
    "mdmd_catalogue_end:\n"
    ".byte 0\n"
    ".popsection\n");

extern "C" {
extern char const mdmd_catalogue_begin[];
extern char const mdmd_catalogue_end[];
}

namespace mdmd::catalogue {

std::string_view data() {
    return {mdmd_catalogue_begin, static_cast<std::size_t>(mdmd_catalogue_end - mdmd_catalogue_begin)};
}

}  // namespace mdmd::catalogue
