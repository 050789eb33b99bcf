#include <openssl/ssl.h>
#include <csignal>
#include <future>

#include "core/text.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "test/http_pki.hpp"
#include "test/http_raw.hpp"
#include "test/support.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

using session_ptr = std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)>;

// OpenSSL's own sockets raise SIGPIPE when the server has refused us already. Blocked on this thread alone, so that
// the server and the client under test have to do without.
class no_sigpipe {
public:
    no_sigpipe() {
        sigemptyset(&only_);
        sigaddset(&only_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &only_, &before_);
    }
    no_sigpipe(no_sigpipe const&) = delete;
    no_sigpipe& operator=(no_sigpipe const&) = delete;
    ~no_sigpipe() {
        timespec const at_once{};
        sigtimedwait(&only_, nullptr, &at_once);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t only_{};
    sigset_t before_{};
};

// What a device does in TLS, with every knob that these tests turn.
struct device {
    test::key_pair const* certificate = nullptr;
    std::string server_name{};
    int version = TLS1_2_VERSION;
    std::string suites{};
    std::string alpn{};
    std::string host = "x";
    bool leaves = false;  // goes after the answer without a word, instead of letting the server close

    struct outcome {
        bool connected = false;
        bool resumed = false;
        std::string server_certificate{};  // DER
        std::string alpn{};
        std::string answer{};  // empty: none came
        session_ptr session{nullptr, SSL_SESSION_free};
    };

    // One connection and one request.
    outcome ask(std::uint16_t port, SSL_SESSION* resume = nullptr) const {
        no_sigpipe const quietly;
        outcome out;
        std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> const context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
        SSL_CTX_set_min_proto_version(context.get(), version);
        SSL_CTX_set_max_proto_version(context.get(), version);
        if (version < TLS1_2_VERSION) SSL_CTX_set_security_level(context.get(), 0);
        if (!suites.empty()) REQUIRE(SSL_CTX_set_cipher_list(context.get(), suites.c_str()) == 1);
        // A context that kept the session would spoil it when it goes.
        SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        if (certificate != nullptr) {
            REQUIRE(SSL_CTX_use_certificate(context.get(), certificate->certificate.get()) == 1);
            REQUIRE(SSL_CTX_use_PrivateKey(context.get(), certificate->key.get()) == 1);
        }
        test::raw_peer peer(port);
        timeval const patience{10, 0};
        ::setsockopt(peer.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        std::unique_ptr<SSL, decltype(&SSL_free)> const tls(SSL_new(context.get()), SSL_free);
        SSL_set_fd(tls.get(), peer.descriptor());
        if (!server_name.empty()) SSL_set_tlsext_host_name(tls.get(), server_name.c_str());
        if (!alpn.empty())
            SSL_set_alpn_protos(
                tls.get(), reinterpret_cast<unsigned char const*>(alpn.data()), static_cast<unsigned>(alpn.size()));
        if (resume != nullptr) SSL_set_session(tls.get(), resume);
        out.connected = SSL_connect(tls.get()) == 1;
        if (!out.connected) return out;
        out.resumed = SSL_session_reused(tls.get()) == 1;
        unsigned char* der = nullptr;
        auto const size = i2d_X509(SSL_get0_peer_certificate(tls.get()), &der);
        out.server_certificate.assign(reinterpret_cast<char const*>(der), static_cast<std::size_t>(size));
        OPENSSL_free(der);
        unsigned char const* chosen = nullptr;
        unsigned chosen_size = 0;
        SSL_get0_alpn_selected(tls.get(), &chosen, &chosen_size);
        if (chosen_size > 0) out.alpn.assign(reinterpret_cast<char const*>(chosen), chosen_size);

        auto const request =
            fmt::format("GET / HTTP/1.1\r\nHost: {}\r\nConnection: {}\r\n\r\n", host, leaves ? "keep-alive" : "close");
        SSL_write(tls.get(), request.data(), static_cast<int>(request.size()));
        char piece[4096];
        for (int n = 0; (n = SSL_read(tls.get(), piece, sizeof piece)) > 0;) {
            out.answer.append(piece, static_cast<std::size_t>(n));
            if (leaves && out.answer.find("\r\n\r\n") != out.answer.npos) break;
        }
        out.session.reset(SSL_get1_session(tls.get()));
        // No close_notify is sent; OpenSSL would otherwise take its side of the session for broken.
        SSL_set_shutdown(tls.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        return out;
    }
};

// Two sites on one address: "open.test" asks for nothing, "mutual.test" for a certificate of the device authority.
struct two_sites {
    test::key_pair authority = test::make_authority("Device authority");
    test::key_pair open_leaf = test::make_certificate({.name = "open", .alternative_names = "DNS:open.test"});
    test::key_pair mutual_leaf = test::make_certificate({.name = "mutual", .alternative_names = "DNS:mutual.test"});
    test::key_pair own = test::make_certificate({.name = "device", .usage = "clientAuth"}, &authority);
    http::server server;
    std::uint16_t port = 0;

    http::tls_identity mutual_identity() const {
        return {mutual_leaf.certificate_pem, mutual_leaf.key_pem(), authority.certificate_pem,
            http::client_certificates::required};
    }
    static http::handler says(std::string site) {
        return [site](http::request const& r) {
            return http::response{.headers = {}, .body = fmt::format("{} {}", site, hex(r.peer_certificate))};
        };
    }
    two_sites() : two_sites(http::limits{}) {}
    explicit two_sites(http::limits const& limit) : server(1, 2, limit) {
        auto const open = http::make_tls({open_leaf.certificate_pem, open_leaf.key_pem()});
        auto const mutual = http::make_tls(mutual_identity());
        port = server.listen("127.0.0.1", 0,
            {{.host = "open.test", .tls = open.value(), .handle = says("open")},
                {.host = "mutual.test", .tls = mutual.value(), .handle = says("mutual")}});
        server.start();
    }
    std::string mutual_answer() const { return "\r\n\r\nmutual " + hex(own.certificate_der); }
};

auto const versions = {TLS1_2_VERSION, TLS1_3_VERSION};

}  // namespace

TEST_CASE_METHOD(two_sites, "the server name chooses the site; without one it is the first", "[http]") {
    auto const version = GENERATE(from_range(versions));
    device d{.certificate = &own, .version = version};
    for (auto const* const name : {"open.test", "other.test", ""}) {
        CAPTURE(name);
        d.server_name = name;
        auto const got = d.ask(port);
        CHECK(got.server_certificate == open_leaf.certificate_der);
        CHECK_THAT(got.answer, Catch::EndsWith("\r\n\r\nopen "));
    }
    d.server_name = "MUTUAL.test";
    auto const got = d.ask(port);
    CHECK(got.server_certificate == mutual_leaf.certificate_der);
    CHECK_THAT(got.answer, Catch::EndsWith(mutual_answer()));
}

TEST_CASE_METHOD(two_sites, "only a valid client certificate of the authority reaches the site", "[http]") {
    auto const version = GENERATE(from_range(versions));
    auto const foreign_authority = test::make_authority("Device authority");  // same name, another key
    auto const foreign = test::make_certificate({.name = "device", .usage = "clientAuth"}, &foreign_authority);
    auto const expired =
        test::make_certificate({.name = "device", .usage = "clientAuth", .from_days = -9, .to_days = -1}, &authority);
    auto const early = test::make_certificate({.name = "device", .usage = "clientAuth", .from_days = 1}, &authority);
    auto const server_use = test::make_certificate({.name = "device", .usage = "serverAuth"}, &authority);
    auto const itself = test::make_certificate({.name = "device", .usage = "clientAuth"});
    std::vector<std::pair<std::string, test::key_pair const*>> const bad{{"none", nullptr}, {"foreign", &foreign},
        {"expired", &expired}, {"not yet valid", &early}, {"for servers", &server_use}, {"self-signed", &itself}};
    for (auto const& [name, certificate] : bad) {
        CAPTURE(version, name);
        CHECK(device{.certificate = certificate, .server_name = "mutual.test", .version = version}
                  .ask(port)
                  .answer.empty());
    }
    CHECK_THAT((device{.certificate = &own, .server_name = "mutual.test", .version = version}.ask(port).answer),
        Catch::EndsWith(mutual_answer()));
}

TEST_CASE_METHOD(two_sites, "a resumed session still has its certificate", "[http]") {
    device const d{.certificate = &own, .server_name = "mutual.test", .version = GENERATE(from_range(versions))};
    auto const first = d.ask(port);
    REQUIRE(first.session);
    CHECK_FALSE(first.resumed);
    auto const again = d.ask(port, first.session.get());
    CHECK(again.resumed);
    CHECK_THAT(again.answer, Catch::EndsWith(mutual_answer()));
    CHECK(SSL_SESSION_has_ticket(first.session.get()) == (d.version == TLS1_3_VERSION));  // there only a name for it
}

TEST_CASE("a client that hangs up without a word can resume nevertheless", "[http]") {
    // One connection at a time: the second is accepted when the server has seen the first one's end.
    two_sites there({.connections = 1});
    device const d{.certificate = &there.own,
        .server_name = "mutual.test",
        .version = GENERATE(from_range(versions)),
        .leaves = true};
    auto const first = d.ask(there.port);
    REQUIRE(first.session);
    CHECK(d.ask(there.port, first.session.get()).resumed);
}

TEST_CASE_METHOD(two_sites, "a session of one site opens no other", "[http]") {
    auto const version = GENERATE(from_range(versions));
    auto const open = device{.server_name = "open.test", .version = version}.ask(port);
    REQUIRE(open.session);
    SSL_SESSION_set1_hostname(open.session.get(), "mutual.test");
    auto const got = device{.server_name = "mutual.test", .version = version}.ask(port, open.session.get());
    CHECK_FALSE(got.resumed);
    CHECK(got.answer.empty());
    // It works where it belongs, so that the test above tests what it says.
    SSL_SESSION_set1_hostname(open.session.get(), "open.test");
    CHECK(device{.server_name = "open.test", .version = version}.ask(port, open.session.get()).resumed);
}

TEST_CASE_METHOD(two_sites, "a Host that names another site of the address is misdirected", "[http]") {
    device d{.server_name = "open.test", .host = "mutual.test:443"};
    CHECK_THAT(d.ask(port).answer, Catch::StartsWith("HTTP/1.1 421"));
    d.host = "OPEN.test:8443";
    CHECK_THAT(d.ask(port).answer, Catch::StartsWith("HTTP/1.1 200"));
    d.host = "192.0.2.1";
    CHECK_THAT(d.ask(port).answer, Catch::EndsWith("open "));
}

TEST_CASE_METHOD(two_sites, "old versions and suites without AEAD or ephemeral keys are refused", "[http]") {
    CHECK_FALSE(device{.version = TLS1_1_VERSION}.ask(port).connected);
    CHECK_FALSE(device{.suites = "ECDHE-ECDSA-AES128-SHA256"}.ask(port).connected);
    CHECK_FALSE(device{.suites = "AES128-GCM-SHA256"}.ask(port).connected);
    CHECK(device{.suites = "ECDHE-ECDSA-AES256-GCM-SHA384"}.ask(port).connected);
}

TEST_CASE_METHOD(two_sites, "HTTP/1.1 is what is agreed on", "[http]") {
    CHECK(device{.alpn = "\x02h2\x08http/1.1"}.ask(port).alpn == "http/1.1");
    CHECK(device{.alpn = "\x02h2"}.ask(port).alpn.empty());
}

TEST_CASE_METHOD(two_sites, "new certificates serve new connections and leave the old ones alone", "[http]") {
    auto const renewed = test::make_certificate({.name = "mutual", .alternative_names = "DNS:mutual.test"});
    device const d{.certificate = &own, .server_name = "mutual.test"};
    auto const before = d.ask(port);
    REQUIRE(before.server_certificate == mutual_leaf.certificate_der);

    http::client kept({.extra_roots_pem = mutual_leaf.certificate_pem,
        .system_roots = false,
        .certificate_pem = own.certificate_pem,
        .key_pem = own.key_pem(),
        .connect_to = {{"mutual.test:443", fmt::format("127.0.0.1:{}", port)}}});
    REQUIRE(kept.send({.method = "GET", .url = "https://mutual.test/"}));

    auto identity = mutual_identity();
    identity.certificate_pem = renewed.certificate_pem;
    identity.key_pem = renewed.key_pem();
    server.replace_tls("mutual.test", identity);
    CHECK(d.ask(port).server_certificate == renewed.certificate_der);
    CHECK(kept.send({.method = "GET", .url = "https://mutual.test/"}));  // trusts the old certificate only
    CHECK(d.ask(port, before.session.get()).resumed);

    SECTION("another client authority ends the sessions of the last") {
        auto const other = test::make_authority("Other authority");
        identity.client_authority_pem = other.certificate_pem;
        server.replace_tls("mutual.test", identity);
        CHECK(d.ask(port, before.session.get()).answer.empty());
    }
    SECTION("what cannot be used leaves all as it was") {
        CHECK_THROWS(server.replace_tls("mutual.test", {"", secret()}));
        CHECK_THROWS(server.replace_tls("nobody.test", mutual_identity()));
        CHECK(d.ask(port).server_certificate == renewed.certificate_der);
    }
}

TEST_CASE_METHOD(two_sites, "listeners of one name keep their kind when certificates are renewed", "[http][security]") {
    using enum http::client_certificates;
    http::server three(1, 1);
    std::map<http::client_certificates, std::uint16_t> ports;
    auto identity = mutual_identity();
    for (auto const kind : {none, optional, required}) {
        identity.clients = kind;
        ports[kind] = three.listen("127.0.0.1", 0,
            {{.host = "one.test", .tls = http::make_tls(identity).value(), .handle = two_sites::says("any")}});
    }
    three.start();
    auto const renewed = test::make_certificate({.name = "one", .alternative_names = "DNS:one.test"});
    identity.certificate_pem = renewed.certificate_pem;
    identity.key_pem = renewed.key_pem();
    for (auto const kind : {required, none, optional}) {
        identity.clients = kind;
        three.replace_tls("one.test", identity);
    }
    device const with{.certificate = &own, .server_name = "one.test"};
    device const without{.server_name = "one.test"};
    for (auto const& [kind, at] : ports) CHECK(with.ask(at).server_certificate == renewed.certificate_der);
    CHECK_THAT(with.ask(ports[none]).answer, Catch::EndsWith("\r\n\r\nany "));
    CHECK_THAT(with.ask(ports[optional]).answer, Catch::EndsWith(hex(own.certificate_der)));
    CHECK_THAT(with.ask(ports[required]).answer, Catch::EndsWith(hex(own.certificate_der)));
    CHECK_THAT(without.ask(ports[none]).answer, Catch::EndsWith("\r\n\r\nany "));
    CHECK_THAT(without.ask(ports[optional]).answer, Catch::EndsWith("\r\n\r\nany "));
    CHECK(without.ask(ports[required]).answer.empty());
}

namespace {

// One address with a site that takes any certificate or none, and one of the same authority that wants a good one.
struct asking_site : two_sites {
    http::server asking{1, 2};
    std::uint16_t at = 0;

    asking_site() {
        auto identity = mutual_identity();
        auto const strict = http::make_tls(identity);
        identity.clients = http::client_certificates::optional;
        at = asking.listen("127.0.0.1", 0,
            {{.host = "public.test", .tls = http::make_tls(identity).value(), .handle = says("public")},
                {.host = "mutual.test", .tls = strict.value(), .handle = says("mutual")}});
        asking.start();
    }
    static std::string shown(test::key_pair const* c) {
        return "\r\n\r\npublic " + (c == nullptr ? "" : hex(c->certificate_der));
    }
};

}  // namespace

TEST_CASE_METHOD(asking_site, "where certificates are optional, any or none is handed on and ends no handshake",
    "[http][security]") {
    auto const version = GENERATE(from_range(versions));
    auto const foreign_authority = test::make_authority("Device authority");
    auto const foreign = test::make_certificate({.name = "device", .usage = "clientAuth"}, &foreign_authority);
    auto const expired =
        test::make_certificate({.name = "device", .usage = "clientAuth", .from_days = -9, .to_days = -1}, &authority);
    auto const server_use = test::make_certificate({.name = "device", .usage = "serverAuth"}, &authority);
    auto const itself = test::make_certificate({.name = "device"});
    std::vector<std::pair<std::string, test::key_pair const*>> const all{{"none", nullptr}, {"own", &own},
        {"foreign", &foreign}, {"expired", &expired}, {"for servers", &server_use}, {"self-signed", &itself}};
    for (auto const& [name, certificate] : all) {
        CAPTURE(version, name);
        device const d{.certificate = certificate, .server_name = "public.test", .version = version};
        auto const first = d.ask(at);
        CHECK_THAT(first.answer, Catch::EndsWith(shown(certificate)));
        // Nor does a resumed session lose the certificate, or come by one.
        REQUIRE(first.session);
        auto const again = d.ask(at, first.session.get());
        CHECK(again.resumed);
        CHECK_THAT(again.answer, Catch::EndsWith(shown(certificate)));
    }
}

TEST_CASE_METHOD(asking_site, "a client that speaks h2 is not asked for a certificate", "[http]") {
    device d{.certificate = &own, .server_name = "public.test", .version = GENERATE(from_range(versions))};
    for (auto const& [alpn, asked] : std::vector<std::pair<std::string, bool>>{{"\x02h2\x08http/1.1", false},
             {"\x08http/1.1\x02h2", false}, {"\x02h2", false}, {"\x08http/1.1", true}, {"\x03h2c", true}, {"", true}}) {
        CAPTURE(alpn);
        d.alpn = alpn;
        CHECK_THAT(d.ask(at).answer, Catch::EndsWith(shown(asked ? &own : nullptr)));
    }
    // A session of one kind is not resumed as the other.
    d.alpn = "\x02h2\x08http/1.1";
    auto const unasked = d.ask(at);
    REQUIRE(unasked.session);
    CHECK(d.ask(at, unasked.session.get()).resumed);
    d.alpn.clear();
    auto const after = d.ask(at, unasked.session.get());
    CHECK_FALSE(after.resumed);
    CHECK_THAT(after.answer, Catch::EndsWith(shown(&own)));
}

TEST_CASE_METHOD(
    asking_site, "a certificate that one site took unchecked opens none that checks it", "[http][security]") {
    auto const version = GENERATE(from_range(versions));
    auto const itself = test::make_certificate({.name = "device", .usage = "clientAuth"});
    auto const first = device{.certificate = &itself, .server_name = "public.test", .version = version}.ask(at);
    REQUIRE(first.session);
    SSL_SESSION_set1_hostname(first.session.get(), "mutual.test");
    auto const got =
        device{.certificate = &itself, .server_name = "mutual.test", .version = version}.ask(at, first.session.get());
    CHECK_FALSE(got.resumed);
    CHECK(got.answer.empty());
    CHECK_THAT((device{.certificate = &own, .server_name = "mutual.test", .version = version}.ask(at).answer),
        Catch::EndsWith(mutual_answer()));
}

TEST_CASE("a handshake has its time and no more", "[http]") {
    auto const leaf = test::make_certificate({.name = "x"});
    http::server server(1, 1, {.handshake = 200ms});
    auto const tls = http::make_tls({leaf.certificate_pem, leaf.key_pem()});
    auto const port =
        server.listen("127.0.0.1", 0, {{.host = "x", .tls = tls.value(), .handle = two_sites::says("x")}});
    server.start();
    test::raw_peer peer(port);
    // A record of 16 KiB that comes byte by byte.
    peer.send(std::string("\x16\x03\x01\x40\x00", 5));
    auto const begin = std::chrono::steady_clock::now();
    while (!peer.closed) {
        peer.send("\x01");
        peer.read_to_end(20ms);
    }
    CHECK(std::chrono::steady_clock::now() - begin >= 150ms);
    CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("certificate and key are checked before they are used", "[http]") {
    auto const one = test::make_certificate({.name = "one"});
    auto const two = test::make_certificate({.name = "two"});
    auto const code = [](http::tls_identity const& identity) { return http::make_tls(identity).error().code; };
    CHECK(http::make_tls({one.certificate_pem, one.key_pem()}));
    CHECK(code({one.certificate_pem, two.key_pem()}) == errc::conflict);
    CHECK(code({"", one.key_pem()}) == errc::malformed);
    CHECK(code({"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", one.key_pem()}) == errc::malformed);
    CHECK(code({one.certificate_pem, secret("nonsense")}) == errc::malformed);
    for (auto const kind : {http::client_certificates::optional, http::client_certificates::required})
        for (auto const* const authority : {"nonsense", ""})
            CHECK(code({one.certificate_pem, one.key_pem(), authority, kind}) == errc::malformed);
}
