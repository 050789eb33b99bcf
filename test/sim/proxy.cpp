#include "proxy.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>
#include <system_error>
#include <thread>
#include <variant>

#include "core/http_message.hpp"
#include "core/text.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "pki.hpp"

namespace mdmd::sim {
namespace {

using steady = std::chrono::steady_clock;
constexpr std::chrono::seconds header_most{10};    // for a CONNECT to come in
constexpr std::chrono::seconds connect_most{5};    // for the destination to take a connection
constexpr std::chrono::seconds forward_most{120};  // for the answer to a request that is sent on
constexpr std::size_t header_bytes = 16 * 1024;

class descriptor {
public:
    explicit descriptor(int fd = -1) : fd_(fd) {}
    descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_;
};

struct place {
    std::string host;  // without brackets
    std::string port;
};

// "host:port" with a port of its own.
std::optional<place> parse_place(std::string_view text) {
    auto const colon = text.rfind(':');
    if (colon == text.npos || colon == 0) return std::nullopt;
    auto host = text.substr(0, colon);
    auto const port = text.substr(colon + 1);
    if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != port.npos) return std::nullopt;
    if (auto const number = std::stoul(std::string(port)); number == 0 || number > 65535) return std::nullopt;
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host.empty() || host.find_first_of("[]@/ ") != host.npos) return std::nullopt;
    return place{std::string(host), std::string(port)};
}

// The socket address of a numeric host or of localhost.
struct socket_address {
    sockaddr_storage bytes{};
    socklen_t size = 0;
    int family = AF_INET;
};
std::optional<socket_address> numeric(place const& at) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    auto const host = iequals(at.host, "localhost") ? std::string("127.0.0.1") : at.host;
    if (::getaddrinfo(host.c_str(), at.port.c_str(), &hints, &found) != 0) return std::nullopt;
    socket_address a;
    a.size = found->ai_addrlen;
    a.family = found->ai_family;
    std::memcpy(&a.bytes, found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
    return a;
}

sockaddr* raw(socket_address& a) { return reinterpret_cast<sockaddr*>(&a.bytes); }

int left_until(steady::time_point until) {
    auto const left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now()).count();
    return static_cast<int>(std::max<std::int64_t>(left, 0));
}

descriptor connect_to(socket_address to) {
    descriptor s(::socket(to.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!s) return descriptor();
    int const on = 1;
    ::setsockopt(s.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(s.get(), raw(to), to.size) == 0) return s;
    if (errno != EINPROGRESS) return descriptor();
    pollfd p{s.get(), POLLOUT, 0};
    if (::poll(&p, 1, static_cast<int>(std::chrono::milliseconds(connect_most).count())) <= 0) return descriptor();
    int problem = 0;
    socklen_t size = sizeof problem;
    ::getsockopt(s.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
    return problem == 0 ? std::move(s) : descriptor();
}

void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        auto const n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            pollfd p{fd, POLLOUT, 0};
            if (::poll(&p, 1, 10'000) > 0) continue;
        }
        if (n <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

// One way of a tunnel: what was read and not written yet.
class flow {
public:
    flow(int from, int to, std::string first) : from_(from), to_(to), waiting_(std::move(first)) {}
    bool wants_to_read() const { return !ended_ && waiting_.empty(); }
    bool wants_to_write() const { return !waiting_.empty(); }
    bool finished() const { return ended_ && waiting_.empty(); }
    // False: the connection is broken.
    bool read() {
        std::array<char, 64 * 1024> piece{};
        auto const n = ::recv(from_, piece.data(), piece.size(), 0);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        if (n == 0) {
            ended_ = true;
            ::shutdown(to_, SHUT_WR);
        }
        waiting_.assign(piece.data(), static_cast<std::size_t>(n));
        return true;
    }
    bool write() {
        auto const n = ::send(to_, waiting_.data(), waiting_.size(), MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        waiting_.erase(0, static_cast<std::size_t>(n));
        return true;
    }

private:
    int from_, to_;
    std::string waiting_;
    bool ended_ = false;
};

// What a client asked for.
struct connect_request {
    std::string destination;    // as sent, lower case
    std::string authorization;  // of Proxy-Authorization
    std::string rest;           // what came behind the header
};

std::string answer(int status, char const* reason, std::string const& fields, std::string const& body) {
    return fmt::format(
        "HTTP/1.1 {} {}\r\nServer: mdm-sim\r\n{}Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: "
        "close\r\n\r\n{}",
        status, reason, fields, body.size(), body);
}

// A text is the whole answer to one that is refused.
std::variant<connect_request, std::string> parse_connect(std::string_view header) {
    auto const bad = [](std::string const& why) { return answer(400, "Bad Request", {}, why + "\n"); };
    auto lines = split(header, '\n');
    for (auto& l : lines)
        if (l.ends_with('\r')) l.remove_suffix(1);
    auto const words = split(lines.front(), ' ');
    if (words.size() != 3 || !words[2].starts_with("HTTP/1.")) return bad("not a request line");
    if (words[0] != "CONNECT")
        return answer(405, "Method Not Allowed", "Allow: CONNECT\r\n", "This proxy takes CONNECT only.\n");
    if (!parse_place(words[1])) return bad("CONNECT wants host:port");
    http::fields fields;
    for (std::size_t i = 1; i < lines.size() && !lines[i].empty(); ++i) {
        auto const colon = lines[i].find(':');
        if (colon == lines[i].npos || colon == 0) return bad("not a header field");
        fields.add(std::string(lines[i].substr(0, colon)), std::string(trim(lines[i].substr(colon + 1))));
    }
    // [RFC 9112 3.2, RFC 9110 9.3.6]
    if (!fields.get("Host") || !iequals(*fields.get("Host"), words[1])) return bad("Host is not the destination");
    if (fields.get("Content-Length") || fields.get("Transfer-Encoding")) return bad("a CONNECT has no content");
    return connect_request{.destination = lower(words[1]),
        .authorization = std::string(fields.get("Proxy-Authorization").value_or("")),
        .rest = {}};
}

bool authorized(std::string_view authorization, std::string const& credentials) {
    if (credentials.empty()) return true;
    constexpr std::string_view scheme = "basic ";
    if (authorization.size() <= scheme.size() || !iequals(authorization.substr(0, scheme.size()), scheme)) return false;
    auto const got = unbase64(trim(authorization.substr(scheme.size())));
    return got && *got == credentials;
}

bool hop_by_hop(std::string_view name) {  // [RFC 9110 7.6.1]
    for (auto const* one : {"Connection", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
             "Transfer-Encoding", "Upgrade", "Content-Length", "Host"})
        if (iequals(name, one)) return true;
    return false;
}

// The far side of the tunnels to one destination where they are looked into.
struct inspector {
    std::optional<http::client> client;
    std::optional<http::server> server;
    std::uint16_t port = 0;
};

}  // namespace

struct proxy::impl {
    explicit impl(proxy_options o)
        : options(std::move(o)), authority(make_authority("Simulated inspecting proxy root")) {}

    // One client. Its socket is closed under the lock, so that whoever ends it there ends no other.
    struct connection {
        descriptor client;
        std::atomic<bool> ended = false;  // told to end
        std::atomic<bool> gone = false;
        std::thread thread;
    };

    void accept_all();
    void take(descriptor);
    void serve(connection&);
    void serve_silent(connection&);
    std::optional<connect_request> read_connect(connection&);
    void refuse(connection&, std::string const& whole_answer);
    std::optional<socket_address> way_to(std::string const& destination);
    std::optional<std::string> route_of(std::string const& destination) const;
    inspector& inspector_of(std::string const& destination, std::string const& route);
    http::response forward(inspector&, std::string const& origin, http::request const&);
    void pump(connection&, descriptor const& far, std::string first);
    void end_all_locked();
    void reap_locked();

    proxy_options options;
    identity authority;
    descriptor listener;
    std::thread acceptor;

    mutable std::mutex mutex;  // guards what follows, and the credentials
    mutable std::condition_variable changed;
    bool stopping = false;
    outage outage_now = outage::none;
    std::list<connection> connections;
    std::map<std::string, inspector> inspectors;
    std::stop_source stop_forwarding;
    std::size_t connects = 0, refused = 0, blocked = 0, inspected = 0;
    std::vector<std::string> seen;
};

void proxy::impl::accept_all() {
    for (;;) {
        descriptor client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        auto const problem = errno;
        {
            std::scoped_lock const lock(mutex);
            if (stopping) return;
        }
        if (client)
            take(std::move(client));
        else if (problem == EMFILE || problem == ENFILE || problem == ENOBUFS || problem == ENOMEM)
            ::poll(nullptr, 0, 50);
    }
}

void proxy::impl::take(descriptor client) {
    std::scoped_lock const lock(mutex);
    reap_locked();
    if (stopping) return;
    if (outage_now != outage::none) {
        ++blocked;
        changed.notify_all();
    }
    if (outage_now == outage::reset) {
        linger const at_once{1, 0};
        ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        return;
    }
    int const on = 1;
    ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto& c = connections.emplace_back();
    c.client = std::move(client);
    c.thread = std::thread([this, &c, silent = outage_now == outage::silent] {
        try {
            if (silent)
                serve_silent(c);
            else
                serve(c);
        } catch (std::exception const& e) {
            refuse(c, answer(502, "Bad Gateway", {}, fmt::format("{}\n", e.what())));
        }
        std::scoped_lock const end(mutex);
        c.client = descriptor();
        c.gone = true;
    });
}

void proxy::impl::reap_locked() {
    for (auto c = connections.begin(); c != connections.end();) {
        if (!c->gone) {
            ++c;
            continue;
        }
        c->thread.join();
        c = connections.erase(c);
    }
}

void proxy::impl::end_all_locked() {
    for (auto& c : connections) {
        c.ended = true;
        if (c.client) ::shutdown(c.client.get(), SHUT_RDWR);
    }
}

void proxy::impl::serve_silent(connection& c) {
    std::array<char, 4096> piece{};
    while (!c.ended) {
        pollfd p{c.client.get(), POLLIN, 0};
        if (::poll(&p, 1, -1) < 0 && errno != EINTR) return;
        auto const n = ::recv(c.client.get(), piece.data(), piece.size(), 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return;
    }
}

std::optional<connect_request> proxy::impl::read_connect(connection& c) {
    std::string all;
    auto const until = steady::now() + header_most;
    while (all.find("\r\n\r\n") == all.npos && all.size() <= header_bytes) {
        pollfd p{c.client.get(), POLLIN, 0};
        if (::poll(&p, 1, left_until(until)) <= 0) return std::nullopt;
        std::array<char, 4096> piece{};
        auto const n = ::recv(c.client.get(), piece.data(), piece.size(), 0);
        if (n <= 0) return std::nullopt;
        all.append(piece.data(), static_cast<std::size_t>(n));
    }
    auto const blank = all.find("\r\n\r\n");
    if (blank == all.npos || blank > header_bytes) {
        refuse(c, answer(431, "Request Header Fields Too Large", {}, {}));
        return std::nullopt;
    }
    auto const end = blank + 4;
    auto got = parse_connect(std::string_view(all).substr(0, end - 2));
    if (auto const* const answered = std::get_if<std::string>(&got)) {
        refuse(c, *answered);
        return std::nullopt;
    }
    auto& request = std::get<connect_request>(got);
    request.rest = all.substr(end);
    return std::move(request);
}

void proxy::impl::refuse(connection& c, std::string const& whole_answer) {
    {
        std::scoped_lock const lock(mutex);
        ++refused;
    }
    send_all(c.client.get(), whole_answer);
    ::shutdown(c.client.get(), SHUT_WR);
    // Closing with something unread would take the answer back.
    std::array<char, 4096> piece{};
    for (auto const until = steady::now() + std::chrono::seconds(2); left_until(until) > 0;) {
        pollfd p{c.client.get(), POLLIN, 0};
        if (::poll(&p, 1, left_until(until)) <= 0 || ::recv(c.client.get(), piece.data(), piece.size(), 0) <= 0) return;
    }
}

std::optional<std::string> proxy::impl::route_of(std::string const& destination) const {
    auto found = options.routes.find(destination);
    if (found == options.routes.end()) found = options.routes.find("*");
    if (found == options.routes.end()) return std::nullopt;
    return found->second == "direct" ? destination : found->second;
}

// Where to connect for it: the destination, or what looks into it.
std::optional<socket_address> proxy::impl::way_to(std::string const& destination) {
    auto const route = route_of(destination);
    if (!route) return std::nullopt;
    auto const at = parse_place(*route);
    if (!at || !numeric(*at)) return std::nullopt;
    if (!options.inspect) return numeric(*at);
    return numeric({"127.0.0.1", std::to_string(inspector_of(destination, *route).port)});
}

inspector& proxy::impl::inspector_of(std::string const& destination, std::string const& route) {
    std::scoped_lock const lock(mutex);
    if (auto const found = inspectors.find(destination); found != inspectors.end()) return found->second;
    auto const at = *parse_place(destination);
    auto const presented = make_server(authority, {at.host});
    auto const tls = http::make_tls({.certificate_pem = presented.own.pem() + authority.own.pem(),
        .key_pem = secret(presented.key.pem()),
        .client_authority_pem = {}});
    if (!tls) throw std::runtime_error(tls.error().detail);
    auto& made = inspectors[destination];
    http::client_options o;
    o.extra_roots_pem = options.upstream_ca_pem;
    o.system_roots = options.upstream_ca_pem.empty();
    o.connect_to = {{at.host + ":" + at.port, route}};
    o.user_agent = "mdm-sim";
    o.stop = stop_forwarding.get_token();
    made.client.emplace(std::move(o));
    made.server.emplace(1u, 8u);
    auto const name = at.host.find(':') == at.host.npos ? at.host : "[" + at.host + "]";
    auto const origin = "https://" + name + (at.port == "443" ? std::string() : ":" + at.port);
    made.port = made.server->listen("127.0.0.1", 0,
        {{.host = at.host,
            .tls = *tls,
            .handle = [this, &made, origin](http::request const& r) { return forward(made, origin, r); },
            .chunked_allowed = true}});
    made.server->start();
    return made;
}

http::response proxy::impl::forward(inspector& by, std::string const& origin, http::request const& r) {
    http::call call{.method = r.method,
        .url = origin + r.path + (r.query.empty() ? "" : "?" + r.query),
        .headers = {},
        .body = r.body,
        .timeout = forward_most};
    for (auto const& [name, value] : r.headers)
        if (!hop_by_hop(name)) call.headers.add(name, value);
    {
        std::scoped_lock const lock(mutex);
        ++inspected;
    }
    auto const got = by.client->send(call);
    if (!got)
        return {.status = 502,
            .headers = {{"Content-Type", "text/plain"}},
            .body = "The proxy cannot reach the server behind it.\n"};
    http::response out{.status = got->status, .headers = {}, .body = got->body};
    for (auto const& [name, value] : got->headers)
        if (!hop_by_hop(name)) out.headers.add(name, value);
    out.headers.add("Via", "1.1 mdm-sim");
    return out;
}

void proxy::impl::serve(connection& c) {
    auto request = read_connect(c);
    if (!request) return;
    bool good = false;
    {
        std::scoped_lock const lock(mutex);
        good = authorized(request->authorization, options.credentials);
        if (good) seen.push_back(request->destination);
    }
    if (!good)
        return refuse(c, answer(407, "Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"mdm-sim\"\r\n",
                             "This proxy wants credentials.\n"));
    auto const way = way_to(request->destination);
    auto const far = way ? connect_to(*way) : descriptor();
    if (!far)
        return refuse(c, answer(502, "Bad Gateway", {}, way ? "No connection.\n" : "No way to this destination.\n"));
    {
        std::scoped_lock const lock(mutex);
        ++connects;
    }
    send_all(c.client.get(), "HTTP/1.1 200 Connection established\r\n\r\n");
    pump(c, far, std::move(request->rest));
}

void proxy::impl::pump(connection& c, descriptor const& far, std::string first) {
    flow out(c.client.get(), far.get(), std::move(first)), in(far.get(), c.client.get(), {});
    while (!c.ended && !(out.finished() && in.finished())) {
        auto const wants = [](flow const& reads, flow const& writes) {
            return static_cast<short>((reads.wants_to_read() ? POLLIN : 0) | (writes.wants_to_write() ? POLLOUT : 0));
        };
        // The client is always watched, since its end ends the tunnel; the far side only where something is wanted of
        // it: it may hang up before all it said is passed on.
        auto const of_far = wants(in, out);
        std::array<pollfd, 2> p{{{c.client.get(), wants(out, in), 0}, {of_far ? far.get() : -1, of_far, 0}}};
        if (::poll(p.data(), p.size(), -1) < 0) {
            if (errno == EINTR) continue;
            return;
        }
        constexpr short gone = POLLHUP | POLLERR;
        if ((p[0].revents & gone) && !out.wants_to_read()) return;
        if ((p[0].revents & (POLLIN | gone)) && out.wants_to_read() && !out.read()) return;
        if ((p[1].revents & (POLLIN | gone)) && in.wants_to_read() && !in.read()) return;
        if ((p[0].revents & POLLOUT) && in.wants_to_write() && !in.write()) return;
        if ((p[1].revents & (POLLOUT | gone)) && out.wants_to_write() && !out.write()) return;
    }
}

proxy::proxy(proxy_options o) : impl_(std::make_unique<impl>(std::move(o))) {}
proxy::~proxy() { stop(); }

void proxy::start() {
    auto& p = *impl_;
    auto at = numeric({p.options.listen_address, std::to_string(p.options.listen_port)});
    if (!at) throw std::runtime_error("the proxy's address is not numeric");
    descriptor s(::socket(at->family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int const on = 1;
    if (s) ::setsockopt(s.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socket_address bound;
    bound.size = sizeof bound.bytes;
    if (!s || ::bind(s.get(), raw(*at), at->size) != 0 || ::listen(s.get(), 128) != 0 ||
        ::getsockname(s.get(), raw(bound), &bound.size) != 0)
        throw std::system_error(errno, std::generic_category(), "proxy listens at " + url());
    p.options.listen_port = ntohs(at->family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound.bytes).sin6_port
                                                         : reinterpret_cast<sockaddr_in&>(bound.bytes).sin_port);
    p.listener = std::move(s);
    p.stopping = false;
    p.stop_forwarding = std::stop_source();
    p.acceptor = std::thread([&p] { p.accept_all(); });
}

void proxy::stop() {
    auto& p = *impl_;
    if (!p.acceptor.joinable()) return;
    {
        std::scoped_lock const lock(p.mutex);
        p.stopping = true;
        p.stop_forwarding.request_stop();
        p.end_all_locked();
    }
    ::shutdown(p.listener.get(), SHUT_RDWR);  // wakes accept
    p.acceptor.join();
    p.listener = descriptor();
    for (auto& c : p.connections) c.thread.join();  // nobody adds to the list any more
    p.connections.clear();
    p.inspectors.clear();
}

std::string proxy::url() const {
    return fmt::format("http://{}:{}", impl_->options.listen_address, impl_->options.listen_port);
}
std::uint16_t proxy::port() const { return impl_->options.listen_port; }
std::string proxy::ca_pem() const { return impl_->authority.own.pem(); }

void proxy::set_credentials(std::string credentials) {
    std::scoped_lock const lock(impl_->mutex);
    impl_->options.credentials = std::move(credentials);
}

void proxy::block(outage how) {
    std::scoped_lock const lock(impl_->mutex);
    impl_->outage_now = how;
    impl_->end_all_locked();
}

std::size_t proxy::connects() const {
    std::scoped_lock const lock(impl_->mutex);
    return impl_->connects;
}
std::size_t proxy::refused() const {
    std::scoped_lock const lock(impl_->mutex);
    return impl_->refused;
}
std::size_t proxy::blocked() const {
    std::scoped_lock const lock(impl_->mutex);
    return impl_->blocked;
}
std::size_t proxy::inspected() const {
    std::scoped_lock const lock(impl_->mutex);
    return impl_->inspected;
}
std::vector<std::string> proxy::seen() const {
    std::scoped_lock const lock(impl_->mutex);
    return impl_->seen;
}

bool proxy::wait_blocked(std::size_t count, std::chrono::milliseconds patience) const {
    std::unique_lock lock(impl_->mutex);
    return impl_->changed.wait_for(lock, patience, [&] { return impl_->blocked >= count; });
}

}  // namespace mdmd::sim
