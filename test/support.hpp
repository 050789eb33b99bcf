#pragma once
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "core/error.hpp"

// result<T>'s own operator<< needs a streamable T; ours prints the failure.
template <class T> struct Catch::StringMaker<boost::system::result<T, mdmd::error>> {
    static std::string convert(boost::system::result<T, mdmd::error> const& r) {
        return r ? "value" : "error: " + r.error().detail;
    }
};

namespace mdmd::test {

std::filesystem::path golden(std::string const& name);  // test/golden/NAME
std::filesystem::path source(std::string const& name);  // NAME in the project's root
std::filesystem::path traces();                         // the captured Windows messages, which may be absent

inline std::string read_file(std::filesystem::path const& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path.string());
    return {std::istreambuf_iterator<char>(in), {}};
}

// Compares with test/golden/NAME; MDMD_UPDATE_GOLDEN=1 stores what we got instead.
inline void matches_golden(std::string const& name, std::string const& got) {
    std::filesystem::path const path = golden(name);
    if (std::getenv("MDMD_UPDATE_GOLDEN")) {
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << got;
    }
    CHECK(got == read_file(path));
}

// The captured Windows message NAME ("csr/A-win10-19043.der"), or nullopt, saying so, where the captures are absent.
inline std::optional<std::string> trace(std::string const& name) {
    auto const path = traces() / name;
    if (!std::filesystem::exists(path)) {
        WARN("skipped: " << path.string() << " is not here");
        return std::nullopt;
    }
    return read_file(path);
}

// A folder of its own for a test, gone when the test ends.
class scratch {
public:
    scratch() {
        std::string pattern = (std::filesystem::temp_directory_path() / "mdmd-test-XXXXXX").string();
        if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
        path_ = pattern;
    }
    scratch(scratch const&) = delete;
    scratch& operator=(scratch const&) = delete;
    ~scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::filesystem::path const& path() const { return path_; }
    std::filesystem::path write(std::string const& name, std::string const& text) const {
        auto const file = path_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
        std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
        return file;
    }

private:
    std::filesystem::path path_;
};

}  // namespace mdmd::test
