#include "config/admin_socket.hpp"
#include "test/support.hpp"

using namespace mdmd;

TEST_CASE("mdmctl finds the admin socket by config.yaml, whatever else is in it", "[config]") {
    test::scratch const folder;
    auto const of = [&](std::string const& text) { return config::admin_socket(folder.write("config.yaml", text)); };
    CHECK(of("admin: { socket: here.sock }\nentra: nonsense\n").value() == folder.path() / "here.sock");
    CHECK(of("admin: { socket: /run/x.sock }\n").value() == "/run/x.sock");
    auto const without = GENERATE(
        as<std::string>(), "", "a: 1\n", "admin: 1\n", "admin: { listen: x }\n", "admin: { socket: [] }\n", "- x\n");
    CAPTURE(without);
    CHECK(of(without).value() == "/run/mdmd/admin.sock");
    CHECK(of("admin: [").error().code == errc::malformed);
    CHECK(config::admin_socket(folder.path() / "absent.yaml").error().code == errc::not_found);
}

TEST_CASE("mdmctl finds the database by config.yaml, whatever else is in it", "[config]") {
    test::scratch const folder;
    auto const of = [&](std::string const& text) { return config::database_file(folder.write("config.yaml", text)); };
    CHECK(of("storage: { path: here.db }\nentra: nonsense\n").value() == folder.path() / "here.db");
    CHECK(of("storage: 1\n").value() == "/var/lib/mdmd/mdmd.db");
}
