// What the daemon costs beside nginx, which answers the same number of bytes over the same TLS and does nothing else:
// the processor time of each on one processor, the devices being on the other.
#include <fmt/format.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <atomic>
#include <fstream>
#include <thread>

#include "bench/load.hpp"
#include "bench/store.hpp"
#include "core/descriptor.hpp"
#include "core/text.hpp"
#include "e2e/managed.hpp"
#include "xml/document.hpp"

using namespace mdmd;
using namespace std::chrono_literals;

namespace {

constexpr char session_path[] = "/ManagementServer/MDM.svc?mode=Maintenance&Platform=WoA";

std::size_t number_from(char const* variable, std::size_t otherwise) {
    auto const* const text = std::getenv(variable);
    return text ? std::stoul(text) : otherwise;
}

// All of a process's threads, on one processor.
void pin(pid_t id, int processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(processor), &one);
    for (auto const& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", id)))
        ::sched_setaffinity(std::stoi(task.path().filename().string()), sizeof one, &one);
}

double processor_seconds(pid_t id) {
    clockid_t clock{};
    timespec t{};
    if (::clock_getcpuclockid(id, &clock) != 0 || ::clock_gettime(clock, &t) != 0)
        throw std::runtime_error("there is no such process");
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

std::int64_t resident_kib(pid_t id) {
    std::ifstream status(fmt::format("/proc/{}/status", id));
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6));
    return 0;
}

std::string message(bench::device const& d, std::string const& session, int number, std::string const& body) {
    return fmt::format(
        "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>{}</SessionID>"
        "<MsgID>{}</MsgID><Target><LocURI>{}</LocURI></Target><Source><LocURI>{}</LocURI></Source></SyncHdr>"
        "<SyncBody>{}<Final/></SyncBody></SyncML>",
        session, number, e2e::session_url, d.source, body);
}

// As Windows begins a session of its schedule while nobody is signed in.
std::string first_message(bench::device const& d, std::string const& session) {
    return message(d, session, 1,
        fmt::format(
            "<Alert><CmdID>2</CmdID><Data>1201</Data></Alert><Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type "
            "xmlns=\"syncml:metinf\">com.microsoft/MDM/LoginStatus</Type></Meta><Data>none</Data></Item></Alert><Replace>"
            "<CmdID>4</CmdID><Item><Source><LocURI>./DevInfo/DevId</LocURI></Source><Data>{}</Data></Item><Item><Source>"
            "<LocURI>./DevInfo/Man</LocURI></Source><Data>VMware, Inc.</Data></Item><Item><Source><LocURI>./DevInfo/Mod"
            "</LocURI></Source><Data>VMware7,1</Data></Item><Item><Source><LocURI>./DevInfo/DmV</LocURI></Source><Data>1.3"
            "</Data></Item><Item><Source><LocURI>./DevInfo/Lang</LocURI></Source><Data>en-US</Data></Item></Replace>",
            d.source));
}

// What a device answers to commands: all went well, and `values` are what its nodes hold.
std::string answers_to(std::string_view reply, int number, std::map<std::string, std::string> const& values) {
    constexpr char ns[] = "SYNCML:SYNCML1.2";
    auto const doc = xml::parse(std::string(reply)).value();
    auto const text = [&](xml::tree const& t, std::initializer_list<char const*> path) {
        auto const* at = &t;
        for (auto const* p : path)
            if (at) at = xml::child(*at, ns, p);
        return at ? std::string(trim(at->data())) : std::string();
    };
    int id = 1;
    std::string body = fmt::format(
        "<Status><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Data>200</Data></Status>",
        id++, number);
    std::function<void(xml::tree const&)> const answer = [&](xml::tree const& all) {
        for (auto const& [name, e] : all) {
            if (name.local == "Status" || name.local == "Final" || name.local == "CmdID" || name.local == "Meta" ||
                xml::is_attributes(name))
                continue;
            auto const ref = text(e, {"CmdID"}), uri = text(e, {"Item", "Target", "LocURI"});
            auto const value = values.find(uri);
            bool const missing = name.local == "Get" && value == values.end();
            body += fmt::format(
                "<Status><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Cmd>{}</Cmd><Data>{}</Data>"
                "</Status>",
                id++, number, ref, name.local, missing ? 404 : 200);
            if (name.local == "Get" && !missing)
                body += fmt::format(
                    "<Results><CmdID>{}</CmdID><MsgRef>{}</MsgRef><CmdRef>{}</CmdRef><Item><Source><LocURI>{}"
                    "</LocURI></Source><Data>{}</Data></Item></Results>",
                    id++, number, ref, uri, value->second);
            if (name.local == "Atomic") answer(e);
        }
    };
    answer(*xml::child(doc.content, ns, "SyncBody"));
    return body;
}

bool asks_something(std::string_view reply) {
    return reply.find("<Get>") != reply.npos || reply.find("<Replace>") != reply.npos ||
           reply.find("<Add>") != reply.npos || reply.find("<Exec>") != reply.npos ||
           reply.find("<Delete>") != reply.npos;
}

// No device has the same one twice in a row.
std::string next_session() {
    static std::atomic<unsigned> count = 0;
    return fmt::format("{:X}", ++count % 0xffff + 1);
}

// A session as it comes, until the server has nothing more to say.
std::optional<std::string> as_windows(bench::device const& d, int number, std::string_view answer) {
    static std::map<std::string, std::string> const values{{e2e::mode_uri, "0"}};
    thread_local std::string session;
    if (number == 1) return first_message(d, session = next_session());
    if (!asks_something(answer)) return std::nullopt;
    return message(d, session, number, answers_to(answer, number - 1, values));
}

// So many check-ins on one connection, each the first message of a session.
bench::script on_one_connection(int many) {
    return [many](bench::device const& d, int number, std::string_view) -> std::optional<std::string> {
        if (number > many) return std::nullopt;
        return first_message(d, next_session());
    };
}

// The same requests, to whom it is all one.
bench::script repeated(std::vector<std::string> requests) {
    return [requests = std::move(requests)](
               bench::device const&, int number, std::string_view) -> std::optional<std::string> {
        if (static_cast<std::size_t>(number) > requests.size()) return std::nullopt;
        return requests[static_cast<std::size_t>(number) - 1];
    };
}

// nginx with the appliance's certificate and authority, and an answer of so many bytes.
class reference {
public:
    reference(e2e::world const& w, std::string const& authority_pem, std::size_t answer, bool cache) {
        folder_.write("authority.pem", authority_pem.empty() ? w.app->authority().own.pem() : authority_pem);
        folder_.write("answer", std::string(answer, 'y'));
        port_ = free_port();
        folder_.write("nginx.conf",
            fmt::format(
                "worker_processes 1; daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/error.log;\n"
                "events {{ worker_connections 4096; }}\n"
                "http {{ access_log off; client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3;"
                " uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5; keepalive_requests 100000000; client_body_buffer_size 64k;\n"
                "server {{ listen 127.0.0.1:{1} ssl backlog=4096; ssl_certificate {2}; ssl_certificate_key {3};\n"
                " ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve X25519:P-256; ssl_client_certificate {0}/authority.pem;\n"
                " ssl_verify_client {6}; ssl_verify_depth 3; ssl_session_tickets off; ssl_session_cache {4};\n"
                " location / {{ default_type application/vnd.syncml.dm+xml; return 200 \"{5}\"; }} }} }}\n",
                folder_.path().string(), port_, w.app->file("server.crt").string(), w.app->file("server.key").string(),
                cache ? "builtin:20000" : "off", std::string(answer, 'y'), authority_pem.empty() ? "off" : "on"));
        nginx_ = std::make_unique<e2e::process>(
            std::vector<std::string>{"nginx", "-c", (folder_.path() / "nginx.conf").string()}, folder_.path() / "out");
        if (!e2e::becomes_true(
                10s, [&] { return std::filesystem::exists(folder_.path() / "nginx.pid") || nginx_->ended(); }) ||
            nginx_->ended())
            throw std::runtime_error("nginx does not start: " + test::read_file(folder_.path() / "out"));
        pin(nginx_->id(), 0);
    }
    std::uint16_t port() const { return port_; }
    pid_t id() const { return nginx_->id(); }

private:
    static std::uint16_t free_port() {
        descriptor const s(::socket(AF_INET, SOCK_STREAM, 0));
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        ::bind(s.get(), reinterpret_cast<sockaddr*>(&at), sizeof at);
        ::getsockname(s.get(), reinterpret_cast<sockaddr*>(&at), &size);
        return ntohs(at.sin_port);
    }
    test::scratch folder_;
    std::uint16_t port_ = 0;
    std::unique_ptr<e2e::process> nginx_;
};

// An appliance with many devices, which began as one that joined.
struct fleet {
    explicit fleet(std::size_t many, std::size_t playable, bool rule = false, e2e::settings more = {})
        : w(merged(std::move(more))) {
        if (rule) e2e::write_mode_rule(*w.app);
        write_settings("base", 20, 0);
        w.app->start();
        auto const one = e2e::joined(w, "TEMPLATE", "alice@contoso.test");
        auto o = w.sync();
        o.login_status = "none";
        for (int i = 0; i < 10; ++i) e2e::require_clean(one->sync(o));
        REQUIRE(w.app->stop() == 0);
        auto const started = std::chrono::steady_clock::now();
        devices = bench::multiply(w.app->file("mdmd.db"), "TEMPLATE", many, playable, key);
        fmt::print("{} devices: {} MiB of database, made in {:.0f} s\n", many,
            std::filesystem::file_size(w.app->file("mdmd.db")) >> 20,
            std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
        std::fflush(stdout);
    }
    static e2e::settings merged(e2e::settings more) {
        e2e::settings all{
            {"enrollment.max_devices_per_user", "1000"}, {"log.level", "info"}, {"compliance.interval", "5m"}};
        for (auto const& [k, v] : more) all[k] = v;
        return all;
    }
    void start() {
        auto const began = std::chrono::steady_clock::now();
        w.app->start();
        took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        pin(id(), 0);
        if (authorities.empty()) authorities = w.app->mdmctl({"ca", "export"}).out;
    }
    void write_settings(std::string const& name, int count, int value) const {
        auto text = fmt::format("name: {}\nsettings:\n", name);
        for (int i = 0; i < count; ++i)
            text +=
                fmt::format("  - {{ uri: ./Device/Vendor/MSFT/Policy/Config/Bench/{}{:02}, format: int, value: {} }}\n",
                    name, i, value);
        w.app->write(fmt::format("policies.d/{}.yaml", name), text);
    }
    pid_t id() { return w.app->daemon().id(); }
    bench::load load(bench::script says) const {
        bench::load l;
        l.devices = devices;
        l.key = key;
        l.port = w.app->port("management");
        l.host = e2e::host;
        l.path = session_path;
        l.says = std::move(says);
        return l;
    }

    e2e::world w;
    sim::private_key key = sim::private_key::rsa(2048);
    std::vector<bench::device> devices;
    std::string authorities;
    double took = 0;
};

struct measured {
    bench::outcome client;
    double us = 0;  // of processor time, a session
};

measured measure(pid_t id, bench::load const& l) {
    auto const before = processor_seconds(id);
    measured m{bench::run(l)};
    m.us = (processor_seconds(id) - before) * 1e6 / static_cast<double>(std::max<std::size_t>(m.client.sessions, 1));
    INFO(m.client.failure);
    CHECK(m.client.failures == 0);
    return m;
}

void row(std::string const& what, double us, double reference_us, double limit, std::string const& more = "") {
    fmt::print("{:<58} {:>8.1f} us {:>8.1f} us {:>6.2f} x  of {:.2f}  {}\n", what, us, reference_us, us / reference_us,
        limit, more);
    std::fflush(stdout);
}

// Both in turn, so that what else the machine does meets both. `before` makes work for the appliance.
double compare(
    char const* what, fleet& f, bench::load const& l, double limit, bool cache, int unit = 1,
    std::function<void()> const& before = [] {}) {
    before();
    auto warm = l;
    warm.length = 1s;
    warm.most = l.most / 4;
    auto const seen = measure(f.id(), warm).client;
    std::size_t bytes = 0;
    for (auto const& a : seen.answers) bytes += a.size();
    reference const nginx(f.w, f.authorities, seen.answers.empty() ? 0 : bytes / seen.answers.size(), cache);
    auto other = l;
    other.port = nginx.port();
    other.says = repeated(seen.requests);
    other.path = "/";
    auto settle = other;
    settle.length = 1s;
    measure(nginx.id(), settle);
    double ours = 1e9, theirs = 1e9;
    bench::outcome last;
    for (int i = 0; i < 3; ++i) {
        before();
        auto const a = measure(f.id(), l);
        auto const b = measure(nginx.id(), other);
        ours = std::min(ours, a.us);
        theirs = std::min(theirs, b.us);
        last = a.client;
    }
    row(what, ours / unit, theirs / unit, limit,
        fmt::format("{:.0f}/s, {} messages, {:.0f} % resumed, p50 {:.1f} ms p99 {:.1f} ms",
            static_cast<double>(last.sessions) / last.seconds, seen.answers.size(),
            100.0 * static_cast<double>(last.resumed) / static_cast<double>(std::max<std::size_t>(last.sessions, 1)),
            last.percentile(50), last.percentile(99)));
    return ours;
}

// A session in which 20 settings are written: policies change before each measurement.
double working_cost(char const* what, fleet& f, bool resume = false) {
    static int value = 0;
    auto l = f.load(as_windows);
    l.most = f.devices.size();
    l.length = 60s;
    l.resume = resume;
    return compare(what, f, l, resume ? 2.5 : 1.4, resume, 1, [&] {
        f.write_settings("more", 20, ++value);
        f.w.app->reloaded();
    });
}

}  // namespace

TEST_CASE("check-ins beside nginx", "[bench][daemon]") {
    fleet f(number_from("MDMD_BENCH_DEVICES", 10'000), 2'000);
    f.start();
    auto l = f.load(as_windows);
    compare("check-in: TLS 1.2 handshake, 1 message", f, l, 1.25, false);
    l.tls13 = true;
    compare("check-in: TLS 1.3 handshake, 1 message", f, l, 1.25, false);
    l.tls13 = false;
    auto resumed = l;
    resumed.resume = true;
    resumed.devices.resize(200);  // each comes often enough that its first, full handshake does not count
    compare("check-in: TLS 1.2 resumed, 1 message", f, resumed, 2.5, true);
    l.says = on_one_connection(50);
    compare("one more message on a kept connection", f, l, 5, false, 50);
    CHECK(f.w.app->stop() == 0);
}

TEST_CASE("working sessions beside nginx", "[bench][daemon]") {
    double small = 0;
    {
        fleet f(number_from("MDMD_BENCH_DEVICES", 10'000), 3'000, true);
        f.start();
        small = working_cost("working session: TLS 1.2 handshake, 20 settings", f);
        working_cost("the same, TLS 1.2 resumed", f, true);
        CHECK(f.w.app->stop() == 0);
    }
    CHECK(small > 0);
}

TEST_CASE("enrollments beside the cryptography that they need", "[bench][daemon]") {
    e2e::world w(fleet::merged({{"terms.required", "false"}, {"server.management_listen", "127.0.0.1:0"}}));
    w.app->start();
    pin(w.app->daemon().id(), 0);
    auto const key = sim::private_key::rsa(2048);
    int number = 0;
    auto const enroll = [&](int many) {
        for (int i = 0; i < many; ++i) {
            auto o = w.join(fmt::format("user{}@contoso.test", number % 50));
            o.terms_url.clear();
            o.name = fmt::format("PC-{}", number++);
            o.key = key;
            sim::device d(w.device(o.name));
            auto const r = d.join(o);
            INFO(r.failure.value_or(sim::enroll_failure{}).text);
            REQUIRE_FALSE(r.failure.has_value());
        }
    };
    enroll(20);
    constexpr int many = 200;
    double ours = 1e9;
    for (int i = 0; i < 3; ++i) {
        auto const before = processor_seconds(w.app->daemon().id());
        enroll(many);
        ours = std::min(ours, (processor_seconds(w.app->daemon().id()) - before) * 1e6 / many);
    }
    // One connection, three requests, no certificate of the client's.
    bench::load l;
    l.devices = {{"none", ""}};
    l.host = e2e::host;
    l.path = "/";
    l.says = repeated({std::string(1'500, 'x'), std::string(4'000, 'x'), std::string(7'000, 'x')});
    l.tls13 = true;
    reference const nginx(w, {}, 5'000, false);
    l.port = nginx.port();
    l.length = 2s;
    double handshakes = 1e9;
    for (int i = 0; i < 3; ++i) handshakes = std::min(handshakes, measure(nginx.id(), l).us);
    // In this process: a token's signature, a request's own signature, the certificate's.
    auto const authority = sim::make_authority("Bench");
    std::string const text(1'200, 't');
    auto const signature = key.sign_sha256(text);
    auto const own = sim::issue_client(authority, key.public_der(), "device");
    double alone = 1e9;
    for (int round = 0; round < 5; ++round) {
        auto const before = processor_seconds(::getpid());
        for (int i = 0; i < 200; ++i) {
            REQUIRE(own.verifies(text, signature));
            REQUIRE(own.verifies(text, signature));
            static_cast<void>(sim::issue_client(authority, key.public_der(), "device"));
        }
        alone = std::min(alone, (processor_seconds(::getpid()) - before) * 1e6 / 200);
    }
    row("enrollment: Discover, GetPolicies, RST, token, certificate", ours, handshakes + alone, 1.4,
        fmt::format("handshake and 3 requests {:.0f} us, cryptography {:.0f} us", handshakes, alone));
    CHECK(w.app->stop() == 0);
}

TEST_CASE("a store of a million devices beside one of a thousand", "[bench][million]") {
    double small = 0, large = 0;
    {
        fleet f(3'000, 3'000, true);
        f.start();
        small = working_cost("working session, 3,000 devices in the store", f);
        CHECK(f.w.app->stop() == 0);
    }
    fleet f(number_from("MDMD_BENCH_DEVICES", 1'000'000), 3'000, true);
    f.start();
    fmt::print("start to ready with {} devices: {:.2f} s, {} KiB resident\n",
        number_from("MDMD_BENCH_DEVICES", 1'000'000), f.took, resident_kib(f.id()));
    CHECK(f.w.app->stop() == 0);
    f.start();
    fmt::print("once more: {:.2f} s\n", f.took);
    large = working_cost("working session, a million devices in the store", f);
    fmt::print("a million costs {:.2f} x of three thousand (at most 1.10)\n", large / small);
    CHECK(f.w.app->stop() == 0);
}

TEST_CASE("memory of an idle appliance, and of idle connections", "[bench][memory]") {
    fleet f(100'000, 5'000);
    f.start();
    std::this_thread::sleep_for(5s);
    fmt::print("100,000 devices, idle: {} KiB resident (at most {}), ready in {:.2f} s\n", resident_kib(f.id()),
        40 * 1024, f.took);
    auto l = f.load(as_windows);
    l.length = 3s;
    measure(f.id(), l);
    auto const before = resident_kib(f.id());
    {
        bench::held_connections const held(l, 4'000);
        auto const with = resident_kib(f.id());
        fmt::print("each of {} idle connections: {:.1f} KiB (at most 40); {} KiB before, {} with\n", held.count(),
            static_cast<double>(with - before) / static_cast<double>(held.count()), before, with);
    }
    CHECK(f.w.app->stop() == 0);
}

TEST_CASE("50,000 devices, each once a minute", "[bench][poll]") {
    auto const many = number_from("MDMD_BENCH_DEVICES", 50'000);
    auto const minutes = number_from("MDMD_BENCH_MINUTES", 10);
    fleet f(many, many);
    f.w.app->start();
    auto l = f.load(as_windows);
    l.rate = static_cast<double>(many) / 60;
    l.length = std::chrono::minutes(minutes);
    l.threads = 64;
    auto const before = processor_seconds(f.id());
    auto const got = bench::run(l, -1);
    fmt::print(
        "{} devices once a minute for {} min: {} sessions, {:.0f}/s, {} failures{}, p50 {:.1f} ms p99 {:.1f} ms max {:.1f} ms, "
        "mdmd {:.0f} % of one processor, {} KiB\n",
        many, minutes, got.sessions, static_cast<double>(got.sessions) / got.seconds, got.failures,
        got.failure.empty() ? "" : " (" + got.failure + ")", got.percentile(50), got.percentile(99),
        got.percentile(100), (processor_seconds(f.id()) - before) / got.seconds * 100, resident_kib(f.id()));
    CHECK(got.failures == 0);
    CHECK(f.w.app->stop() == 0);
}

TEST_CASE("100,000 devices at once after an outage", "[bench][storm]") {
    auto const many = number_from("MDMD_BENCH_DEVICES", 100'000);
    fleet f(many, many);
    f.w.app->start();
    auto l = f.load(as_windows);
    l.most = many;
    l.length = 20min;
    l.threads = 400;
    auto const before = processor_seconds(f.id());
    std::vector<double> status_ms;
    std::atomic<bool> done = false;
    std::jthread const administrator([&] {
        while (!done) {
            auto const began = std::chrono::steady_clock::now();
            CHECK(f.w.app->mdmctl({"status"}).code == 0);
            status_ms.push_back(
                std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
            std::this_thread::sleep_for(1s);
        }
    });
    auto const got = bench::run(l, -1);
    done = true;
    auto const cpu = processor_seconds(f.id()) - before;
    fmt::print(
        "{} devices at once: {:.1f} s, {:.0f} sessions/s, {} failures{}, p50 {:.0f} ms p99 {:.0f} ms, mdmd {:.0f} us a session, "
        "alone on two processors {:.0f}/s; mdmctl status at most {:.0f} ms of {} times\n",
        many, got.seconds, static_cast<double>(got.sessions) / got.seconds, got.failures,
        got.failure.empty() ? "" : " (" + got.failure + ")", got.percentile(50), got.percentile(99),
        cpu * 1e6 / static_cast<double>(got.sessions), 2 * static_cast<double>(got.sessions) / cpu,
        *std::max_element(status_ms.begin(), status_ms.end()), status_ms.size());
    CHECK(got.failures == 0);
    CHECK(f.w.app->stop() == 0);
}

TEST_CASE("check-ins to be profiled", "[.][profile]") {
    fleet f(number_from("MDMD_BENCH_DEVICES", 5'000), 2'000);
    f.start();
    auto l = f.load(on_one_connection(50));
    l.length = 20s;
    fmt::print("mdmd is {}\n", f.id());
    std::fflush(stdout);
    auto const m = measure(f.id(), l);
    fmt::print("{:.0f} us a message\n", m.us / 50);
    CHECK(f.w.app->stop() == 0);
}
