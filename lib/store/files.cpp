#include "store/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <cerrno>
#include <thread>

#include "store/connection.hpp"

namespace mdmd::store {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view mark = ".unfinished-";  // then six letters or digits

[[noreturn]] void raise(std::filesystem::path const& file, int code) {
    throw store_error(code, fmt::format("{}: {}", file.string(), std::generic_category().message(code)));
}

void sync(std::filesystem::path const& path, int flags) {
    descriptor const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
    if (fd.get() < 0 || ::fsync(fd.get()) != 0) raise(path, errno);
}

// Those of `file` that nobody holds.
void remove_left_over(std::filesystem::path const& file) {
    auto const name = file.filename().string();
    std::error_code ignored;
    for (auto const& other : std::filesystem::directory_iterator(file.parent_path(), ignored)) {
        auto const found = other.path().filename().string();
        if (!found.starts_with(name + std::string(mark)) || found.ends_with("-journal")) continue;
        descriptor const fd(::open(other.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
        if (fd.get() < 0 || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
        ::unlink(other.path().c_str());
        ::unlink((other.path().string() + "-journal").c_str());
    }
}

}  // namespace

file_lock::file_lock(std::filesystem::path const& file, kind wanted, std::chrono::milliseconds patience) {
    auto const until = std::chrono::steady_clock::now() + patience;
    while (true) {
        // Made here rather than by SQLite, so that neither it nor its -wal and -shm, which take over its mode, are
        // ever readable by others.
        int const fd = file_.emplace(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)).get();
        if (fd < 0) raise(file, errno);
        struct stat locked {
        }, named{};
        // Whoever had it may have put another file there meanwhile.
        if (::flock(fd, LOCK_NB | (wanted == kind::alone ? LOCK_EX : LOCK_SH)) == 0 && ::fstat(fd, &locked) == 0 &&
            ::stat(file.c_str(), &named) == 0 && locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) {
            ::fchmod(fd, 0600);
            return;
        }
        if (std::chrono::steady_clock::now() >= until)
            throw store_error(EWOULDBLOCK, fmt::format("{} is in use by another program", file.string()));
        std::this_thread::sleep_for(20ms);
    }
}

void sync_file(std::filesystem::path const& file) { sync(file, 0); }
void sync_folder_of(std::filesystem::path const& file) {
    sync(std::filesystem::absolute(file).parent_path(), O_DIRECTORY);
}

file_beside::file_beside(std::filesystem::path const& file) {
    auto const absolute = std::filesystem::absolute(file);
    remove_left_over(absolute);
    auto pattern = fmt::format("{}{}XXXXXX", absolute.string(), mark);
    int const fd = file_.emplace(::mkostemp(pattern.data(), O_CLOEXEC)).get();  // mode 0600
    if (fd < 0) raise(absolute.parent_path(), errno);
    path_ = pattern;
    ::flock(fd, LOCK_EX | LOCK_NB);
}

file_beside::~file_beside() {
    if (path_.empty()) return;
    ::unlink(path_.c_str());
    ::unlink((path_.string() + "-journal").c_str());
}

}  // namespace mdmd::store
