#include "daemon/mdmctl_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <system_error>

#include "core/descriptor.hpp"
#include "daemon/mdmctl.hpp"

namespace mdmd::ctl {

void failed(std::filesystem::path const& file, char const* what) {
    throw refused(fmt::format("{}: {}: {}", file.string(), what, std::generic_category().message(errno)));
}

new_file::new_file(std::filesystem::path place, mode_t mode, std::string_view content, owner const& whose)
    : place_(std::move(place)), path_(place_.string() + ".new") {
    ::unlink(path_.c_str());
    descriptor const out(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (out.get() < 0) failed(path_, "cannot be made");
    bool good = true;
    for (std::size_t done = 0; good && done < content.size();) {
        auto const n = ::write(out.get(), content.data() + done, content.size() - done);
        good = n >= 0 || errno == EINTR;
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    good = good && (whose.user == static_cast<uid_t>(-1) || ::fchown(out.get(), whose.user, whose.group) == 0) &&
           ::fchmod(out.get(), mode) == 0 && ::fsync(out.get()) == 0;
    if (good) return;
    int const cause = errno;
    ::unlink(path_.c_str());
    errno = cause;
    failed(path_, "cannot be written");
}

new_file::~new_file() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

void new_file::move_to_place(bool over_another) {
    // A link, unlike a move, never takes the place of a file that has come meanwhile.
    int const done = over_another ? ::rename(path_.c_str(), place_.c_str()) : ::link(path_.c_str(), place_.c_str());
    if (done != 0) failed(place_, "cannot be written");
    if (!over_another) ::unlink(path_.c_str());
    path_.clear();
}

}  // namespace mdmd::ctl
