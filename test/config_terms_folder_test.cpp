#include <fmt/format.h>
#include <sys/stat.h>

#include "config/terms_folder.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::config;

namespace {

struct folder {
    test::scratch files;
    std::filesystem::path root = files.path() / "terms";
    folder() { std::filesystem::create_directories(root); }
    void write(std::string const& name, std::string const& text = "x") const { files.write("terms/" + name, text); }
    std::string names() const {
        std::string all;
        for (auto const& f : read_terms_folder(root).files) all += f.path + " ";
        return all;
    }
    std::string problems() const {
        std::string all;
        for (auto const& p : read_terms_folder(root).problems) all += p + "\n";
        return all;
    }
};

constexpr std::size_t kib = 1024;

}  // namespace

TEST_CASE("the files of the Terms of Use are read with two levels of folders, by path", "[config]") {
    folder const f;
    f.write("zh-Hans/personal.html", "b");
    f.write("css/images/logo.png", std::string("\x89PNG\0", 5));
    f.write("a.md", "");
    f.write(".hidden/a.md");
    f.write("de/.personal.md.swp");
    f.write("de/personal.md~");
    CHECK(f.problems() == "");
    CHECK(read_terms_folder(f.root).files == std::vector<terms_file>{{"a.md", ""},
                                                 {"css/images/logo.png", std::string("\x89PNG\0", 5)},
                                                 {"zh-Hans/personal.html", "b"}});
}

TEST_CASE("what is not fit to be read is named, and the rest is read", "[config]") {
    folder const f;
    f.write("de/personal.md");
    SECTION("too deep") {
        f.write("a/b/c/d.md");
        CHECK_THAT(f.problems(),
            Catch::StartsWith("expected folders of at most two levels, got '") && Catch::Contains("terms/a/b/c'"));
    }
    SECTION("a text over 256 KiB") {
        f.write("a.md", std::string(256 * kib, 'x'));
        CHECK(f.problems() == "");
        f.write("a.md", std::string(256 * kib + 1, 'x'));
        CHECK_THAT(f.problems(),
            Catch::StartsWith("expected a file of at most 256 KiB, got '") && Catch::Contains("terms/a.md'"));
    }
    SECTION("a style sheet over 1 MiB") {
        f.write("css/a.CSS", std::string(1024 * kib, 'x'));
        CHECK(f.problems() == "");
        f.write("css/a.CSS", std::string(1024 * kib + 1, 'x'));
        CHECK_THAT(f.problems(), Catch::StartsWith("expected a file of at most 1 MiB, got '"));
    }
    SECTION("a pipe, without waiting for its other end") {
        REQUIRE(::mkfifo((f.root / "pipe.md").c_str(), 0600) == 0);
        CHECK_THAT(f.problems(), Catch::Contains("expected a regular file") && Catch::Contains("pipe.md"));
    }
    SECTION("a link that leads nowhere") {
        std::filesystem::create_symlink("absent", f.root / "a.md");
        CHECK_THAT(f.problems(), Catch::Contains("expected a readable file, got '") && Catch::Contains("No such file"));
    }
    CHECK_THAT(f.names(), Catch::Contains("de/personal.md"));
}

TEST_CASE("a link may lead to what is inside the folder, and nowhere else", "[config][security]") {
    folder const f;
    f.files.write("terms-of-others/secret.md", "secret");
    f.write("en/personal.md");
    std::filesystem::create_symlink("en", f.root / "en-GB");
    CHECK(f.names() == "en-GB/personal.md en/personal.md ");
    CHECK(f.problems() == "");
    auto const [target, name] = GENERATE(table<char const*, char const*>({
        {"../terms-of-others/secret.md", "a.md"},
        {"../terms-of-others", "de"},
        {"..", "up"},
        {"/etc/passwd", "b.md"},
    }));
    std::filesystem::create_symlink(target, f.root / name);
    CHECK(f.names() == "en-GB/personal.md en/personal.md ");
    CHECK_THAT(f.problems(), Catch::StartsWith("expected a file inside the folder of the Terms of Use, got '") &&
                                 Catch::Contains("(a link to "));
}

TEST_CASE("links that lead round in circles end", "[config]") {
    folder const f;
    f.write("a.md");
    std::filesystem::create_symlink(".", f.root / "again");
    CHECK_THAT(f.problems(), Catch::Contains("expected folders of at most two levels"));
}

TEST_CASE("all files together are limited in number and bytes", "[config]") {
    folder const f;
    SECTION("bytes") {
        for (int i = 0; i < 8; ++i) f.write(fmt::format("css/{}.png", i), std::string(1024 * kib, 'x'));
        CHECK(f.problems() == "");
        f.write("css/more.png");
        CHECK_THAT(f.problems(), Catch::StartsWith("expected files of at most 8 MiB in all, got '"));
    }
    SECTION("number") {
        for (int i = 0; i < 1000; ++i) f.write(fmt::format("{}.md", i));
        CHECK(f.problems() == "");
        f.write("more.md");
        CHECK_THAT(f.problems(), Catch::StartsWith("expected at most 1000 files, got '"));
    }
}
