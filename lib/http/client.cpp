#include "http/client.hpp"

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <deque>
#include <future>

#include "http/answers.hpp"
#include "http/framing.hpp"
#include "http/stream.hpp"
#include "http/tls.hpp"

namespace mdmd::http {
namespace {

namespace beast = boost::beast;
using steady = std::chrono::steady_clock;

constexpr auto as_values = net::as_tuple(net::use_awaitable);
constexpr std::size_t idle_per_origin = 8;
constexpr std::chrono::seconds idle_most{30};   // less than what servers and firewalls between commonly allow
constexpr std::size_t input_bytes = 32 * 1024;  // two reads: rarely grows, so that wiping it at its end reaches all

// Where a call goes.
struct target {
    bool secure = false;
    std::string host;  // a name or an IP address, lower case, without brackets
    std::string port;
    std::string authority;  // for the Host field: the port only where it is not the scheme's
    std::string path;       // with the query
    std::string origin() const { return fmt::format("{}://{}", secure ? "https" : "http", authority); }
    std::string shown;  // for errors: without the query, which may hold secrets
};

std::string bracketed(std::string const& host) {  // an IPv6 address as URLs and CONNECT write it
    return host.find(':') == host.npos ? host : fmt::format("[{}]", host);
}

bool is_loopback(std::string const& host) {
    error_code e;
    auto const address = net::ip::make_address(host, e);
    return e ? host == "localhost" : address.is_loopback();
}

std::string text(boost::urls::string_view s) { return {s.data(), s.size()}; }

result<target> parse_target(std::string const& url) {
    auto const refused = [](std::string_view why) { return fail(errc::malformed, fmt::format("URL: {}", why)); };
    auto const parsed = boost::urls::parse_uri(url);
    if (!parsed) return refused("not an absolute URL");
    auto const& u = *parsed;
    target t;
    auto const scheme = lower(text(u.scheme()));
    if (scheme != "https" && scheme != "http") return refused("neither https nor http");
    if (u.has_userinfo()) return refused("holds a user name");
    if (u.has_fragment()) return refused("has a fragment");
    t.secure = scheme == "https";
    t.host = lower(text(u.encoded_host()));
    if (t.host.starts_with('[')) t.host = t.host.substr(1, t.host.size() - 2);
    if (t.host.empty() || t.host.find('%') != t.host.npos) return refused("no plain host name");
    auto const* const usual = t.secure ? "443" : "80";
    t.port = u.has_port() && !u.port().empty() ? text(u.port()) : usual;
    unsigned number = 0;
    auto const* const last = t.port.data() + t.port.size();
    auto const [at, e] = std::from_chars(t.port.data(), last, number);
    if (at != last || e != std::errc() || number == 0 || number > 65535)
        return refused("port is not a number from 1 to 65535");
    t.authority = bracketed(t.host);
    if (t.port != usual) t.authority += ":" + t.port;
    auto const path = text(u.encoded_path());
    t.path = path.empty() ? "/" : path;
    t.shown = t.origin() + printable(t.path, 200);
    if (u.has_query()) t.path += "?" + text(u.encoded_query());
    return t;
}

bool repeatable(std::string_view method) {  // RFC 9110 section 9.2.2
    return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" || method == "OPTIONS";
}

// Joins the parts in memory that is allocated once, so that no copy of a secret part stays behind.
secret joined(std::vector<std::string_view> const& parts) {
    std::size_t size = 0;
    for (auto const p : parts) size += p.size();
    std::string all;
    all.reserve(size);
    for (auto const p : parts) all += p;
    return secret(std::move(all));
}

result<secret> write_call(call const& c, target const& t, std::string const& user_agent) {
    if (!is_token(c.method)) return fail(errc::malformed, "method is not a token");
    std::vector<std::string_view> parts{c.method, " ", t.path, " HTTP/1.1\r\nHost: ", t.authority, "\r\n"};
    auto const field = [&](std::string_view name, std::string_view value) {
        parts.insert(parts.end(), {name, ": ", value, "\r\n"});
    };
    if (!c.headers.get("User-Agent") && is_field_value(user_agent)) field("User-Agent", user_agent);
    for (auto const& [name, value] : c.headers) {
        if (!is_token(name) || !is_field_value(value))
            return fail(errc::malformed, fmt::format("header field {} cannot be sent", printable(name, 64)));
        bool const ours = iequals(name, "Host") || iequals(name, "Content-Length") || iequals(name, "Connection") ||
                          iequals(name, "Transfer-Encoding") || iequals(name, "Expect");
        if (!ours) field(name, value);
    }
    bool const sends = c.method == "POST" || c.method == "PUT" || c.method == "PATCH";
    auto const length = std::to_string(c.body.size());
    if (sends || !c.body.empty()) field("Content-Length", length);
    parts.insert(parts.end(), {"\r\n", c.body});
    return joined(parts);
}

// `authority` is host:port, the port always there [RFC 9110 9.3.6].
secret write_connect(std::string const& authority, secret const& credentials, std::string const& user_agent) {
    std::vector<std::string_view> parts{"CONNECT ", authority, " HTTP/1.1\r\nHost: ", authority, "\r\n"};
    if (is_field_value(user_agent)) parts.insert(parts.end(), {"User-Agent: ", user_agent, "\r\n"});
    secret const basic(credentials.empty() ? std::string() : base64(credentials.reveal()));
    if (!basic.empty()) parts.insert(parts.end(), {"Proxy-Authorization: Basic ", basic.reveal(), "\r\n"});
    parts.emplace_back("\r\n");
    return joined(parts);
}

// A buffer that secrets come in.
struct wiped {
    std::string text;
    wiped() { text.reserve(input_bytes); }
    wiped(wiped const&) = delete;
    wiped& operator=(wiped const&) = delete;
    ~wiped() { wipe(text); }
};

std::string duration_text(std::chrono::milliseconds d) {
    return d.count() % 1000 == 0 ? fmt::format("{} s", d.count() / 1000) : fmt::format("{} ms", d.count());
}

// OpenSSL and the system say "Connection refused"; in the middle of a sentence it is lower case.
std::string plain_words(error_code const& e) {
    auto words = e.message();
    if (words.size() > 1 && words[1] >= 'a' && words[1] <= 'z') words[0] = lower(words.substr(0, 1))[0];
    return words;
}

}  // namespace

// Everything but send() itself happens on one thread, so nothing here is locked.
struct client::impl {
    explicit impl(client_options o) : options(std::move(o)), context(make_client_context(options)) {
        thread = std::thread([this] { io.run(); });
    }
    ~impl() {
        io.stop();
        thread.join();
    }

    // One call under way. Kept by shared_ptr: the caller may have given up already.
    struct job {
        target to;
        bool proxied = false;
        std::string method;
        secret wire;
        std::chrono::milliseconds timeout;
        steady::time_point until;
        bool began_to_answer = false;

        // Which idle connections will do.
        std::string way() const { return to.origin() + (proxied ? " by proxy" : ""); }

        // The first end counts: an answer, an error, or the stop while neither has come.
        void end(result<response> got) {
            if (!ended_.exchange(true)) done_.set_value(std::move(got));
        }
        void end(std::exception_ptr e) {
            if (!ended_.exchange(true)) done_.set_exception(std::move(e));
        }
        std::future<result<response>> future() { return done_.get_future(); }

    private:
        std::promise<result<response>> done_;
        std::atomic<bool> ended_ = false;
    };

    result<response> send(call const&);
    static net::awaitable<void> run(impl&, std::shared_ptr<job>);
    net::awaitable<result<response>> try_all(job&);
    net::awaitable<result<std::shared_ptr<stream>>> open(job&);
    net::awaitable<result<void>> tunnel(job&, std::shared_ptr<stream>);
    net::awaitable<result<std::shared_ptr<stream>>> reach(job&, std::string host, std::string port);
    net::awaitable<result<std::vector<stream::endpoint>>> find(job&, std::string host, std::string port);
    net::awaitable<result<response>> exchange(job&, std::shared_ptr<stream>);
    std::shared_ptr<stream> take_idle(std::string const& way);
    void keep_idle(std::string const& way, std::shared_ptr<stream>);
    error failed(job const&, error_code const&) const;
    std::string proxy_name() const { return fmt::format("{}:{}", bracketed(options.proxy->host), options.proxy->port); }
    static std::chrono::milliseconds left(job const& j) {
        return std::max(
            std::chrono::milliseconds(1), std::chrono::ceil<std::chrono::milliseconds>(j.until - steady::now()));
    }

    struct idle {
        std::shared_ptr<stream> connection;
        steady::time_point since;
    };
    client_options options;
    ssl_ctx_ptr context;
    net::io_context io{1};
    net::executor_work_guard<net::io_context::executor_type> guard = net::make_work_guard(io);
    std::map<std::string, std::deque<idle>> pool;  // by job::way, the most recent last
    std::thread thread;
};

result<response> client::impl::send(call const& c) {
    auto to = parse_target(c.url);
    if (!to) return to.error();
    auto const in_place = [&](error e) { return fail(e.code, fmt::format("{}: {}", to->shown, e.detail)); };
    bool const stays_here = !options.unix_socket.empty() || is_loopback(to->host);
    if (!to->secure && !stays_here) return in_place(fail(errc::malformed, "plain HTTP goes to this machine only"));
    auto wire = write_call(c, *to, options.user_agent);
    if (!wire) return in_place(wire.error());

    auto const until = steady::now() + c.timeout;
    auto const j = std::make_shared<job>();
    j->to = *to;
    j->proxied = options.proxy && to->secure && !c.direct && options.unix_socket.empty();
    j->method = c.method;
    j->wire = std::move(*wire);
    j->timeout = c.timeout;
    j->until = until;
    auto done = j->future();
    std::stop_callback const on_stop(
        options.stop, [&j] { j->end(fail(errc::unavailable, "given up, since this process is stopping")); });
    net::co_spawn(io, run(*this, j), [](std::exception_ptr) {});
    // Looking up a name cannot be interrupted; the caller does not wait for it.
    if (done.wait_until(until + std::chrono::milliseconds(200)) != std::future_status::ready)
        return in_place(fail(errc::unavailable, "time-out after " + duration_text(c.timeout)));
    auto got = done.get();
    return got ? std::move(got) : result<response>(in_place(got.error()));
}

net::awaitable<void> client::impl::run(impl& self, std::shared_ptr<job> j) {
    try {
        j->end(co_await self.try_all(*j));
    } catch (...) {
        j->end(std::current_exception());
    }
}

net::awaitable<result<response>> client::impl::try_all(job& j) {
    if (auto reused = take_idle(j.way()); reused) {
        reused->deadline(left(j));
        auto const before = reused->written();
        auto got = co_await exchange(j, reused);
        // A server may close an idle connection at any time. What it cannot have acted upon, or may act upon twice,
        // is sent once more.
        bool const untouched = reused->written() == before;
        bool const again = !got && got.error().code == errc::unavailable && !j.began_to_answer &&
                           (untouched || repeatable(j.method)) && steady::now() < j.until;
        if (!again) co_return got;
    }
    auto fresh = co_await open(j);
    if (!fresh) co_return fresh.error();
    auto const connection = *fresh;
    co_return co_await exchange(j, connection);
}

error client::impl::failed(job const& j, error_code const& e) const {
    if (e == net::error::timed_out && steady::now() >= j.until)
        return fail(errc::unavailable, "time-out after " + duration_text(j.timeout));
    if (e == net::error::eof) return fail(errc::unavailable, "connection closed before the answer was complete");
    return fail(errc::unavailable, plain_words(e));
}

// The addresses to try, in the resolver's order.
net::awaitable<result<std::vector<stream::endpoint>>> client::impl::find(job& j, std::string host, std::string port) {
    std::vector<stream::endpoint> all;
    if (!options.unix_socket.empty()) {
        all.emplace_back(net::local::stream_protocol::endpoint(options.unix_socket.string()));
        co_return all;
    }
    if (auto const i = options.connect_to.find(host + ":" + port); i != options.connect_to.end()) {
        auto const colon = i->second.rfind(':');
        if (colon == i->second.npos) co_return fail(errc::malformed, "connect_to has no port");
        host = i->second.substr(0, colon);
        port = i->second.substr(colon + 1);
        if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    }
    if (iequals(host, "localhost")) {  // this machine, whatever a name service says or does not say [RFC 6761 6.3]
        std::uint16_t number = 0;
        std::from_chars(port.data(), port.data() + port.size(), number);
        all.emplace_back(net::ip::tcp::endpoint(net::ip::address_v4::loopback(), number));
        all.emplace_back(net::ip::tcp::endpoint(net::ip::address_v6::loopback(), number));
        co_return all;
    }
    net::ip::tcp::resolver resolver(io);
    auto const [e, found] =
        co_await resolver.async_resolve(host, port, net::ip::tcp::resolver::numeric_service, as_values);
    if (e) co_return fail(errc::unavailable, fmt::format("looking up {}: {}", host, plain_words(e)));
    for (auto const& one : found) {
        if (!j.to.secure && !one.endpoint().address().is_loopback()) continue;
        all.emplace_back(one.endpoint());
    }
    if (all.empty()) co_return fail(errc::unavailable, fmt::format("looking up {}: no address", host));
    co_return all;
}

net::awaitable<result<std::shared_ptr<stream>>> client::impl::reach(job& j, std::string host, std::string port) {
    auto const found = co_await find(j, std::move(host), std::move(port));
    if (!found) co_return found.error();
    std::shared_ptr<stream> connection;
    error_code e;
    auto remaining = found->size();
    for (auto const& to : *found) {
        connection = std::make_shared<stream>(io);
        // Each address gets its share, so that one that swallows packets does not use up the call.
        connection->deadline(left(j) / static_cast<int>(remaining--));
        e = co_await connection->connect(to);
        if (!e) break;
    }
    if (e) co_return failed(j, e);
    connection->deadline(left(j));
    co_return connection;
}

// Asks the proxy at the other end for a way to the target. Its name is for the proxy to look up.
net::awaitable<result<void>> client::impl::tunnel(job& j, std::shared_ptr<stream> connection) {
    auto const told = [this](std::string_view what) {
        return fail(errc::unavailable, fmt::format("proxy {}{}", proxy_name(), what));
    };
    auto const authority = fmt::format("{}:{}", bracketed(j.to.host), j.to.port);
    auto const wire = write_connect(authority, options.proxy->credentials, options.user_agent);
    // A proxy may refuse before it has read all: its answer counts, not the failed write.
    auto const write_error = co_await connection->write(wire.reveal());
    if (write_error == net::error::timed_out) co_return told(": " + failed(j, write_error).detail);
    std::string input;
    connect_reader reader;
    while (reader.status() == 0) {
        auto const e = co_await connection->read(input);
        if (e) co_return told(": " + failed(j, write_error ? write_error : e).detail);
        auto const r = reader.put(input);
        if (!r) co_return told(": " + r.error().detail);
    }
    auto const status = reader.status();
    if (status == 407)
        co_return told(
            options.proxy->credentials.empty() ? " asks for credentials" : " does not accept its credentials");
    if (status < 200 || status > 299) co_return told(fmt::format(" refuses CONNECT to {}: HTTP {}", authority, status));
    // In TLS it is the client that speaks first.
    if (!input.empty()) co_return told(fmt::format(" sends bytes of its own into the tunnel to {}", authority));
    co_return result<void>();
}

net::awaitable<result<std::shared_ptr<stream>>> client::impl::open(job& j) {
    auto const host = j.proxied ? options.proxy->host : j.to.host;
    auto const port = j.proxied ? std::to_string(options.proxy->port) : j.to.port;
    auto const reached = co_await reach(j, host, port);
    if (!reached && j.proxied)
        co_return fail(
            reached.error().code, fmt::format("proxy {} cannot be reached: {}", proxy_name(), reached.error().detail));
    if (!reached) co_return reached.error();
    auto const connection = *reached;
    if (j.proxied) {
        auto const opened = co_await tunnel(j, connection);
        if (!opened) co_return opened.error();
    }
    error_code e;
    if (j.to.secure) {
        connection->secure(connect_tls(context.get(), j.to.host));
        e = co_await connection->handshake();
        auto const why = e ? verify_failure(connection->tls()) : std::string();
        if (!why.empty())
            co_return fail(errc::unavailable, fmt::format("certificate of {} not trusted: {}", j.to.host, why));
        if (e && e != net::error::timed_out)
            co_return fail(errc::unavailable, fmt::format("TLS handshake: {}", plain_words(e)));
        if (e) co_return failed(j, e);
    }
    co_return connection;
}

net::awaitable<result<response>> client::impl::exchange(job& j, std::shared_ptr<stream> connection) {
    wiped input;
    answer_reader reader(j.method == "HEAD", options.answer_bytes);
    // A server that refuses a body while it is still being sent answers and closes: its answer counts, not the
    // failed write.
    auto const write_error = co_await connection->write(j.wire.reveal());
    if (write_error == net::error::timed_out) co_return failed(j, write_error);
    while (!reader.done()) {
        auto const e = co_await connection->read(input.text);
        if (e == net::error::eof && j.began_to_answer) {
            auto const end = reader.put_end();
            if (!end) co_return end.error();
            break;
        }
        if (e) co_return failed(j, write_error ? write_error : e);
        j.began_to_answer = true;
        auto const r = reader.put(input.text);
        if (!r) co_return r.error();
    }
    bool const reusable = reader.keep_alive() && input.text.empty() && !write_error;
    auto answer = reader.take();
    if (reusable) keep_idle(j.way(), std::move(connection));
    co_return answer;
}

std::shared_ptr<stream> client::impl::take_idle(std::string const& way) {
    auto& all = pool[way];
    auto const oldest = steady::now() - idle_most;
    while (!all.empty()) {
        auto last = std::move(all.back());
        all.pop_back();
        if (last.since >= oldest && last.connection->quiet()) return last.connection;
    }
    return nullptr;
}

void client::impl::keep_idle(std::string const& way, std::shared_ptr<stream> connection) {
    connection->no_deadline();
    auto const now = steady::now();
    for (auto i = pool.begin(); i != pool.end();) {  // what has waited too long goes, whatever its way
        auto& all = i->second;
        while (!all.empty() && all.front().since < now - idle_most) all.pop_front();
        i = all.empty() ? pool.erase(i) : std::next(i);
    }
    auto& all = pool[way];
    if (all.size() >= idle_per_origin) all.pop_front();
    all.push_back({std::move(connection), now});
}

client::client(client_options options) : impl_(std::make_unique<impl>(std::move(options))) {}
client::~client() = default;

result<response> client::send(call const& c) { return impl_->send(c); }

void client::close_idle() {
    auto const done = std::make_shared<std::promise<void>>();  // shared: set_value may outlast the waiting
    net::post(impl_->io, [this, done] {
        impl_->pool.clear();
        done->set_value();
    });
    done->get_future().wait();
}

}  // namespace mdmd::http
