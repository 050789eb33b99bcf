// Programs as the end-to-end tests start them: each with an output of its own, none outliving the test that started it.
#pragma once
#include <sys/types.h>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace mdmd::e2e {

struct finished {
    int code = 0;  // -N: ended by signal N
    std::string out, err;
};

// Runs a program to its end. Throws where it cannot be started or takes over a minute.
finished run(std::vector<std::string> const& command);

// A program that runs on. Killed at once where its object goes first.
class process {
public:
    // Both outputs are appended to a file. It finds `handed` at the descriptors 3, 4…
    process(std::vector<std::string> const& command, std::filesystem::path const& output,
        std::vector<int> const& handed = {});
    process(process const&) = delete;
    process& operator=(process const&) = delete;
    ~process();

    pid_t id() const { return id_; }
    void signal(int) const;
    // How it ended, as finished::code; nullopt while it runs.
    std::optional<int> ended();
    std::optional<int> wait(std::chrono::milliseconds patience);

private:
    pid_t id_;
    std::optional<int> code_;
};

// Asks again and again, a few milliseconds apart, until it is so. False: it was not within that time.
template <class Condition> bool becomes_true(std::chrono::milliseconds patience, Condition is_so) {
    auto const until = std::chrono::steady_clock::now() + patience;
    while (!is_so()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}

}  // namespace mdmd::e2e
