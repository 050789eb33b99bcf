#include "bench/load.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <memory>
#include <mutex>
#include <thread>

#include "core/descriptor.hpp"

namespace mdmd::bench {
namespace {

using steady = std::chrono::steady_clock;

struct freed {
    void operator()(SSL* p) const { SSL_free(p); }
    void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
    void operator()(SSL_SESSION* p) const { SSL_SESSION_free(p); }
    void operator()(X509* p) const { X509_free(p); }
};
template <class T> using owned = std::unique_ptr<T, freed>;

struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[noreturn]] void raise(char const* doing) {
    auto const code = ERR_peek_error();
    auto const* const reason = code ? ERR_reason_error_string(code) : nullptr;
    auto text = fmt::format("{}: {}", doing, reason ? reason : std::strerror(errno));
    ERR_clear_error();
    throw failure(text);
}

owned<SSL_CTX> new_context(load const& l) {
    owned<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
    if (!l.tls13) SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set1_groups_list(context.get(), "X25519:P-256");
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    return context;
}

}  // namespace

// Blocking: there are threads enough.
class connection {
public:
    connection(SSL_CTX* context, load const& l, device const& d, SSL_SESSION* before)
        : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), tls_(SSL_new(context)) {
        int const on = 1;
        ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        // It closes with a reset, so that no port waits for stray packets.
        linger const hard{1, 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        timeval const patience{30, 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(l.port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) raise("connect");
        SSL_set_fd(tls_.get(), socket_.get());
        SSL_set_tlsext_host_name(tls_.get(), l.host.c_str());
        if (before) SSL_set_session(tls_.get(), before);
        if (!d.certificate.empty()) {
            auto const* at = reinterpret_cast<unsigned char const*>(d.certificate.data());
            owned<X509> const own(d2i_X509(nullptr, &at, static_cast<long>(d.certificate.size())));
            if (!own || SSL_use_certificate(tls_.get(), own.get()) != 1 ||
                SSL_use_PrivateKey(tls_.get(), l.key->get()) != 1)
                raise("certificate");
        }
        if (SSL_connect(tls_.get()) != 1) raise("handshake");
    }
    ~connection() {
        // Else the session counts as broken, and is not resumed.
        SSL_set_shutdown(tls_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    bool resumed() const { return SSL_session_reused(tls_.get()) == 1; }
    owned<SSL_SESSION> session() const { return owned<SSL_SESSION>(SSL_get1_session(tls_.get())); }

    // The body of an answer 200.
    std::string post(load const& l, std::string const& body) {
        auto const request = fmt::format(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/vnd.syncml.dm+xml\r\nContent-Length: {}\r\n\r\n{}",
            l.path, l.host, body.size(), body);
        if (SSL_write(tls_.get(), request.data(), static_cast<int>(request.size())) <= 0) raise("write");
        std::string got;
        std::size_t wanted = std::string::npos, head = 0;
        while (got.size() < wanted) {
            char some[16'384];
            auto const n = SSL_read(tls_.get(), some, sizeof some);
            if (n <= 0) raise("read");
            got.append(some, static_cast<std::size_t>(n));
            if (wanted != std::string::npos || (head = got.find("\r\n\r\n")) == std::string::npos) continue;
            head += 4;
            if (!got.starts_with("HTTP/1.1 200 ")) throw failure("status " + got.substr(9, 3));
            auto const at = got.find("Content-Length: ");
            std::size_t length = 0;
            if (at > head || std::from_chars(got.data() + at + 16, got.data() + head, length).ec != std::errc())
                throw failure("no Content-Length");
            wanted = head + length;
        }
        return got.substr(head);
    }

private:
    descriptor socket_;
    owned<SSL> tls_;
};

namespace {

class driver {
public:
    driver(load const& l, int processor) : load_(l), processor_(processor), sessions_(l.devices.size()) {}

    outcome run() {
        start_ = steady::now();
        {
            std::vector<std::jthread> all;
            for (int i = 0; i < load_.threads; ++i) all.emplace_back([this] { work(); });
        }
        out_.seconds = std::chrono::duration<double>(steady::now() - start_).count();
        std::sort(out_.session_ms.begin(), out_.session_ms.end());
        return std::move(out_);
    }

private:
    void work() {
        if (processor_ >= 0) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(static_cast<std::size_t>(processor_), &one);
            ::sched_setaffinity(0, sizeof one, &one);
        }
        auto const context = new_context(load_);
        outcome mine;
        while (true) {
            auto const number = next_++;
            auto due = start_;
            if (load_.most != 0 && number >= load_.most) break;
            if (load_.rate > 0) {
                due +=
                    std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(number) / load_.rate * 1e9));
                if (due > start_ + load_.length) break;
                std::this_thread::sleep_until(due);
            } else {
                due = steady::now();
                if (due > start_ + load_.length) break;
            }
            try {
                one_session(context.get(), number, mine);
                ++mine.sessions;
                mine.session_ms.push_back(std::chrono::duration<float, std::milli>(steady::now() - due).count());
            } catch (failure const& e) {
                ++mine.failures;
                if (mine.failure.empty()) mine.failure = e.what();
            }
        }
        std::scoped_lock const lock(mutex_);
        out_.sessions += mine.sessions;
        out_.messages += mine.messages;
        out_.resumed += mine.resumed;
        out_.failures += mine.failures;
        if (out_.failure.empty()) out_.failure = mine.failure;
        out_.session_ms.insert(out_.session_ms.end(), mine.session_ms.begin(), mine.session_ms.end());
        if (!mine.requests.empty()) {
            out_.requests = mine.requests;
            out_.answers = mine.answers;
        }
    }

    void one_session(SSL_CTX* context, std::size_t number, outcome& mine) {
        auto const which = number % load_.devices.size();
        auto const& d = load_.devices[which];
        auto& before = sessions_[which];
        connection c(context, load_, d, load_.resume ? before.get() : nullptr);
        if (c.resumed()) ++mine.resumed;
        std::string answer;
        for (int message = 1;; ++message) {
            auto const say = load_.says(d, message, answer);
            if (!say) break;
            answer = c.post(load_, *say);
            ++mine.messages;
            if (number != 0) continue;
            mine.requests.push_back(*say);
            mine.answers.push_back(answer);
        }
        if (load_.resume) before = c.session();
    }

    load const& load_;
    int processor_;
    std::vector<owned<SSL_SESSION>> sessions_;
    steady::time_point start_;
    std::atomic<std::size_t> next_ = 0;
    std::mutex mutex_;
    outcome out_;
};

}  // namespace

double outcome::percentile(double p) const {
    if (session_ms.empty()) return std::nan("");
    auto const at = static_cast<std::size_t>(p / 100 * static_cast<double>(session_ms.size()));
    return static_cast<double>(session_ms[std::min(at, session_ms.size() - 1)]);
}

held_connections::held_connections(load const& l, std::size_t count) {
    auto const context = new_context(l);
    for (std::size_t i = 0; i < count; ++i) {
        auto const& d = l.devices[i % l.devices.size()];
        all_.push_back(std::make_unique<connection>(context.get(), l, d, nullptr));
        all_.back()->post(l, l.says(d, 1, {}).value());
    }
}
held_connections::~held_connections() = default;

outcome run(load const& l, int processor) { return driver(l, processor).run(); }

}  // namespace mdmd::bench
