// Faults of the machine under an appliance that works: each ends with how often it was done and what was lost.
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <csignal>
#include <fstream>
#include <random>

#include "e2e/promises.hpp"
#include "torture/torture.hpp"

using namespace mdmd;
using namespace std::chrono_literals;
using torture::number_from;

namespace {

e2e::settings many_devices(e2e::settings more = {}) {
    more["enrollment.max_devices_per_user"] = "1000";
    more["log.level"] = "info";
    return more;
}

bool done(std::vector<std::string> const& command) { return e2e::run(command).code == 0; }

std::string must(std::vector<std::string> const& command) {
    auto const r = e2e::run(command);
    if (r.code != 0) throw std::runtime_error(fmt::format("{}: {}", fmt::join(command, " "), r.err));
    return std::string(trim(r.out));
}

// A mounted file system, gone with this object.
class mounted {
public:
    mounted(std::string const& what, std::filesystem::path const& where, std::vector<std::string> options = {})
        : where_(where) {
        std::filesystem::create_directories(where);
        std::vector<std::string> command{"mount"};
        command.insert(command.end(), options.begin(), options.end());
        command.insert(command.end(), {what, where.string()});
        must(command);
    }
    mounted(mounted const&) = delete;
    mounted& operator=(mounted const&) = delete;
    ~mounted() { ::umount2(where_.c_str(), MNT_DETACH); }

private:
    std::filesystem::path where_;
};

class loop_device {
public:
    explicit loop_device(std::filesystem::path const& image)
        : name_(must({"losetup", "-f", "--show", image.string()})) {}
    loop_device(loop_device const&) = delete;
    loop_device& operator=(loop_device const&) = delete;
    ~loop_device() { e2e::run({"losetup", "-d", name_}); }
    std::string const& name() const { return name_; }

private:
    std::string name_;
};

int status_of_ready(e2e::world const& w) { return w.app->admin("/readyz").status; }

bool works_again(e2e::world& w, e2e::mixed_load& load, std::chrono::milliseconds patience = 30s) {
    return e2e::becomes_true(patience, [&] { return status_of_ready(w) == 200; }) && load.sync().failure.empty();
}

// Errors of system calls, put there by strace while this object is.
class injected {
public:
    injected(pid_t id, std::string const& what, std::filesystem::path const& log)
        : strace_({"strace", "-f", "-q", "-o", "/dev/null", "-p", std::to_string(id), "-e",
                      "trace=" + what.substr(0, what.find(':')), "-e", "inject=" + what},
              log) {
        if (!e2e::becomes_true(10s, [&] { return traced(id) || strace_.ended(); }) || strace_.ended())
            throw std::runtime_error("strace does not begin: " + test::read_file(log));
    }
    ~injected() {
        strace_.signal(SIGINT);
        strace_.wait(10s);
    }

private:
    static bool traced(pid_t id) {
        std::ifstream status(fmt::format("/proc/{}/status", id));
        for (std::string line; std::getline(status, line);)
            if (line.starts_with("TracerPid:")) return std::stoi(line.substr(10)) != 0;
        return false;
    }
    e2e::process strace_;
};

}  // namespace

TEST_CASE("kill -9 under mixed load", "[torture][kill]") {
    auto const kills = number_from("MDMD_TORTURE_KILLS", 1000);
    e2e::world w(many_devices());
    auto const seed = std::random_device{}();
    CAPTURE(seed);
    std::minstd_rand random(seed);
    w.app->start();
    e2e::mixed_load load(w, 5'000, 20ms);
    std::size_t lost = 0, corrupt = 0;
    for (std::size_t i = 0; i < kills; ++i) {
        {
            e2e::mixed_load::work const work(load);
            std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 400));
            w.app->kill9();
        }
        // By what is in the file: looking through mdmctl takes longer with each command.
        try {
            lost += static_cast<std::size_t>(e2e::mixed_load::missing_in(w.app->file("mdmd.db"), load.taken()).all());
        } catch (std::runtime_error const& e) {
            ++corrupt;
            WARN(e.what());
        }
        w.app->start();
        if (!load.sync().failure.empty()) ++lost;
    }
    auto const p = load.taken();
    torture::row("kill -9 under mixed load", kills, lost + corrupt,
        fmt::format(
            "{} commands, {} results, {} devices acknowledged", p.queued.size(), p.told.size(), p.enrolled.size()));
    CHECK(lost == 0);
    CHECK(corrupt == 0);
    CHECK(w.app->stop() == 0);
}

TEST_CASE("power cuts under mixed load", "[torture][power]") {
    if (::geteuid() != 0 || !done({"sh", "-c", "command -v mkfs.xfs && command -v losetup"})) {
        WARN("skipped: needs root, xfsprogs and loop devices");
        return;
    }
    auto const cuts = number_from("MDMD_TORTURE_CUTS", 100);
    // A file system that copies files at once holds the image of the disk that the appliance is on: a copy of that is
    // what the disk holds at that moment, and nothing that was in memory only.
    test::scratch folder;
    auto const outer = std::filesystem::path("/dev/shm") / (folder.path().filename().string() + ".xfs");
    must({"truncate", "-s", "3000M", outer.string()});
    struct removed {
        std::filesystem::path file;
        ~removed() { std::filesystem::remove(file); }
    } const gone{outer};
    must({"mkfs.xfs", "-q", "-f", "-m", "reflink=1", outer.string()});
    loop_device const outer_loop(outer);
    mounted const around(outer_loop.name(), folder.path() / "outer");
    auto const image = folder.path() / "outer/disk", picture = folder.path() / "outer/picture";
    must({"truncate", "-s", "400M", image.string()});
    must({"mkfs.ext4", "-q", "-F", image.string()});
    loop_device const disk_loop(image);
    mounted const disk(disk_loop.name(), folder.path() / "disk");

    e2e::world w(many_devices({{"storage.path", (folder.path() / "disk/mdmd.db").string()}}));
    w.app->start();
    e2e::mixed_load load(w, 4'000, 5ms);
    auto const seed = std::random_device{}();
    CAPTURE(seed);
    std::minstd_rand random(seed);
    std::size_t lost = 0, corrupt = 0;
    {
        e2e::mixed_load::work const work(load);
        for (std::size_t i = 0; i < cuts; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(50 + random() % 400));
            auto const before = load.taken();
            must({"cp", "--reflink=always", image.string(), picture.string()});
            try {
                loop_device const then(picture);
                mounted const there(then.name(), folder.path() / "then");
                lost +=
                    static_cast<std::size_t>(e2e::mixed_load::missing_in(folder.path() / "then/mdmd.db", before).all());
            } catch (std::runtime_error const& e) {
                ++corrupt;
                WARN(e.what());
            }
        }
    }
    auto const p = load.taken();
    torture::row("power cuts under mixed load", cuts, lost + corrupt,
        fmt::format(
            "{} commands, {} results, {} devices acknowledged", p.queued.size(), p.told.size(), p.enrolled.size()));
    CHECK(lost == 0);
    CHECK(corrupt == 0);
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a disk that fills up", "[torture][full]") {
    if (::geteuid() != 0) {
        WARN("skipped: needs root");
        return;
    }
    auto const times = number_from("MDMD_TORTURE_TIMES", 10);
    test::scratch folder;
    mounted const disk("tmpfs", folder.path() / "disk", {"-t", "tmpfs", "-o", "size=64m"});
    auto const stone = folder.path() / "disk/stone";
    e2e::world w(many_devices({{"storage.path", (folder.path() / "disk/mdmd.db").string()}}));
    w.app->start();
    e2e::mixed_load load(w, 4'000, 5ms);
    std::size_t lost = 0, unseen = 0, stuck = 0;
    for (std::size_t i = 0; i < times; ++i) {
        {
            e2e::mixed_load::work const work(load);
            std::this_thread::sleep_for(500ms);
            e2e::run({"dd", "if=/dev/zero", "of=" + stone.string(), "bs=64k"});
            if (!e2e::becomes_true(10s, [&] { return status_of_ready(w) == 503; })) ++unseen;
            if (w.app->mdmctl({"status"}).code != 0) ++unseen;
            std::this_thread::sleep_for(500ms);
            std::filesystem::remove(stone);
        }
        if (!works_again(w, load)) ++stuck;
        lost += static_cast<std::size_t>(load.missing(load.taken()).all());
    }
    torture::row("disk full", times, lost + unseen + stuck, "told by /readyz, and over without a restart");
    CHECK(lost == 0);
    CHECK(unseen == 0);
    CHECK(stuck == 0);
    CHECK(w.app->stop() == 0);
}

TEST_CASE("errors of the disk under the store", "[torture][errors]") {
    if (!done({"sh", "-c", "command -v strace"})) {
        WARN("skipped: needs strace");
        return;
    }
    e2e::world w(many_devices());
    w.app->start();
    e2e::mixed_load load(w, 4'000, 5ms);
    std::size_t times = 0, lost = 0, stuck = 0;
    for (auto const* const what :
        {"pwrite64:error=EIO:when=3+5", "pwrite64:error=ENOSPC:when=1+", "fdatasync:error=EIO:when=1+",
            "fdatasync:error=EIO:when=2+3", "fdatasync:error=ENOSPC:when=4+", "pread64:error=EIO:when=5+7",
            "ftruncate:error=EIO:when=1+", "pwrite64:error=EINTR:when=2+2", "fdatasync:retval=0"}) {
        CAPTURE(what);
        for (int i = 0; i < 3; ++i, ++times) {
            {
                injected const faults(w.app->daemon().id(), what, w.app->file("strace"));
                e2e::mixed_load::work const work(load);
                std::this_thread::sleep_for(700ms);
            }
            if (!works_again(w, load)) ++stuck;
            lost += static_cast<std::size_t>(load.missing(load.taken()).all());
        }
        // What is in the file is what it says.
        w.app->kill9();
        lost += static_cast<std::size_t>(e2e::mixed_load::missing_in(w.app->file("mdmd.db"), load.taken()).all());
        w.app->start();
    }
    torture::row("I/O errors under SQLite", times, lost + stuck,
        "EIO, ENOSPC, EINTR of pwrite, fdatasync, pread, ftruncate; fsync that does nothing");
    CHECK(lost == 0);
    CHECK(stuck == 0);
    CHECK(w.app->stop() == 0);
}

TEST_CASE("clocks that jump", "[torture][clock]") {
    auto const library = e2e::run({"sh", "-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1 | head -1"}).out;
    if (library.empty()) {
        WARN("skipped: needs faketime");
        return;
    }
    e2e::world w(many_devices());
    test::scratch folder;
    auto const set = [&](char const* offset) { folder.write("time", fmt::format("{}\n", offset)); };
    set("+0");
    w.app->start(
        {{"LD_PRELOAD=" + std::string(trim(library)), "FAKETIME_TIMESTAMP_FILE=" + (folder.path() / "time").string(),
            "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"}});
    e2e::mixed_load load(w, 4'000, 5ms);
    std::size_t times = 0, lost = 0, stuck = 0, untold = 0;
    for (auto const* const offset : {"+1h", "-1h", "+1d", "-1d", "+10y", "-10y", "+3650d", "-40y", "+100d"}) {
        CAPTURE(offset);
        auto const said = w.app->log().size();
        {
            e2e::mixed_load::work const work(load);
            std::this_thread::sleep_for(300ms);
            set(offset);
            std::this_thread::sleep_for(1500ms);
            if (!e2e::becomes_true(
                    10s, [&] { return w.app->log().find("the clock was set", said) != std::string::npos; }))
                ++untold;
            if (w.app->mdmctl({"status"}).code != 0) ++stuck;
            set("+0");
            std::this_thread::sleep_for(300ms);
        }
        if (!works_again(w, load)) ++stuck;
        lost += static_cast<std::size_t>(load.missing(load.taken()).all());
        ++times;
    }
    torture::row(
        "clock jumps, up to 40 years", 2 * times, lost + stuck + untold, "forward and back again; the log says so");
    CHECK(lost == 0);
    CHECK(stuck == 0);
    CHECK(untold == 0);
    CHECK(w.app->stop() == 0);
}
