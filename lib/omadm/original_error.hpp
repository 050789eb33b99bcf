// What Windows' own error beside a status means (msft:originalerror), and what an administrator does about it.
// Source: Windows SDK, cfgmgr2err.h; [MS-ERREF] 2.1.1
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace mdmd::omadm {

struct original_error {
    std::uint32_t code;   // HRESULT
    char const* name;     // "CFGMGR_E_NODENOTFOUND"
    char const* meaning;  // sentences, as the next
    char const* remedy;
};

std::span<original_error const> original_errors();
// By number as parse_hresult() reads it, or by name. nullptr: nothing is known of it.
original_error const* find_original_error(std::string_view);

}  // namespace mdmd::omadm
