#include "store/certificates.hpp"
#include "store/database.hpp"
#include "store/enrollment.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

struct fixture {
    test::scratch folder;
    store::database db{store::sqlite_engine(folder.path() / "mdmd.db")};
    time_point const now = from_ms(1'800'000'000'000);

    fixture() {
        db.write([&](store::connection& c) {
            for (auto const* id : {"1", "2"}) store::add_device(c, {.id = id, .enrolled = now});
        });
    }
    void add(std::string const& name, std::string const& device = "1", std::string const& renewed_from = "") {
        db.write([&](store::connection& c) {
            store::add_certificate(c, {.fingerprint = name,
                                          .device_id = device,
                                          .serial = "S" + name,
                                          .pem = "pem",
                                          .not_before = now - 1h,
                                          .not_after = now + 24h,
                                          .request_digest = "request " + name,
                                          .revoked = {},
                                          .renewed_from = renewed_from});
        });
    }
    bool use(std::string const& name, time_point at) {
        return db.write([&](store::connection& c) { return store::use_certificate(c, name, at); });
    }
    store::certificate get(std::string const& name) {
        return db.read([&](store::connection& c) { return store::find_certificate(c, name); }).value();
    }
    std::string good(std::string const& device = "1") {
        std::string all;
        for (auto const& c : db.read([&](store::connection& conn) { return store::list_certificates(conn, device); }))
            if (c.valid_at(now)) all += c.fingerprint;
        return all;
    }
};

}  // namespace

TEST_CASE_METHOD(fixture, "a certificate's first use ends the device's other ones, and no other device's", "[store]") {
    add("a");
    add("b", "1", "a");
    add("x", "2");
    CHECK(good() == "ab");
    CHECK(use("a", now));
    CHECK(good() == "a");  // what is used first stays, whichever it is
    CHECK_FALSE(use("b", now));
    CHECK_FALSE(use("nobody", now));
    CHECK(good("2") == "x");
    CHECK(get("b").renewed_from == "a");
    CHECK(get("b").revoked == now);
    CHECK_FALSE(get("b").first_used);
}

TEST_CASE_METHOD(fixture, "a certificate's later uses change nothing", "[store]") {
    add("a");
    CHECK(use("a", now));
    add("b", "1", "a");
    CHECK(use("a", now + 1h));
    CHECK(get("a").first_used == now);
    CHECK(good() == "ab");
    CHECK(use("b", now + 2h));
    CHECK(good() == "b");
    CHECK_FALSE(use("a", now + 3h));
}

TEST_CASE_METHOD(fixture, "a certificate is good from its beginning to its end, and until it is revoked", "[store]") {
    add("a");
    auto const c = get("a");
    CHECK_FALSE(c.valid_at(now - 1h - 1ms));
    CHECK(c.valid_at(now - 1h));
    CHECK(c.valid_at(now + 24h - 1ms));
    CHECK_FALSE(c.valid_at(now + 24h));
    db.write([&](store::connection& conn) { store::revoke_other_certificates(conn, "1", "b", now); });
    CHECK_FALSE(get("a").valid_at(now));
}

TEST_CASE_METHOD(fixture, "of revoked certificates the newest are kept, of others all", "[store]") {
    for (auto const* name : {"a", "b", "c", "d"}) {
        add(name);
        db.write([&](store::connection& conn) { store::revoke_certificates(conn, "1", now + (name[0] - 'a') * 1h); });
    }
    add("e");
    add("f");
    add("x", "2");
    db.write([&](store::connection& conn) { store::revoke_certificates(conn, "2", now); });
    db.write([&](store::connection& conn) { store::trim_certificates(conn, "1", 2); });
    std::string left;
    for (auto const& c : db.read([&](store::connection& conn) { return store::list_certificates(conn, "1"); }))
        left += c.fingerprint;
    CHECK(left == "cdef");
    CHECK(get("x").revoked);
}
