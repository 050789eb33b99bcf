// How mdmctl writes the files of an installation: whole, or not at all.
#pragma once
#include <sys/types.h>
#include <filesystem>
#include <string_view>

namespace mdmd::ctl {

// Throws `refused` with errno's words.
[[noreturn]] void failed(std::filesystem::path const&, char const* what);

struct owner {
    uid_t user = static_cast<uid_t>(-1);  // -1: as it is
    gid_t group = static_cast<gid_t>(-1);
};

// A file that is written beside its place, and removed again unless it was moved there.
class new_file {
public:
    new_file(std::filesystem::path place, mode_t, std::string_view content, owner const&);
    new_file(new_file const&) = delete;
    new_file& operator=(new_file const&) = delete;
    ~new_file();
    std::filesystem::path const& path() const { return path_; }
    void move_to_place(bool over_another);

private:
    std::filesystem::path place_, path_;
};

}  // namespace mdmd::ctl
